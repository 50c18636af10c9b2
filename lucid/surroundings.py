"""What a compiled function depends on besides its arguments: the modules and plain values that it can reach by name.

Modules count by their modes and attributes. What was found is kept until ``lucid.changes`` counts a change; only
attributes that can change by themselves (lists, arrays) are looked at again at every call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from lucid import changes
from lucid.default_dtype import get_default_dtype
from lucid.eager import Recorded, mode
from lucid.ir.types import float32
from lucid.signature import PLAIN, Arguments, in_words

#: What a module keeps about itself. Its tensors are looked up by themselves, its submodules are visited.
_OWN = frozenset(("_parameters", "_buffers", "_modules", "_transient", "_path", "_called_as", "_module", "_compiled"))


class ModuleState:
    """Modules below some roots, and everything about them that a trace may depend on."""

    def __init__(self, roots: Sequence[Any]):
        self.roots = list(roots)
        self.modules = all_modules(roots)
        self.count = changes.latest
        #: Whether an attribute can change without being assigned.
        self.mutable = False
        parts: list[Any] = []
        for module in self.modules:
            parts.append(module)
            for name, value in module.__dict__.items():
                if name not in _OWN and not isinstance(value, Recorded):
                    parts.append(name)
                    parts.append(self._frozen(value))
        self.key = tuple(parts)

    def holds_for(self, roots: Sequence[Any]) -> bool:
        """Whether looking again at ``roots`` would find the same."""
        if self.mutable or self.count != changes.latest or len(roots) != len(self.roots):
            return False
        return all(a is b for a, b in zip(roots, self.roots, strict=True))

    def _frozen(self, value: Any) -> Any:
        """Something hashable that is equal as long as ``value`` means the same to a trace."""
        if value.__class__ in PLAIN:
            return value if value.__class__ is not float else value.hex()
        if isinstance(value, tuple | frozenset):
            return (value.__class__, *map(self._frozen, value))
        if isinstance(value, changes.Watched):
            return (value.__class__, *((k, self._frozen(v)) for k, v in value.items()))
        if isinstance(value, list | set):
            self.mutable = True
            return (value.__class__, *map(self._frozen, value))
        if isinstance(value, dict):
            self.mutable = True
            return (value.__class__, *((k, self._frozen(v)) for k, v in value.items()))
        if isinstance(value, Recorded):
            return (Recorded, id(value))
        if isinstance(value, np.ndarray):
            self.mutable = True
            return (value.shape, value.dtype, blake2b(value.tobytes()).digest())
        try:
            hash(value)
        except TypeError:
            return (value.__class__, id(value))
        return value


def all_modules(roots: Sequence[Any]) -> list[Any]:
    """The modules below ``roots``, each once."""
    found: dict[int, Any] = {}
    for root in roots:
        for _, module in root.named_modules():
            found.setdefault(id(module), module)
    return list(found.values())


def described(arguments: Arguments, modules: Sequence[Any]) -> dict[str, str]:
    """The signature in words, part by part: for ``explain``."""
    parts = {path: in_words(key) for path, key in arguments.leaves}
    parts["gradients"] = "on" if mode.grad else "off"
    if get_default_dtype() != float32:
        parts["default dtype"] = get_default_dtype().name
    for k, module in enumerate(modules):
        where = module.__dict__.get("_path") or f"module {k}"
        for name, value in module.__dict__.items():
            if value.__class__ in PLAIN and not name.startswith("_"):
                parts[f"{where}.{name} ({type(module).__name__})"] = repr(value)
    return parts


class Surroundings:
    """What a function can reach by name: bound to it, in its closure, among its globals and defaults.

    Modules are looked into; plain values (a flag, a factor) are part of the signature. Looked up again at every call.
    """

    def __init__(self, function: Callable[..., Any]):
        plain = inspect.unwrap(getattr(function, "__func__", function))
        code = getattr(plain, "__code__", None)
        #: What a method is bound to.
        self._owner = getattr(function, "__self__", None)
        self._cells: tuple[tuple[str, Any], ...] = ()
        self._globals: dict[str, Any] = getattr(plain, "__globals__", {})
        self._names: tuple[str, ...] = ()
        if code is not None:
            self._cells = tuple(zip(code.co_freevars, plain.__closure__ or (), strict=True))
            self._names = tuple(sorted({name for name in _names(code) if name in self._globals}))

    def seen(self) -> tuple[Any, ...] | None:
        """What the names stand for now: as long as they stand for the same, looking again finds the same.

        None if one stands for an object that may exchange the modules it holds: what modules hold is counted, what
        other objects hold is not.
        """
        found = (*(_content(cell) for _, cell in self._cells), *map(self._globals.get, self._names))
        return found if all(map(_is_settled, (self._owner, *found))) else None

    def still(self, seen: tuple[Any, ...]) -> bool:
        """Whether the names stand for what ``seen`` found."""
        k = 0
        for _, cell in self._cells:
            if _content(cell) is not seen[k]:
                return False
            k += 1
        for name in self._names:
            if self._globals.get(name) is not seen[k]:
                return False
            k += 1
        return True

    def look(self) -> tuple[list[Any], list[tuple[str, Any]]]:
        """The modules, each once, and the plain values by name."""
        modules: list[Any] = []
        values: list[tuple[str, Any]] = []
        for name, value in self._items():
            if value.__class__ in PLAIN:
                values.append((name, value.hex() if value.__class__ is float else (value.__class__, value)))
            elif value.__class__ is tuple and all(v.__class__ in PLAIN for v in value):
                values.append((name, tuple([v.hex() if v.__class__ is float else (v.__class__, v) for v in value])))
            elif isinstance(value, type | ModuleType | FunctionType | BuiltinFunctionType):
                continue
            elif hasattr(value, "named_modules"):
                modules.append(value)
            elif hasattr(value, "__dict__"):  # a trainer that holds a model
                modules += [v for v in vars(value).values() if hasattr(v, "named_modules") and not isinstance(v, type)]
        return modules, values

    def _items(self) -> Iterator[tuple[str, Any]]:
        if self._owner is not None:
            yield "self", self._owner
        for name, cell in self._cells:
            value = _content(cell)
            if value is not _UNASSIGNED:
                yield name, value
        for name in self._names:
            if name in self._globals:
                yield name, self._globals[name]


_UNASSIGNED = object()


def _content(cell: Any) -> Any:
    """What a variable of an enclosing function holds."""
    try:
        return cell.cell_contents
    except ValueError:
        return _UNASSIGNED


def _is_settled(value: Any) -> bool:
    """Whether all that ``Surroundings.look`` takes from a value stays the same while it is the same object."""
    if value.__class__ in PLAIN or isinstance(value, Recorded | type | ModuleType | FunctionType | BuiltinFunctionType):
        return True
    return hasattr(value, "named_modules") or not hasattr(value, "__dict__")


def _names(code: Any) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from _names(constant)
