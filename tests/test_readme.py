"""What the README says is so: its code runs, shows what it claims, and its links and commands lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_the_code_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) >= 6
    for block in blocks:
        code, line = block[1], text[: block.start(1)].count("\n")
        if code.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, names, "README.md", str(README), line)
            runner.run(test, clear_globs=False)
            names = test.globs
        else:
            exec(compile("\n" * line + code, str(README), "exec"), names)
    assert runner.summarize().failed == 0
    assert names["loss"].item() < 2.3  # type: ignore[attr-defined]  # it learned something


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    files = [link for link in links if not link.startswith("http")]
    assert len(files) >= 5
    assert [f for f in files if not (ROOT / f).exists()] == []


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)\b", README.read_text(encoding="utf-8")))
    assert {"demo", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"the README names make {target}"
