"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from lucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from lucid.functions.arguments import fail
from lucid.functions.movement import concat
from lucid.grad_modes import no_grad
from lucid.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of the parameters, one after the other, as one vector through which gradients flow.

    Raises:
        ArgumentError: there are none.
        ArgumentTypeError: something that is not a tensor.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(2, 3).parameters()).shape
    (9,)
    """
    return concat([p.reshape(-1) for p in _listed("parameters_to_vector", parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give the parameters the elements of a vector, in the order of ``parameters_to_vector``.

    Raises:
        ArgumentTypeError: something that is not a tensor.
        ShapeError: the vector has more or fewer elements than the parameters.

    >>> import lucid
    >>> from lucid import nn
    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters(lucid.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.bias.tolist()
    [3.0]
    """
    op = "vector_to_parameters"
    given = _listed(op, parameters)
    if not isinstance(vec, Tensor):
        fail(ArgumentTypeError(f"vec must be a Tensor, not {type(vec).__name__}", op=op))
    count = sum(p.numel() for p in given)
    if vec.shape != (count,):
        fail(ShapeError(f"vec has shape {vec.shape}, but the parameters have {count} elements", op=op))
    first = 0
    with no_grad():
        for p in given:
            p.copy_(vec[first : first + p.numel()].reshape(p.shape))
            first += p.numel()


def _listed(op: str, parameters: Iterable[Tensor]) -> list[Tensor]:
    given = list(parameters)
    for k, p in enumerate(given):
        if not isinstance(p, Tensor):
            fail(ArgumentTypeError(f"parameters[{k}] must be a Tensor, not {type(p).__name__}", op=op))
    if not given:
        fail(ArgumentError("there are no parameters", op=op))
    return given
