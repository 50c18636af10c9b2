"""The bugs of ``python -m tests.mutants`` still fit the source; whether the tests notice them is for that command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Mutant, StaleMutantError


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name.replace(" ", "-"))
def test_it_applies_once_and_changes_something(mutant: Mutant) -> None:
    assert mutant.source() != (ROOT / mutant.path).read_text(encoding="utf-8")
    assert mutant.tests
    for name in mutant.tests:
        file, _, test = name.partition("::")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not test or f"def {test.rpartition(':')[2]}(" in text


def test_there_are_many_and_each_has_a_name() -> None:
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 25


def test_every_one_is_in_the_table() -> None:
    table = (ROOT / "docs" / "mutants.md").read_text(encoding="utf-8")
    assert [m.name for m in MUTANTS if f"| {m.name} |" not in table] == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("x = 2", "x = 3", "0 times"), ("x", "y", "2 times"), ("x = 1", "x = (", "not Python")],
)
def test_one_that_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "lucid").mkdir()
    (tmp_path / "lucid" / "a.py").write_text("x = 1\nprint(x)\n")
    with pytest.raises(StaleMutantError, match=words):
        Mutant("a bug", "a.py", old, new, ()).source(tmp_path)
