"""Saving and loading: what comes back is what went in, and a file is whole or not there."""

from __future__ import annotations

import doctest
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import lucid
import lucid.io
from lucid import nn, optim
from lucid.errors import ArgumentTypeError, DTypeError, LucidError, StateError
from lucid.ir.types import SHORT_NAMES


def stable(value: object) -> str:
    """A test's name, the same in every process: without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


def same(a: Any, b: Any) -> bool:
    if isinstance(a, lucid.Tensor):
        return (
            isinstance(b, lucid.Tensor)
            and a.type is b.type
            and np.asarray(a).tobytes() == np.asarray(b).tobytes()  # bits: NaN and -0.0 too
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def test_examples() -> None:
    assert doctest.testmod(lucid.io).attempted > 0
    assert doctest.testmod(lucid.io).failed == 0


class TestTensors:
    @pytest.mark.parametrize("dtype", SHORT_NAMES, ids=lambda d: d.name)
    def test_every_dtype(self, path: Path, dtype: Any) -> None:
        rng = np.random.default_rng(0)
        arrays = {
            "matrix": rng.integers(0, 100, (3, 4)).astype(dtype),
            "scalar": np.array(1, dtype),
            "nothing": np.zeros((0, 3), dtype),
            "a.dotted.name": rng.integers(0, 2, 5).astype(dtype),
        }
        lucid.save({k: lucid.tensor(v) for k, v in arrays.items()}, path)
        loaded = lucid.load(path)
        assert loaded.keys() == arrays.keys()
        for name, array in arrays.items():
            assert same(loaded[name], lucid.tensor(array))

    def test_arrays_in_any_layout(self, path: Path) -> None:
        array = np.arange(24.0).reshape(2, 3, 4)
        lucid.save({"t": array.T, "s": array[:, ::2, ::-1], "big": array.astype(">f8")}, path)
        loaded = lucid.load(path)
        np.testing.assert_array_equal(loaded["t"].numpy(), array.T)
        np.testing.assert_array_equal(loaded["s"].numpy(), array[:, ::2, ::-1])
        np.testing.assert_array_equal(loaded["big"].numpy(), array)

    def test_special_values(self, path: Path) -> None:
        values = lucid.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e-45])
        lucid.save({"v": values}, path)
        assert same(lucid.load(path)["v"], values)

    def test_what_is_loaded_can_be_written_to(self, path: Path) -> None:
        lucid.save({"v": lucid.zeros(2)}, path)
        loaded = lucid.load(path)["v"]
        loaded.numpy()[0] = 3
        assert loaded.tolist() == [3, 0]
        assert lucid.load(path)["v"].tolist() == [0, 0]

    def test_other_tools_read_the_file(self, path: Path) -> None:
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        lucid.save(model.state_dict(), path)
        theirs = load_file(path)
        assert theirs.keys() == model.state_dict().keys()
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(theirs[name], value.numpy())
        with safetensors.safe_open(path, "np") as file:
            assert file.metadata() is None

    def test_files_of_other_tools(self, path: Path) -> None:
        save_file({"w": np.ones((2, 2), np.float32)}, path, {"format": "np"})
        assert same(lucid.load(path), {"w": lucid.ones(2, 2)})
        assert lucid.io.metadata(path) == {"format": "np"}
        save_file({"short": np.ones(2, np.uint16)}, path)
        with pytest.raises(StateError, match="short has dtype U16, but Lucid has only BOOL, F16, F32"):
            lucid.load(path)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.integers(0, 3).map(lucid.arange)
    | st.floats(width=32).map(lucid.tensor)
)
keys = st.text(max_size=3) | st.integers() | st.sampled_from(["a", "a.b", "b"])
states = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(state=st.dictionaries(keys, states, max_size=3))
def test_any_nesting_comes_back(state: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("io") / "state"
    lucid.save(state, path)
    loaded = lucid.load(path)
    if all(isinstance(v, lucid.Tensor) for v in state.values()):  # a plain file has no order
        state, loaded = (dict(sorted(d.items(), key=lambda item: str(item[0]))) for d in (state, loaded))
    assert same(loaded, state)


def test_a_checkpoint_goes_on_where_it_was(path: Path) -> None:
    def training() -> tuple[nn.Module, optim.Optimizer]:
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
        return model, optim.Adam(model.parameters(), lr=0.01)

    def step(model: nn.Module, optimizer: optim.Optimizer, seed: int) -> float:
        lucid.manual_seed(seed)
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(lucid.randn(4, 1, 4, 4)), lucid.tensor([0, 1, 2, 0]))
        loss.backward()
        optimizer.step()
        return loss.item()  # type: ignore[no-any-return]

    model, optimizer = training()
    for seed in range(3):
        step(model, optimizer, seed)
    lucid.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    wanted = [step(model, optimizer, seed) for seed in (3, 4)]
    model, optimizer = training()
    checkpoint = lucid.load(path)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    assert checkpoint["epoch"] == 3
    assert [step(model, optimizer, seed) for seed in (3, 4)] == wanted


class TestFiles:
    def test_metadata(self, path: Path) -> None:
        lucid.save({"epoch": 3}, path, {"author": "Ada"})
        assert lucid.io.metadata(path) == {"author": "Ada"}
        assert lucid.load(path) == {"epoch": 3}

    def test_a_file_is_replaced_whole(self, path: Path) -> None:
        lucid.save({"v": lucid.zeros(1000)}, path)
        lucid.save({"v": lucid.ones(2)}, str(path))
        assert lucid.load(path)["v"].tolist() == [1, 1]
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize("broken", ["fsync", "replace"])
    def test_a_failure_leaves_the_old_file(self, path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
        lucid.save({"v": lucid.zeros(3)}, path)

        def fail(*args: Any, **kwargs: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, broken, fail)
        if broken == "replace":
            monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(StateError, match="cannot be written: No space left on device"):
            lucid.save({"v": lucid.ones(3)}, path)
        monkeypatch.undo()
        assert lucid.load(path)["v"].tolist() == [0, 0, 0]
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    @pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
    def test_others_may_read_it_as_the_umask_says(self, path: Path) -> None:
        before = os.umask(0o027)
        try:
            lucid.save({"v": lucid.ones(3)}, path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_every_cut_of_a_file_is_noticed(self, path: Path) -> None:
        lucid.save({"v": lucid.arange(4), "n": 1}, path)
        whole = path.read_bytes()
        for n in range(0, len(whole), 7):
            path.write_bytes(whole[:n])
            with pytest.raises(StateError, match="cannot be read"):
                lucid.load(path)

    @pytest.mark.parametrize(
        "text", ["", "[", "3", '["dict", 3]', '["tensor", "none"]', '["what", 1]', '["dict", [["a", ["tensor", "b"]]]]']
    )
    def test_a_damaged_description(self, path: Path, text: str) -> None:
        save_file({"v": np.ones(2)}, path, {"lucid.structure": text})
        with pytest.raises(StateError, match="the description of its nesting is damaged"):
            lucid.load(path)

    def test_files_that_are_not_there(self, tmp_path: Path) -> None:
        for call in (lucid.load, lucid.io.metadata):
            with pytest.raises(StateError, match=r"there is no file '.*none'(.|\n)*test_io.py"):
                call(tmp_path / "none")
            with pytest.raises(StateError, match="cannot be read"):
                call(tmp_path)
        for path in (tmp_path / "none" / "file", tmp_path):
            with pytest.raises(StateError, match=r"cannot be written: (No such|Is a)(.|\n)*test_io.py"):
                lucid.save({}, path)


@pytest.mark.parametrize(
    ("state", "metadata", "error", "message"),
    [
        ([lucid.ones(2)], None, ArgumentTypeError, "state must be a dictionary, not list"),
        (nn.Linear(1, 1), None, ArgumentTypeError, "save module.state_dict"),
        ({"a": [1, {"b": object()}]}, None, ArgumentTypeError, "state at 'a.1.b' is of type object"),
        ({"a": {1.5: 2}}, None, ArgumentTypeError, "state at 'a' has the key 1.5"),
        ({True: 2}, None, ArgumentTypeError, "state has the key True"),
        ({"a": np.ones(2, np.uint16)}, None, DTypeError, "state at 'a': dtype uint16 is not supported"),
        ({"a": np.array(["x"])}, None, ArgumentTypeError, "state at 'a'"),
        ({}, {"a": 1}, ArgumentTypeError, "metadata must map strings to strings"),
        ({}, {"lucid.structure": ""}, ArgumentTypeError, "metadata must map strings"),
    ],
    ids=stable,
)
def test_refusals(path: Path, state: Any, metadata: Any, error: type[LucidError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        lucid.save(state, path, metadata)
    assert "test_io.py" in str(caught.value)
    assert not path.exists()


def test_the_description_is_readable(path: Path) -> None:
    lucid.save({"model": {"w": lucid.ones(2)}, "betas": (0.9, 0.99)}, path)
    with safetensors.safe_open(path, "np") as file:
        assert list(file.keys()) == ["model.w"]
        assert json.loads(file.metadata()["lucid.structure"]) == [
            "dict",
            [
                ["model", ["dict", [["w", ["tensor", "model.w"]]]]],
                ["betas", ["tuple", [["value", 0.9], ["value", 0.99]]]],
            ],
        ]
