"""Executables by way of the on-disk cache: when it is used, when it must not be, and that they are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import ops
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, Op, input_node
from lucid.ir.passes.pipeline import DEFAULT, Pipeline
from lucid.ir.types import TensorType, float32
from lucid.runtime import fingerprint
from lucid.runtime.binary import Binary, cached_object
from lucid.runtime.disk_cache import disk_cache
from lucid.runtime.executable import build
from lucid.runtime.fingerprint import graph_key
from lucid.runtime.profile import profile

UNIT = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
HOST = Target.host()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_CACHE_DIR", str(tmp_path / "cache"))
    # Whoever edits the source while the tests run must not make them fail.
    monkeypatch.setattr(fingerprint, "_generator", lambda: b"the generator of this test")


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def small(name: str = "x", factor: float = 2.0, size: int = 8) -> Graph:
    x = value(size)
    return Graph([x], [ops.exp(x) * factor], [name], ["y"])


def block() -> tuple[Graph, Node]:
    x, w = value(1, 8, 6, 6), value(8, 8, 3, 3)
    y = ops.relu(ops.conv2d(ops.conv2d(x, w, **UNIT), w, **UNIT))
    return Graph([x, w], [y, ops.sum(y, axes=(0, 1), keepdims=False), w * 0.5]), w


def test_an_equal_graph_is_not_compiled_again() -> None:
    first = build(small(), passes=DEFAULT)
    again = build(small("another_name"), passes=DEFAULT)
    assert set(first.seconds) == {"lower", "emit", "llvm"}
    assert set(again.seconds) == {"load"}
    a = np.linspace(-2, 2, 8, dtype=np.float32)
    np.testing.assert_array_equal(again([a])[0], first([a])[0])
    assert disk_cache().info().counts.hits >= 1


def test_what_is_loaded_can_be_looked_at() -> None:
    graph, w = block()
    first = build(graph, passes=DEFAULT, parameters=[w], in_place={2: 1})
    graph, w = block()
    again = build(graph, passes=DEFAULT, parameters=[w], in_place={2: 1})
    assert "load" in again.seconds
    for stage in ("program", "loops", "llvm", "asm"):
        assert again.text(stage) == first.text(stage)
    arrays = [np.ones((1, 8, 6, 6), np.float32), np.ones((8, 8, 3, 3), np.float32)]
    assert [t.step.spec.name for t in profile(again, arrays, 1)] == [s.spec.name for s in first.program.steps]


def test_what_is_loaded_runs_like_what_was_built() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 8, 6, 6), np.float32), rng.standard_normal((8, 8, 3, 3), np.float32)
    results = []
    for _ in range(2):
        graph, node = block()
        run = build(graph, passes=DEFAULT, parameters=[node], in_place={2: 1})
        weight = w.copy()
        results.append([run([x, weight]), run([x, weight], refresh=False), [weight.copy()], run([x, weight])])
        results[-1] = [[a.copy() for a in arrays] for arrays in results[-1]]
        assert run.memory > 0
    for one, other in zip(*results, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_damaged_entry_is_compiled_again(tmp_path: Path) -> None:
    first = build(small())
    for path in (tmp_path / "cache").glob("*.lucid"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    again = build(small())
    assert "llvm" in again.seconds
    a = np.ones(8, np.float32)
    np.testing.assert_array_equal(again([a])[0], first([a])[0])
    assert "load" in build(small()).seconds


def test_a_schedule_of_the_callers_own_is_not_kept() -> None:
    build(small())
    assert "llvm" in build(small(), override=lambda spec, schedule: schedule).seconds


def test_no_cache_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_CACHE_DIR", "off")
    build(small())
    assert "llvm" in build(small()).seconds


def two(first: Callable[..., Node], swap: bool = False) -> Graph:
    x, y = value(4), value(4)
    return Graph([y, x] if swap else [x, y], [first(x, y)])


def test_whatever_changes_the_code_changes_the_key() -> None:
    graph, w = block()
    wide = Target.of("avx512")
    keys = [
        graph_key(small(), HOST),
        graph_key(small(), HOST, DEFAULT),
        graph_key(small(factor=2.5), HOST),
        graph_key(small(factor=float("nan")), HOST),
        graph_key(small(factor=-0.0), HOST),
        graph_key(small(factor=0.0), HOST),
        graph_key(small(size=9), HOST),
        graph_key(small(), wide),
        graph_key(small(), Target(wide.triple, wide.features[:-1], 64, 32, True)),
        graph_key(small(), Target(wide.triple, wide.features, 64, 32, True, l2=1)),
        graph_key(graph, HOST),
        graph_key(graph, HOST, parameters=[w]),
        graph_key(graph, HOST, parameters=[graph.inputs[0]]),
        graph_key(graph, HOST, in_place={2: 1}),
        graph_key(graph, HOST, in_place={2: 0}),
        graph_key(graph, HOST, in_place={1: 1}),
        graph_key(graph, HOST, tune=True),
        graph_key(two(lambda x, y: x - y), HOST),
        graph_key(two(lambda x, y: x - y, swap=True), HOST),
        graph_key(two(lambda x, y: x - x), HOST),
        graph_key(two(lambda x, y: x), HOST),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_what_does_not_change_the_code_does_not_change_the_key() -> None:
    assert graph_key(small("a"), HOST, DEFAULT) == graph_key(small("b"), HOST, DEFAULT)
    (one, w), (other, v) = block(), block()
    assert graph_key(one, HOST, DEFAULT, [w], {2: 1}) == graph_key(other, HOST, DEFAULT, [v], {2: 1})


def test_what_cannot_be_told_from_others_has_no_key() -> None:
    class Outsider(Op):
        name = "an_op_declared_by_a_user"

        def infer(self, x: TensorType) -> TensorType:
            return x

        def compute(self, out: Any, x: Any) -> Any:
            return x[out]

    x = value(4)
    op = Outsider()
    try:
        assert graph_key(Graph([x], [op(x)]), HOST) is None
        run = build(Graph([x], [op(x)]))
        np.testing.assert_array_equal(run([np.ones(4, np.float32)])[0], np.ones(4))
        assert "llvm" in build(Graph([x], [op(x)])).seconds
    finally:
        lucid.ir.graph.OPS.pop(op.name)
    assert graph_key(small(), HOST, Pipeline(())) is None


def test_the_generator_is_known_by_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    for package in fingerprint.GENERATOR:
        (tmp_path / package).mkdir()
    file = tmp_path / "codegen" / "emit.py"
    file.write_text("a = 1\n")

    def digest() -> bytes | None:
        fingerprint._generator.cache_clear()
        return fingerprint._generator()

    try:
        monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)
        assert digest() is None  # written after this process began
        monkeypatch.setattr(fingerprint.ir, "IMPORTED_AT", file.stat().st_ctime + 100)
        first = digest()
        assert first is not None
        file.write_text("a = 2\n")
        second = digest()
        file.rename(tmp_path / "ops" / "emit.py")
        third = digest()
        assert len({first, second, third}) == 3
        monkeypatch.setattr(np, "__version__", "1000")
        assert digest() != third
    finally:
        fingerprint._generator.cache_clear()


def test_object_code_is_kept_by_its_text() -> None:
    text = f'target triple = "{HOST.triple}"\ndefine void @f() {{\n  ret void\n}}\n'
    first, again = cached_object(text, HOST), cached_object(text, HOST)
    assert first == again
    assert first.symbols == ("f",)
    assert disk_cache().info().counts[:2] == (1, 1)
    assert cached_object(text.replace("@f", "@g"), HOST).symbols == ("g",)


PROCESS = """
import hashlib, sys
import numpy as np
from lucid import ops
from lucid.ir.graph import Graph, input_node
from lucid.ir.passes.pipeline import DEFAULT
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build

x, w = (input_node(TensorType(s, float32)) for s in ((2, 6, 9, 9), (6, 6, 3, 3)))
conv = dict(stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
y = ops.relu(ops.conv2d(x, w, **conv) * 0.5)
z = ops.sum(ops.conv2d(y, w, **conv), axes=(0, 2, 3), keepdims=False)
run = build(Graph([x, w], [y, z, w - 1.0]), passes=DEFAULT, parameters=[w])
rng = np.random.default_rng(0)
results = run([rng.standard_normal(n.shape, np.float32) for n in (x, w)])
print("load" in run.seconds, "lucid.codegen.emit" in sys.modules)
print(hashlib.sha256(b"".join(r.tobytes() for r in results) + b"".join(o.code for o in run.binary.objects)).hexdigest())
"""


def start(seed: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    return subprocess.Popen([sys.executable, "-c", PROCESS], env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output.split()


def test_a_new_process_loads_and_does_not_generate() -> None:
    built, loaded = finish(start(1)), finish(start(2))
    assert built[:2] == ["False", "True"]
    assert loaded[:2] == ["True", "False"]
    assert built[2] == loaded[2]


def test_processes_that_race_get_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = [start(seed) for seed in range(4)]
    digests = {finish(process)[2] for process in processes}
    monkeypatch.setenv("LUCID_CACHE_DIR", "off")
    digests.add(finish(start(99))[2])
    assert len(digests) == 1


def test_explain_says_where_code_comes_from() -> None:
    def double(x: Any) -> Any:
        return x * 2

    functions = [lucid.compile(double) for _ in range(2)]
    texts = []
    for f in functions:
        f(lucid.ones(3))
        texts.append(f.explain())
    assert "built in" in texts[0]
    assert "loaded from the on-disk cache in" in texts[1]


def test_a_binary_survives_the_disk() -> None:
    first = build(block()[0], in_place={2: 1}).binary
    first.store(bytes(32))
    assert Binary.load(bytes(32)) == first
    assert Binary.load(bytes(31) + b"x") is None
