"""Operands packed into panels: as wide as a register tile, so that it reads memory in one run.

A panel holds some positions of the vector axis side by side; before them come the other dimensions, in pieces, in the
order that the other operand is walked in. Knows no kernels and no memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from lucid.codegen.strategy import default_order
from lucid.codegen.winograd import Slide
from lucid.ir.expr import Axis, Expr, Load, index, walk
from lucid.ir.graph import OPS, Node
from lucid.ir.index import affine

#: The two axes that a vector axis is cut into: panels, and what is inside one.
Cut: TypeAlias = tuple[Axis, Axis]


def cut_into(vector: Axis, width: int) -> Cut | None:
    """The vector axis in panels; None if they do not divide it, or there is one alone."""
    if vector.extent % width or vector.extent == width:
        return None
    return Axis(f"{vector.name}o", vector.extent // width), Axis(f"{vector.name}i", width)


def of_panels(panels: Node, pieces: Sequence[Piece], panel: Expr, lane: Expr) -> Load:
    return Load(panels, panels.type, [panel, *(p.position for p in pieces), lane])


def first_panel(position: Expr, vector: Axis, width: int) -> Expr | None:
    """The panel at which the vector axis begins; None where that is inside one."""
    form = affine(position)
    rest = {atom: f for atom, f in form.terms.items() if atom is not vector}
    if form.terms.get(vector) != 1 or any(f % width for f in (*rest.values(), form.constant)):
        return None
    if rest and vector.extent % width:
        return None  # the last panel of a group is the first of the next
    panel: Expr = index(form.constant // width)
    for atom, f in rest.items():
        panel = panel + atom * (f // width)
    return panel


def is_filter(slide: Slide, first: Expr, panels: int, pieces: Sequence[Piece]) -> bool:
    """Whether weights are read as ``Window`` says: by taps and channel, groups among either panels or channels."""
    if [p.position for p in pieces[:2]] != [slide.row_tap, slide.column_tap] or len(pieces) != 3:
        return False
    begins, channel = affine(first), affine(pieces[2].position)
    if begins.constant or channel.constant:
        return False
    if slide.group is None:
        return not begins.terms and channel.terms == {slide.channel: 1}
    return (begins.terms, channel.terms) in (
        ({slide.group: panels}, {slide.channel: 1}),
        ({}, {slide.channel: 1, slide.group: slide.channel.extent}),
    )


def extended(node: Node, dim: int, more: int) -> Node:
    """The value with so many zeros more at the end of a dimension."""
    if not more:
        return node
    none = (0,) * len(node.shape)
    high = tuple(more if d == dim else 0 for d in range(len(node.shape)))
    attrs = {"low": none, "high": high, "interior": none, "value": 0.0}
    return Node(OPS["pad"].call((node.type,), attrs), (node,), node.where)


class Piece(NamedTuple):
    """A dimension of an operand, or what one axis steps through of it: ``factor`` elements a step."""

    dim: int
    position: Expr
    extent: int
    factor: int


def pieces_of(load: Load, dim: int, near: Mapping[Axis, int]) -> list[Piece]:
    """The dimensions but ``dim``, those that several axes share taken apart; last those that the other operand walks
    contiguously, in its order, so that both step together.
    """
    found: list[Piece] = []
    for d in default_order(len(load.index)):
        if d == dim:
            continue
        position, extent = load.index[d], load.type.shape[d]
        digits = _digits(position, extent)
        if digits is None or not any(a in near for a, _ in digits) or all(a in near for a, _ in digits):
            found.append(Piece(d, position, extent, 1))
        else:
            found += [Piece(d, axis, axis.extent, factor) for axis, factor in digits]
    return sorted(found, key=lambda p: _nearness(p.position, near))


def _nearness(position: Expr, near: Mapping[Axis, int]) -> tuple[bool, int]:
    """Larger for what the other operand takes smaller steps along."""
    steps = [near[a] for a in walk(position) if isinstance(a, Axis) and a in near]
    return bool(steps), -min(steps, default=0)


def _digits(position: Expr, extent: int) -> list[tuple[Axis, int]] | None:
    """The axes of a position that together count from 0 to ``extent``, as digits of a number do, and their factors."""
    form = affine(position)
    digits = sorted(form.terms.items(), key=lambda term: -term[1])
    rest = extent
    for axis, factor in digits:
        if not isinstance(axis, Axis) or axis.extent * factor != rest:
            return None
        rest = factor
    return [(a, f) for a, f in digits if isinstance(a, Axis)] if rest == 1 and form.constant == 0 else None


def operand_order(load: Load, dim: int, near: Mapping[Axis, int]) -> tuple[int, ...]:
    """``dim`` last, and before it what the other operand walks contiguously."""
    rest = [d for d in default_order(len(load.index)) if d != dim]
    rest.sort(key=lambda d: _nearness(load.index[d], near))
    return (*rest, dim)
