"""Train a conv net on real digits twice: eagerly, and compiled as one whole training step.

    python examples/train_digits.py [--data digits|fashion] [--epochs 8] [--out runs/digits]

Needs the extra ``demo`` (the digits, matplotlib, rich). Both runs start from the same weights and see the same
batches, so their loss curves lie on each other; what differs is the time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, pi
from pathlib import Path
from time import perf_counter

import _report as report
import numpy as np

import lucid
from lucid import nn, optim
from lucid.data import DataLoader, TensorDataset, fashion_mnist, mnist5k
from lucid.nn import functional as F


class LeNet(nn.Module):
    """Two convolutions and two linear layers, after LeCun et al., "Gradient-based learning applied to document
    recognition" (1998)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(800, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, images: lucid.Tensor) -> lucid.Tensor:
        return self.classifier(self.features(images))


@dataclass
class Run:
    """What one training run leaves behind."""

    name: str
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # one entry per epoch
    first_step: float = 0.0
    predictions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    accuracy: float = 0.0


def train(name: str, data: tuple[TensorDataset, TensorDataset], epochs: int, compiled: bool) -> tuple[Run, Callable]:
    lucid.manual_seed(0)
    model = LeNet()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    (group,) = optimizer.param_groups

    def step(images: lucid.Tensor, labels: lucid.Tensor) -> lucid.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    if compiled:
        step = lucid.compile(step)
    training, test = data
    batches = DataLoader(training, batch_size=64, shuffle=True, drop_last=True, seed=0)
    rng = np.random.default_rng(0)
    run = Run(name)
    with report.progress(name, epochs * len(batches)) as advance:
        for epoch in range(epochs):
            group["lr"] = 0.025 * (1 + cos(pi * epoch / epochs))  # seen by the compiled step, which is not made anew
            started = perf_counter()
            for images, labels in batches:
                before = perf_counter()
                run.losses.append(step(shifted(images, rng), labels).item())
                if not run.first_step:
                    run.first_step = perf_counter() - before
                advance(run.losses[-1])
            run.seconds.append(perf_counter() - started)
    run.predictions = predict(lucid.compile(model) if compiled else model, test)
    run.accuracy = float((run.predictions == test.tensors[1].numpy()).mean())
    return run, step


def shifted(images: lucid.Tensor, rng: np.random.Generator) -> lucid.Tensor:
    """The batch moved by up to one pixel each way: a digit stays the same digit, and 4,000 of them go further."""
    return lucid.Tensor(np.roll(images.numpy(), rng.integers(-1, 2, size=2), axis=(2, 3)))


def predict(model: Callable[[lucid.Tensor], lucid.Tensor], test: TensorDataset) -> np.ndarray:
    with lucid.no_grad():
        scores = [model(images).argmax(axis=1).numpy() for images, _ in DataLoader(test, batch_size=250)]
    return np.concatenate(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["digits", "fashion"], default="digits")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/digits"))
    arguments = parser.parse_args()
    data = mnist5k() if arguments.data == "digits" else fashion_mnist()
    print(f"{len(data[0])} images to train on, {len(data[1])} to test, {lucid.get_num_threads()} threads")

    eager, _ = train("eager", data, arguments.epochs, compiled=False)
    compiled, step = train("compiled", data, arguments.epochs, compiled=True)

    arguments.out.mkdir(parents=True, exist_ok=True)
    files = {
        "loss curves": report.loss_curves([eager, compiled], arguments.out / "loss.png"),
        "mistakes": report.mistakes(data[1], compiled.predictions, arguments.out / "mistakes.png"),
        "IR dumps": report.dumps(step, arguments.out / "ir"),
    }
    report.table([eager, compiled], files)


if __name__ == "__main__":
    main()
