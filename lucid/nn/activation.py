"""Activation functions as layers without parameters."""

from __future__ import annotations

from lucid.errors import ArgumentError
from lucid.functions.arguments import either, fail, int_of
from lucid.nn import functional as F
from lucid.nn.module import Module
from lucid.tensor import Tensor


class ReLU(Module):
    """``max(x, 0)``, element by element.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReLU()(lucid.tensor([-1.0, 2.0]))
    Tensor([0.0, 2.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class ReLU6(Module):
    """``min(max(x, 0), 6)``, element by element: MobileNet's activation (Sandler et al. 2018).

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReLU6()(lucid.tensor([-1.0, 2.0, 8.0]))
    Tensor([0.0, 2.0, 6.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, element by element.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Sigmoid()(lucid.tensor([0.0, -1e4]))
    Tensor([0.5, 0.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, element by element.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Tanh()(lucid.tensor([0.0, -1e4]))
    Tensor([0.0, -1.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class _AlongAxis(Module):
    def __init__(self, axis: int | None = None, *, dim: int | None = None):
        super().__init__()
        op = type(self).__name__
        given = either(op, axis, dim)
        if given is None:
            fail(ArgumentError("axis must be given", op=op, hint="axis=-1 is the last one, usually the classes"))
        self.axis = int_of(op, "axis", given)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class Softmax(_AlongAxis):
    """``exp(x) / sum(exp(x))`` along ``axis`` (PyTorch's ``dim`` is accepted too).

    Raises:
        ArgumentError: no axis; when called, an axis that the input lacks.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Softmax(axis=-1)(lucid.zeros(1, 4))
    Tensor([[0.25, 0.25, 0.25, 0.25]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.axis)


class LogSoftmax(_AlongAxis):
    """``log(softmax(x))`` along ``axis``, exact where the softmax underflows.

    Raises:
        ArgumentError: no axis; when called, an axis that the input lacks.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LogSoftmax(axis=0)(lucid.tensor([0.0, 1000.0]))
    Tensor([-1000.0, 0.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.axis)
