"""What ``Module.register_full_backward_hook`` does in a call: gradients of a module's inputs and outputs, together.

Inputs and outputs go through identities, so that the gradients seen are those of this call of the module alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply, mode
from lucid.errors import ArgumentTypeError, GradientError, TraceError
from lucid.functions.arguments import fail
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from lucid.nn.module import Module

Hook = Callable[[Any, tuple[Any, ...], tuple[Any, ...]], Any]


class BackwardCall:
    """One call of a module with hooks: ``entered`` takes its arguments, ``left`` its result."""

    def __init__(self, module: Module, hooks: Sequence[Hook]):
        if mode.trace is not None:
            message = f"{type(module).__name__} has backward hooks, which compiled code does not call"
            fail(TraceError(message, op="compile", hint="remove them before compiling"))
        self.module = module
        self.hooks = hooks
        self.inputs: list[Tensor | None] = []
        self.outputs: list[Tensor | None] = []
        #: How many gradients have yet to come.
        self.waiting_in = self.waiting_out = 0

    def entered(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.inputs = [None] * len(args)
        return tuple([self._watched(x, k, self._input_grad) for k, x in enumerate(args)])

    def left(self, output: Any) -> Any:
        self.waiting_in, self.waiting_out = self.waiting_out, 0
        several = isinstance(output, tuple)
        parts = output if several else (output,)
        self.outputs = [None] * len(parts)
        parts = tuple([self._watched(y, k, self._output_grad) for k, y in enumerate(parts)])
        return parts if several else parts[0]

    def _watched(self, x: Any, k: int, seen: Callable[[int, Tensor], Tensor | None]) -> Any:
        if not isinstance(x, Tensor) or not x.requires_grad:
            return x
        self.waiting_out += 1
        x = apply(ops.identity, x)
        x.register_hook(lambda grad: seen(k, grad))
        return x

    def _output_grad(self, k: int, grad: Tensor) -> Tensor | None:
        self.outputs[k] = grad
        self.waiting_out -= 1
        if self.waiting_out == 0 and self.waiting_in == 0:
            self._call(None)
        return None

    def _input_grad(self, k: int, grad: Tensor) -> Tensor | None:
        self.inputs[k] = grad
        self.waiting_in -= 1
        return self._call(k) if self.waiting_in == 0 else None

    def _call(self, last: int | None) -> Tensor | None:
        """Call the hooks; what they return replaces the gradient of the input ``last``, if it is the only one."""
        replaced: Tensor | None = None
        for hook in self.hooks:
            given = hook(self.module, tuple(self.inputs), tuple(self.outputs))
            if given is None:
                continue
            new = given if isinstance(given, tuple) else (given,)
            if len(new) != len(self.inputs) or not all(t is None or isinstance(t, Tensor) for t in new):
                message = f"a backward hook must return None or {len(self.inputs)} gradients"
                fail(ArgumentTypeError(message, op="register_full_backward_hook"))
            if last is None or sum(t is not None for t in self.inputs) > 1:
                message = "a backward hook can only replace the gradient of a module's only input that requires one"
                fail(GradientError(message, op="register_full_backward_hook"))
            replaced = self.inputs[last] = new[last]
        return replaced
