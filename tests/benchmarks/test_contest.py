"""The whole command, on what every installation has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.worker import LibraryError, Worker, WorkerDied
from benchmarks.workloads import Workload

ROOT = Path(__file__).parents[2]


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = ["--results", str(tmp_path / "results.json"), "--report", str(tmp_path / "report.md")]
    command = [sys.executable, "-m", "benchmarks", *files, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_one_command_measures_and_reports(tmp_path: Path) -> None:
    done = run(tmp_path, "--only=small:add8_grad", "--libraries=numpy", "--threads=1", "--seconds=0.01", "--starts=no")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["rows"]
    results: dict[str, dict[str, Any]] = {r["library"]: r for r in row["results"]}
    assert row["reference"] == "numpy"
    assert results.keys() == {"lucid", "numpy"}
    assert results["lucid"]["difference"] == 0.0
    assert all(r["median"] > 0 and r["turns"] >= 3 and not r["failure"] for r in results.values())
    assert "## Small calls, 1 thread" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["--only", "vgg"], ["--libraries", "theano"], ["--threads", "many"]])
def test_mistakes_on_the_command_line(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_reports_errors_and_survives_them(tmp_path: Path) -> None:
    worker = Worker("numpy", 1)
    try:
        worker.start()
        assert worker.variants(Workload("small:tiny")) == []
        with pytest.raises(LibraryError, match="KeyError: 'eager'"):
            worker.set_up("eager", tmp_path / "r.npz")
        assert worker.variants(Workload("small:add8")) == [""]
        assert worker.set_up("", tmp_path / "r.npz")[0] > 0
        assert worker.turn("", 0.001) > 0
        assert worker.memory() > 1_000_000
    finally:
        worker.close()


def test_a_worker_that_dies_is_noticed() -> None:
    worker = Worker("numpy", 1)
    worker.start()
    worker._process.kill()
    with pytest.raises(WorkerDied, match="SIGKILL"):
        worker.memory()
