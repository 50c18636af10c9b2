"""The examples in all docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import lucid

MODULES = ["lucid", *(m.name for m in pkgutil.walk_packages(lucid.__path__, "lucid."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_layers_and_optimizers_all_have_examples() -> None:
    from lucid import data, nn, optim

    for part in (nn, optim, data):
        for name in part.__all__:
            public = getattr(part, name)
            if isinstance(public, type):
                assert ">>>" in (public.__doc__ or ""), f"{part.__name__}.{name} has no example"
