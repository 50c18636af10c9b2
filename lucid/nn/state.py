"""State dicts: the values of a module's parameters and persistent buffers by path, out and in, all or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lucid.errors import ArgumentTypeError, LucidError, StateError
from lucid.functions.arguments import fail
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.nn.module import Module
    from lucid.tensor import Tensor


class LoadResult(NamedTuple):
    """Keys that did not find their counterpart in a load that was not strict."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def _entries(module: Module, prefix: str, optional: bool = False) -> Iterator[tuple[str, Tensor]]:
    """Every persistent tensor under every path that leads to it: a shared one appears more than once.

    With ``optional``, only those that a state dict need not have.
    """
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is not None and name not in module._transient and (not optional or name in module._optional):
            yield prefix + name, tensor
    for name, child in module._modules.items():
        if child is not None:
            yield from _entries(child, f"{prefix}{name}.", optional)


def state_dict(module: Module, prefix: str = "") -> dict[str, Tensor]:
    """The values now: later updates of the module do not change them.

    >>> from lucid import nn
    >>> list(nn.Linear(2, 3).state_dict())
    ['weight', 'bias']
    """
    return {name: tensor.detach() for name, tensor in _entries(module, prefix)}


def load_state_dict(module: Module, given: Mapping[str, Any], strict: bool = True) -> LoadResult:
    """What ``Module.load_state_dict`` documents."""
    if not isinstance(given, Mapping):
        fail(
            ArgumentTypeError(
                f"state_dict must map names to tensors, but it is a {type(given).__name__}", op="load_state_dict"
            )
        )
    own = dict(_entries(module, ""))
    optional = {name for name, _ in _entries(module, "", optional=True)}
    missing = [name for name in own if name not in given and name not in optional]
    unexpected = [str(name) for name in given if name not in own]
    values: dict[str, Tensor] = {}
    mismatched: list[str] = []
    for name, tensor in own.items():
        if name not in given:
            continue
        try:
            value = values[name] = as_tensor(given[name], "load_state_dict")
        except LucidError as error:
            mismatched.append(f"{name}: {error.message}")
            continue
        if value.shape != tensor.shape:
            mismatched.append(f"{name}: shape {value.shape} instead of {tensor.shape}")
        elif value.dtype != tensor.dtype:
            mismatched.append(f"{name}: dtype {value.dtype.name} instead of {tensor.dtype.name}")
    problems = [
        f"{title}: {', '.join(names)}"
        for title, names in (("missing", missing), ("unexpected", unexpected))
        if names and strict
    ]
    problems += [f"mismatched: {'; '.join(mismatched)}"] if mismatched else []
    if problems:
        fail(
            StateError(
                f"the state dict does not fit {type(module).__name__}\n  " + "\n  ".join(problems),
                op="load_state_dict",
                hint="strict=False leaves missing and unexpected keys alone" if not mismatched else None,
            )
        )
    for name, value in values.items():
        own[name].copy_(value)
    return LoadResult(missing, unexpected)
