"""``collate``: samples of any nested structure as one batch of the same structure. Knows nothing of data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lucid.eager import leaf
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, ShapeError
from lucid.functions.arguments import fail
from lucid.functions.movement import stack
from lucid.promotion import as_tensor
from lucid.tensor import Tensor


def collate(samples: Sequence[Any]) -> Any:
    """One batch of ``samples``: what they hold, stacked along a new first axis.

    Tensors, arrays and numbers become tensors; tuples, lists and dictionaries are batched entry by entry; strings
    become a list of strings.

    Raises:
        ArgumentError: no samples.
        ShapeError: tensors of different shapes, or tuples of different lengths.
        ArgumentTypeError: samples of different kinds or keys, or of a kind that cannot be batched.

    >>> collate([(1.0, {"name": "a"}), (2.0, {"name": "b"})])
    (Tensor([1.0, 2.0]), {'name': ['a', 'b']})
    """
    if not samples:
        fail(ArgumentError("there are no samples to batch", op="collate"))
    return _collate(samples, "sample")


def _collate(samples: Sequence[Any], path: str) -> Any:
    first = samples[0]
    kind = _kind(first, path)
    for k, sample in enumerate(samples):
        if _kind(sample, path) != kind:
            found = f"{type(first).__name__} and {type(sample).__name__}"
            fail(ArgumentTypeError(f"{path} is of different kinds in one batch: {found} (number {k})", op="collate"))
    if kind == "text":
        return list(samples)
    if kind == "mapping":
        return _mappings(samples, path)
    if kind == "sequence":
        return _sequences(samples, path)
    return _tensors(samples, path)


#: How samples are batched, by what they are.
_KINDS: dict[str, tuple[type, ...]] = {
    "tensor": (Tensor, np.ndarray, np.generic, bool, int, float),
    "text": (str, bytes),
    "mapping": (Mapping,),
    "sequence": (tuple, list),
}


def _kind(sample: Any, path: str) -> str:
    kind = next((kind for kind, types in _KINDS.items() if isinstance(sample, types)), None)
    if kind is None:
        fail(
            ArgumentTypeError(
                f"{path} is of type {type(sample).__name__}, which cannot be batched",
                op="collate",
                hint="give tensors, arrays, numbers, strings, tuples, lists, dictionaries, or your own collate_fn",
            )
        )
    return kind


def _tensors(samples: Sequence[Any], path: str) -> Tensor:
    try:
        tensors = [as_tensor(s, "collate") for s in samples]
    except LucidError as error:
        error.message = f"{path}: {error.message}"
        fail(error)
    for k, t in enumerate(tensors):
        if t.shape != tensors[0].shape:
            shapes = f"{tensors[0].shape} (number 0) and {t.shape} (number {k})"
            fail(
                ShapeError(
                    f"{path} has different shapes in one batch: {shapes}",
                    op="collate",
                    hint="pad or crop the samples in the data set, or give a collate_fn of your own",
                )
            )
    if any(t.requires_grad for t in tensors):
        return stack(tensors)
    return leaf(np.stack([np.asarray(t) for t in tensors]))


def _sequences(samples: Sequence[Any], path: str) -> Any:
    first = samples[0]
    for k, sample in enumerate(samples):
        if len(sample) != len(first):
            lengths = f"{len(first)} (number 0) and {len(sample)} (number {k})"
            fail(ShapeError(f"{path} has different lengths in one batch: {lengths}", op="collate"))
    entries = [_collate(column, f"{path}[{k}]") for k, column in enumerate(zip(*samples, strict=True))]
    if hasattr(first, "_fields"):  # a named tuple
        return type(first)(*entries)
    return tuple(entries) if isinstance(first, tuple) else entries


def _mappings(samples: Sequence[Any], path: str) -> dict[Any, Any]:
    keys = samples[0].keys()
    for k, sample in enumerate(samples):
        if sample.keys() != keys:
            found = f"{sorted(map(str, keys))} (number 0) and {sorted(map(str, sample))} (number {k})"
            fail(ArgumentTypeError(f"{path} has different keys in one batch: {found}", op="collate"))
    return {key: _collate([s[key] for s in samples], f"{path}[{key!r}]") for key in keys}
