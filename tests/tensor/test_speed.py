"""What recording costs, loosely enough for a busy machine; the best of many short runs counts."""

from __future__ import annotations

import subprocess
import sys
from timeit import repeat

import numpy as np

import lucid


def microseconds(statement) -> float:
    return min(repeat(statement, number=200, repeat=50)) / 200 * 1e6


def test_recording_adds_a_few_microseconds() -> None:
    array = np.ones(4, np.float32)
    a, w = lucid.ones(4), lucid.ones(4, requires_grad=True)
    numpy = microseconds(lambda: array * array)  # about half a microsecond on an idle machine
    assert microseconds(lambda: a * a) < 14 * numpy
    assert microseconds(lambda: a * w) < 14 * numpy
    assert microseconds(lambda: a * 0.5) < 16 * numpy


def test_import_loads_nothing_slow() -> None:
    slow = ("networkx", "llvmlite", "safetensors", "lucid.codegen")
    code = f"import sys, lucid; print([m for m in {slow} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
