"""The key under which kernels are lowered once."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from lucid import ops
from lucid.codegen.access import place
from lucid.codegen.fuse import fuse
from lucid.codegen.layout import Layout
from lucid.codegen.program import generate
from lucid.codegen.strategy import accepts_epilogue
from lucid.codegen.structure import structure
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.types import DType, TensorType, float32, float64


def value(*shape: int, dtype: DType = float32) -> Node:
    return input_node(TensorType(shape, dtype))


def key(inputs: list[Node], output: Node, layouts: dict[Node, Layout] | None = None) -> Hashable:
    (spec,) = fuse(Graph(inputs, [output]), accepts_epilogue)
    places = {n: Layout.plain(n.shape) for n in (*inputs, output)}
    return structure(place(spec, {**places, **(layouts or {})}))


def total(x: Node, axis: int) -> Node:
    return ops.sum(ops.exp(x), axes=(axis,), keepdims=False)


def one(scale: float = 2.0, dtype: DType = float32, size: int = 6) -> Hashable:
    x = value(4, size, dtype=dtype)
    return key([x], x * scale + 1.0)


def two(swap: bool = False, same: bool = False) -> Hashable:
    x, y = value(4, 6), value(4, 6)
    return key([x, y], (y - x) if swap else (x - x * 2.0 + y * 0.0) if same else (x - y))


def test_other_values_of_the_same_types_make_the_same_kernel() -> None:
    assert one() == one()
    assert two() == two(swap=True)  # arguments are numbered as they are met
    a, b = value(4, 6), value(4, 6)
    assert key([a], total(a, 0)) == key([b], total(b, 0))


@pytest.mark.parametrize(
    "other", [one(2.5), one(-2.0), one(dtype=float64), one(size=7), two(), two(same=True)], ids=range(6)
)
def test_anything_else_makes_another(other: Hashable) -> None:
    assert one() != other


def test_the_axis_of_a_reduction_counts() -> None:
    x = value(5, 5)
    assert key([x], total(x, 0)) != key([x], total(x, 1))


def test_where_values_lie_counts() -> None:
    x = value(4, 6)
    y = x * 2.0
    plain = key([x], y)
    assert key([x], y, {x: Layout.ordered((4, 6), (1, 0))}) != plain
    assert key([x], y, {y: Layout.plain((4, 6)).with_halo((1, 1), (0, 0))}) != plain


def test_a_value_read_twice_is_not_two_values() -> None:
    x, y, z = value(4), value(4), value(4)
    assert key([x, y], x * y + x) != key([x, y, z], x * y + z)


def test_kernels_are_lowered_once_and_each_with_its_own_arguments() -> None:
    inputs = [value(8, 8) for _ in range(6)]
    program = generate(Graph(inputs, [total(x, 1) for x in inputs]), Target.of("avx512"))
    assert len(program.kernels) == 1
    assert [s.arguments[0] for s in program.steps] == inputs
    assert [s.spec.stores[0].node for s in program.steps] == list(program.results)
