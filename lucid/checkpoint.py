"""``lucid.checkpoint``: all that a training run needs to go on exactly where it was, in one file.

The file is written whole or not at all (``lucid.save``), and read into all of the objects or into none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError, StateError
from lucid.functions.arguments import fail
from lucid.io import load as read
from lucid.io import save as write
from lucid.random import default_generator

__all__ = ["load", "save"]

_RANDOM = "random"


def save(path: str | PathLike[str], **parts: Any) -> None:
    """Write the state of a training run.

    Args:
        path: the file; one that exists is replaced at the end.
        parts: by name, a model, optimizer, scheduler, data loader or whatever has ``state_dict`` and
            ``load_state_dict``; or numbers, strings, tensors, and dictionaries, lists and tuples of them.

    The states of Lucid's, NumPy's and Python's global random numbers are kept as well. Between two epochs that is all;
    within an epoch, the batches already seen would come again.

    Raises:
        ArgumentTypeError: a part that cannot be saved.
        ArgumentError: a part named ``random``, or none at all.
        StateError: the file cannot be written.

    >>> import lucid, tempfile
    >>> from lucid import nn, optim
    >>> model = nn.Linear(2, 3)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    >>> path = tempfile.mkdtemp() + "/run.safetensors"
    >>> lucid.checkpoint.save(path, model=model, optimizer=optimizer, epoch=3)
    >>> lucid.checkpoint.load(path, model=model, optimizer=optimizer)["epoch"]
    3
    """
    op = "checkpoint.save"
    if not parts:
        fail(ArgumentError("at least one part must be given", op=op, hint="save(path, model=model)"))
    if _RANDOM in parts:
        fail(ArgumentError(f"the name {_RANDOM!r} is taken by the random numbers' states", op=op))
    states = {name: part.state_dict() if _is_stateful(part) else part for name, part in parts.items()}
    write({**states, _RANDOM: _random_state()}, path)


def load(path: str | PathLike[str], **parts: Any) -> dict[str, Any]:
    """Let everything go on where it was when the file was saved.

    Args:
        path: the file.
        parts: the objects that were saved, by the same names. All of them are as before if one does not fit.

    Returns:
        What was saved without having a state of its own, by name.

    Raises:
        ArgumentTypeError: a part that has no ``load_state_dict``.
        StateError: the file is not there, is not a checkpoint, or lacks a part, or holds one that does not fit.

    >>> import tempfile, lucid
    >>> from lucid import checkpoint, nn
    >>> model = nn.Linear(2, 1)
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     checkpoint.save(file.name, model=model, epoch=3)
    ...     checkpoint.load(file.name, model=nn.Linear(2, 1))
    {'epoch': 3}
    """
    op = "checkpoint.load"
    for name, part in parts.items():
        if not _is_stateful(part):
            what = f"{name} must have state_dict and load_state_dict, which {type(part).__name__} has not"
            fail(ArgumentTypeError(what, op=op, hint="plain values are in the dictionary that load returns"))
    saved = read(path)
    if _RANDOM not in saved:
        fail(StateError(f"{str(path)!r} is no checkpoint: it holds no states of random numbers", op=op))
    for name in parts:
        if name not in saved:
            held = ", ".join(k for k in saved if k != _RANDOM)
            fail(StateError(f"{str(path)!r} holds no {name!r}, only {held}", op=op))
    before = {name: part.state_dict() for name, part in parts.items()}
    try:
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    except BaseException:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        raise
    _set_random_state(saved[_RANDOM])
    return {name: value for name, value in saved.items() if name not in parts and name != _RANDOM}


def _is_stateful(part: Any) -> bool:
    return callable(getattr(part, "state_dict", None)) and callable(getattr(part, "load_state_dict", None))


def _random_state() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    return {
        "lucid": list(default_generator.state),
        "python": [version, np.array(words, np.uint32), gauss],
        "numpy": [kind, np.asarray(keys, np.uint32), *_plain(rest)],
    }


def _plain(values: list[Any]) -> Iterator[int | float]:
    for value in values:
        yield value.item() if isinstance(value, np.generic) else value


def _set_random_state(state: dict[str, Any]) -> None:
    seed, stream = state["lucid"]
    default_generator.state = seed, stream
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy(), *rest))
