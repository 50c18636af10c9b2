"""The examples in all docstrings run; everything public has one, and names the errors that it raises itself."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import lucid
from lucid import inplace

MODULES = ["lucid", *(m.name for m in pkgutil.walk_packages(lucid.__path__, "lucid."))]

#: Where public names are.
PUBLIC = """
lucid lucid.autograd.function lucid.checkpoint lucid.data lucid.data.transforms lucid.functions lucid.io lucid.linalg
lucid.models lucid.nn lucid.nn.functional lucid.nn.init lucid.nn.utils lucid.nn.utils.parametrizations
lucid.nn.utils.parametrize lucid.nn.utils.rnn lucid.optim lucid.optim.lr_scheduler lucid.random lucid.training
""".split()  # noqa: SIM905


def names_of(module: Any) -> list[str]:
    """What a module offers: its ``__all__``, or what is defined in it."""
    own = [n for n, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", None) or [n for n in own if not n.startswith("_")]


def public() -> Iterator[tuple[str, Any]]:
    """Everything public with code of its own, each once: functions, classes, and what a tensor can do."""
    seen: set[int] = set()
    found = [(f"{part}.{n}", getattr(importlib.import_module(part), n)) for part in PUBLIC for n in names_of_part(part)]
    for kind in lucid.Tensor.__mro__:
        found += [(f"Tensor.{n}", v.fget if isinstance(v, property) else v) for n, v in vars(kind).items()]
    for name, value in found:
        short = name.rpartition(".")[2]
        if (
            (inspect.isfunction(value) or inspect.isclass(value))
            and not short.startswith("_")
            and id(value) not in seen
        ):
            seen.add(id(value))
            yield name, value


def names_of_part(part: str) -> list[str]:
    return names_of(importlib.import_module(part))


def is_generated(value: Any) -> bool:
    """Methods that end in an underscore: their functions are documented."""
    return inspect.isfunction(value) and value.__code__ in {c for c in inplace.in_place.__code__.co_consts if c}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_everything_public_has_a_sentence_and_an_example() -> None:
    subjects = [(name, value) for name, value in public() if not is_generated(value)]
    assert len(subjects) > 700
    assert [name for name, value in subjects if not (value.__doc__ or "\n").split("\n")[0].strip()] == []
    assert [name for name, value in subjects if ">>>" not in (value.__doc__ or "")] == []


def test_errors_that_are_raised_are_named() -> None:
    """Those in the code of a function itself, or of a class's constructor."""
    lacking = []
    for name, value in public():
        code = vars(value).get("__init__") if inspect.isclass(value) else value
        if inspect.isfunction(code) and not is_generated(code) and not code.__code__.co_filename.startswith("<"):
            raised = set(re.findall(r"\b([A-Z]\w+Error)\(", inspect.getsource(code)))
            lacking += [f"{name}: {error}" for error in sorted(raised) if error not in (value.__doc__ or "")]
    assert lacking == []
