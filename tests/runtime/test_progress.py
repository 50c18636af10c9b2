"""The progress line: only on a terminal, only after a while, and gone at the end."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from lucid import ops
from lucid.ir.graph import Graph, input_node
from lucid.ir.types import TensorType, float32
from lucid.runtime import progress
from lucid.runtime.executable import build
from lucid.runtime.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))  # pytest puts its own back into sys
    return stream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: now[0])
    return now


def shown(written: str) -> str:
    """What stands on the terminal's line."""
    line: list[str] = []
    at = 0
    for character in written:
        if character == "\r":
            at = 0
        else:
            line[at : at + 1] = [character]
            at += 1
    return "".join(line).rstrip()


def test_nothing_is_said_within_the_first_second(terminal: Terminal, clock: list[float]) -> None:
    line = Progress("net")
    clock[0] += 0.9
    line("half done")
    line.close()
    assert terminal.getvalue() == ""


def test_the_line_changes_and_goes_away(terminal: Terminal, clock: list[float]) -> None:
    line = Progress("net")
    clock[0] += 1.1
    line("100 kernels lowered")
    assert shown(terminal.getvalue()) == "lucid: compiling net: 100 kernels lowered"
    line("101 kernels lowered")  # at once: too soon for another
    assert "101" not in terminal.getvalue()
    clock[0] += 0.2
    line("done")
    assert shown(terminal.getvalue()) == "lucid: compiling net: done"
    line.close()
    assert shown(terminal.getvalue()) == ""
    assert terminal.getvalue().endswith("\r")
    assert "\n" not in terminal.getvalue()


def test_a_long_name_stays_on_one_line(terminal: Terminal, clock: list[float]) -> None:
    line = Progress("n" * 200)
    clock[0] += 2
    line("done")
    assert len(shown(terminal.getvalue())) < 80


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_nobody_watches(stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    line = Progress("net")
    clock[0] += 2
    line("done")
    line.close()
    assert stream is None or stream.getvalue() == ""


def test_a_long_compilation_shows_it(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    x = input_node(TensorType((8,), float32))
    build(Graph([x], [ops.exp(x)]), name="the_net")
    assert "compiling the_net: 1 kernels lowered" in terminal.getvalue()
    assert shown(terminal.getvalue()) == ""
