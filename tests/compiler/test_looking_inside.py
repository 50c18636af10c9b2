"""Dumps of every stage, and ``LUCID_CHECK``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.compiled_graph import STAGES, CompiledGraph, differs
from lucid.errors import ArgumentError, CheckError
from lucid.ir.text import parse_graph

STEP = """
import lucid
from lucid import nn, optim
lucid.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
optimizer = optim.SGD(model.parameters(), lr=0.1)
@lucid.compile
def step(x):
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss
step(lucid.randn(2, 1, 4, 4))
net = lucid.compile(model)
net(lucid.randn(2, 1, 4, 4)).sum().backward()
"""


def dumped(folder: Path, stages: str) -> dict[str, str]:
    environment = {**os.environ, "LUCID_DUMP": stages, "LUCID_DUMP_DIR": str(folder), "PYTHONHASHSEED": "random"}
    subprocess.run([sys.executable, "-c", STEP], check=True, env=environment, cwd=Path(lucid.__file__).parent.parent)
    return {p.name: p.read_text() for p in sorted(folder.iterdir())}


def test_every_stage_is_written_and_twice_the_same(tmp_path: Path) -> None:
    first = dumped(tmp_path / "a", "graph,passes,loops,llvm,asm")
    second = dumped(tmp_path / "b", "graph,passes,loops,llvm,asm")
    names = ["Sequential.0.backward", "Sequential.0.forward", "step.0.forward"]
    suffixes = ["graph.txt", "passes.txt", "loops.txt", "ll", "s"]
    assert sorted(first) == sorted(f"{n}.{s}" for n in names for s in suffixes)
    for name, text in first.items():
        assert text == second[name], name
        assert text.strip()
    assert "conv2d_weight_grad" in first["step.0.forward.graph.txt"]
    assert "conv2d_weight_grad" in first["Sequential.0.backward.graph.txt"]
    assert "define" in first["step.0.forward.ll"]
    graph = parse_graph(first["step.0.forward.graph.txt"])
    assert str(graph).strip() == first["step.0.forward.graph.txt"].strip()


def test_one_stage_alone(tmp_path: Path) -> None:
    assert all(name.endswith(".graph.txt") for name in dumped(tmp_path, "graph"))


def test_a_stage_that_is_not_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUCID_DUMP", "graph,bytecode")
    monkeypatch.setenv("LUCID_DUMP_DIR", str(tmp_path))
    with pytest.raises(ArgumentError, match="bytecode"):
        lucid.compile(lambda x: x + 1)(lucid.ones(2))


def test_the_same_from_python() -> None:
    model = lucid.compile(nn.Linear(3, 2))
    model(lucid.ones(4, 3)).sum().backward()
    for stage in STAGES:
        assert model.dump(stage)
        assert model.dump(stage, part="backward", version=0)
    assert "matmul" in model.dump("graph")
    assert model.dump("passes").startswith("--- simplify")


def test_check_passes_on_right_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_CHECK", "1")
    model = lucid.compile(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)))
    x = lucid.randn(2, 1, 8, 8, requires_grad=True)
    model(x).square().sum().backward()
    f = lucid.compile(lambda x: (x.log(), x / 0.0, x.argmax(), x > 0))
    f(lucid.tensor([-1.0, 0.0, 2.0, float("inf")]))


def test_check_names_the_first_node_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_CHECK", "1")
    f = lucid.compile(lambda x: (x * 2).exp() + 1)
    x = lucid.ones(3)
    f(x)
    graph = f.versions[0].forward
    executable = graph.executable

    class Wrong:
        def __call__(self, arrays, *, refresh=True):
            return [r * 1.5 for r in executable(arrays, refresh=refresh)]

    monkeypatch.setattr(graph, "_executable", Wrong())
    with pytest.raises(CheckError, match="no single node") as caught:
        f(x)
    assert "output out0" in str(caught.value)


def test_check_finds_a_broken_op(monkeypatch: pytest.MonkeyPatch) -> None:
    from lucid import ops

    # The machine code is made from compute, the interpreter runs evaluate: let the two disagree on one op.
    monkeypatch.setattr(type(ops.tanh), "evaluate", lambda self, x: np.tanh(x) * np.float32(1.01))
    monkeypatch.setenv("LUCID_CHECK", "1")
    f = lucid.compile(lambda x: ((x * 2).tanh() + 1).exp())
    with pytest.raises(CheckError) as caught:
        f(lucid.ones(3))
    message = str(caught.value)
    assert "first different node: tanh" in message
    assert "test_looking_inside.py" in message


def test_check_is_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUCID_CHECK", raising=False)
    monkeypatch.setattr(CompiledGraph, "_check", lambda *a: pytest.fail("checked"))
    lucid.compile(lambda x: x + 1)(lucid.ones(2))


@pytest.mark.parametrize(
    ("ours", "theirs", "different"),
    [
        ([1.0, np.nan, np.inf], [1.0, np.nan, np.inf], False),
        ([1.0], [1.00005], False),
        ([1.0], [1.1], True),
        ([np.nan], [1.0], True),
        ([1.0], [np.nan], True),
        ([np.inf], [-np.inf], True),
        ([np.inf], [3e38], True),
        ([1e-9, 1.0], [0.0, 1.0], False),
        ([], [], False),
    ],
)
def test_what_counts_as_different(ours, theirs, different) -> None:
    a, b = np.array(ours, np.float32), np.array(theirs, np.float32)
    assert (differs(a, b) is not None) is different


def test_what_cancels_may_differ_as_much_as_the_interpreter_moves() -> None:
    left_over, other, moved = (np.array([v], np.float32) for v in (3e-7, -2e-7, 1e-7))
    assert differs(left_over, other) is not None
    assert differs(left_over, other, moved) is None
    assert differs(np.array([3]), np.array([2]), np.array([3])) is None  # a near tie of argmax
    assert differs(np.array([3]), np.array([2]), np.array([2])) is not None


def test_different_integers_and_types() -> None:
    assert differs(np.array([1, 2]), np.array([1, 3])) == "1 of 2 elements, first at [1]: 2 instead of 3"
    assert differs(np.array(1), np.array(2)) is not None
    assert "int64[1] instead of float64[1]" in differs(np.array([1]), np.array([1.0]))
