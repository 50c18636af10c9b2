"""Small graphs at random with their numbers: awkward ones, or whole ones; nets and their gradients among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lucid.autodiff import gradients
from lucid.ir.graph import Array, Graph
from lucid.ir.types import TensorType, bool_, is_float
from lucid.ops.sampling import special
from tests.generated.draws import Draw, chance, choice
from tests.generated.making import LARGEST, Making
from tests.generated.meaning import assert_meant, meanings
from tests.generated.nets import trained, whole
from tests.generated.pieces import Piece, spread


def numbers(type: TensorType, bound: int | None, whole: bool, finite: bool, rng: np.random.Generator) -> Array:
    """Numbers for an input: positions below ``bound``, small whole numbers, or any, special ones among them."""
    dtype, shape = type.dtype, type.shape
    if bound is not None:
        return np.asarray(rng.integers(-bound, bound, shape), dtype)
    if dtype == bool_:
        return np.asarray(rng.integers(0, 2, shape), dtype)
    plain = rng.integers(0 if dtype.kind == "u" else -3, 4, shape)
    if is_float(dtype) and not whole:
        plain = rng.standard_normal(shape)
    result: Any = np.asarray(plain, dtype)
    values = special(dtype)
    if is_float(dtype) and (whole or rng.random() < 0.5):
        values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], dtype)
    share = 0.0 if finite else rng.choice([0.0, 0.02, 0.3])
    return np.asarray(np.where(rng.random(shape) < share, values[rng.integers(0, len(values), shape)], result), dtype)


def graph_piece(draw: Draw) -> Piece:
    """A graph, perhaps with gradients, perhaps with an update in place; its arrays and what it means."""
    if draw.number(0, 4) == 4:
        graph, updates = trained(draw)
        return _piece(graph, whole(graph), updates, draw.number(0, 9999))
    made = Making(draw)
    outputs = [made.nodes[-1]]
    for _ in range(draw.number(0, 2)):
        outputs.append(choice(draw, made.nodes[-6:]))
    floats = [n for n in made.inputs if is_float(n.dtype)]
    lasts = [n for n in made.nodes if is_float(n.dtype) and n not in made.inputs]
    if floats and lasts and chance(draw, 2):
        y = lasts[-1]
        cotangent = made.input(y.shape, y.dtype)
        found = gradients([y], floats, [cotangent])
        outputs += [g for g in found if g is not None and g.type.size <= 4 * LARGEST]
    in_place = {}
    if floats and chance(draw, 6):
        x = choice(draw, floats)
        like = [n for n in (*outputs, *made.inputs) if n.type is x.type]
        in_place[len(outputs)] = made.inputs.index(x)
        outputs.append(x * 0.5 + choice(draw, like))
    seed = draw.number(0, 9999)
    rng = np.random.default_rng(seed)
    arrays = [numbers(n.type, made.bounds[n], made.whole, n in made.finite, rng) for n in made.inputs]
    if chance(draw, 8):
        arrays = [a if k in in_place.values() else spread(a) for k, a in enumerate(arrays)]
    return _piece(Graph(made.inputs, outputs), arrays, in_place, seed)


def _piece(graph: Graph, arrays: list[Array], in_place: dict[int, int], seed: int) -> Piece:
    meant = meanings(graph, arrays, seed)

    def check(results: Sequence[Array]) -> None:
        for k, (got, node) in enumerate(zip(results, graph.outputs, strict=True)):
            try:
                assert_meant(got, node, meant[node])
            except AssertionError as error:
                raise AssertionError(f"output {k}: {error}\n{graph}") from None

    return Piece(list(graph.inputs), arrays, list(graph.outputs), check, in_place=in_place)
