"""Tracing: running Python code on tensors that have types but no data, to learn the graph that it computes.

A ``FunctionTrace`` stands in for eager execution while a function is compiled. Arguments become placeholders; every
tensor from outside that the code meets becomes an input, bound to the place it came from, so that each later call
looks there again. Updates of such tensors and of their gradients are held back and become outputs. Knows nothing of
signatures, nor of how graphs are built or run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from weakref import ref

import numpy as np

from lucid import ops
from lucid.bindings import Argument, Binding, Captured, Gradient, Key, Scalar, State
from lucid.eager import (
    DEAD,
    LIVE,
    TRACED,
    Constant,
    Record,
    apply,
    left_behind,
    located_error,
    mode,
    saved_values,
    tensor_of,
)
from lucid.errors import GradientError, LucidError, TraceError
from lucid.functions.arguments import fail
from lucid.ir.graph import Call, Op, in_float32, input_call
from lucid.ir.location import here
from lucid.ir.types import DType, TensorType

if TYPE_CHECKING:
    from lucid.tensor import Tensor

_serials = itertools.count(1)

_WAYS_OUT = {
    "bool()": "choose element by element with lucid.where(condition, a, b), or decide before calling",
    "item()": "return the tensor and ask the result for its value",
    "float()": "keep it a tensor: arithmetic and comparisons work as with numbers",
    "int()": "keep it a tensor, or pass the number as an argument of the function",
    "index()": "use lucid.take(x, i), or pass the number as an argument of the function",
}


class TracedRecord(Record):
    """A record made while tracing: it never has a value."""

    __slots__ = ("trace",)
    trace: int


class GradientGuard(NamedTuple):
    """The trace looked at the gradient of a tensor and found this: None, or a gradient of this type."""

    binding: Binding
    found: TensorType | None


class FunctionTrace:
    """One run of a function on placeholders. ``with trace:`` makes it this thread's active trace."""

    def __init__(self, arguments: Sequence[Tensor], names: Sequence[str], places: Mapping[int, State]):
        """
        Args:
            arguments: the tensors of the call, each once.
            names: what to call them.
            places: by ``id``, bindings of the tensors of known modules.
        """
        self.serial = next(_serials)
        self.arguments = list(arguments)
        self._places = places
        #: Inputs of the graph in the order they were met.
        self.inputs: list[tuple[Binding, TracedRecord]] = []
        self._names: dict[str, Binding] = {}
        #: Tensors from outside, by id, with the record that stands for them now.
        self._current: dict[int, tuple[Tensor, Record]] = {}
        self._bindings: dict[int, Binding] = {}
        #: Tensors from outside that were given new values.
        self._updated: dict[int, Tensor] = {}
        self._grads: dict[int, tuple[Tensor, Tensor | None]] = {}
        self._grads_found: dict[int, Tensor | None] = {}
        self.guards: list[GradientGuard] = []
        self.placeholders = [
            self._placeholder(k, t, name) for k, (t, name) in enumerate(zip(arguments, names, strict=True))
        ]

    def __enter__(self) -> None:
        if mode.trace is not None:
            fail(TraceError("a function cannot be traced while another one is", op="compile"))
        mode.trace = self

    def __exit__(self, *exc: object) -> None:
        mode.trace = None

    # --- inputs ---
    def _record(self, call: Call, inputs: tuple[Record, ...], state: int) -> TracedRecord:
        record = TracedRecord(call, inputs, here(), state, TRACED)
        record.trace = self.serial
        return record

    def _name(self, binding: Binding) -> None:
        """Give a place a name of its own, unless it has one."""
        base, k = binding.name, 1
        while self._names.get(binding.name, binding) is not binding:
            binding.name = f"{base}_{k}"
            k += 1
        self._names[binding.name] = binding

    def _input(self, binding: Binding, type: TensorType, live: bool) -> TracedRecord:
        self._name(binding)
        record = self._record(input_call(type), (), LIVE if live else DEAD)
        self.inputs.append((binding, record))
        return record

    def _traced(self, record: Record) -> Tensor:
        return tensor_of(None, record)  # type: ignore[arg-type]  # no data while tracing

    def _placeholder(self, k: int, tensor: Tensor, name: str) -> Tensor:
        binding = Argument(name, k)
        result = self._traced(self._input(binding, tensor.type, tensor.requires_grad))
        if tensor.is_leaf:
            result._record.owner = ref(result)
            result._record.hooks = tensor._record.hooks
        self._bindings[id(result)] = binding
        return result

    def _binding_of(self, tensor: Tensor) -> Binding:
        """Where a tensor from outside is found again at the next call."""
        found = self._bindings.get(id(tensor))
        if found is None:
            found = self._places.get(id(tensor)) or Captured(tensor.name or "captured", tensor)
            self._name(found)  # now: what is only written is no input, and yet an output that is called after it
            self._bindings[id(tensor)] = found
        return found

    def record_of(self, tensor: Any) -> Record:
        """The record that stands for ``tensor`` now: its own if the trace made it, or else an input's."""
        record: Record = tensor._record
        if tensor._data is None:
            if isinstance(record, TracedRecord) and record.trace == self.serial:
                return record
            fail(left_behind("compile"))
        found = self._current.get(id(tensor))
        if found is not None:
            return found[1]
        if isinstance(record, Constant):
            value = record.value
            call = ops.constant.call((), {"value": value.item(), "shape": value.shape, "dtype": value.dtype})
            return self._record(call, (), DEAD)
        traced = self._input(self._binding_of(tensor), tensor.type, tensor.requires_grad)
        if tensor.is_leaf:
            traced.owner = ref(tensor)
            traced.hooks = record.hooks
        self._current[id(tensor)] = (tensor, traced)
        return traced

    def random_key(self) -> Tensor:
        """The key of a random draw: the generator's next one at every call."""
        return self._traced(self._input(Key("key"), TensorType((4,), np.dtype(np.uint32)), False))

    def scalar(self, read: Callable[[], float], dtype: DType) -> Tensor:
        """A number that is read anew at every call."""
        return self._traced(self._input(Scalar("scalar", read, dtype), TensorType((), dtype), False))

    # --- operations ---
    def apply(self, op: Op, tensors: tuple[Any, ...], attrs: dict[str, Any]) -> Tensor:
        """What ``lucid.eager.apply`` does, less the computing."""
        try:
            records = tuple([self.record_of(t) for t in tensors])
            types = tuple([r.call.type for r in records])
            if op.widens(types, attrs):
                return in_float32(op, tensors, attrs, apply)
            call = op.call(types, attrs)
        except LucidError as error:
            raise located_error(error) from None
        mask = sum(1 << k for k, r in enumerate(records) if r.state)
        live = False
        if mask and mode.grad:
            if mask not in call.saved:
                call.saved[mask] = saved_values(call, mask)
            live = call.saved[mask] is not None
        return self._traced(self._record(call, records, LIVE if live else DEAD))

    def refuse_value(self, tensor: Any, what: str) -> NoReturn:
        """Raise the error for Python code that wants to see a value."""
        kind = "the value of a tensor" if tensor._data is None else "the value of a tensor from outside"
        fail(
            TraceError(
                f"{kind} is not known while a function is compiled, for it may differ at every call; "
                f"{what} of {tensor.type} asks for it",
                op="compile",
                hint=_WAYS_OUT.get(what, "keep it a tensor, or do this outside the compiled function"),
            )
        )

    # --- updates ---
    def _as_leaf(self, tensor: Tensor, value: Record, live: bool) -> TracedRecord:
        """``value`` as the new value of the leaf ``tensor``."""
        record = self._record(ops.identity.call((value.call.type,), {}), (value,), LIVE if live else DEAD)
        record.owner = ref(tensor)
        record.hooks = tensor._record.hooks
        return record

    def assign(self, target: Tensor, value: Tensor) -> None:
        """Give a leaf new values: now for the code that follows in the trace, and after each later call for good."""
        record = self._as_leaf(target, self.record_of(value), target.requires_grad)
        if target._data is None:
            target._record = record
        else:
            self._binding_of(target)
            self._current[id(target)] = (target, record)
        if id(target) in self._bindings:
            self._updated[id(target)] = target

    def become(self, target: Tensor, value: Tensor) -> None:
        """Give any tensor a new value, and its history: what the trace made changes for the trace alone."""
        record = self.record_of(value)
        if target._data is None and id(target) not in self._bindings:
            self.record_of(target)  # refuses strangers
            target._record = record
        elif target._data is not None and target._born_in == self.serial:
            self._current[id(target)] = (target, record)
        elif record.state == LIVE and not target.requires_grad:
            fail(
                GradientError(
                    "a tensor from outside cannot begin to carry a gradient inside a compiled function",
                    op="compile",
                    hint="compute a new tensor, or use x.detach()",
                )
            )
        else:
            self.assign(target, value)

    def require_grad(self, tensor: Tensor, requires_grad: bool) -> None:
        """``requires_grad_`` on a tensor that the trace made."""
        if tensor._data is None and id(tensor) not in self._bindings:
            tensor._record = self._as_leaf(tensor, self.record_of(tensor), requires_grad)
        elif tensor._data is not None and tensor._born_in == self.serial:
            self._current.pop(id(tensor), None)
            tensor._renew(requires_grad)
        else:
            fail(
                TraceError(
                    "requires_grad of a tensor from outside cannot be changed in a compiled function",
                    op="requires_grad_",
                    hint="change it before calling, or use x.detach() inside",
                )
            )

    def read_grad(self, tensor: Tensor) -> Tensor | None:
        """``tensor.grad`` as the code sees it now."""
        if id(tensor) in self._grads:
            return self._grads[id(tensor)][1]
        if tensor._data is None and id(tensor) not in self._bindings:
            return tensor._grad
        binding = self._binding_of(tensor)
        actual = self.arguments[binding.index] if isinstance(binding, Argument) else tensor
        found = actual._grad
        self.guards.append(GradientGuard(binding, None if found is None else found.type))
        seen = (
            None
            if found is None
            else self._traced(self._input(Gradient(f"{binding.name}.grad", binding), found.type, False))
        )
        self._grads[id(tensor)] = (tensor, seen)
        self._grads_found[id(tensor)] = seen
        return seen

    def write_grad(self, tensor: Tensor, grad: Tensor | None) -> None:
        """Set ``tensor.grad``, for good after each later call."""
        if tensor._data is None and id(tensor) not in self._bindings:
            tensor._grad = grad
            return
        self._binding_of(tensor)
        self._grads[id(tensor)] = (tensor, grad)

    # --- outcome ---
    def binding_if_outside(self, tensor: Tensor) -> Binding | None:
        """The place of a tensor that was not made by the trace."""
        if tensor._data is None and id(tensor) not in self._bindings:
            self.record_of(tensor)  # refuses strangers
            return None
        return self._binding_of(tensor)

    def updates(self) -> list[tuple[Binding, Record]]:
        """Places that were given new values."""
        return [(self._bindings[k], self.record_of(t)) for k, t in self._updated.items()]

    def gradient_writes(self) -> list[tuple[Binding, Record | None]]:
        """Places whose gradients were changed, with the new ones."""
        missing = object()
        return [
            (self._bindings[k], None if g is None else self.record_of(g))
            for k, (_, g) in self._grads.items()
            if g is not self._grads_found.get(k, missing)
        ]

    def used_inputs(self, reached: Iterable[Any]) -> list[tuple[Binding, TracedRecord]]:
        """Inputs that something depends on; every key counts, because eager would draw it."""
        known = set(reached)
        return [(b, r) for b, r in self.inputs if r in known or isinstance(b, Key)]
