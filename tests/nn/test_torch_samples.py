"""Functional layers and losses on PyTorch's own sample inputs: values and gradients, eager and compiled."""

from __future__ import annotations

import pytest

import lucid

pytest.importorskip("torch")
pytest.importorskip("torch.testing._internal.common_methods_invocations")

import torch

from tests.conformance.ops import LAYER_OPS, compared, function_of, some, spread
from tests.conformance.samples import check


@pytest.mark.filterwarnings("ignore")  # PyTorch on reductions that it would rather have otherwise
@pytest.mark.parametrize("name", [f"nn.functional.{n}" for n in some(LAYER_OPS, 0)])
def test_agrees_with_torch(name: str) -> None:
    for theirs, sample in spread(compared(name), 16):
        check(name, function_of(name), theirs, sample)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [f"nn.functional.{n}" for n in some(LAYER_OPS, 3)])
def test_agrees_with_torch_in_single_precision(name: str) -> None:
    for theirs, sample in spread(compared(name, torch.float32), 2):
        check(name, function_of(name), theirs, sample, 2e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [f"nn.functional.{n}" for n in some(LAYER_OPS, 6)])
def test_compiled_agrees_with_torch(name: str) -> None:
    """The first samples, as arguments of one compiled function."""
    compiled = lucid.compile(function_of(name))
    for theirs, sample in compared(name)[:4]:
        check(name, compiled, theirs, sample)
