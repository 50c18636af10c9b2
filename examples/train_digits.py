"""Train a conv net on real images twice: eagerly, and compiled as one whole training step.

    python examples/train_digits.py [--data digits|fashion] [--epochs 5] [--out runs/digits]

Needs the extra ``demo`` (the digits, matplotlib, rich). Both runs start from the same weights and see the same
batches, so their loss curves lie on each other; what differs is the time. With the 60,000 images of Fashion-MNIST
an eager epoch takes minutes: ``--epochs 1`` will do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import _report as report
import numpy as np

import lucid
from lucid import nn, optim
from lucid.data import DataLoader, TensorDataset, fashion_mnist, mnist5k
from lucid.nn import functional as F

CLASSES = {
    "digits": [str(digit) for digit in range(10)],
    "fashion": ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"],
}


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
    step: Callable[..., lucid.Tensor]
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # one entry per epoch
    predictions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    accuracy: float = 0.0


def learning_rate(done: float) -> float:
    """Up to 0.1 in the first fifth of the training, then down to 0."""
    return 0.1 * min(done / 0.2, (1 - done) / 0.8)


def train(name: str, training: TensorDataset, test: TensorDataset, epochs: int, compiled: bool) -> Run:
    lucid.manual_seed(0)
    model = LeNet()
    optimizer = optim.SGD(model.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step(images: lucid.Tensor, labels: lucid.Tensor) -> lucid.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    run = Run(name, lucid.compile(step) if compiled else step)
    batches = DataLoader(training, batch_size=64, shuffle=True, drop_last=True, seed=0)
    steps = epochs * len(batches)
    with report.progress(name, steps) as advance:
        for _ in range(epochs):
            started = perf_counter()
            for images, labels in batches:
                # A compiled step sees the new learning rate, and is not compiled anew.
                optimizer.param_groups[0]["lr"] = learning_rate(len(run.losses) / steps)
                run.losses.append(run.step(images, labels).item())
                advance(run.losses[-1])
            run.seconds.append(perf_counter() - started)
    run.predictions = predict(lucid.compile(model) if compiled else model, test)
    run.accuracy = float((run.predictions == test.tensors[1].numpy()).mean())
    return run


def predict(model: Callable[[lucid.Tensor], lucid.Tensor], test: TensorDataset) -> np.ndarray:
    with lucid.no_grad():
        scores = [model(images).argmax(axis=1).numpy() for images, _ in DataLoader(test, batch_size=250)]
    return np.concatenate(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=CLASSES, default="digits")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for pictures and dumps; runs/DATA unless given")
    arguments = parser.parse_args()
    out = arguments.out or Path("runs") / arguments.data
    training, test = mnist5k() if arguments.data == "digits" else fashion_mnist()
    print(f"{len(training)} images to train on, {len(test)} to test, {lucid.get_num_threads()} threads")

    eager = train("eager", training, test, arguments.epochs, compiled=False)
    compiled = train("compiled", training, test, arguments.epochs, compiled=True)

    out.mkdir(parents=True, exist_ok=True)
    files = {
        "loss curves": report.loss_curves([eager, compiled], out / "loss.png"),
        "mistakes": report.mistakes(test, compiled.predictions, CLASSES[arguments.data], out / "mistakes.png"),
        "IR dumps": report.dumps(compiled.step, out / "ir"),
    }
    report.table(eager, compiled, files)


if __name__ == "__main__":
    main()
