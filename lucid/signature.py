"""The arguments of a call of a compiled function: tensors count by type, everything else by value.

Two calls whose arguments have equal keys, in equal surroundings (``lucid.surroundings``), run the same machine code.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lucid.errors import ArgumentTypeError
from lucid.functions.arguments import fail
from lucid.runtime.orders import order_of

if TYPE_CHECKING:
    from lucid.tensor import Tensor

#: Classes whose values stand for themselves.
PLAIN = frozenset((bool, int, float, str, type(None)))


class Slot(NamedTuple):
    """Stands for the tensor at a position of a list."""

    position: int


class Arguments:
    """The arguments of one call, taken apart: a tree of plain values with ``Slot`` for tensors, and the tensors."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.tensors: list[Tensor] = []
        self.names: list[str] = []
        #: Modules among the arguments.
        self.modules: list[Any] = []
        #: (path, key) of every leaf: what distinguishes this call from others.
        self.leaves: list[tuple[str, Any]] = []
        self._seen: dict[int, int] = {}

    def take(self, path: str, value: Any) -> Any:
        """``value`` with tensors replaced by slots; containers are copied, so that later changes do not matter."""
        from lucid.tensor import Tensor

        if isinstance(value, Tensor):
            k = self._seen.get(id(value))
            if k is None:
                k = self._seen[id(value)] = len(self.tensors)
                self.tensors.append(value)
                self.names.append(path)
            record = value._record
            key = Slot, k, record.call.type, record.state != 0, value.is_leaf, order_of(value._data)
            self.leaves.append((path, key))
            return Slot(k)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*[self.take(f"{path}.{f}", v) for f, v in zip(value._fields, value, strict=True)])
        if value.__class__ is tuple or value.__class__ is list:
            self.leaves.append((path, (value.__class__, len(value))))
            return value.__class__([self.take(f"{path}.{k}", v) for k, v in enumerate(value)])
        if value.__class__ is dict:
            self.leaves.append((path, (dict, tuple(value))))
            return {k: self.take(f"{path}.{k}", v) for k, v in value.items()}
        self.leaves.append((path, self._key(path, value)))
        if hasattr(value, "named_modules"):
            self.modules.append(value)
        return value

    def _key(self, path: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            fail(
                ArgumentTypeError(
                    f"argument {path} is a NumPy array, which is neither a tensor nor a plain value",
                    op=self.op,
                    hint="pass lucid.tensor(array), or lucid.from_numpy(array) to share its memory",
                )
            )
        if value.__class__ is float:
            return (float, value.hex())
        if value.__class__ is slice and all(n is None or n.__class__ is int for n in _ends(value)):
            return (slice, *_ends(value))
        try:
            hash(value)
        except TypeError:
            fail(
                ArgumentTypeError(
                    f"argument {path} is a {type(value).__name__}, which cannot be part of a signature: "
                    "arguments that are not tensors must be hashable",
                    op=self.op,
                    hint="pass tensors, numbers, strings, or lists, tuples and dicts of them",
                )
            )
        return (value.__class__, value)


def _ends(value: slice) -> tuple[Any, Any, Any]:
    return value.start, value.stop, value.step


def put(tree: Any, tensors: Sequence[Any]) -> Any:
    """``tree`` with its slots filled."""
    if tree.__class__ is Slot:
        return tensors[tree.position]
    if tree.__class__ is tuple or tree.__class__ is list:
        return tree.__class__([put(t, tensors) for t in tree])
    if tree.__class__ is dict:
        return {k: put(t, tensors) for k, t in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[put(t, tensors) for t in tree])
    return tree


def bind(
    signature: inspect.Signature, op: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Arguments, Any]:
    """The arguments of a call by name, defaults filled in, and the tree ``(args, kwargs)`` to call with.

    Raises:
        ArgumentTypeError: the function cannot be called like this, or an argument cannot be part of a signature.
    """
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        fail(ArgumentTypeError(f"the function cannot be called like this: {error}", op=op))
    bound.apply_defaults()
    arguments = Arguments(op)
    for name, value in bound.arguments.items():
        bound.arguments[name] = arguments.take(name, value)
    return arguments, (bound.args, bound.kwargs)


def in_words(key: Any) -> str:
    if key[0] is Slot:
        order = f" in memory order {key[5]}" if key[5] else ""
        return f"{key[2]!r}{' requires grad' if key[3] else ''}{order}"
    if key[0] in (tuple, list, dict):
        return f"{key[0].__name__} of {key[1]}"
    if key[0] is float:
        return repr(float.fromhex(key[1]))
    return repr(key[1]) if key[0] in PLAIN else type(key[1]).__name__
