"""One step of recurrent layers. Elman 1990; LSTM: Hochreiter & Schmidhuber 1997; GRU: Cho et al., arXiv:1406.1078.

Each takes what the input contributes, a linear map of it that can be computed for all steps at once, and the state
before; it gives the state after. The first part of a state is what a layer gives out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from lucid.functions.elementwise import relu, sigmoid
from lucid.functions.trigonometry import tanh
from lucid.nn.functional.linear import linear

if TYPE_CHECKING:
    from lucid.tensor import Tensor

State = tuple["Tensor", ...]


class Recurrent(NamedTuple):
    """Weights that map the state before: ``weight`` and ``bias``, and, for an LSTM, the projection of its output."""

    weight: Tensor
    bias: Tensor | None = None
    projection: Tensor | None = None


class Rule(NamedTuple):
    """How a state moves, and how many numbers that takes for each hidden one."""

    gates: int
    states: int
    step: Callable[[Tensor, State, Recurrent], State]


def _elman(activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor, State, Recurrent], State]:
    def step(given: Tensor, state: State, weights: Recurrent) -> State:
        return (activation(given + linear(state[0], weights.weight, weights.bias)),)

    return step


def _lstm(given: Tensor, state: State, weights: Recurrent) -> State:
    hidden, cell = state
    taken, kept, new, shown = (given + linear(hidden, weights.weight, weights.bias)).chunk(4, -1)
    cell = sigmoid(kept) * cell + sigmoid(taken) * tanh(new)
    hidden = sigmoid(shown) * tanh(cell)
    return (hidden if weights.projection is None else linear(hidden, weights.projection)), cell


def _gru(given: Tensor, state: State, weights: Recurrent) -> State:
    hidden = state[0]
    reset, kept, new = given.chunk(3, -1)
    reset_by, kept_by, new_by = linear(hidden, weights.weight, weights.bias).chunk(3, -1)
    fresh = tanh(new + sigmoid(reset + reset_by) * new_by)
    return (fresh + sigmoid(kept + kept_by) * (hidden - fresh),)


RULES = {
    "RNN_TANH": Rule(1, 1, _elman(tanh)),
    "RNN_RELU": Rule(1, 1, _elman(relu)),
    "LSTM": Rule(4, 2, _lstm),
    "GRU": Rule(3, 1, _gru),
}
