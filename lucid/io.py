"""``lucid.save`` and ``lucid.load``: state dicts and checkpoints as safetensors files.

A dictionary of tensors becomes a plain safetensors file that any tool reads. Of a nested one, such as model, optimizer
and epoch together, the tensors are stored under their paths and everything else as a description in the file's
metadata. Nothing in a file is ever executed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors
from safetensors.numpy import save as serialize

from lucid.devices import require_cpu
from lucid.eager import leaf
from lucid.errors import ArgumentTypeError, LucidError, StateError
from lucid.functions.arguments import fail, shown
from lucid.ir.graph import Array
from lucid.ir.types import bfloat16
from lucid.promotion import as_tensor
from lucid.tensor import Tensor

PathArgument: TypeAlias = str | PathLike[str]

#: Element types of files that Lucid has too.
_DTYPES = frozenset(("BOOL", "U8", "I8", "I16", "I32", "I64", "U32", "U64", "F32", "F64", "F16"))
#: bfloat16, as files call it.
_BFLOAT16 = "BF16"
#: The metadata entry that describes a nested state.
_STRUCTURE = "lucid.structure"


def save(state: Mapping[Any, Any], path: PathArgument, metadata: Mapping[str, str] | None = None) -> None:
    """Write a state to a file, all of it or nothing: a reader never meets half a file, whatever happens.

    Args:
        state: tensors or arrays by name, as ``module.state_dict()`` gives them; or dictionaries, lists and tuples of
            tensors, numbers, strings and None, nested at will.
        path: the file; one that exists is replaced at the end.
        metadata: texts to keep in the file, read back by ``lucid.io.metadata``.

    Raises:
        ArgumentTypeError: the state holds something else, or ``metadata`` is not texts by name.
        StateError: the file cannot be written.

    >>> import lucid, tempfile
    >>> from lucid import nn
    >>> model = nn.Linear(2, 3)
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> lucid.save({"model": model.state_dict(), "epoch": 4}, path)
    >>> checkpoint = lucid.load(path)
    >>> _ = model.load_state_dict(checkpoint["model"])
    >>> checkpoint["epoch"]
    4
    """
    op = "save"
    if not isinstance(state, Mapping):
        fail(
            ArgumentTypeError(
                f"state must be a dictionary, not {type(state).__name__}", op=op, hint="save module.state_dict()"
            )
        )
    path = _path(op, path)
    if metadata is not None and not isinstance(metadata, Mapping):
        fail(ArgumentTypeError(f"metadata must map strings to strings, not be a {type(metadata).__name__}", op=op))
    texts = dict(metadata or {})
    if not all(isinstance(text, str) for pair in texts.items() for text in pair) or _STRUCTURE in texts:
        fail(ArgumentTypeError(f"metadata must map strings to strings, {_STRUCTURE!r} excepted", op=op))
    arrays: dict[str, Array] = {}
    structure = _encode(state, "", arrays)
    if not _is_plain(structure):
        texts[_STRUCTURE] = json.dumps(structure)
    try:
        _replace(Path(path), serialize(arrays, texts or None))
    except OSError as error:
        fail(StateError(f"{os.fspath(path)!r} cannot be written: {error.strerror or error}", op=op))


def load(path: PathArgument, map_location: Any = None, *, weights_only: bool = True) -> dict[Any, Any]:
    """What was saved: the same nesting, with tensors of the same names, shapes and dtypes.

    Reads any safetensors file; one that was not written by ``lucid.save`` is a dictionary of tensors.

    Args:
        path: the file.
        map_location: None, or the CPU.
        weights_only: accepted for scripts written for PyTorch, whose other files can hold code; these cannot.

    Raises:
        ArgumentTypeError: ``path`` is neither a string nor a path.
        StateError: the file is not there, is not a whole safetensors file, or holds element types Lucid does not have.

    >>> import tempfile, lucid
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     lucid.save({"step": 3, "weights": [lucid.ones(2)]}, file.name)
    ...     lucid.load(file.name)
    {'step': 3, 'weights': [Tensor([1.0, 1.0])]}
    """
    op = "load"
    require_cpu(map_location)
    path = _path(op, path)
    tensors, texts = _read(op, path)
    text = texts.get(_STRUCTURE)
    if text is None:
        return tensors
    try:
        return dict(_decode(json.loads(text), tensors))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        fail(StateError(f"{os.fspath(path)!r}: the description of its nesting is damaged ({error!r})", op=op))


def metadata(path: PathArgument) -> dict[str, str]:
    """The texts that were saved with a state.

    Raises:
        ArgumentTypeError: ``path`` is neither a string nor a path.
        StateError: as ``load``.

    >>> import tempfile, lucid
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     lucid.save({"x": lucid.ones(2)}, file.name, metadata={"author": "me"})
    ...     lucid.io.metadata(file.name)
    {'author': 'me'}
    """
    _, texts = _read("metadata", _path("metadata", path), with_tensors=False)
    return {name: text for name, text in texts.items() if name != _STRUCTURE}


# --- nesting ---
#
# Every value becomes a pair [kind, content]. JSON itself would turn tuples into lists and numbers as keys into strings.


def _encode(value: Any, path: str, arrays: dict[str, Array]) -> list[Any]:
    """The description of ``value``; the tensors met on the way are put into ``arrays``."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str | int) or isinstance(key, bool):
                fail(ArgumentTypeError(f"state{_at(path)} has the key {key!r}, not a string or an int", op="save"))
        return ["dict", [[key, _encode(entry, _join(path, key), arrays)] for key, entry in value.items()]]
    if isinstance(value, list | tuple):
        entries = [_encode(entry, _join(path, k), arrays) for k, entry in enumerate(value)]
        return ["tuple" if isinstance(value, tuple) else "list", entries]
    if isinstance(value, Tensor | np.ndarray | np.generic):
        name = path
        while name in arrays:  # "a.b" and "a" -> "b" share a path
            name += "'"
        try:
            arrays[name] = np.ascontiguousarray(np.asarray(as_tensor(value, "save"))).reshape(value.shape)
        except LucidError as error:
            error.message = f"state{_at(path)}: {error.message}"
            raise
        return ["tensor", name]
    if value is not None and not isinstance(value, bool | int | float | str):
        fail(
            ArgumentTypeError(
                f"state{_at(path)} is of type {type(value).__name__}, which cannot be saved",
                op="save",
                hint="save tensors, numbers, strings, None, and dictionaries, lists and tuples of them",
            )
        )
    return ["value", value]


def _decode(structure: Any, tensors: Mapping[str, Tensor]) -> Any:
    kind, content = structure
    if kind == "dict":
        return {key: _decode(entry, tensors) for key, entry in content}
    if kind == "list":
        return [_decode(entry, tensors) for entry in content]
    if kind == "tuple":
        return tuple([_decode(entry, tensors) for entry in content])
    if kind == "tensor":
        return tensors[content]
    if kind == "value":
        return content
    raise ValueError(f"unknown kind {kind!r}")


def _is_plain(structure: list[Any]) -> bool:
    """Nothing but tensors under their own names, which a file says without any description."""
    return all(entry == ["tensor", key] for key, entry in structure[1])


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _at(path: str) -> str:
    return f" at {path!r}" if path else ""


# --- files ---


def _path(op: str, path: Any) -> str:
    """``path`` as a string."""
    if not isinstance(path, str | PathLike):
        fail(ArgumentTypeError(f"path={shown(path)} must be a string or a path, not {type(path).__name__}", op=op))
    return os.fspath(path)


def _replace(path: Path, data: bytes) -> None:
    """Let ``path`` hold ``data``: a new file beside it takes its place when all is on disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name, too, must outlive a loss of power
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(op: str, path: PathArgument, with_tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the texts of a safetensors file."""
    name = os.fspath(path)
    tensors: dict[str, Tensor] = {}
    try:
        with safetensors.safe_open(name, framework="np") as file:
            texts: dict[str, str] = file.metadata() or {}
            for key in file.keys() if with_tensors else ():
                element = file.get_slice(key).get_dtype()
                if element == _BFLOAT16 and bfloat16 is None:
                    fail(StateError(f"{name!r}: {key} is bfloat16, which needs the package ml_dtypes", op=op))
                if element not in _DTYPES and element != _BFLOAT16:
                    known = ", ".join(sorted(_DTYPES))
                    fail(StateError(f"{name!r}: {key} has dtype {element}, but Lucid has only {known}", op=op))
                tensors[key] = leaf(np.array(file.get_tensor(key)))
    except FileNotFoundError:
        fail(StateError(f"there is no file {name!r}", op=op))
    except (OSError, safetensors.SafetensorError) as error:
        hint = "it must be a safetensors file, as lucid.save writes it"
        fail(StateError(f"{name!r} cannot be read: {error}", op=op, hint=hint))
    return tensors, texts
