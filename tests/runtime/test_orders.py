"""Physical orders: found, made, and honoured by executables at both ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid.ir.graph import Array, Graph, input_node
from lucid.ir.types import type_of
from lucid.ops import conv2d, mul, transpose
from lucid.runtime.executable import build
from lucid.runtime.orders import Orders, arranged, channels_last, empty_in, lies, order_of, orders_for

rng = np.random.default_rng(0)


def normal(*shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_what_is_arranged_lies_so_and_keeps_its_values(order: list[int], shape: list[int]) -> None:
    array = normal(*shape)
    moved = arranged(array, tuple(order))
    assert lies(moved, tuple(order))
    np.testing.assert_array_equal(moved, array)
    found = order_of(moved)
    assert found is None or lies(moved, found)


def test_an_array_with_gaps_has_no_order() -> None:
    assert order_of(normal(4, 4)[:, ::2]) is None
    assert order_of(normal(4, 4)[:, ::-1]) is None
    assert order_of(normal(4, 4).T) == (1, 0)
    assert order_of(normal(4, 4)) is None


def test_empty_arrays_have_the_wanted_shape_and_order() -> None:
    array = empty_in((2, 3, 4, 5), np.dtype(np.float32), channels_last(4))
    assert array.shape == (2, 3, 4, 5)
    assert lies(array, channels_last(4))


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 2, 3)])
def test_an_executable_reads_and_writes_in_the_orders_it_was_built_for(order: tuple[int, ...]) -> None:
    x, w = normal(2, 5, 7, 6), normal(4, 5, 3, 3)
    inputs = [input_node(type_of(x)), input_node(type_of(w))]
    attrs = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    graph = Graph(inputs, [conv2d(*inputs, **attrs)])
    (plain,) = build(graph)([x, w])
    turned = build(graph, orders=Orders({0: order}, {0: order}))
    for array in (arranged(x, order), x, x[:, :, ::-1][:, :, ::-1]):  # what lies otherwise is copied
        (result,) = turned([array, w])
        assert lies(result, order)
        np.testing.assert_allclose(result, plain, rtol=1e-5, atol=1e-5)


def test_executables_of_different_orders_do_not_share_a_cache_entry() -> None:
    x = normal(3, 4)
    node = input_node(type_of(x))
    graph = Graph([node], [mul(node, node)])
    for orders in (Orders(), Orders({0: (1, 0)}), Orders({}, {0: (1, 0)}), Orders({0: (1, 0)}, {0: (1, 0)})):
        (result,) = build(graph, orders=orders)([x])
        np.testing.assert_array_equal(result, x * x)
        assert lies(result, orders.outputs.get(0, (0, 1)))


def test_results_follow_channels_last_inputs_and_gradients_their_values() -> None:
    image, weights = input_node(type_of(normal(2, 3, 4, 4))), input_node(type_of(normal(5, 3, 1, 1)))
    y = conv2d(image, weights, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1)
    flat = transpose(y, perm=(1, 0, 2, 3))
    graph = Graph([image, weights], [y, mul(weights, weights), flat])
    orders = orders_for(graph, [channels_last(4), None])
    assert orders.outputs == {0: channels_last(4), 2: channels_last(4)}
    assert orders_for(graph, [(1, 0, 2, 3), None]).outputs == {}
