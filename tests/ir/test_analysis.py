"""Analyses of graphs, on a diamond with a tail, and on random graphs against plain definitions."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

from hypothesis import given, settings

from lucid.ir.analysis import (
    Live,
    immediate_dominators,
    interference,
    levels,
    liveness,
    to_networkx,
    users,
)  # fmt: skip
from lucid.ir.graph import Graph
from lucid.ir.text import parse_graph
from tests.ir.graphs import random_graphs

DIAMOND = parse_graph(
    """graph(%x: f32[2], %unused: f32[2]) -> (y) {
         %0 = exp(%x) : f32[2]
         %1 = neg(%0) : f32[2]
         %2 = tanh(%0) : f32[2]
         %3 = mul(%1, %2) : f32[2]
         %4 = mul(%3, %3) : f32[2]
         return %4
       }"""
)
X, UNUSED, EXP, NEG, TANH, MUL, SQUARE = DIAMOND.nodes


def test_users() -> None:
    found = users(DIAMOND)
    assert found[EXP] == (NEG, TANH)
    assert found[MUL] == (SQUARE,)
    assert found[SQUARE] == found[UNUSED] == ()


def test_to_networkx() -> None:
    result = to_networkx(DIAMOND)
    assert list(result.nodes) == list(DIAMOND.nodes)
    assert result.nodes[EXP] == {"op": "exp", "type": "f32[2]", "label": "exp: f32[2]"}
    assert sorted(d["position"] for _, _, d in result.out_edges(MUL, data=True)) == [0, 1]


def test_levels() -> None:
    assert levels(DIAMOND) == [(X, UNUSED), (EXP,), (NEG, TANH), (MUL,), (SQUARE,)]


def test_dominators() -> None:
    assert immediate_dominators(DIAMOND) == {
        X: None, UNUSED: None, EXP: X, NEG: EXP, TANH: EXP, MUL: EXP, SQUARE: MUL,
    }  # fmt: skip
    assert immediate_dominators(DIAMOND, post=True) == {
        X: EXP, UNUSED: None, EXP: MUL, NEG: MUL, TANH: MUL, MUL: SQUARE, SQUARE: None,
    }  # fmt: skip


def test_liveness() -> None:
    live = liveness(DIAMOND)
    assert live == {
        X: Live(-1, 2), UNUSED: Live(-1, 1), EXP: Live(2, 4), NEG: Live(3, 5), TANH: Live(4, 5), MUL: Live(5, 6),
        SQUARE: Live(6, 7),
    }  # fmt: skip


def test_interference() -> None:
    edges = {frozenset(e) for e in interference(DIAMOND).edges}
    assert frozenset((EXP, TANH)) in edges
    assert frozenset((NEG, TANH)) in edges
    assert frozenset((MUL, SQUARE)) in edges  # an operand and its result exist at once
    assert frozenset((EXP, MUL)) not in edges


@settings(max_examples=100, deadline=None)
@given(random_graphs())
def test_against_definitions(graph: Graph) -> None:
    readers = users(graph)
    depth = {n: k for k, level in enumerate(levels(graph)) for n in level}
    live = liveness(graph)
    for k, node in enumerate(graph.nodes):
        assert set(readers[node]) == {n for n in graph.nodes if node in n.inputs}
        assert depth[node] == max((depth[x] + 1 for x in node.inputs), default=0)
        for reader in readers[node]:
            assert live[node].start <= k < graph.nodes.index(reader) <= live[node].end
        if node in graph.outputs:
            assert live[node].end == len(graph)
    edges = {frozenset(e) for e in interference(graph).edges}
    assert edges == {frozenset(p) for p in combinations(graph.nodes, 2) if live[p[0]].overlaps(live[p[1]])}


def test_importing_lucid_does_not_import_networkx() -> None:
    code = "import sys, lucid, lucid.ops, lucid.ir.analysis; sys.exit('networkx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
