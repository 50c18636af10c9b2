"""The examples run, and show what they promise."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.data import TensorDataset

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", EXAMPLES / name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_inspect_ir() -> None:
    shown = run("inspect_ir.py")
    for words in ('in "0"', "conv2d_weight_grad", "cse ", "conv2d_reshape_add_relu", "innermost loop in LLVM"):
        assert words in shown
    for name, before, after in re.findall(r"^(\w+) +(\d+) nodes -> (\d+)$", shown, re.MULTILINE):
        assert int(after) <= int(before), name
    loop = shown[shown.index("innermost loop in assembly") : shown.index(" explain ")]
    assert len(re.findall("fma|mul|fmla", loop)) >= 8
    assert float(shown.split()[-1]) < 1e-5


def test_add_an_op() -> None:
    shown = run("add_an_op.py")
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", shown)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.01
    for row in re.findall(r"(?:slope|curvature) +\[(.*)\]  expected \[(.*)\]", shown):
        found, expected = (np.array(values.split(), float) for values in row)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert "matmul_add_snake; contraction" in shown


def test_write_a_schedule() -> None:
    shown = run("write_a_schedule.py")
    rows = re.findall(r"^(.+?) +(refused|[\d.]+)   (.+)$", shown, re.MULTILINE)
    speeds = {title: float(speed) for title, speed, _ in rows if speed != "refused"}
    assert len(speeds) == 9
    assert speeds["the strategy's choice"] > 2 * speeds["scalar loops, as written"]
    assert [title for title, speed, _ in rows if speed == "refused"] == ["a loop forgotten", "vectors along rows"]


class TestTrainDigits:
    """On images made here: the real ones are for ``make demo``."""

    @pytest.fixture
    def demo(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        pytest.importorskip("matplotlib")
        monkeypatch.syspath_prepend(EXAMPLES)
        return importlib.import_module("train_digits")

    def data(self, n: int) -> TensorDataset:
        """Squares, each class at a place of its own, and noise."""
        rng = np.random.default_rng(n)
        images = rng.uniform(0, 0.3, (n, 1, 28, 28)).astype(np.float32)
        for k, image in enumerate(images):
            row, column = divmod(k % 10, 4)
            image[0, 9 * row : 9 * row + 9, 7 * column : 7 * column + 7] = 1
        return TensorDataset(images, np.arange(n) % 10)

    def test_both_runs_learn_alike(self, demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        training, test = self.data(640), self.data(500)
        eager = demo.train("eager", training, test, 2, compiled=False)
        compiled = demo.train("compiled", training, test, 2, compiled=True)
        assert len(eager.losses) == len(compiled.losses) == 20
        np.testing.assert_allclose(compiled.losses[:5], eager.losses[:5], rtol=1e-3)
        for result in (eager, compiled):
            assert result.losses[-1] < 0.5 * result.losses[0]
            assert result.predictions.shape == (500,)
            assert result.accuracy > 0.5
        files = {
            "curves": demo.report.loss_curves([eager, compiled], tmp_path / "loss.png"),
            "mistakes": demo.report.mistakes(test, 9 - eager.predictions, demo.CLASSES["digits"], tmp_path / "m.png"),
            "dumps": demo.report.dumps(compiled.step, tmp_path / "ir"),
        }
        demo.report.table(eager, compiled, files)
        shown = capsys.readouterr().out
        assert re.search(r"test accuracy +\d+\.\d% +\d+\.\d%", shown)
        assert re.search(r"time per epoch +\d+\.\d\d s +\d+\.\d\d s +\d+\.\d times faster", shown)
        assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"
        assert (tmp_path / "m.png").stat().st_size > 10_000
        assert sorted(p.name for p in (tmp_path / "ir").iterdir()) == [
            "step.asm.s",
            "step.graph.txt",
            "step.llvm.ll",
            "step.loops.txt",
            "step.passes.txt",
        ]
        assert "conv2d_weight_grad" in (tmp_path / "ir" / "step.graph.txt").read_text()

    def test_the_learning_rate_rises_and_falls(self, demo: Any) -> None:
        rates = [demo.learning_rate(done) for done in (0.0, 0.1, 0.2, 0.6, 1.0)]
        assert rates == pytest.approx([0, 0.05, 0.1, 0.05, 0])

    def test_a_run_of_the_script(self, demo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(demo, "fashion_mnist", lambda: (self.data(128), self.data(50)))
        monkeypatch.setattr(sys, "argv", ["train_digits.py", "--data", "fashion", "--epochs", "1"])
        monkeypatch.chdir(tmp_path)
        demo.main()
        assert (tmp_path / "runs" / "fashion" / "ir").is_dir()
        assert lucid.is_grad_enabled()


def test_eager_and_compiled_steps_of_the_recipe() -> None:
    shown = run("train_fashion.py", "--quick", "--model", "lenet", "--compare", "2")
    found = re.fullmatch(r"largest relative difference of the losses: (\S+)\n", shown)
    assert found is not None
    assert float(found[1]) < 1e-3


def test_denoise_photographs() -> None:
    pytest.importorskip("sklearn")
    (first, last) = run("denoise_photographs.py", "--steps", "2").splitlines()
    assert first.startswith("step    1  loss ")
    assert re.search(r"a flower: 2\d\.\d dB noisy, -?\d+\.\d dB without the noise$", last)


@pytest.mark.parametrize("model", ["lenet", "resnet20"])
def test_train_fashion(model: str) -> None:
    (line,) = run("train_fashion.py", "--quick", "--model", model).splitlines()
    assert re.fullmatch(r"epoch  1  loss \d\.\d{4}  test accuracy \d+\.\d\d%  \d+\.\d s", line)
