"""Sequences of unequal lengths: padded to one length, or packed, step after step, without what pads them.

Lengths are read as numbers: a compiled function takes them as Python ints, not as tensors that it is called with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.functions.comparison import where
from lucid.functions.creation import tensor
from lucid.functions.indexing import take
from lucid.functions.movement import concat, reshape, stack
from lucid.ir.graph import Array
from lucid.nn.arguments import flag
from lucid.promotion import as_tensor, cast, scalar
from lucid.tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class PackedSequence(NamedTuple):
    """A batch of sequences, longest first: the first elements of all, then the second ones of those that have one, ...

    Attributes:
        data: ``(sum of lengths, ...)``.
        batch_sizes: how many sequences have a first element, a second one, ...: int64.
        sorted_indices: which sequence of the batch as it was given comes first, second, ...; None if as given.
        unsorted_indices: the reverse of that.

    >>> import lucid
    >>> from lucid.nn.utils import rnn
    >>> packed = rnn.pack_sequence([lucid.tensor([1, 2, 3]), lucid.tensor([4, 5])])
    >>> packed.data, packed.batch_sizes
    (Tensor([1, 4, 2, 5, 3]), Tensor([2, 2, 1]))
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one; None for None.

    >>> import lucid
    >>> invert_permutation(lucid.tensor([2, 0, 1]))
    Tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    return tensor(np.argsort(permutation._value("invert_permutation()")).astype(np.int64))


def steps_of(packed: PackedSequence) -> tuple[Array, Array]:
    """The lengths of the sequences, longest first, and where in ``data`` each step begins."""
    sizes = packed.batch_sizes._value("batch_sizes")
    lengths = (sizes[None, :] > np.arange(sizes[0])[:, None]).sum(1)
    return lengths, np.concatenate([[0], np.cumsum(sizes)[:-1]])


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """The elements of padded sequences that are not padding.

    Args:
        input: ``(L, N, ...)``, or ``(N, L, ...)`` if ``batch_first``.
        lengths: N ints from 1 to L.
        enforce_sorted: whether the sequences must be given longest first; otherwise they are sorted.

    Raises:
        ShapeError: fewer than two dimensions, or not N lengths.
        ArgumentError: a length outside 1 .. L, or lengths that are not sorted.

    >>> import lucid
    >>> pack_padded_sequence(lucid.tensor([[1, 4], [2, 5], [3, 0]]), [3, 2]).data
    Tensor([1, 4, 2, 5, 3])
    """
    op = "pack_padded_sequence"
    x = as_tensor(input, op, "input")
    if x.ndim < 2:
        fail(ShapeError(f"input has shape {x.shape}, but it must be (length, batch, ...)", op=op))
    if flag(op, "batch_first", batch_first):
        x = x.transpose(0, 1)
    length, batch = x.shape[:2]
    counts = _values(lengths)
    if counts.shape != (batch,) or counts.dtype.kind not in "iu" or not batch:
        fail(ShapeError(f"lengths must be {batch} ints, at least one", op=op))
    if counts.min() < 1 or counts.max() > length:
        fail(ArgumentError(f"lengths lie in {counts.min()} .. {counts.max()}, but they must in 1 .. {length}", op=op))
    order = None
    if flag(op, "enforce_sorted", enforce_sorted):
        if (np.diff(counts.astype(np.int64)) > 0).any():
            fail(
                ArgumentError(
                    "lengths must not increase", op=op, hint="enforce_sorted=False sorts the sequences by length"
                )
            )
    else:
        order = np.argsort(-counts.astype(np.int64), kind="stable")
    columns = np.arange(batch) if order is None else order
    inside = np.arange(counts.max())[:, None] < counts[columns]
    places = (np.arange(counts.max())[:, None] * batch + columns)[inside]
    data = take(reshape(x, (length * batch, *x.shape[2:])), places, 0)
    sizes = tensor(inside.sum(1).astype(np.int64))
    if order is None:
        return PackedSequence(data, sizes)
    return PackedSequence(data, sizes, tensor(order.astype(np.int64)), tensor(np.argsort(order).astype(np.int64)))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The reverse of ``pack_padded_sequence``: padded sequences, and their lengths.

    Args:
        sequence: N sequences.
        batch_first: whether to give ``(N, L, ...)`` instead of ``(L, N, ...)``.
        padding_value: what stands behind the ends.
        total_length: L; that of the longest sequence if None.

    Raises:
        ArgumentError: ``total_length`` is less than the longest sequence has.

    >>> import lucid
    >>> pad_packed_sequence(pack_sequence([lucid.tensor([1, 2, 3]), lucid.tensor([4])]), batch_first=True)
    (Tensor([[1, 2, 3],
            [4, 0, 0]]), Tensor([3, 1]))
    """
    op = "pad_packed_sequence"
    require_packed(op, sequence)
    lengths, starts = steps_of(sequence)
    longest = len(starts)
    total = longest if total_length is None else int_of(op, "total_length", total_length)
    if total < longest:
        fail(ArgumentError(f"total_length={total} is less than {longest}, the longest sequence", op=op))
    order = sequence.unsorted_indices
    columns = np.arange(len(lengths)) if order is None else order._value("unsorted_indices")
    lengths = lengths[columns]
    inside = np.arange(total)[:, None] < lengths
    begin = np.concatenate([starts, np.zeros(total - longest, starts.dtype)])
    places = np.where(inside, begin[:, None] + columns, 0)
    data = sequence.data
    filler = scalar(number_of(op, "padding_value", padding_value), data.dtype)
    padded = where(tensor(inside.reshape(*inside.shape, *(1,) * (data.ndim - 1))), take(data, places, 0), filler)
    found = padded.transpose(0, 1) if flag(op, "batch_first", batch_first) else padded
    return found, tensor(lengths.astype(np.int64))


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences ``(length, ...)`` side by side, padded to the longest: ``(L, N, ...)``, or ``(N, L, ...)``.

    Raises:
        ArgumentError: no sequences, or an unknown side.
        ShapeError: sequences that differ in more than length.

    >>> import lucid
    >>> pad_sequence([lucid.tensor([1, 2]), lucid.tensor([3])], batch_first=True)
    Tensor([[1, 2],
            [3, 0]])
    """
    op = "pad_sequence"
    given = _listed(op, sequences)
    if padding_side not in ("left", "right"):
        fail(ArgumentError(f"padding_side={padding_side!r} must be 'left' or 'right'", op=op))
    longest = max(x.shape[0] for x in given)
    value = number_of(op, "padding_value", padding_value)
    rows = []
    for x in given:
        shape = (longest - x.shape[0], *x.shape[1:])
        filler = cast(as_tensor(np.full(shape, value)), x.dtype)
        rows.append(concat([x, filler] if padding_side == "right" else [filler, x]))
    return stack(rows, 0 if flag(op, "batch_first", batch_first) else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The reverse of ``pad_sequence``.

    Raises:
        ShapeError: fewer than two dimensions, or not a length for each sequence.

    >>> import lucid
    >>> unpad_sequence(lucid.tensor([[1, 3], [2, 0]]), [2, 1])
    [Tensor([1, 2]), Tensor([3])]
    """
    op = "unpad_sequence"
    x = as_tensor(padded_sequences, op, "padded_sequences")
    x = x if flag(op, "batch_first", batch_first) else x.transpose(0, 1)
    counts = _values(lengths).tolist()
    if x.ndim < 2 or len(counts) != x.shape[0]:
        fail(ShapeError(f"{len(counts)} lengths do not fit sequences of shape {x.shape}", op=op))
    return [x[k, :n] for k, n in enumerate(counts)]


def pack_sequence(sequences: Iterable[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences ``(length, ...)``, packed.

    Raises:
        As ``pad_sequence`` and ``pack_padded_sequence``.

    >>> import lucid
    >>> pack_sequence([lucid.tensor([1, 2, 3]), lucid.tensor([4])]).data
    Tensor([1, 4, 2, 3])
    """
    given = _listed("pack_sequence", sequences)
    return pack_padded_sequence(pad_sequence(given), [x.shape[0] for x in given], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The reverse of ``pack_sequence``.

    >>> import lucid
    >>> unpack_sequence(pack_sequence([lucid.tensor([1, 2]), lucid.tensor([3])]))
    [Tensor([1, 2]), Tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def require_packed(op: str, sequence: Any) -> None:
    if not isinstance(sequence, PackedSequence):
        fail(
            ArgumentTypeError(
                f"sequence must be a PackedSequence, not {type(sequence).__name__}",
                op=op,
                hint="pack_padded_sequence and pack_sequence make them",
            )
        )


def _values(lengths: Any) -> Array:
    return lengths._value("lengths") if isinstance(lengths, Tensor) else np.asarray(lengths)


def _listed(op: str, sequences: Iterable[Tensor]) -> Sequence[Tensor]:
    if isinstance(sequences, Tensor) or not isinstance(sequences, Iterable):
        fail(ArgumentTypeError(f"sequences must be a list of tensors, not {type(sequences).__name__}", op=op))
    given = [as_tensor(x, op, f"sequences[{k}]") for k, x in enumerate(sequences)]
    if not given:
        fail(ArgumentError("sequences is empty", op=op))
    for k, x in enumerate(given):
        if x.ndim == 0 or x.shape[1:] != given[0].shape[1:]:
            fail(ShapeError(f"sequences[{k}] has shape {x.shape}, but they may differ in length alone", op=op))
    return given
