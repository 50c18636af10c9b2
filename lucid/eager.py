"""Eager execution: compute now, with NumPy or a kernel of its own, and record a typed node of the IR.

``apply`` is the one door through which every tensor operation goes. A ``Record`` is a graph node that may keep the
value it had: only where the backward of some operation reads it, which is found by asking the op's ``vjp`` once per
``Call``. Knows nothing of the methods a user sees (``lucid.tensor``), nor of how gradients are run (``lucid.plan``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from weakref import ref

import numpy as np

from lucid.errors import LucidError, OutOfMemoryError, TraceError
from lucid.ir.graph import Array, Call, Node, Op, attrs_key, in_float32, input_call, input_node, topological
from lucid.ir.location import Where, here, resolve
from lucid.ir.operators import Operators
from lucid.ir.types import DType, TensorType, is_float, type_of
from lucid.runtime.single import runner

if TYPE_CHECKING:
    from lucid.tensor import Tensor

#: Whether a gradient flows through a record: never, yes, or not any more because a backward freed its values.
DEAD, LIVE, FREED = 0, 1, 2

#: The depth of every record that a trace made: outside of the trace its tensor has no value.
TRACED = 1 << 60

#: A value that needs no gradient remembers at most this many operations of its past, so endless loops hold memory flat.
HISTORY_LIMIT = 2048


class Trace(Protocol):
    """What an active trace does in place of computing."""

    #: Tells this trace from all others; never 0.
    serial: int

    def apply(self, op: Op, tensors: tuple[Any, ...], attrs: dict[str, Any]) -> Tensor: ...
    def assign(self, target: Tensor, value: Tensor) -> None: ...
    def become(self, target: Tensor, value: Tensor) -> None: ...
    def read_grad(self, tensor: Tensor) -> Tensor | None: ...
    def write_grad(self, tensor: Tensor, grad: Tensor | None) -> None: ...
    def require_grad(self, tensor: Tensor, requires_grad: bool) -> None: ...
    def record_of(self, tensor: Any) -> Record: ...
    def refuse_value(self, tensor: Any, what: str) -> NoReturn: ...
    def random_key(self) -> Tensor: ...
    def scalar(self, read: Callable[[], float], dtype: DType) -> Tensor: ...


class Mode(threading.local):
    """What this thread is doing: whether gradients are recorded, and the trace it is in, if any."""

    grad: bool = True
    trace: Trace | None = None


mode = Mode()


class Record(Node):
    """A node made by running: its value where a backward needs it, its tensor where it is a leaf."""

    __slots__ = ("depth", "hooks", "owner", "state", "value")
    inputs: tuple[Record, ...]

    def __init__(self, call: Call, inputs: tuple[Record, ...], where: Where, state: int, depth: int):
        self.call = call
        self.inputs = inputs
        self.where = where
        self.state = state
        #: Longest chain of operations behind this value.
        self.depth = depth
        #: The value, kept for a backward; always there in a ``Constant``.
        self.value: Any = None
        #: A leaf's tensor (a weak reference); None for a constant and for the result of an operation.
        self.owner: ref[Tensor] | None = None
        #: Called with the gradient of this value, in order.
        self.hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None

    def __repr__(self) -> str:
        return f"<{self.call.op.name}: {self.call.type}>"


class Constant(Record):
    """The record of a Python number that met a tensor."""

    __slots__ = ()


class Recorded(Operators):
    """A value and the record that made it: the part of a tensor that ``apply`` knows. ``Tensor`` is the whole."""

    #: The value; None while tracing, when there are types but no data.
    _data: Any
    _record: Record

    def _value(self, what: str) -> Array:
        """The array, or the error that says why ``what`` cannot have it."""
        raise NotImplementedError  # Tensor defines it

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions.

        >>> import lucid
        >>> lucid.ones(2, 3).shape
        (2, 3)
        """
        return self._record.call.type.shape

    @property
    def dtype(self) -> DType:
        """Element type, a NumPy dtype.

        >>> import lucid
        >>> lucid.ones(2).dtype
        dtype('float32')
        """
        return self._record.call.type.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions.

        >>> import lucid
        >>> lucid.ones(2, 3).ndim
        2
        """
        return self._record.call.type.ndim

    @property
    def type(self) -> TensorType:
        """Shape and dtype.

        >>> import lucid
        >>> lucid.ones(2, 3).type
        f32[2,3]
        """
        return self._record.call.type


_result_class: Any = Recorded
_new: Callable[..., Any] = object.__new__


def set_result_class(cls: type[Recorded]) -> None:
    """``Tensor`` stands above this layer and says here that results are of its class."""
    global _result_class
    _result_class = cls


def apply(op: Op, *tensors: Any, **attrs: Any) -> Tensor:
    """Apply ``op`` to tensors: compute its value and record the node.

    Raises:
        LucidError: the op refuses the arguments; the error names the user's line.
    """
    trace = mode.trace
    if trace is not None:
        return trace.apply(op, tensors, attrs)
    try:
        records = tuple([t._record for t in tensors])
        types = tuple([r.call.type for r in records])
        call = op._calls.get((types, attrs_key(attrs)) if attrs else types)
        if call is None:
            if op.widens(types, attrs):
                return in_float32(op, tensors, attrs, apply)
            call = op.call(types, attrs)
        mask, bit, depth = 0, 1, 0
        for r in records:
            if r.state:
                mask |= bit
            if r.depth > depth:  # noqa: PLR1730  # max() would cost a call
                depth = r.depth
            bit <<= 1
        if depth >= TRACED:
            raise left_behind(op.name)
        run = call.run
        if run is None:
            run = call.run = runner(call)
        value = run(*[t._data for t in tensors], **attrs)
    except LucidError as error:
        raise located_error(error) from None
    except MemoryError:
        raise out_of_memory(op.name, op.call(types, attrs).type) from None
    # The result is built here rather than by calls: this is the path that every operation pays for.
    result = _new(_result_class)
    result._data = value
    if mask and mode.grad:
        saved = call.saved.get(mask, _UNKNOWN)
        if saved is _UNKNOWN:
            saved = call.saved[mask] = saved_values(call, mask)
        if saved is not None:
            result._record = record = Record(call, records, here(), LIVE, depth + 1)
            for k in saved[0]:
                records[k].value = tensors[k]._data
            if saved[1]:
                record.value = value
            return result  # type: ignore[no-any-return]  # of the class that Tensor registered
    if depth < HISTORY_LIMIT:
        result._record = Record(call, records, here(), DEAD, depth + 1)
    else:
        result._record = leaf_record(result, call.type, False)
    return result  # type: ignore[no-any-return]  # as above


def left_behind(op: str) -> TraceError:
    """The error for a tensor that outlived the trace that made it."""
    return TraceError(
        "this tensor was left behind by the trace of a compiled function, and has no values",
        op=op,
        hint="return tensors instead of storing them; keep state in buffers, updated with copy_",
    )


def located_error(error: LucidError) -> LucidError:
    """``error`` with the user's line, unless it already names one."""
    if error.where is None:
        where = resolve(here())
        error.where = None if where is None else str(where)
    return error


def out_of_memory(op: str, type: TensorType | None = None) -> OutOfMemoryError:
    """The error for a result that does not fit into memory, with the user's line."""
    what = "the result" if type is None else f"the result {type}, {type.size * type.dtype.itemsize:,} bytes,"
    error = OutOfMemoryError(f"{what} does not fit into memory", op=op, hint="compute it in smaller batches")
    located_error(error)
    return error


_UNKNOWN: Any = object()


def saved_values(call: Call, mask: int) -> tuple[tuple[int, ...], bool] | None:
    """Positions of the inputs whose values a backward reads, and whether it reads the output; None if none can come.

    Bit ``k`` of ``mask`` says that input ``k`` needs a gradient. Found by asking the op's ``vjp`` on placeholders and
    looking at what its results reach.
    """
    if not call.op.differentiable or not is_float(call.type.dtype):
        return None
    inputs = tuple([input_node(t) for t in call.types])
    node = Node(call, inputs)
    results = call.op.vjp(node, input_node(call.type))
    wanted = [g for k, g in enumerate(results) if mask >> k & 1 and g is not None]
    reached = set(topological(wanted, stop=lambda n: n is node))
    return tuple([k for k, x in enumerate(inputs) if x in reached]), node in reached


def tensor_of(data: Array, record: Record) -> Tensor:
    """A tensor that shows ``data`` as the value of ``record``."""
    result = _new(_result_class)
    result._data = data
    result._record = record
    return result  # type: ignore[no-any-return]  # of the class that Tensor registered


def leaf_record(tensor: Recorded, type: TensorType, live: bool) -> Record:
    """The record of a tensor that no operation made."""
    record = Record(input_call(type), (), here(), LIVE if live else DEAD, 0)
    record.owner = ref(tensor)  # type: ignore[arg-type]  # every Recorded a user meets is a Tensor
    return record


def record_of(tensor: Any) -> Record:
    """The record that stands for ``tensor`` here: its own, or the active trace's."""
    return tensor._record if mode.trace is None else mode.trace.record_of(tensor)


def leaf(data: Array, requires_grad: bool = False) -> Tensor:
    """A tensor over ``data`` itself (no copy) that no operation made."""
    result = _new(_result_class)
    result._data = data
    result._record = leaf_record(result, type_of(data), requires_grad)
    return result  # type: ignore[no-any-return]  # of the class that Tensor registered


def leaf_like(call: Call, data: Array, where: Where) -> Tensor:
    """As ``leaf`` where the call of an input of this type and the user's line are at hand."""
    result = _new(_result_class)
    result._data = data
    result._record = record = Record(call, (), where, DEAD, 0)
    record.owner = ref(result)
    return result  # type: ignore[no-any-return]  # as above


def constant(data: Array) -> Tensor:
    """A tensor whose value is part of the graph: captured as a constant, known to gradient plans by type only."""
    record = Constant(input_call(type_of(data)), (), None, DEAD, 0)
    record.value = data
    return tensor_of(data, record)


@contextmanager
def grad_mode(enabled: bool) -> Iterator[None]:
    before = mode.grad
    mode.grad = enabled
    try:
        yield
    finally:
        mode.grad = before


def live_scalar(read: Callable[[], float], dtype: DType = np.dtype(np.float32)) -> Any:  # noqa: B008
    """A Python number that may differ from call to call, such as a learning rate.

    In eager mode it is ``read()``. In a compiled function it is a 0-d input that is read again at every call, where a
    plain Python number would be baked in.

    >>> live_scalar(lambda: 0.1)
    0.1
    """
    trace = mode.trace
    return read() if trace is None else trace.scalar(read, dtype)
