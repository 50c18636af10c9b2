"""Recurrent layers over sequences. Every step is recorded: a compiled layer is one for the length it is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail
from lucid.functions.comparison import where
from lucid.functions.creation import empty, tensor, zeros
from lucid.functions.indexing import take
from lucid.functions.movement import concat, stack
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, number, positive
from lucid.nn.functional.recurrent import RULES, Recurrent, State
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, steps_of
from lucid.promotion import as_tensor
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RNNBase(Module):
    """What ``RNN``, ``LSTM`` and ``GRU`` share: layers of steps, one way or both.

    Args:
        mode: 'RNN_TANH', 'RNN_RELU', 'LSTM' or 'GRU'.
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype: as
            ``LSTM``.

    Raises:
        ArgumentError: another ``mode``, or a ``proj_size`` that is not for it; all else as ``LSTM``.

    >>> import lucid
    >>> from lucid import nn
    >>> [name for name, _ in nn.RNNBase("GRU", 4, 3, bias=False).named_parameters()]
    ['weight_ih_l0', 'weight_hh_l0']
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **place: Unpack[Place],
    ):
        super().__init__()
        op = type(self).__name__
        if mode not in RULES:
            fail(ArgumentError(f"mode={mode!r} must be one of {', '.join(RULES)}", op=op))
        self.mode = mode
        self._rule = RULES[mode]
        self.input_size = positive(op, "input_size", input_size)
        self.hidden_size = positive(op, "hidden_size", hidden_size)
        self.num_layers = positive(op, "num_layers", num_layers)
        self.bias = flag(op, "bias", bias)
        self.batch_first = flag(op, "batch_first", batch_first)
        self.dropout = number(op, "dropout", dropout, 0, 1)
        self.bidirectional = flag(op, "bidirectional", bidirectional)
        self.proj_size = 0 if proj_size == 0 else positive(op, "proj_size", proj_size)
        if self.proj_size and (mode != "LSTM" or self.proj_size >= self.hidden_size):
            fail(ArgumentError(f"proj_size={proj_size} is for LSTMs, and less than hidden_size={hidden_size}", op=op))
        self._directions = ["", "_reverse"] if self.bidirectional else [""]
        self._given_out = self.proj_size or self.hidden_size
        rows, made = self._rule.gates * self.hidden_size, placed(op, place)
        for layer in range(self.num_layers):
            size = self.input_size if layer == 0 else self._given_out * len(self._directions)
            for direction in self._directions:
                end = f"l{layer}{direction}"
                self.register_parameter(f"weight_ih_{end}", Parameter(empty(rows, size, **made)))
                self.register_parameter(f"weight_hh_{end}", Parameter(empty(rows, self._given_out, **made)))
                if self.bias:
                    self.register_parameter(f"bias_ih_{end}", Parameter(empty(rows, **made)))
                    self.register_parameter(f"bias_hh_{end}", Parameter(empty(rows, **made)))
                if self.proj_size:
                    projection = Parameter(empty(self.proj_size, self.hidden_size, **made))
                    self.register_parameter(f"weight_hr_{end}", projection)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights again."""
        for p in self.parameters():
            init.fan_in_uniform_(p, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: weights lie as they lie."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """``(output, state)``; see the class for shapes."""
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        op = type(self).__name__
        x = as_tensor(input, op, "input")
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            wanted = "(N, L, {0}) or (L, {0})" if self.batch_first else "(L, N, {0}) or (L, {0})"
            shape = wanted.format(self.input_size)
            fail(ShapeError(f"input has shape {x.shape}, but it must be {shape}", op=op))
        alone = x.ndim == 2
        if alone:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        state = self._state(hx, x, alone)
        output, state = self._run(x, state, None)
        if alone:
            return output.squeeze(1), self._as_given(tuple([s.squeeze(1) for s in state]))
        return (output.transpose(0, 1) if self.batch_first else output), self._as_given(state)

    def _packed(self, sequence: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        lengths, starts = steps_of(sequence)
        sorted_first = PackedSequence(sequence.data, sequence.batch_sizes)
        x, _ = pad_packed_sequence(sorted_first)
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            message = f"data has shape {sequence.data.shape}, but it must be (n, {self.input_size})"
            fail(ShapeError(message, op=type(self).__name__))
        state = self._state(hx, x, False)
        if sequence.sorted_indices is not None:
            state = tuple([take(s, sequence.sorted_indices, 1) for s in state])
        going_on = [tensor((lengths > t)[:, None]) for t in range(len(starts))]
        output, state = self._run(x, state, going_on)
        if sequence.unsorted_indices is not None:
            state = tuple([take(s, sequence.unsorted_indices, 1) for s in state])
        data = pack_padded_sequence(output, lengths).data
        return sequence._replace(data=data), self._as_given(state)

    def _state(self, hx: Any, x: Tensor, alone: bool) -> State:
        """The states before: ``(layers * directions, N, size)`` each."""
        op = type(self).__name__
        count = self.num_layers * len(self._directions)
        sizes = (self._given_out, self.hidden_size)[: self._rule.states]
        if hx is None:
            return tuple([zeros(count, x.shape[1], size, dtype=x.dtype) for size in sizes])
        given = hx if self._rule.states > 1 else (hx,)
        if not isinstance(given, tuple | list) or len(given) != len(sizes):
            fail(ShapeError(f"hx must be {len(sizes)} states", op=op))
        found = []
        for s, size in zip(given, sizes, strict=True):
            state = as_tensor(s, op, "hx")
            wanted = (count, size) if alone else (count, x.shape[1], size)
            if state.shape != wanted:
                fail(ShapeError(f"hx has shape {state.shape}, but it must be {wanted}", op=op))
            found.append(state.unsqueeze(1) if alone else state)
        return tuple(found)

    def _as_given(self, state: State) -> Any:
        return state if self._rule.states > 1 else state[0]

    def _run(self, x: Tensor, state: State, going_on: list[Tensor] | None) -> tuple[Tensor, State]:
        """All layers over ``(L, N, features)``; ``going_on`` says which sequences still have each step."""
        if not x.shape[0]:
            fail(ShapeError("input has no steps: its length must be at least 1", op=type(self).__name__))
        ends: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training)
            found = []
            for direction in self._directions:
                before = tuple([s[len(ends)] for s in state])
                output, end = self._one_way(x, before, f"l{layer}{direction}", going_on, direction != "")
                found.append(output)
                ends.append(end)
            x = concat(found, -1) if len(found) > 1 else found[0]
        return x, tuple([stack([end[k] for end in ends]) for k in range(self._rule.states)])

    def _one_way(
        self, x: Tensor, state: State, end: str, going_on: list[Tensor] | None, backwards: bool
    ) -> tuple[Tensor, State]:
        def weight(name: str, wanted: Any = True) -> Any:
            return getattr(self, f"{name}_{end}") if wanted else None

        recurrent = Recurrent(weight("weight_hh"), weight("bias_hh", self.bias), weight("weight_hr", self.proj_size))
        given = F.linear(x, weight("weight_ih"), weight("bias_ih", self.bias))
        outputs = []
        for t in range(x.shape[0])[:: -1 if backwards else 1]:
            after = self._rule.step(given[t], state, recurrent)
            if going_on is not None:  # a sequence that has ended, or not begun from behind, keeps its state
                after = tuple([where(going_on[t], new, old) for new, old in zip(after, state, strict=True)])
            state = after
            outputs.append(state[0])
        return stack(outputs[:: -1 if backwards else 1]), state

    def extra_repr(self) -> str:
        sizes = f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, bias={self.bias}"
        return f"{sizes}, batch_first={self.batch_first}, dropout={self.dropout}, bidirectional={self.bidirectional}"


class RNN(RNNBase):
    """Layers of ``tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)``, step after step: Elman 1990.

    Input ``(L, N, input_size)``, ``(N, L, input_size)`` if ``batch_first``, ``(L, input_size)`` of one sequence, or a
    ``PackedSequence``; and a state ``(num_layers * directions, N, hidden_size)``, zeros if None. Gives
    ``(output, state)``: the last layer's states of every step, ``(L, N, directions * hidden_size)``, and all layers'
    last ones.

    Args:
        input_size: features of the input.
        hidden_size: features of a state.
        num_layers: how many layers there are, each of which takes what the one before gives.
        nonlinearity: 'tanh' or 'relu'.
        bias: whether there are biases.
        batch_first: whether the batch comes before the length.
        dropout: the probability that a value is left out between layers, in training.
        bidirectional: whether each layer also goes from the end to the beginning.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ...: of each layer, and with ``_reverse`` of the way back;
            uniform within ``1 / sqrt(hidden_size)`` of 0 at first.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1; another nonlinearity.
        ShapeError: when called, with an input or a state of other sizes, or without steps.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> output, state = nn.RNN(4, 3, batch_first=True)(lucid.zeros(2, 5, 4))
    >>> output.shape, state.shape
    ((2, 5, 3), (1, 2, 3))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **place: Unpack[Place],
    ):
        if nonlinearity not in ("tanh", "relu"):
            fail(ArgumentError(f"nonlinearity={nonlinearity!r} must be 'tanh' or 'relu'", op="RNN"))
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **place)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Layers of long short-term memories, step after step: Hochreiter & Schmidhuber 1997.

    Input ``(L, N, input_size)``, ``(N, L, input_size)`` if ``batch_first``, ``(L, input_size)`` of one sequence, or a
    ``PackedSequence``; and a pair of states, ``(num_layers * directions, N, proj_size or hidden_size)`` and
    ``(num_layers * directions, N, hidden_size)``, zeros if None. Gives ``(output, (hidden, cell))``: the last layer's
    hidden states of every step, and all layers' last states.

    Args:
        input_size: features of the input.
        hidden_size: features of a cell.
        num_layers: how many layers there are, each of which takes what the one before gives.
        bias: whether there are biases.
        batch_first: whether the batch comes before the length.
        dropout: the probability that a value is left out between layers, in training.
        bidirectional: whether each layer also goes from the end to the beginning.
        proj_size: features that hidden states are projected to, below ``hidden_size``; 0 for none.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0, ...: of each layer, and with ``_reverse`` of
            the way back; uniform within ``1 / sqrt(hidden_size)`` of 0 at first. Rows are those of input, forget, cell
            and output.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1; a ``proj_size`` that is not smaller.
        ShapeError: when called, with an input or states of other sizes, or without steps.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> output, (hidden, cell) = nn.LSTM(4, 3, bidirectional=True)(lucid.zeros(5, 2, 4))
    >>> output.shape, hidden.shape, cell.shape
    ((5, 2, 6), (2, 2, 3), (2, 2, 3))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **place: Unpack[Place],
    ):
        options = (bias, batch_first, dropout, bidirectional, proj_size)
        super().__init__("LSTM", input_size, hidden_size, num_layers, *options, **place)


class GRU(RNNBase):
    """Layers of gated recurrent units, step after step: Cho et al., arXiv:1406.1078.

    Input ``(L, N, input_size)``, ``(N, L, input_size)`` if ``batch_first``, ``(L, input_size)`` of one sequence, or a
    ``PackedSequence``; and a state ``(num_layers * directions, N, hidden_size)``, zeros if None. Gives
    ``(output, state)``: the last layer's states of every step, ``(L, N, directions * hidden_size)``, and all layers'
    last ones.

    Args:
        input_size: features of the input.
        hidden_size: features of a state.
        num_layers: how many layers there are, each of which takes what the one before gives.
        bias: whether there are biases.
        batch_first: whether the batch comes before the length.
        dropout: the probability that a value is left out between layers, in training.
        bidirectional: whether each layer also goes from the end to the beginning.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ...: of each layer, and with ``_reverse`` of the way back;
            uniform within ``1 / sqrt(hidden_size)`` of 0 at first. Rows are those of reset, update and new.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1.
        ShapeError: when called, with an input or a state of other sizes, or without steps.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> output, state = nn.GRU(4, 3, num_layers=2)(lucid.zeros(5, 2, 4))
    >>> output.shape, state.shape
    ((5, 2, 3), (2, 2, 3))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **place: Unpack[Place],
    ):
        options = (bias, batch_first, dropout, bidirectional)
        super().__init__("GRU", input_size, hidden_size, num_layers, *options, **place)
