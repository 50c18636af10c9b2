"""Every layer that Lucid shares with PyTorch's table of modules, on its samples: values, gradients and state dicts."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("torch.testing._internal.common_modules")

import torch

from tests.conformance.modules import NAMES, RANDOM, check, compared
from tests.conformance.ops import ALL_SAMPLES, some, spread


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", some(NAMES, 1))
def test_agrees_with_torch(name: str, dtype: str) -> None:
    kind = getattr(torch, dtype)
    for training in (True, False):
        for sample in spread(compared(name, kind, training), 12):
            check(name, sample, kind, training, compiled=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", some(NAMES, 5))
def test_compiled_agrees_with_torch(name: str) -> None:
    """The first and the last sample."""
    training = name not in RANDOM
    found = compared(name, torch.float64, training)
    for sample in found if ALL_SAMPLES else found[:: max(len(found) - 1, 1)]:
        check(name, sample, torch.float64, training, compiled=True)
