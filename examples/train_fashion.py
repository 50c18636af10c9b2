"""Train LeNet or a ResNet-20 on all of Fashion-MNIST, compiled: a recipe as one would write it for PyTorch.

    python examples/train_fashion.py [--model lenet|resnet20] [--epochs 15] [--quick] [--compare 50 [--double]]

The 60,000 images come with Debian's package dataset-fashion-mnist (or ``--root FOLDER``). ``--quick`` takes two steps
on made-up images instead, to see that everything runs. ``--compare`` takes so many steps eagerly and compiled, and
says how far the losses lie apart: in single precision, differences in the last bit grow from step to step, fast in a
deep network, which ``--double`` tells from mistakes. He et al., arXiv:1512.03385, section 4.2; pictures are shifted by
up to two pixels and mirrored at random. The learning rate grows from a thousandth of its highest value: the gradual
warm-up of Goyal et al., arXiv:1706.02677.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterable
from itertools import islice
from time import perf_counter

import numpy as np

import lucid
from lucid import models, nn, optim
from lucid.data import DataLoader, TensorDataset, fashion_mnist
from lucid.data.images import FASHION_MNIST
from lucid.nn import functional as F


def shifted_and_mirrored(images: lucid.Tensor, rng: np.random.Generator) -> lucid.Tensor:
    """Each image shifted by up to two pixels, half of them mirrored."""
    x = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    h, w = images.shape[2:]
    down, right = rng.integers(0, 5, (2, len(x)))
    mirrored = rng.random(len(x)) < 0.5
    rows = down[:, None] + np.arange(h)
    columns = right[:, None] + np.where(mirrored[:, None], np.arange(w)[::-1], np.arange(w))
    return lucid.tensor(x[np.arange(len(x))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None])


def accuracy(model: nn.Module, data: TensorDataset) -> float:
    """The part of the images that are recognised."""
    model.eval()
    right = 0
    with lucid.no_grad():
        for images, labels in DataLoader(data, batch_size=500):
            right += (model(images).argmax(1) == labels).sum().item()
    model.train()
    return right / len(data)


def recipe(model: nn.Module, steps: int, highest: float) -> tuple[Callable[..., lucid.Tensor], Callable[[], None]]:
    """The training step, and what moves the learning rate after it."""
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    cycle = optim.lr_scheduler.OneCycleLR(optimizer, highest, total_steps=steps, pct_start=0.2, div_factor=1000)

    def step(images: lucid.Tensor, labels: lucid.Tensor) -> lucid.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, cycle.step


def compare(model: nn.Module, batches: Iterable[tuple[lucid.Tensor, lucid.Tensor]], steps: int, highest: float) -> None:
    """The same steps from the same weights, eagerly and compiled."""
    (eager, next_eager), (step, next_compiled) = (recipe(m, steps, highest) for m in (copy.deepcopy(model), model))
    compiled = lucid.compile(step)
    furthest = 0.0
    for k, (images, labels) in enumerate(batches):
        a, b = eager(images, labels).item(), compiled(images, labels).item()
        next_eager(), next_compiled()
        furthest = max(furthest, abs(a - b) / abs(a))
        if k % 10 == 9:
            print(f"step {k + 1:3}  loss {a:.6f} eagerly, {b:.6f} compiled, at most {furthest:.1e} apart", flush=True)
    print(f"largest relative difference of the losses: {furthest:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["lenet", "resnet20"], default="resnet20")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", default=FASHION_MNIST)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--compare", type=int, metavar="STEPS")
    parser.add_argument("--double", action="store_true")
    options = parser.parse_args()

    lucid.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    if options.quick:
        made_up = TensorDataset(lucid.rand(256, 1, 28, 28), lucid.randint(0, 10, (256,)))
        training, test, options.epochs = made_up, made_up, 1
    else:
        training, test = fashion_mnist(options.root)

    model = models.LeNet() if options.model == "lenet" else models.resnet20(in_channels=1)
    loader = DataLoader(training, batch_size=options.batch_size, shuffle=True, drop_last=True)
    steps = options.epochs * len(loader)
    highest = 0.05 if options.model == "lenet" else 0.2
    if options.compare:
        dtype = lucid.float64 if options.double else lucid.float32
        batches = islice(loader, options.compare)
        batches = ((shifted_and_mirrored(images, rng).to(dtype), labels) for images, labels in batches)
        compare(model.to(dtype), batches, steps, highest)
        return

    step, next_rate = recipe(model, steps, highest)
    step, recognize = lucid.compile(step), lucid.compile(model)
    for epoch in range(options.epochs):
        begin, losses = perf_counter(), []
        for images, labels in loader:
            losses.append(step(shifted_and_mirrored(images, rng), labels).item())
            next_rate()
        seconds = perf_counter() - begin
        right = accuracy(recognize, test)
        print(
            f"epoch {epoch + 1:2}  loss {np.mean(losses):.4f}  test accuracy {right:.2%}  {seconds:.1f} s", flush=True
        )


if __name__ == "__main__":
    main()
