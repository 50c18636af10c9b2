"""Modules that hold parameters alone: in a list, in a dictionary."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from lucid.errors import ArgumentTypeError, IndexRangeError, MissingKeyError
from lucid.functions.arguments import fail, int_of
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.tensor import Tensor


def _parameter(op: str, value: Any) -> Parameter:
    """``value`` itself if it is a parameter; other tensors become one."""
    if not isinstance(value, Tensor):
        fail(ArgumentTypeError(f"{type(value).__name__} is not a Parameter", op=op, hint="wrap it: nn.Parameter(data)"))
    return value if isinstance(value, Parameter) else Parameter(value)


class _Parameters(Module):
    """What a list and a dictionary of parameters share."""

    def __len__(self) -> int:
        return len(self._parameters)

    def extra_repr(self) -> str:
        rows = [f"({name}): Parameter of {p.type}" for name, p in self._parameters.items() if p is not None]
        return "\n  " + "\n  ".join(rows) + "\n" if rows else ""


class ParameterList(_Parameters):
    """A list whose parameters are registered, as "0", "1", ...; other tensors become parameters.

    Raises:
        ArgumentTypeError: something that is not a tensor.
        IndexRangeError: an index with no parameter.

    >>> import lucid
    >>> from lucid import nn
    >>> scales = nn.ParameterList([lucid.ones(2), nn.Parameter([3.0])])
    >>> len(scales), scales[-1], list(scales.state_dict())
    (2, Tensor([3.0], requires_grad=True), ['0', '1'])
    """

    def __init__(self, values: Iterable[Tensor] | None = None):
        super().__init__()
        self.extend(() if values is None else values)

    def _key(self, index: Any) -> str:
        k = int_of("ParameterList", "index", index)
        if not -len(self) <= k < len(self):
            fail(IndexRangeError(f"index={k} is out of range for {len(self)} parameters", op="ParameterList"))
        return str(k % len(self))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return self._parameters[self._key(index)]

    def __setitem__(self, index: int, parameter: Tensor) -> None:
        self.register_parameter(self._key(index), _parameter("ParameterList", parameter))

    def __iter__(self) -> Iterator[Parameter]:
        return iter([p for p in self._parameters.values() if p is not None])

    def __iadd__(self, values: Iterable[Tensor]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Tensor) -> ParameterList:
        """Add a parameter at the end; returns the list."""
        self.register_parameter(str(len(self)), _parameter("ParameterList", value))
        return self

    def extend(self, values: Iterable[Tensor]) -> ParameterList:
        """Add several parameters at the end; returns the list."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            message = f"values must be a sequence of parameters, not one {type(values).__name__}"
            fail(ArgumentTypeError(message, op="ParameterList"))
        for value in list(values):
            self.append(value)
        return self


class ParameterDict(_Parameters):
    """A dictionary whose parameters are registered under their keys; other tensors become parameters.

    Raises:
        MissingKeyError: a key with no parameter.
        ArgumentTypeError: something that is not a tensor, or a key that is not a string.

    >>> import lucid
    >>> from lucid import nn
    >>> scales = nn.ParameterDict({"left": lucid.ones(1), "right": lucid.zeros(1)})
    >>> scales["left"], "middle" in scales
    (Tensor([1.0], requires_grad=True), False)
    """

    def __init__(self, parameters: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] | None = None):
        super().__init__()
        self.update(parameters or {})

    def update(self, parameters: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]) -> None:
        """Add or replace several parameters: a dictionary, or pairs."""
        op = "ParameterDict"
        if isinstance(parameters, ParameterDict):
            parameters = dict(parameters.items())
        try:
            given = dict(parameters)
        except (TypeError, ValueError):
            fail(ArgumentTypeError(f"parameters must be a dictionary, not {type(parameters).__name__}", op=op))
        for name, parameter in given.items():
            self[name] = parameter

    def _key(self, name: Any) -> str:
        if name not in self._parameters:
            held = ", ".join(map(repr, self._parameters)) or "nothing"
            fail(MissingKeyError(f"there is no parameter {name!r}", op="ParameterDict", hint=f"it holds {held}"))
        return name  # type: ignore[no-any-return]  # a key that is there is a string

    def __getitem__(self, name: str) -> Any:
        return self._parameters[self._key(name)]

    def __setitem__(self, name: str, parameter: Tensor) -> None:
        self.register_parameter(name, _parameter("ParameterDict", parameter))

    def __delitem__(self, name: str) -> None:
        del self._parameters[self._key(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._parameters)

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter, or ``default``."""
        return self._parameters.get(name, default)

    def setdefault(self, name: str, default: Tensor) -> Any:
        """The parameter; ``default`` is made one if there is none."""
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name: str) -> Any:
        """Take a parameter out."""
        return self._parameters.pop(self._key(name))

    def clear(self) -> None:
        """Take all parameters out."""
        self._parameters.clear()

    def copy(self) -> ParameterDict:
        """Another dictionary of the same parameters."""
        return ParameterDict(dict(self.items()))

    def keys(self) -> KeysView[str]:
        return self._parameters.keys()

    def values(self) -> ValuesView[Any]:
        return self._parameters.values()

    def items(self) -> ItemsView[str, Any]:
        return self._parameters.items()
