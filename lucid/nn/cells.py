"""Recurrent cells: one step of a recurrent layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail
from lucid.functions.creation import empty, zeros
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, positive
from lucid.nn.functional.recurrent import RULES, Recurrent, State
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.promotion import as_tensor
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Cell(Module):
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, rule: str, input_size: int, hidden_size: int, bias: bool, place: Place):
        super().__init__()
        op = type(self).__name__
        self._rule = RULES[rule]
        self.input_size = positive(op, "input_size", input_size)
        self.hidden_size = positive(op, "hidden_size", hidden_size)
        rows = self._rule.gates * self.hidden_size
        made = placed(op, place)
        self.weight_ih = Parameter(empty(rows, self.input_size, **made))
        self.weight_hh = Parameter(empty(rows, self.hidden_size, **made))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, **made)) if flag(op, "bias", bias) else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights again."""
        for p in self.parameters():
            init.fan_in_uniform_(p, self.hidden_size)

    def _step(self, input: Any, state: tuple[Any, ...] | None) -> State:
        op = type(self).__name__
        x = as_tensor(input, op, "input")
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            wanted = f"(N, {self.input_size}) or ({self.input_size},)"
            fail(ShapeError(f"input has shape {x.shape}, but it must be {wanted}", op=op))
        shape = (*x.shape[:-1], self.hidden_size)
        if state is None:
            before: State = (zeros(shape, dtype=x.dtype),) * self._rule.states
        else:
            before = tuple([as_tensor(s, op, "hx") for s in state])
        if len(before) != self._rule.states or any(s.shape != shape for s in before):
            shapes = ", ".join(str(s.shape) for s in before)
            fail(ShapeError(f"hx has shape {shapes}, but each of {self._rule.states} must be {shape}", op=op))
        given = F.linear(x, self.weight_ih, self.bias_ih)
        return self._rule.step(given, before, Recurrent(self.weight_hh, self.bias_hh))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, bias={self.bias_ih is not None}"


class RNNCell(_Cell):
    """``tanh(weight_ih @ input + bias_ih + weight_hh @ hx + bias_hh)``: ``(N, input_size)`` and ``(N, hidden_size)`` to
    ``(N, hidden_size)``; also without N.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        nonlinearity: 'tanh' or 'relu'.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    All weights start uniform within ``1 / sqrt(hidden_size)`` of 0.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1; another nonlinearity.
        ShapeError: when called, with an input or a state of other sizes.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.RNNCell(4, 3)(lucid.zeros(2, 4)).shape
    (2, 3)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        **place: Unpack[Place],
    ):
        if nonlinearity not in ("tanh", "relu"):
            fail(ArgumentError(f"nonlinearity={nonlinearity!r} must be 'tanh' or 'relu'", op="RNNCell"))
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, bias, place)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, None if hx is None else (hx,))[0]


class GRUCell(_Cell):
    """A gated recurrent unit: ``(N, input_size)`` and ``(N, hidden_size)`` to ``(N, hidden_size)``; also without N.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    All weights start uniform within ``1 / sqrt(hidden_size)`` of 0; rows are those of reset, update and new.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1.
        ShapeError: when called, with an input or a state of other sizes.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.GRUCell(4, 3)(lucid.zeros(2, 4)).shape
    (2, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, **place: Unpack[Place]):
        super().__init__("GRU", input_size, hidden_size, bias, place)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, None if hx is None else (hx,))[0]


class LSTMCell(_Cell):
    """A long short-term memory: ``(N, input_size)`` and two states ``(N, hidden_size)`` to two states; also without N.

    Args:
        input_size: features of the input.
        hidden_size: features of each state.
        bias: whether there are biases.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    All weights start uniform within ``1 / sqrt(hidden_size)`` of 0; rows are those of input, forget, cell and output.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1.
        ShapeError: when called, with an input or states of other sizes.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> hidden, cell = nn.LSTMCell(4, 3)(lucid.zeros(2, 4))
    >>> hidden.shape, cell.shape
    ((2, 3), (2, 3))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, **place: Unpack[Place]):
        super().__init__("LSTM", input_size, hidden_size, bias, place)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        hidden, cell = self._step(input, hx)
        return hidden, cell
