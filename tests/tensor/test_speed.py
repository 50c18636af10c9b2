"""What a call costs, in what can be counted on a busy machine: Python functions entered on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import FrameType

import lucid
from lucid import nn


def functions_entered(statement: Callable[[], object]) -> int:
    """Python functions that a warm run of ``statement`` enters, itself included."""
    statement()
    count = 0

    def watch(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        statement()
    finally:
        sys.setprofile(before)
    return count


def test_recording_enters_a_dozen_functions() -> None:
    a, w = lucid.ones(4), lucid.ones(4, requires_grad=True)
    assert functions_entered(lambda: a * a) <= 13
    assert functions_entered(lambda: a * w) <= 13
    assert functions_entered(lambda: a * 0.5) <= 18


def test_a_repeated_compiled_call_enters_fifteen() -> None:
    layer, x = lucid.compile(nn.Linear(8, 8)), lucid.randn(4, 8)
    with lucid.no_grad():
        layer(x)
        layer(x)
        assert functions_entered(lambda: layer(x)) <= 15


def test_import_loads_nothing_slow() -> None:
    slow = ("networkx", "llvmlite", "safetensors", "lucid.codegen")
    code = f"import sys, lucid; print([m for m in {slow} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
