"""What ``train_digits.py`` shows: its progress, two pictures, the IR of the compiled step, and a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure

STAGES = {"graph": "txt", "passes": "txt", "loops": "txt", "llvm": "ll", "asm": "s"}


@contextmanager
def progress(name: str, steps: int) -> Iterator[Callable[[float], None]]:
    """Something to call with the loss after every step: moves a bar, or prints lines where none can be drawn."""
    if sys.stdout.isatty() and find_spec("rich"):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("loss {task.fields[loss]:.3f}")) as bar:
            task = bar.add_task(name, total=steps, loss=float("nan"))
            yield lambda loss: bar.update(task, advance=1, loss=loss)
    else:
        done = 0

        def advance(loss: float) -> None:
            nonlocal done
            done += 1
            if done % max(steps // 5, 1) == 0:
                print(f"{name:>9} {done:5}/{steps}  loss {loss:.3f}", flush=True)

        yield advance


def loss_curves(runs: Sequence[Any], path: Path) -> Path:
    """Loss per step of every run, smoothed over 20 steps, on one pair of axes."""
    figure = Figure(figsize=(7, 4))
    axes = figure.add_subplot()
    for run, style in zip(runs, ("-", "--"), strict=True):
        window = min(20, len(run.losses))
        smooth = np.convolve(run.losses, np.ones(window) / window, mode="valid")
        axes.plot(np.arange(window, len(run.losses) + 1), smooth, style, label=run.name, linewidth=2)
    axes.set(xlabel="step", ylabel="cross entropy", yscale="log", title="Training loss (mean of 20 steps)")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def mistakes(test: Any, predictions: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """The first 40 misclassified images, each with what it is and what it was taken for."""
    images, labels = (t.numpy() for t in test.tensors)
    wrong = np.flatnonzero(predictions != labels)
    figure = Figure(figsize=(10, 7), layout="constrained")
    figure.suptitle(f"{len(wrong)} of {len(labels)} misclassified")
    for place, k in enumerate(wrong[:40]):
        axes = figure.add_subplot(5, 8, place + 1)
        axes.imshow(images[k, 0], cmap="gray_r")
        axes.set_title(f"{classes[labels[k]]} read as {classes[predictions[k]]}", fontsize=8)
        axes.axis("off")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def dumps(step: Any, folder: Path) -> Path:
    """Every stage of the compiled step as a text file."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage, suffix in STAGES.items():
        (folder / f"step.{stage}.{suffix}").write_text(step.dump(stage) + "\n", encoding="utf-8")
    return folder


def table(eager: Any, compiled: Any, files: dict[str, Path]) -> None:
    """Accuracy and time of both runs side by side, and where things were written."""
    # The first epoch of the compiled run holds the compilation, which has a row of its own.
    times = [median(run.seconds[1:] or run.seconds) for run in (eager, compiled)]
    faster = f"{times[0] / times[1]:.1f} times faster" + ", compiling included" * (len(compiled.seconds) == 1)
    parts = [part for version in compiled.step.versions for part in version.parts().values()]
    compilation = sum(sum(part.seconds.values()) for part in parts)
    rows = [
        ("", "eager", "compiled", ""),
        ("test accuracy", f"{eager.accuracy:.1%}", f"{compiled.accuracy:.1%}", ""),
        ("time per epoch", f"{times[0]:.2f} s", f"{times[1]:.2f} s", faster),
        ("compile time", "", f"{compilation:.2f} s", "once, in the first step"),
    ]
    print()
    for name, a, b, note in rows:
        print(f"{name:<16}{a:>10}{b:>10}  {note}".rstrip())
    print()
    for name, path in files.items():
        print(f"{name:<16}{path}")
