"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import lucid.ir

MODULES = ["lucid.autodiff", *(m.name for m in pkgutil.walk_packages(lucid.ir.__path__, "lucid.ir."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
