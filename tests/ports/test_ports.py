"""Programs written for PyTorch run on Lucid when their imports are changed, and come to the same losses.

The files in ``recipes`` are such programs. Nothing but the lines that import is replaced.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

RECIPES = Path(__file__).parent / "recipes"


def load(name: str, ours: bool) -> Any:
    """The program as a module, on PyTorch or on Lucid."""
    text = (RECIPES / f"{name}.py").read_text()
    if ours:
        text = re.sub(r"^import torch$", "import lucid as torch", text, flags=re.MULTILINE)
        text = re.sub(r"^(import|from) torch\b", r"\1 lucid", text, flags=re.MULTILINE)
    module = ModuleType(name)
    exec(compile(text, str(RECIPES / f"{name}.py"), "exec"), module.__dict__)
    return module


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """128 noisy pictures of ten kinds, and their kinds."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 128)
    kinds = rng.random((10, 1, 16, 16))
    noisy = kinds[labels] + 0.1 * rng.standard_normal((128, 1, 16, 16))
    return np.clip(noisy, 0, 1).astype(np.float32), labels


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.py")))
def test_a_program_for_pytorch_runs_on_lucid(name: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs, ours = load(name, False), load(name, True)
    state = {key: value.numpy().copy() for key, value in theirs.build().state_dict().items()}

    def history(program: Any, compiled: bool) -> np.ndarray:
        return np.array(program.train({key: value.copy() for key, value in state.items()}, pictures(), compiled))

    with torch.backends.__allow_nonbracketed_mutation():  # PyTorch's own tests, once imported, forbid flags
        expected = history(theirs, False)
    np.testing.assert_allclose(history(ours, False), expected, rtol=2e-4, atol=1e-5)
    compiled = history(ours, True)  # without what compiled code has no hooks for, at the end
    np.testing.assert_allclose(compiled, expected[: len(compiled)], rtol=1e-3, atol=1e-5)
