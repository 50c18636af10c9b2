"""One seeded bug: a piece of the library's source, what it is changed to, and the tests that should notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class StaleMutantError(Exception):
    """The source is no longer what a mutant was made for."""


@dataclass(frozen=True)
class Mutant:
    """A bug somebody could make, in one place of one file."""

    #: What goes wrong, in a few words.
    name: str
    #: The file, below ``lucid``.
    file: str
    #: A text that occurs once in it.
    old: str
    new: str
    #: Test files, or tests in them, below ``tests``, of which one should fail: the quickest first.
    tests: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"lucid/{self.file}"

    def source(self, root: Path = ROOT) -> str:
        """The file with the bug in it.

        Raises:
            StaleMutantError: the text to change is not there, or there more than once, or nothing is valid afterwards.
        """
        text = (root / self.path).read_text(encoding="utf-8")
        count = text.count(self.old)
        if count != 1:
            raise StaleMutantError(f"{self.name}: {self.path} holds this {count} times, not once:\n{self.old}")
        changed = text.replace(self.old, self.new)
        try:
            compile(changed, self.path, "exec", dont_inherit=True)
        except SyntaxError as error:
            raise StaleMutantError(f"{self.name}: {self.path} is not Python any more: {error}") from error
        return changed
