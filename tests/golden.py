"""Golden texts: what a printer gave when somebody last looked at it, one file each in ``tests/golden``."""

from __future__ import annotations

import difflib
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


class Golden:
    """Compares texts with their files, or writes the files when pytest runs with ``--update-golden``."""

    def __init__(self, update: bool):
        self.update = update

    def __call__(self, name: str, text: str) -> None:
        """Fail unless ``text`` is what ``tests/golden/<name>`` holds; a missing file fails too."""
        path = FOLDER / name
        text = text.rstrip("\n") + "\n"
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.exists():
            raise AssertionError(
                f"tests/golden/{name} does not exist; look at this text, then run `make golden`:\n{text}"
            )
        expected = path.read_text(encoding="utf-8")
        if text != expected:
            diff = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), f"tests/golden/{name}", "now", lineterm=""
            )
            raise AssertionError("\n".join(["the text changed; if that is right, run `make golden`:", *diff]))
