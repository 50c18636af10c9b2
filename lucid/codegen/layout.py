"""Where the elements of a value lie: the order of its dimensions in memory and the zero ring (halo) around them.

NHWC, a padded image and a packed weight are all one thing here: a permutation of the dimensions and some extra
elements at their ends. The halo is zero at all times, so a convolution reads its padding like any other pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lucid.ir.expr import Expr, as_index, index
from lucid.ir.types import Shape


@dataclass(frozen=True)
class Layout:
    """Dimensions from outermost to innermost, and the halo before and after each (indexed by logical dimension)."""

    shape: Shape
    order: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]

    @classmethod
    def plain(cls, shape: Sequence[int]) -> Layout:
        """C order, no halo: how NumPy lays out a fresh array."""
        return cls.ordered(shape, range(len(shape)))

    @classmethod
    def ordered(cls, shape: Sequence[int], order: Sequence[int]) -> Layout:
        zeros = (0,) * len(shape)
        return cls(tuple(shape), tuple(order), zeros, zeros)

    def with_halo(self, low: Sequence[int], high: Sequence[int]) -> Layout:
        """At least this much halo, keeping what is there."""
        return Layout(
            self.shape,
            self.order,
            tuple(max(a, b) for a, b in zip(self.low, low, strict=True)),
            tuple(max(a, b) for a, b in zip(self.high, high, strict=True)),
        )

    @cached_property
    def extents(self) -> Shape:
        """Size of each dimension with its halo."""
        return tuple(n + a + b for n, a, b in zip(self.shape, self.low, self.high, strict=True))

    @cached_property
    def strides(self) -> Shape:
        """Elements between neighbours along each dimension."""
        strides = [0] * len(self.shape)
        step = 1
        for d in reversed(self.order):
            strides[d] = step
            step *= self.extents[d]
        return tuple(strides)

    @cached_property
    def size(self) -> int:
        """Elements in memory, halo included."""
        size = 1
        for n in self.extents:
            size *= n
        return size

    @property
    def halo(self) -> bool:
        return any(self.low) or any(self.high)

    @property
    def innermost(self) -> int | None:
        """The dimension that is contiguous, of those with more than one position; None for a scalar."""
        if not self.order:
            return None
        return next((d for d in reversed(self.order) if self.extents[d] > 1), self.order[-1])

    def same_memory(self, other: Layout) -> bool:
        """Every element lies at the same offset: where to step for dimensions of one position does not matter."""
        mine, others = ((x.shape, x.low, x.high, self._steps(x)) for x in (self, other))
        return mine == others

    @staticmethod
    def _steps(layout: Layout) -> list[int]:
        return [s for s, n in zip(layout.strides, layout.extents, strict=True) if n > 1]

    def offset(self, position: Sequence[Expr]) -> Expr:
        """Element offset of a logical position; positions in the halo are legal."""
        total: Expr = index(sum(lo * s for lo, s in zip(self.low, self.strides, strict=True)))
        for i, stride in zip(position, self.strides, strict=True):
            total = total + as_index(i) * stride
        return total

    def __str__(self) -> str:
        order = "".join(map(str, self.order))
        if not self.halo:
            return f"{{{order}}}"
        halo = ", ".join(f"{d}:{a}+{b}" for d, (a, b) in enumerate(zip(self.low, self.high, strict=True)) if a or b)
        return f"{{{order}; halo {halo}}}"
