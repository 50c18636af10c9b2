"""``Function``: an operation in Python that says itself how gradients go back through it.

Made of hooks and public operations. Arguments go through identities with hooks, and a sum over no elements of these is
taken from each result: it changes nothing, and leads gradients of zeros back. A hook on each result notes the gradient
that arrives, and the hooks on the arguments put in what ``backward`` makes of them. So eager plans, compiled steps and
second derivatives need to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from weakref import ref

from lucid import ops
from lucid.eager import Record, apply, mode, record_of, tensor_of
from lucid.errors import ArgumentError, ArgumentTypeError, GradientError, MissingForwardError, ShapeError
from lucid.functions.arguments import fail, shown
from lucid.functions.creation import zeros
from lucid.grad_modes import no_grad
from lucid.ir.types import TensorType, is_float
from lucid.tensor import Tensor

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What ``forward`` leaves for ``backward``: tensors, and any attributes.

    Attributes:
        needs_input_grad: for each argument of ``apply``, whether a gradient is wanted.

    Raises:
        ArgumentTypeError: something is saved or marked that is not a tensor.

    >>> import lucid
    >>> class Scaled(lucid.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x, factor):
    ...         ctx.factor = factor
    ...         return x * factor
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         return grad * ctx.factor, None
    >>> x = lucid.ones(2, requires_grad=True)
    >>> Scaled.apply(x, 3.0).sum().backward()
    >>> x.grad
    Tensor([3.0, 3.0])
    """

    needs_input_grad: tuple[bool, ...]

    def __init__(self, needs_input_grad: tuple[bool, ...]):
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Any, ...] = ()
        self._saved: list[Callable[[], Tensor | None]] = []
        self._flat: set[int] = set()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors, which ``backward`` finds in ``saved_tensors``: arguments, results, or others; or None."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                message = f"{shown(t)} is not a tensor"
                fail(ArgumentTypeError(message, op="save_for_backward", hint="other values are attributes: ctx.n = n"))
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved, with the values that it had then."""
        return tuple([saved() for saved in self._saved])

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that some results have no gradients. Those that are not floating have none in any case."""
        for t in tensors:
            if not isinstance(t, Tensor):
                fail(ArgumentTypeError(f"{shown(t)} is not a tensor", op="mark_non_differentiable"))
        self._flat = {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` is given zeros, rather than None, for results that nothing depends on."""
        self._materialize = bool(value)

    def _keep(self, outputs: Sequence[Any], recorded: dict[int, Tensor]) -> None:
        """Take what is saved as it is now: arguments with their history, and results with theirs."""
        places = {id(y): k for k, y in enumerate(outputs)}
        for t in self._to_save:
            if t is None:
                self._saved.append(lambda: None)
            elif places.get(id(t)) in recorded:
                # Weakly: the result's record holds this context.
                self._saved.append(_result(t, ref(recorded[places[id(t)]]._record)))
            else:
                self._saved.append(_value(tensor_of(None if mode.trace else t._data, record_of(t))))  # type: ignore[arg-type]  # no data while tracing
        self._to_save = ()


def _value(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor


def _result(value: Tensor, record: ref[Record]) -> Callable[[], Tensor]:
    data = value._data

    def found() -> Tensor:
        made_by = record()
        return value.detach() if made_by is None else tensor_of(data, made_by)

    return found


class _Call:
    """One call of a function whose gradients are wanted: what its hooks do in a backward."""

    def __init__(self, function: type[Function], ctx: FunctionCtx, inputs: Sequence[Any]):
        self.function = function
        self.ctx = ctx
        self.inputs: list[TensorType | None] = [x.type if isinstance(x, Tensor) else None for x in inputs]
        self.outputs: list[TensorType | None] = []
        self._arrived: dict[int, Tensor] = {}
        self._results: dict[int, Tensor | None] = {}

    def arrived(self, k: int) -> Callable[[Tensor], None]:
        """The hook of an output."""

        def hook(grad: Tensor) -> None:
            self._arrived[k] = grad

        return hook

    def wanted(self, k: int) -> Callable[[Tensor], Tensor | None]:
        """The hook of an input: all of them run in a backward, after those of the outputs."""

        def hook(grad: Tensor) -> Tensor | None:
            if k not in self._results:
                arrived, self._arrived = self._arrived, {}
                self._results = dict(enumerate(self._checked(self._backward(arrived))))
            return self._results.pop(k)

        return hook

    def _backward(self, arrived: dict[int, Tensor]) -> Any:
        grads: list[Tensor | None] = [arrived.get(k) for k in range(len(self.outputs))]
        if self.ctx._materialize:
            grads = [
                zeros(t.shape, dtype=t.dtype) if g is None and t is not None and is_float(t.dtype) else g
                for g, t in zip(grads, self.outputs, strict=True)
            ]
        return self.function.backward(self.ctx, *grads)

    def _checked(self, given: Any) -> list[Tensor | None]:
        """What ``backward`` gave, for each input; zeros stay where it gave None."""
        op = f"{self.function.__name__}.backward"
        grads = list(given) if isinstance(given, tuple | list) else [given]
        while len(grads) > len(self.inputs) and grads[-1] is None:
            grads.pop()
        if len(grads) != len(self.inputs):
            message = f"it gave {len(grads)} gradients for {len(self.inputs)} arguments"
            fail(ArgumentError(message, op=op, hint="one for each argument of forward, None where there is none"))
        result: list[Tensor | None] = []
        for k, (g, wanted, type) in enumerate(zip(grads, self.ctx.needs_input_grad, self.inputs, strict=True)):
            if g is None or not wanted or type is None:
                result.append(None)
                continue
            if not isinstance(g, Tensor):
                fail(ArgumentTypeError(f"gradient {k} is a {g.__class__.__name__}, not a tensor", op=op))
            if g.shape != type.shape:
                fail(ShapeError(f"gradient {k} has shape {g.shape}, but the argument has {type.shape}", op=op))
            result.append(g.astype(type.dtype))
        return result


class Function:
    """An operation with its own gradient. A subclass defines ``forward`` and ``backward``; ``apply`` calls it.

    ``forward(ctx, *args)`` computes, without gradients being recorded, and may save tensors in ``ctx`` for
    ``backward(ctx, *grads)``, which is given the gradient of each result and gives one for each argument, None where
    there is none. Alternatively ``forward(*args)`` computes alone, and ``setup_context(ctx, inputs, output)`` saves.
    ``backward`` may use any operation, and is differentiated itself where second derivatives are asked for.

    In a compiled function, ``forward`` and ``backward`` are traced like any other code, and both have to be inside, as
    in a compiled training step: a result that a backward outside would have to go through is an error.

    Raises:
        MissingForwardError: there is no ``forward`` or ``backward``.
        ArgumentTypeError: ``forward`` gives something else than tensors; ``backward``, something else than gradients.
        ArgumentError, ShapeError: ``backward`` gives too many or too few gradients, or one of another shape.

    >>> import lucid
    >>> class Sign(lucid.autograd.Function):  # its gradient is let through, as if it were the identity
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x.sign()
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * (x.abs() <= 1)
    >>> x = lucid.tensor([-0.5, 0.2, 3.0], requires_grad=True)
    >>> y = Sign.apply(x)
    >>> y.sum().backward()
    >>> y.detach(), x.grad
    (Tensor([-1.0, 1.0, 1.0]), Tensor([1.0, 1.0, 0.0]))
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the results; every subclass defines it."""
        fail(MissingForwardError("it defines no forward", op="Function"))

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what ``backward`` needs, where ``forward`` takes no context."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradients of the arguments; every subclass that is differentiated defines it."""
        fail(MissingForwardError("it defines no backward, and a gradient is asked for", op="Function"))

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function: what ``forward`` gives, with a history that leads to ``backward``."""
        wanted = tuple([isinstance(x, Tensor) and x.requires_grad for x in args])
        ctx = FunctionCtx(wanted)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        several = isinstance(output, tuple)
        outputs = list(output) if several else [output]
        for y in outputs:
            if y is not None and not isinstance(y, Tensor):
                message = f"forward gave {shown(y)}, which is not a tensor"
                fail(ArgumentTypeError(message, op=cls.__name__, hint="return tensors, or a tuple of tensors"))
        if mode.grad and any(wanted):
            outputs = _recorded(cls, ctx, args, outputs)
        return tuple(outputs) if several else outputs[0]


def _recorded(function: type[Function], ctx: FunctionCtx, args: Sequence[Any], outputs: list[Any]) -> list[Any]:
    """The outputs with a history that leads through ``function.backward`` to the arguments."""
    call = _Call(function, ctx, args)
    call.outputs = [None if y is None else y.type for y in outputs]
    nothing: Tensor | None = None
    for k, x in enumerate(args):
        if ctx.needs_input_grad[k]:
            x = apply(ops.identity, x)
            x.register_hook(call.wanted(k))
            part = x.reshape(-1)[:0].sum()
            nothing = part if nothing is None else nothing + part
    recorded: dict[int, Tensor] = {}
    for k, y in enumerate(outputs):
        if y is not None and is_float(y.dtype) and id(y) not in ctx._flat:
            result = recorded[k] = y.detach() - nothing  # not a sum: -0.0 + 0.0 is 0.0
            result.register_hook(call.arrived(k))
    ctx._keep(outputs, recorded)
    return [recorded.get(k, None if y is None else y.detach()) for k, y in enumerate(outputs)]


class _NoSecond(Function):
    """A gradient whose own gradient is an error."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, *sources: Tensor) -> Tensor:
        return grad

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        fail(
            GradientError(
                "a backward marked once_differentiable is differentiated a second time",
                op="backward",
                hint="make it of differentiable operations, and take the mark away",
            )
        )


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``backward`` that must not be differentiated itself: a second derivative is an error.

    >>> import lucid
    >>> from lucid.autograd.function import once_differentiable
    >>> class Cube(lucid.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, grad):
    ...         return 3 * ctx.saved_tensors[0] ** 2 * grad
    >>> x = lucid.tensor(2.0, requires_grad=True)
    >>> lucid.grad(Cube.apply(x), x)
    (Tensor(12.0),)
    """

    @wraps(function)
    def marked(ctx: FunctionCtx, *grads: Any) -> Any:
        with no_grad():
            results = function(ctx, *grads)
        sources = [t for t in (*grads, *ctx.saved_tensors) if isinstance(t, Tensor) and t.requires_grad]
        if not mode.grad or not sources:
            return results
        several = isinstance(results, tuple)
        parts = [
            _NoSecond.apply(g, *sources) if isinstance(g, Tensor) else g for g in (results if several else [results])
        ]
        return tuple(parts) if several else parts[0]

    return marked
