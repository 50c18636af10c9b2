"""Kernels that store several values: joint loops, one pass over what they read, and results over operands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lucid import ops
from lucid.codegen.access import Placed, place
from lucid.codegen.fuse import fuse
from lucid.codegen.interpret import interpret
from lucid.codegen.layout import Layout
from lucid.codegen.loops import For, Kernel, Reg, Stmt
from lucid.codegen.lower_map import lower_map, lower_naive
from lucid.codegen.schedule import MapReduce
from lucid.codegen.spec import KernelSpec, Store
from lucid.ir.expr import Axis, Expr, Load, Reduce, axes, substitute, walk
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.types import TensorType, float32


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def lowered(placed: Placed, lanes: int) -> Kernel:
    return lower_map(placed, "k", MapReduce(lanes, 4)) if lanes else lower_naive(placed, "k")


def loops(body: tuple[Stmt, ...]) -> Iterator[For]:
    for s in body:
        if isinstance(s, For):
            yield s
            yield from loops(s.body)


def run(kernel: Kernel, *arrays: Array) -> None:
    interpret(kernel, [a.reshape(-1) for a in arrays])


@pytest.mark.parametrize("lanes", [0, 1, 4, 16])
@pytest.mark.parametrize("n", [1, 3, 16, 45])
def test_every_value_is_computed_before_any_is_written(n: int, lanes: int) -> None:
    """Two inputs change places, each result over the other's operand."""
    x, y, a, b = value(n), value(n), value(n), value(n)
    out = axes("i", (n,))
    at = {v: Load(v, v.type, out) for v in (x, y)}
    spec = KernelSpec(out, (Store(a, out, at[y] + 2.0), Store(b, out, at[x] * 3.0)))
    placed = place(spec, {v: Layout.plain((n,)) for v in (x, y, a, b)}, {a: x, b: y})
    assert [buffer.role for buffer in placed.buffers] == ["inout", "inout"]
    p, q = (np.random.default_rng(n).integers(-9, 9, n).astype(np.float32) for _ in range(2))
    want = [q + 2, p * 3]
    run(lowered(placed, lanes), p, q)
    np.testing.assert_equal([p, q], want)


def moments(x: Node, over: tuple[int, ...]) -> tuple[KernelSpec, Node, Node]:
    """Sum and squared deviations in one kernel, over the very same axes."""
    total = ops.sum(x, axes=over, keepdims=False)
    spread = ops.squared_deviations(x, axes=over, keepdims=False)
    first, second = fuse(Graph([x], [total, spread]), lambda expr: True)
    (shared,) = [e.axes for e in walk(first.stores[0].value) if isinstance(e, Reduce)]
    value = _over(second.stores[0].value, shared, dict(zip(second.axes, first.axes, strict=True)))
    return KernelSpec(first.axes, (first.stores[0], Store(spread, first.axes, value))), total, spread


def _over(root: Expr, shared: tuple[Axis, ...], change: dict[Axis, Expr]) -> Expr:
    for e in walk(root):
        if isinstance(e, Reduce):
            change.update(zip(e.axes, shared, strict=True))
    return substitute(root, change)


@pytest.mark.parametrize("lanes", [0, 1, 4, 16])
@pytest.mark.parametrize("over", [(0,), (1,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 7, 19), (1, 33, 16)])
def test_reductions_over_the_same_axes_share_their_loops(
    shape: tuple[int, ...], over: tuple[int, ...], lanes: int
) -> None:
    x = value(*shape)
    spec, total, spread = moments(x, over)
    layouts = {v: Layout.plain(v.shape) for v in (x, total, spread)}
    kernel = lowered(place(spec, layouts), lanes)
    array = np.random.default_rng(sum(shape)).integers(-4, 5, shape).astype(np.float32)
    got = [np.full(v.shape, np.nan, np.float32) for v in (total, spread)]
    run(kernel, array, *got)
    np.testing.assert_allclose(got[0], array.sum(over), rtol=1e-6)
    np.testing.assert_allclose(got[1], array.var(over) * array.size / got[1].size, rtol=1e-5)


def test_a_reduction_that_needs_another_comes_after_it_and_does_not_repeat_it() -> None:
    x = value(64, 16)
    spec, total, spread = moments(x, (0,))
    kernel = lowered(place(spec, {v: Layout.plain(v.shape) for v in (x, total, spread)}), 16)
    (outer,) = kernel.body
    assert isinstance(outer, For)
    assert sum(isinstance(s, Reg) for s in outer.body) == 2 * 4


def test_independent_reductions_are_one_loop() -> None:
    x, y, a, b = value(64, 16), value(64, 16), value(16), value(16)
    (i,) = out = axes("i", (16,))
    k = Axis("k", 64)
    at = {v: Load(v, v.type, (k, i)) for v in (x, y)}
    stores = (Store(a, out, Reduce("sum", (k,), at[x] * at[y])), Store(b, out, Reduce("max", (k,), at[y])))
    layouts = {v: Layout.plain(v.shape) for v in (x, y, a, b)}
    kernel = lowered(place(KernelSpec(out, stores), layouts), 16)
    assert len([f for f in loops(kernel.body) if f.step == 4]) == 1
    p, q = (np.random.default_rng(k).integers(-4, 5, (64, 16)).astype(np.float32) for k in range(2))
    got = [np.zeros(16, np.float32) for _ in range(2)]
    run(kernel, p, q, *got)
    np.testing.assert_equal(got, [(p * q).sum(0), q.max(0)])
