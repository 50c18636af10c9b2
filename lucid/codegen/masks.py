"""Padding as masks: which lanes of a vector lie inside an image, asked only where the ranges of loops leave it open.

A guard of a padded read is a conjunction of comparisons between positions. Each is one affine form that must not be
negative; where the least value it takes is not, there is nothing to test. Lanes outside are not touched and read as
zero, so a row of an image can be read past its ends. Builds values, no loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lucid.codegen.access import Access, coefficient
from lucid.codegen.loops import INDEX, Bin, Iota, Lit, Splat, Value, Var, VType, integer
from lucid.codegen.strides import LONGEST_STEP
from lucid.ir.expr import Axis, Binary, Expr
from lucid.ir.index import Affine, affine

#: The least and the greatest value of loop variables, by name.
Ranges = Mapping[str, tuple[int, int]]


class Condition(NamedTuple):
    """``position >= 0``, and its affine form."""

    position: Expr
    form: Affine


def conditions(guard: Expr | None) -> list[Condition] | None:
    """What must hold together for a guard to hold; None if it is not made of comparisons of affine positions."""
    if guard is None:
        return []
    if not isinstance(guard, Binary):
        return None
    if guard.op == "and":
        a, b = conditions(guard.a), conditions(guard.b)
        return None if a is None or b is None else a + b
    if guard.op not in ("le", "lt") or guard.a.dtype != INDEX.dtype:
        return None
    form = affine(guard.b) - affine(guard.a)
    if guard.op == "lt":
        form = Affine(form.terms, form.constant - 1)
    return [Condition(form.expr(), form)] if all(isinstance(a, Axis) for a in form.terms) else None


def readable(access: Access, vector: Axis) -> bool:
    """Whether neighbours along an axis can be read as vectors: at a short step, and zero where a guard fails that can
    be tested lane by lane.
    """
    step = coefficient(access.offset, vector)
    tests = conditions(access.guard)
    if step is None or tests is None or not 0 <= step <= LONGEST_STEP:
        return False
    if access.guard is None:
        return True
    return step > 0 and access.fill == 0 and all(t.form.terms.get(vector, 0) % step == 0 for t in tests)


def least(form: Affine, at: Mapping[Axis, Value], ranges: Ranges) -> int | None:
    """The least value of a position, given where its axes are; None if some variable's range is not known."""
    total = form.constant
    for axis, factor in form.terms.items():
        assert isinstance(axis, Axis)
        value, shift = at[axis], 0
        while isinstance(value, Bin) and value.op == "add" and isinstance(value.b, Lit):
            shift += int(value.b.value)
            value = value.a
        if isinstance(value, Lit):
            low = high = int(value.value)
        elif isinstance(value, Var) and value.name in ranges:
            low, high = ranges[value.name]
        else:
            return None
        total += factor * ((low if factor > 0 else high) + shift)
    return total


def not_negative(base: Value, step: int, lanes: int) -> Value:
    """The lanes in which ``base + lane * step`` is not negative."""
    if step == 0:
        return Splat(Bin("le", integer(0), base), lanes)
    places = Bin("mul", Iota(lanes), Lit(step, VType(INDEX.dtype, lanes))) if step != 1 else Iota(lanes)
    if isinstance(base, Lit):
        return Bin("le", Lit(-int(base.value), VType(INDEX.dtype, lanes)), places)
    return Bin("le", Lit(0, VType(INDEX.dtype, lanes)), Bin("add", Splat(base, lanes), places))
