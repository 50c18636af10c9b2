"""``Parameter``: a tensor that a module learns. Knows nothing of modules."""

from __future__ import annotations

from typing import Any

from lucid.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that a module counts among its parameters when it is assigned as an attribute.

    Args:
        data: as for ``lucid.Tensor``; copied.
        requires_grad: False for a frozen parameter.
        dtype: as for ``lucid.Tensor``.

    Raises:
        ShapeError, DTypeError, ArgumentTypeError: as ``lucid.Tensor``; a gradient needs a floating dtype.

    >>> Parameter([1.0, 2.0])
    Tensor([1.0, 2.0], requires_grad=True)
    """

    def __init__(self, data: Any, requires_grad: bool = True, dtype: object = None):
        super().__init__(data, requires_grad, dtype)
