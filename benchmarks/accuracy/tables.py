"""The tables of ``docs/accuracy.md``: written between marks, read back by tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "accuracy.md"

Rows = Sequence[Sequence[str]]


def written(text: str, name: str, heads: Sequence[str], rows: Rows) -> str:
    """``text`` with the table between the marks of ``name`` replaced.

    Raises:
        ValueError: ``text`` has no such marks.
    """
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    new, count = re.subn(_between(name), lambda m: m[1] + "\n".join(lines) + "\n" + m[3], text, flags=re.S)
    if count != 1:
        raise ValueError(f"the document has no marks for {name}")
    return new


def read(text: str, name: str) -> list[list[str]]:
    """Rows of a table, without its head.

    Raises:
        ValueError: ``text`` has no such table.
    """
    found = re.search(_between(name), text, re.S)
    if found is None:
        raise ValueError(f"the document has no marks for {name}")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[2].splitlines()[2:]]


def _between(name: str) -> str:
    return rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)"
