"""Schedules: how a kernel runs, as data. Printed in dumps, overridable, and unable to change what is computed.

A schedule names axes and gives sizes; lowering refuses one that does not fit its kernel with ``ScheduleError``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Naive:
    """Scalar loops in the order written: slow, and obviously right. The oracle for every other schedule."""

    def __str__(self) -> str:
        return "naive"


@dataclass(frozen=True)
class MapReduce:
    """Loops over the output in memory order, vectorised along its innermost axis (or along the reduction's).

    Args:
        lanes: vector lanes; 1 is scalar code.
        unroll: independent accumulators of a reduction.
        vectors: vectors of the innermost output axis that reductions depending on it hold at once, so that they walk
            memory in runs of so many vectors.
        rows: positions of the outermost axis of a reduction that are read side by side, all the way along the output,
            before the next so many are added to it in memory; it divides that axis. 0 leaves the result in registers.
        keep: a value that a reduction and the result both need is computed once, and kept in the result's memory.
        window: reductions over at most so many positions are written out, without loops.
        stream: results go past the caches, which they would only clear of what is needed; ``vectors`` at once.
        beside: positions of the innermost output axis whose reductions run side by side, sharing what they read.
        tile: rows and columns, of the two innermost output axes, that are computed before the next such tile of these
            rows: what all rows read is still in the cache. They divide the axes.
    """

    lanes: int
    unroll: int = 4
    vectors: int = 1
    rows: int = 0
    keep: bool = False
    window: int = 0
    stream: bool = False
    beside: int = 1
    tile: tuple[int, int] | None = None

    def __str__(self) -> str:
        strip = f", vectors={self.vectors}" if self.vectors > 1 else ""
        rows = f", rows={self.rows}" if self.rows else ""
        window = f", window={self.window}" if self.window else ""
        beside = f", beside={self.beside}" if self.beside > 1 else ""
        tile = f", tile={self.tile[0]} x {self.tile[1]}" if self.tile else ""
        flags = ", keep" * self.keep + ", stream" * self.stream
        return f"map(lanes={self.lanes}, unroll={self.unroll}{strip}{rows}{window}{beside}{tile}{flags})"


@dataclass(frozen=True)
class Transpose:
    """A map in square tiles of ``lanes`` by ``lanes`` positions, read along one axis and stored along another.

    Args:
        lanes: vector lanes, a power of two.
        load: output axis along which operands are read.
        store: output axis along which results are stored.
        outer: all output axes longer than one position, outermost loop first.
    """

    lanes: int
    load: str
    store: str
    outer: tuple[str, ...]

    def __str__(self) -> str:
        return f"transpose(tile={self.lanes} {self.load} x {self.lanes} {self.store}, outer={'.'.join(self.outer)})"


@dataclass(frozen=True)
class Contraction:
    """A register tile of ``tile`` positions times ``vectors`` vectors, multiplied up along the reduction axes.

    Args:
        vector: axis that fills the lanes: of the output, or of the reduction.
        lanes: lanes of one vector.
        vectors: vectors held along the vector axis.
        tile: output axes held in registers, with how many positions of each: ``(("i", 2), ("j", 7))``.
        outer: the remaining output axes and the tiled ones, outermost first; the vector axis among them.
        reduce: reduction axes, outermost first; the last is unrolled.
        unroll: steps of the innermost reduction axis taken at once.
        block: reduction axes that run outside the tile loops in blocks of so many positions, accumulating in memory:
            ``(("n", 1), ("i", 8))``.
        jam: reduction axes outside the innermost of which so many positions are taken at once (unroll and jam).
        ahead: ask for the memory of the results before the sums, which hide how long it takes to come.
    """

    vector: str
    lanes: int
    vectors: int
    tile: tuple[tuple[str, int], ...]
    outer: tuple[str, ...]
    reduce: tuple[str, ...]
    unroll: int = 1
    block: tuple[tuple[str, int], ...] = ()
    jam: tuple[tuple[str, int], ...] = ()
    ahead: bool = False

    @property
    def registers(self) -> int:
        """Accumulators, one row of the vector operand, and one broadcast."""
        count = self.vectors
        for _, size in self.tile:
            count *= size
        return count + self.vectors + 1

    def __str__(self) -> str:
        tile = " x ".join([*(f"{n} {a}" for a, n in self.tile), f"{self.vectors}*{self.lanes} {self.vector}"])
        block = f", block={' x '.join(f'{n} {a}' for a, n in self.block)}" if self.block else ""
        jam = f", jam={' x '.join(f'{n} {a}' for a, n in self.jam)}" if self.jam else ""
        return (
            f"contraction(tile={tile}, outer={'.'.join(self.outer)}, "
            f"reduce={'.'.join(self.reduce)}, unroll={self.unroll}{block}{jam}{', ahead' * self.ahead})"
        )


@dataclass(frozen=True)
class Winograd:
    """A 3 x 3 convolution by Winograd's F(2x2, 3x3): image tiles transformed, multiplied, and transformed back, a block
    at a time.

    Args:
        lanes: lanes of one vector.
        vectors: vectors of output channels in a register tile.
        block: image tiles transformed together.
        tile: image tiles in a register tile.
        parts: that the panels of output channels are cut into for threads to share. Each transforms its block.
        ahead: while one part of the weights is multiplied, the next is fetched: they come from far.
        unroll: input channels multiplied at once.
    """

    lanes: int
    vectors: int
    block: int
    tile: int
    parts: int = 1
    ahead: bool = False
    unroll: int = 4

    @property
    def registers(self) -> int:
        """Accumulators, one row of the weights, and one broadcast."""
        return self.vectors * (self.tile + 1) + 1

    def __str__(self) -> str:
        parts = f", parts={self.parts}" if self.parts > 1 else ""
        ahead = ", ahead" * self.ahead
        return f"winograd(tile={self.tile} x {self.vectors}*{self.lanes}, block={self.block}{parts}{ahead})"


@dataclass(frozen=True)
class WinogradGradient:
    """The gradient to the weights of a 3 x 3 convolution by Winograd's F(3x3, 2x2): tiles of the image and of the
    gradient transformed, and multiplied into sums that are transformed back once, at the end.

    Args:
        lanes: lanes of one vector.
        vectors: vectors of output channels in a register tile.
        tile: input channels in a register tile.
        channels, outputs: input and output channels whose sums are held at once; they divide the kernel's.
        block: tiles transformed together.
        unroll: tiles multiplied at once.
    """

    lanes: int
    vectors: int
    tile: int
    channels: int
    outputs: int
    block: int
    unroll: int = 4

    @property
    def registers(self) -> int:
        """Accumulators, one row of the gradient, and one broadcast."""
        return self.vectors * (self.tile + 1) + 1

    def __str__(self) -> str:
        held = f"{self.channels} x {self.outputs}"
        return f"winograd_gradient(tile={self.tile} x {self.vectors}*{self.lanes}, sums={held}, block={self.block})"


Schedule: TypeAlias = Naive | MapReduce | Transpose | Contraction | Winograd | WinogradGradient
