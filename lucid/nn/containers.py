"""Modules that hold modules: in a row, in a list, in a dictionary."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError, IndexRangeError, MissingKeyError
from lucid.functions.arguments import fail, int_of
from lucid.nn.module import Module


class _Ordered(Module):
    """Modules with places: what ``Sequential`` and ``ModuleList`` share."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._held())

    def _held(self) -> list[Module]:
        return [m for m in self._modules.values() if m is not None]

    def _key(self, index: Any) -> str:
        op = type(self).__name__
        k = int_of(op, "index", index)
        if not -len(self) <= k < len(self):
            fail(IndexRangeError(f"index={k} is out of range for {len(self)} modules", op=op))
        return list(self._modules)[k]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._of(dict(list(self._modules.items())[index]))
        return self._modules[self._key(index)]

    def _of(self, modules: Mapping[str, Module | None]) -> Module:
        raise NotImplementedError

    def __setitem__(self, index: Any, module: Module) -> None:
        self._modules_only(module)
        self.add_module(self._key(index), module)

    def __delitem__(self, index: Any) -> None:
        numbered = self._is_numbered()
        for key in list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]:
            del self._modules[key]
        if numbered:
            self._renumber(self._held())

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns the container."""
        self._modules_only(module)
        k = len(self)
        while str(k) in self._modules:  # a name that the user chose
            k += 1
        self.add_module(str(k), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add several modules at the end; returns the container."""
        if not isinstance(modules, Iterable):
            message = f"modules must be a sequence of modules, not {type(modules).__name__}"
            fail(ArgumentTypeError(message, op=type(self).__name__))
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before place ``index``; returns the container.

        Raises:
            ArgumentError: the modules have names of their own, so there is no name for the new one.
        """
        op = type(self).__name__
        self._modules_only(module)
        if not self._is_numbered():
            fail(ArgumentError(f"the modules have names ({', '.join(self._modules)}), not numbers", op=f"{op}.insert"))
        held = self._held()
        held.insert(int_of(op, "index", index), module)
        self._renumber(held)
        return self

    def _is_numbered(self) -> bool:
        return list(self._modules) == [str(k) for k in range(len(self))]

    def _renumber(self, modules: list[Module]) -> None:
        self._modules.clear()
        for k, module in enumerate(modules):
            self.add_module(str(k), module)

    def _modules_only(self, module: Any) -> None:
        if not isinstance(module, Module):
            fail(
                ArgumentTypeError(
                    f"{type(module).__name__} is not a Module",
                    op=type(self).__name__,
                    hint="functions are wrapped in a Module whose forward calls them",
                )
            )


class Sequential(_Ordered):
    """Modules in a row: each one's output is the next one's input. Without modules it is the identity.

    Args:
        modules: the modules, or one dictionary of them, whose keys become their names.

    Raises:
        ArgumentTypeError: something that is not a Module.
        IndexRangeError: an index with no module.

    >>> import lucid
    >>> from lucid import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> model(lucid.zeros(3, 4)).shape
    (3, 2)
    >>> model[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Any):
        super().__init__()
        held: Mapping[str, Any] = {str(k): module for k, module in enumerate(modules)}
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            held = modules[0]
        for name, module in held.items():
            self._modules_only(module)
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            if module is not None:
                input = module(input)
        return input

    def _of(self, modules: Mapping[str, Module | None]) -> Sequential:
        return Sequential(dict(modules))


class ModuleList(_Ordered):
    """A list whose modules are registered. It has no ``forward``: the module that holds it says what to do with them.

    >>> from lucid import nn
    >>> layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)

    def _of(self, modules: Mapping[str, Module | None]) -> ModuleList:
        return ModuleList([m for m in modules.values() if m is not None])


class ModuleDict(Module):
    """A dictionary whose modules are registered.

    Raises:
        MissingKeyError: a key with no module.
        ArgumentTypeError: something that is not a Module, or a key that is not a string.

    >>> from lucid import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10), "parity": nn.Linear(8, 2)})
    >>> heads["parity"]
    Linear(in_features=8, out_features=2, bias=True)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None):
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace several modules."""
        if not isinstance(modules, Mapping):
            fail(ArgumentTypeError(f"modules must be a dictionary, not {type(modules).__name__}", op="ModuleDict"))
        for name, module in modules.items():
            self[name] = module

    def _key(self, name: Any) -> str:
        if name not in self._modules:
            held = ", ".join(map(repr, self._modules)) or "nothing"
            fail(MissingKeyError(f"there is no module {name!r}", op="ModuleDict", hint=f"it holds {held}"))
        return name  # type: ignore[no-any-return]  # a key that is there is a string

    def __getitem__(self, name: str) -> Any:
        return self._modules[self._key(name)]

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            fail(ArgumentTypeError(f"{name!r} must be a Module, not {type(module).__name__}", op="ModuleDict"))
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[self._key(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def pop(self, name: str) -> Any:
        """Take a module out."""
        return self._modules.pop(self._key(name))

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def keys(self) -> KeysView[str]:
        return self._modules.keys()

    def values(self) -> ValuesView[Any]:
        return self._modules.values()

    def items(self) -> ItemsView[str, Any]:
        return self._modules.items()
