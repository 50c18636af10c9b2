"""Running gradients of recorded graphs: ``Tensor.backward`` and ``lucid.grad``.

The plan says what to compute (``lucid.plan``); here values are fed to it, hooks are called, leaves accumulate, and the
values that the forward kept are freed. With ``create_graph``, and in a trace, the steps are applied to tensors and so
recorded themselves; otherwise they run on arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.eager import (
    FREED,
    LIVE,
    Record,
    apply,
    grad_mode,
    leaf,
    located_error,
    mode,
    out_of_memory,
    record_of,
    tensor_of,
)
from lucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    IRError,
    LucidError,
    ShapeError,
    TraceError,
)
from lucid.functions.arguments import fail
from lucid.ir.graph import Array
from lucid.ir.location import located, resolve
from lucid.plan import GradientPlan, Hook, is_boundary, linearise, plan_for
from lucid.promotion import array_of
from lucid.runtime.buffers import is_view

if TYPE_CHECKING:
    from lucid.tensor import Tensor


def backward(root: Tensor, gradient: Any, retain_graph: bool, inputs: Any, create_graph: bool) -> None:
    """What ``Tensor.backward`` documents."""
    _require_live(root, "backward", "this tensor")
    cotangent = _cotangent(root, gradient, "backward", "gradient")
    only = None if inputs is None else _tensors(inputs, "backward", "inputs")
    for k, x in enumerate(only or ()):
        if not (x.is_leaf and x.requires_grad):
            fail(
                GradientError(
                    f"inputs[{k}] is not a leaf that requires a gradient",
                    op="backward",
                    hint="lucid.grad(outputs, inputs) computes gradients of values in between",
                )
            )
    order, found = _run([root], [cotangent], only, retain_graph, create_graph, "backward")
    for k, g in found.items():
        if g is not None:
            _accumulate(order[k], g)


def _accumulate(record: Record, g: Tensor) -> None:
    owner = None if record.owner is None else record.owner()
    if owner is None or not owner.requires_grad:
        return  # nobody can see this gradient any more
    before = owner.grad
    if before is not None:
        with grad_mode(mode.grad and (before.requires_grad or g.requires_grad)):
            g = before + g
        if g._data is not None and not g.requires_grad:
            g = leaf(g._data)
    owner.grad = g


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, without touching any ``grad``.

    Args:
        outputs: a tensor or several; with several, their gradients are added.
        inputs: a tensor or several, leaves or values in between.
        grad_outputs: one cotangent per output; ones if not given.
        retain_graph: keep what another backward through the same graph needs; the default is ``create_graph``.
        create_graph: record the gradients, so that they can be differentiated again.
        allow_unused: give None for an input that no output depends on, instead of raising.

    Returns:
        A tuple with one gradient per input.

    Raises:
        GradientError: nothing requires a gradient, an input is not used, or the graph was freed.
        ShapeError, DTypeError: a cotangent does not fit its output.
        ArgumentTypeError, ArgumentError: not tensors; not as many ``grad_outputs`` as outputs.

    >>> import lucid
    >>> x = lucid.tensor(3.0, requires_grad=True)
    >>> (first,) = lucid.grad(x**3, x, create_graph=True)
    >>> (second,) = lucid.grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    roots, wanted = _tensors(outputs, "grad", "outputs"), _tensors(inputs, "grad", "inputs")
    given = [None] * len(roots) if grad_outputs is None else grad_outputs
    if not isinstance(given, list | tuple):
        given = [given]
    if len(given) != len(roots):
        fail(ArgumentError(f"{len(given)} grad_outputs were given for {len(roots)} outputs", op="grad"))
    for k, root in enumerate(roots):
        _require_live(root, "grad", f"outputs[{k}]")
    for k, x in enumerate(wanted):
        _require_live(x, "grad", f"inputs[{k}]")
    cotangents = [
        _cotangent(r, g, "grad", f"grad_outputs[{k}]") for k, (r, g) in enumerate(zip(roots, given, strict=True))
    ]
    retain = create_graph if retain_graph is None else retain_graph
    order, found = _run(roots, cotangents, wanted, retain, create_graph, "grad")
    by_record = {order[k]: g for k, g in found.items()}
    result = []
    for k, x in enumerate(wanted):
        g = by_record.get(record_of(x))
        if g is None and not allow_unused:
            fail(
                GradientError(
                    f"no output depends on inputs[{k}]", op="grad", hint="pass allow_unused=True to get None for it"
                )
            )
        result.append(g)
    return tuple(result)


def _run(
    roots: Sequence[Tensor],
    cotangents: list[Any],
    wanted: Sequence[Tensor] | None,
    retain: bool,
    create_graph: bool,
    op: str,
) -> tuple[list[Record], dict[int, Tensor | None]]:
    """The records behind ``roots``, and the gradient at each wanted position (None: nothing depends on it)."""
    order, position, structure = linearise([record_of(r) for r in roots])
    if wanted is None:
        targets = [k for k, r in enumerate(order) if r.state == LIVE and r.owner is not None]
        if mode.trace is not None and any(r.state == LIVE and not r.inputs and r.owner is None for r in order):
            fail(
                TraceError(
                    "this backward goes on into a graph that was recorded outside the compiled function",
                    op="backward",
                    hint="pass x.detach(), or return the loss and call backward outside",
                )
            )
    else:
        targets = sorted({position[r] for r in map(record_of, wanted) if r in position})
    hooked = tuple([k for k, r in enumerate(order) if r.hooks and not is_boundary(r)])
    plan = plan_for(order, position, structure, tuple([position[record_of(r)] for r in roots]), tuple(targets), hooked)
    for k in plan.through:
        if order[k].state == FREED:
            fail(_freed(order[k], op))
    run = _run_recorded if mode.trace is not None or create_graph else _run_arrays
    with grad_mode(create_graph and mode.grad):  # hooks compute too
        values = run(plan, order, cotangents)
    found: dict[int, Tensor | None] = {}
    with grad_mode(create_graph and mode.grad):
        for k, g in zip(targets, values, strict=True):
            if g is None:  # connected, but through functions that are flat everywhere
                from lucid.functions.creation import zeros

                g = zeros(order[k].shape, dtype=order[k].dtype)
            found[k] = _through_hooks(order[k], g) if is_boundary(order[k]) else g
    if not retain:
        for k in plan.through:
            order[k].state = FREED
            order[k].value = None
    return order, found


def _run_arrays(plan: GradientPlan, order: list[Record], cotangents: list[Any]) -> list[Tensor | None]:
    values: list[Any] = [None] * plan.slots
    for slot, cotangent in zip(plan.cotangents, cotangents, strict=True):
        values[slot] = cotangent._data
    for slot, k in plan.loads:
        value = values[slot] = order[k].value
        if value is None:
            raise IRError(f"the forward did not keep {order[k]!r}, which its gradient reads")
    # Arrays that others hold: a gradient must have memory of its own.
    foreign = {id(v) for v in values if v is not None}
    lent = list(values)  # keeps those arrays alive, so that no other array takes over an id
    try:
        for step in plan.program:
            if isinstance(step, Hook):
                values[step.output] = _through_hooks(order[step.position], leaf(values[step.input]))._data
                continue
            values[step.output] = step.evaluate(*[values[k] for k in step.inputs], **step.attrs)
            for k in step.release:
                values[k] = None
    except LucidError as error:
        raise located_error(error) from None
    except MemoryError:
        raise out_of_memory("backward") from None
    result: list[Tensor | None] = []
    for end in plan.results:
        if end is None:
            result.append(None)
            continue
        array: Array = values[end]
        if id(array) in foreign or is_view(array):
            array = np.array(array, order="C")
        foreign.add(id(array))
        lent.append(array)
        result.append(leaf(array))
    return result


def _run_recorded(plan: GradientPlan, order: list[Record], cotangents: list[Any]) -> list[Tensor | None]:
    values: list[Any] = [None] * plan.slots
    for slot, cotangent in zip(plan.cotangents, cotangents, strict=True):
        values[slot] = cotangent
    for slot, k in plan.loads:
        values[slot] = tensor_of(order[k].value, order[k])
    for step in plan.program:
        if isinstance(step, Hook):
            values[step.output] = _through_hooks(order[step.position], values[step.input])
            continue
        with located(order[step.origin].where):
            values[step.output] = apply(step.op, *[values[k] for k in step.inputs], **step.attrs)
        for k in step.release:
            values[k] = None
    return [None if slot is None else values[slot] for slot in plan.results]


def _through_hooks(record: Record, g: Tensor) -> Tensor:
    for hook in tuple((record.hooks or {}).values()):
        replaced = hook(g)
        if replaced is None:
            continue
        if getattr(replaced, "type", None) is not g.type:
            shown = getattr(replaced, "type", type(replaced).__name__)
            fail(ShapeError(f"a hook returned {shown} for a gradient of {g.type}", op="backward"))
        g = replaced
    return g


def _require_live(tensor: Tensor, op: str, name: str) -> None:
    if record_of(tensor).state:
        return
    hint = "make the leaves with requires_grad=True"
    if not mode.grad:
        hint = "it was computed under lucid.no_grad(), or its leaves were made without requires_grad=True"
    fail(GradientError(f"{name} does not require a gradient", op=op, hint=hint))


def _cotangent(root: Tensor, given: Any, op: str, argument: str) -> Tensor:
    """The cotangent of ``root``: ones, or what the user gave, checked."""
    from lucid.functions.creation import ones
    from lucid.tensor import Tensor

    if given is None:
        return ones(root.shape, dtype=root.dtype)
    try:
        cotangent: Tensor = given if isinstance(given, Tensor) else leaf(array_of(given, root.dtype, op))
    except LucidError as error:
        fail(error)
    if cotangent.shape != root.shape:
        fail(ShapeError(f"{argument} has shape {cotangent.shape}, but the tensor has {root.shape}", op=op))
    if cotangent.dtype != root.dtype:
        fail(DTypeError(f"{argument} has dtype {cotangent.dtype.name}, but the tensor has {root.dtype.name}", op=op))
    return cotangent


def _tensors(given: Any, op: str, argument: str) -> list[Tensor]:
    from lucid.tensor import Tensor

    tensors = [given] if isinstance(given, Tensor) else list(given) if isinstance(given, Sequence) else None
    if tensors is None or not all(isinstance(t, Tensor) for t in tensors):
        fail(ArgumentTypeError(f"{argument} must be a tensor or a sequence of tensors", op=op))
    return tensors


def _freed(record: Record, op: str) -> GradientError:
    made = resolve(record.where)
    at = "" if made is None else f" (made at {made.file}:{made.line})"
    return GradientError(
        f"a backward has already gone through this graph and freed its values: {record.call.op.name}{at}",
        op=op,
        hint="pass retain_graph=True to the first backward, or compute the outputs again",
    )
