"""Python's arithmetic on values of the graph, shared by ``Node`` and ``Tensor`` so that maths reads as maths in both.

A subclass says what applying a named op means (build a node, or compute and record); nothing else is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Operators:
    """Mixin: ``+ - * / // % ** @ & | ^ ~ < <= > >= abs()`` through ``_binary`` and ``_unary``."""

    __slots__ = ()

    def _binary(self, name: str, other: Any, reflected: bool = False) -> Self:
        raise NotImplementedError  # Node and Tensor define it

    def _unary(self, name: str) -> Self:
        raise NotImplementedError  # Node and Tensor define it

    def __add__(self, other: Any) -> Self:
        return self._binary("add", other)

    def __radd__(self, other: Any) -> Self:
        return self._binary("add", other, True)

    def __sub__(self, other: Any) -> Self:
        return self._binary("sub", other)

    def __rsub__(self, other: Any) -> Self:
        return self._binary("sub", other, True)

    def __mul__(self, other: Any) -> Self:
        return self._binary("mul", other)

    def __rmul__(self, other: Any) -> Self:
        return self._binary("mul", other, True)

    def __truediv__(self, other: Any) -> Self:
        return self._binary("div", other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._binary("div", other, True)

    def __floordiv__(self, other: Any) -> Self:
        return self._binary("floordiv", other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._binary("floordiv", other, True)

    def __mod__(self, other: Any) -> Self:
        return self._binary("mod", other)

    def __rmod__(self, other: Any) -> Self:
        return self._binary("mod", other, True)

    def __pow__(self, other: Any) -> Self:
        return self._binary("pow", other)

    def __rpow__(self, other: Any) -> Self:
        return self._binary("pow", other, True)

    def __matmul__(self, other: Any) -> Self:
        return self._binary("matmul", other)

    def __rmatmul__(self, other: Any) -> Self:
        return self._binary("matmul", other, True)

    def __and__(self, other: Any) -> Self:
        return self._binary("bitwise_and", other)

    def __rand__(self, other: Any) -> Self:
        return self._binary("bitwise_and", other, True)

    def __or__(self, other: Any) -> Self:
        return self._binary("bitwise_or", other)

    def __ror__(self, other: Any) -> Self:
        return self._binary("bitwise_or", other, True)

    def __xor__(self, other: Any) -> Self:
        return self._binary("bitwise_xor", other)

    def __rxor__(self, other: Any) -> Self:
        return self._binary("bitwise_xor", other, True)

    def __lshift__(self, other: Any) -> Self:
        return self._binary("left_shift", other)

    def __rlshift__(self, other: Any) -> Self:
        return self._binary("left_shift", other, True)

    def __rshift__(self, other: Any) -> Self:
        return self._binary("right_shift", other)

    def __rrshift__(self, other: Any) -> Self:
        return self._binary("right_shift", other, True)

    def __lt__(self, other: Any) -> Self:
        return self._binary("lt", other)

    def __le__(self, other: Any) -> Self:
        return self._binary("le", other)

    def __gt__(self, other: Any) -> Self:
        return self._binary("gt", other)

    def __ge__(self, other: Any) -> Self:
        return self._binary("ge", other)

    def __neg__(self) -> Self:
        return self._unary("neg")

    def __abs__(self) -> Self:
        return self._unary("abs")

    def __invert__(self) -> Self:
        return self._unary("logical_not")
