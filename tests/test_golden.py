"""The golden texts' own machinery: what is missing or different fails, and only an update writes."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.golden
from tests.golden import Golden


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tests.golden, "FOLDER", tmp_path)
    return tmp_path


def test_a_missing_text_fails_and_writes_nothing(folder: Path) -> None:
    with pytest.raises(AssertionError, match=r"a.graph does not exist(.|\n)*make golden(.|\n)*some text"):
        Golden(update=False)("a.graph", "some text")
    assert list(folder.iterdir()) == []


def test_a_changed_text_fails_with_the_difference(folder: Path) -> None:
    (folder / "a.graph").write_text("one\ntwo\n")
    with pytest.raises(AssertionError, match=r"make golden(.|\n)*-two\n\+three"):
        Golden(update=False)("a.graph", "one\nthree")
    assert (folder / "a.graph").read_text() == "one\ntwo\n"


def test_an_update_writes_what_then_passes(folder: Path) -> None:
    Golden(update=True)("deep/a.graph", "one\n")
    assert (folder / "deep" / "a.graph").read_text() == "one\n"
    Golden(update=False)("deep/a.graph", "one")
