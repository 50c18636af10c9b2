"""Checkpoints, summaries, metrics, stopping and logs."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import models, nn, optim, training
from lucid.data import DataLoader, TensorDataset
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, StateError
from lucid.nn import functional as F


class Run:
    """A small training run with everything that has a state."""

    def __init__(self, compiled: bool):
        lucid.manual_seed(7)
        rng = np.random.default_rng(0)
        images, labels = rng.standard_normal((24, 1, 8, 8)).astype(np.float32), rng.integers(0, 3, 24)
        self.loader = DataLoader(TensorDataset(images, labels), 8, shuffle=True, seed=3)
        self.model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(144, 3)
        )
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.01)
        self.scheduler = optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=4)
        self.stopping = training.EarlyStopping(3)
        self.step = lucid.compile(self._step) if compiled else self._step
        self.losses: list[float] = []

    def _step(self, images: lucid.Tensor, labels: lucid.Tensor) -> lucid.Tensor:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def epochs(self, count: int) -> None:
        for _ in range(count):
            for images, labels in self.loader:
                noise = np.float32(np.random.random() + random.random())
                self.losses.append(self.step(images + noise, labels).item())
            self.scheduler.step()
            self.stopping.step(self.losses[-1])

    def parts(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("model", "optimizer", "scheduler", "loader", "stopping")}


class TestCheckpoint:
    @pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
    def test_a_run_goes_on_bit_by_bit(self, compiled: bool, tmp_path: Path) -> None:
        path = tmp_path / "run.safetensors"
        first = Run(compiled)
        first.epochs(2)
        lucid.checkpoint.save(path, **first.parts(), epoch=2, notes={"name": "first"})
        first.epochs(2)
        again = Run(compiled)
        again.epochs(1)  # whatever was before is forgotten
        again.losses = first.losses[:6]
        rest = lucid.checkpoint.load(path, **again.parts())
        assert rest == {"epoch": 2, "notes": {"name": "first"}}
        again.epochs(2)
        assert again.losses == first.losses
        for a, b in zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert again.optimizer.param_groups[0]["lr"] == first.optimizer.param_groups[0]["lr"]
        assert again.stopping.state_dict() == first.stopping.state_dict()

    def test_what_does_not_fit_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "run.safetensors"
        run = Run(False)
        lucid.checkpoint.save(path, model=nn.Linear(2, 3), optimizer=run.optimizer)
        model, optimizer = nn.Linear(2, 3), optim.SGD([nn.Parameter([1.0])], lr=0.1)
        before, draws = model.weight.numpy().copy(), lucid.random.default_generator.state
        with pytest.raises(StateError, match="groups of"):
            lucid.checkpoint.load(path, model=model, optimizer=optimizer)
        np.testing.assert_array_equal(model.weight.numpy(), before)
        assert lucid.random.default_generator.state == draws
        with pytest.raises(StateError, match="holds no 'scheduler', only model, optimizer"):
            lucid.checkpoint.load(path, scheduler=run.scheduler)
        with pytest.raises(ArgumentTypeError, match="epoch must have state_dict"):
            lucid.checkpoint.load(path, epoch=3)
        with pytest.raises(ArgumentError, match="is taken"):
            lucid.checkpoint.save(path, random=3)
        with pytest.raises(ArgumentError, match="at least one"):
            lucid.checkpoint.save(path)
        lucid.save({"model": {}}, path)
        with pytest.raises(StateError, match="is no checkpoint"):
            lucid.checkpoint.load(path)
        with pytest.raises(StateError, match="holds"):
            run.loader.load_state_dict({})
        with pytest.raises(StateError, match="holds"):
            run.stopping.load_state_dict({})


class TestSummary:
    def test_numbers_of_a_known_network(self, capsys: pytest.CaptureFixture[str]) -> None:
        model = models.resnet18()
        found = lucid.summary(model, (1, 3, 64, 64))
        assert found.parameters == found.trainable == 11689512
        # At 224 pixels it is 1,814 million (arXiv:1512.03385 says 1.8); all but the last layer goes with the area.
        assert found.multiply_adds == (1814073344 - 512000) * 64**2 // 224**2 + 512000
        shown = capsys.readouterr().out
        assert "BasicBlock (0)" in shown
        assert "(1, 64, 16, 16)" in shown
        assert "parameters: 11,689,512" in shown
        rows = {row.path: row for row in found.rows}
        assert rows["fc"].multiply_adds == 512000
        assert rows["layer4.0.conv1"].shapes == ((1, 512, 2, 2),)
        assert model.training
        assert not model._forward_hooks

    def test_several_arguments_and_frozen_parameters(self) -> None:
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.table = nn.Embedding(5, 4)
                self.linear = nn.Linear(4, 2)

            def forward(self, at: lucid.Tensor, x: lucid.Tensor) -> dict[str, lucid.Tensor]:
                y = self.linear(self.table(at))
                return {"a": y, "b": y @ x}

        model = Two().eval()
        model.table.requires_grad_(False)
        found = lucid.summary(model, (lucid.tensor([1, 2, 0]), lucid.ones(2, 6)), verbose=False)
        assert (found.parameters, found.trainable) == (30, 10)
        assert [row.multiply_adds for row in found.rows] == [3 * 2 * 6, 0, 3 * 4 * 2]
        assert not model.training
        with pytest.raises(ArgumentTypeError, match="must be a Module"):
            lucid.summary(F.relu, (1, 2))  # type: ignore[arg-type]


class TestMetrics:
    def test_accuracy(self) -> None:
        scores = lucid.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4], [float("nan")] * 3])
        target = lucid.tensor([1, 2, 0, 0])
        assert training.accuracy(scores, target) == 0.25
        assert training.accuracy(scores, target, topk=2) == 0.5
        assert training.accuracy(scores, target, topk=3) == 0.75
        seen = training.Accuracy()
        seen.update(scores[:2], target[:2])
        seen.update(scores[2:], target[2:])
        assert seen.compute() == 0.25
        seen.reset()
        assert np.isnan(seen.compute())

    def test_confusion(self) -> None:
        metric = training.ConfusionMatrix(3)
        metric.update(lucid.tensor([0, 1, 1, 2]), lucid.tensor([0, 0, 1, 2]))
        metric.update(lucid.tensor([1]), lucid.tensor([0]))
        assert metric.compute().tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 1]]

    def test_mean_and_stopping(self) -> None:
        mean = training.Mean()
        assert np.isnan(mean.compute())
        mean.update(lucid.tensor(2.0), 3)
        mean.update(6)
        assert mean.compute() == 3.0
        rising = training.EarlyStopping(patience=2, min_delta=0.1, mode="max")
        assert [rising.step(x) for x in (1.0, 1.05, 1.2, float("nan"), 1.25)] == [False, False, False, False, True]
        assert rising.best == 1.2

    @pytest.mark.parametrize(
        ("wrong", "error", "words"),
        [
            (lambda: training.accuracy(lucid.ones(2), lucid.tensor([1, 2])), ShapeError, "must be"),
            (lambda: training.accuracy(lucid.ones(2, 3), lucid.ones(2)), DTypeError, "classes' numbers"),
            (lambda: training.accuracy(lucid.ones(2, 3), lucid.tensor([1, 3])), ArgumentError, "there are 3"),
            (lambda: training.accuracy(lucid.ones(2, 3), lucid.tensor([1, 2]), 4), ArgumentError, "1 .. 3"),
            (lambda: training.confusion_matrix([0], [3], 3), ArgumentError, "num_classes=3"),
            (lambda: training.confusion_matrix([0, 1], [0], 3), ShapeError, "both must be"),
            (lambda: training.EarlyStopping(-1), ArgumentError, "must not be negative"),
            (lambda: training.EarlyStopping(mode="up"), ArgumentError, "'min' or 'max'"),  # type: ignore[arg-type]
            (lambda: training.Mean().update("a"), ArgumentTypeError, "must be a number"),
        ],
    )
    def test_wrong_uses(self, wrong: Any, error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            wrong()


def test_progress_gives_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(training.progress(iter("abc"), "letters")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")  # no terminal, no bar


def test_a_bar_on_a_terminal() -> None:
    pytest.importorskip("rich")
    code = (
        "import sys; sys.stderr.isatty = lambda: True\n"
        "from lucid.training import progress\n"
        "print(sum(progress(range(5), 'five')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "10\n"
    assert "five" in done.stderr


@pytest.mark.filterwarnings("ignore")  # of the packages that it needs
def test_logs_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    pytest.importorskip("PIL")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with training.SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalar("loss", lucid.tensor(1.0 / (step + 1)), step)
        writer.add_histogram("weights", lucid.arange(100.0), 1)
        writer.add_image("picture", lucid.rand(3, 4, 5))
        with pytest.raises(ShapeError, match=r"\(1, H, W\)"):
            writer.add_image("picture", lucid.rand(4, 5))
        with pytest.raises(ArgumentError, match="finite"):
            writer.add_histogram("weights", lucid.tensor([float("inf")]))
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0, "scalars": 0})
    events.Reload()
    losses = [e.value for e in events.Scalars("loss")] if "loss" in events.Tags()["scalars"] else None
    if losses is not None:
        np.testing.assert_allclose(losses, [1.0, 0.5, 1 / 3], rtol=1e-6)
    assert any("loss" in tags for tags in events.Tags().values() if isinstance(tags, list))
