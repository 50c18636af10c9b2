"""What a call of a compiled function looks like: everything that a trace may depend on besides the values of tensors.

Tensors count by type, other arguments by value, modules by their modes and plain attributes. Two calls with equal
signatures run the same machine code. Knows nothing of traces.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lucid.eager import mode
from lucid.errors import ArgumentTypeError
from lucid.functions.arguments import fail

if TYPE_CHECKING:
    from lucid.tensor import Tensor

#: Attribute values of modules that are part of a signature.
PLAIN = frozenset((bool, int, float, str, type(None), tuple))


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
            self.leaves.append((path, (Slot, k, record.call.type, record.state != 0, value.is_leaf)))
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


def module_state(modules: Sequence[Any]) -> tuple[Any, ...]:
    """Modes and plain attributes of modules, one entry after the other."""
    state: list[Any] = []
    for module in modules:
        state.append(module)
        for name, value in module.__dict__.items():
            if value.__class__ in PLAIN:
                state.append(name)
                state.append(value if value.__class__ is not float else value.hex())
    return tuple(state)


def described(arguments: Arguments, modules: Sequence[Any]) -> dict[str, str]:
    """The signature in words, part by part: for ``explain``."""
    parts = {path: _in_words(key) for path, key in arguments.leaves}
    parts["gradients"] = "on" if mode.grad else "off"
    for k, module in enumerate(modules):
        where = module.__dict__.get("_path") or f"module {k}"
        for name, value in module.__dict__.items():
            if value.__class__ in PLAIN and not name.startswith("_"):
                parts[f"{where}.{name} ({type(module).__name__})"] = repr(value)
    return parts


def _in_words(key: Any) -> str:
    if key[0] is Slot:
        return f"{key[2]!r}{' requires grad' if key[3] else ''}"
    if key[0] in (tuple, list, dict):
        return f"{key[0].__name__} of {key[1]}"
    if key[0] is float:
        return repr(float.fromhex(key[1]))
    return repr(key[1]) if key[0] in PLAIN else type(key[1]).__name__


def all_modules(roots: Sequence[Any]) -> list[Any]:
    """The modules below ``roots``, each once."""
    found: dict[int, Any] = {}
    for root in roots:
        for _, module in root.named_modules():
            found.setdefault(id(module), module)
    return list(found.values())


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

    def look(self) -> tuple[list[Any], list[tuple[str, Any]]]:
        """The modules, each once, and the plain values by name."""
        modules: list[Any] = []
        values: list[tuple[str, Any]] = []
        for name, value in self._items():
            if value.__class__ in PLAIN:
                values.append((name, value.hex() if value.__class__ is float else value))
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
            try:
                yield name, cell.cell_contents
            except ValueError:  # a variable that is not assigned yet
                continue
        for name in self._names:
            if name in self._globals:
                yield name, self._globals[name]


def _names(code: Any) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from _names(constant)
