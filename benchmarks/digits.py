"""One training step of the demo's net: Lucid eager, Lucid compiled, PyTorch eager, taking turns in one run.

    python benchmarks/digits.py [--threads 2] [--rounds 15]

Forward, cross entropy, backward, SGD with momentum; batch 64 of 28x28 images. Losses are checked against each other.
"""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import Any

import numpy as np
from measure import interleaved, peak_work

import lucid
from lucid import nn, optim
from lucid.nn import functional as F

#: Operations of one step as users count them: three passes over each layer; the first has no input gradient.
FLOPS = 2.0 * 64 * (2 * 784 * 16 * 25 + 3 * 100 * 32 * 400 + 3 * 800 * 128 + 3 * 128 * 10)


def lucid_net() -> nn.Sequential:
    lucid.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def lucid_step() -> Any:
    net = lucid_net()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step


def torch_step(threads: int, x: np.ndarray, t: np.ndarray) -> Any:
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    layers = torch.nn
    net = layers.Sequential(
        layers.Conv2d(1, 16, 5, padding=2),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(16, 32, 5),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(800, 128),
        layers.ReLU(),
        layers.Linear(128, 10),
    )
    net.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in lucid_net().state_dict().items()})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.from_numpy(x), torch.from_numpy(t)

    def step() -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=lucid.get_num_threads(), help="threads of Lucid and of PyTorch")
    options.add_argument("--rounds", type=int, default=15)
    arguments = options.parse_args()
    lucid.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((64, 1, 28, 28), np.float32), rng.integers(0, 10, 64)
    images, labels = lucid.Tensor(x), lucid.Tensor(t)
    eager, compiled, theirs = lucid_step(), lucid.compile(lucid_step()), torch_step(arguments.threads, x, t)
    start = perf_counter()
    first = compiled(images, labels).item()
    cold = perf_counter() - start
    for a, b, c in [(eager(images, labels).item(), first, theirs().item())] + [
        (eager(images, labels).item(), compiled(images, labels).item(), theirs().item()) for _ in range(5)
    ]:
        assert abs(a - b) < 1e-4, "eager and compiled losses differ"
        assert abs(a - c) < 1e-3, "Lucid's and PyTorch's losses differ"
    peak, peak_flops = peak_work()
    work = {
        "FMA peak, one core": peak,
        "Lucid eager": lambda: eager(images, labels),
        "Lucid compiled": lambda: compiled(images, labels),
        "PyTorch eager": theirs,
    }
    times = {timing.name: timing for timing in interleaved(work, arguments.rounds)}
    mine = times["Lucid compiled"].median
    print(
        f"{arguments.threads} thread(s), median of {arguments.rounds} interleaved rounds; "
        f"the first compiled call took {cold:.2f} s\n"
    )
    print("| | ms a step | of Lucid compiled |")
    print("|---|---|---|")
    for name in ("Lucid compiled", "PyTorch eager", "Lucid eager"):
        print(f"| {name} | {times[name].median * 1e3:.2f} | {times[name].median / mine:.2f} |")
    peak_rate = peak_flops / times["FMA peak, one core"].median * arguments.threads
    print(
        f"\nLucid compiled: {FLOPS / mine / 1e9:.0f} GFLOP/s, {FLOPS / mine / peak_rate:.0%} of the measured FMA peak."
    )


if __name__ == "__main__":
    main()
