"""What ``train_digits.py`` shows: a progress bar, two pictures, the IR of the compiled step, and a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

STAGES = {"graph": "txt", "passes": "txt", "loops": "txt", "llvm": "ll", "asm": "s"}


@contextmanager
def progress(name: str, steps: int) -> Iterator[Callable[[float], None]]:
    """A bar with the current loss; on a terminal only, and only where rich is installed."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        print(f"training {name}: {steps} steps", flush=True)
        yield lambda loss: None
        return
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("loss {task.fields[loss]:.3f}")) as bar:
        task = bar.add_task(name, total=steps, loss=float("nan"))
        yield lambda loss: bar.update(task, advance=1, loss=loss)


def loss_curves(runs: Sequence[Any], path: Path) -> Path:
    """Loss per step of every run, smoothed over 20 steps, on one pair of axes."""
    figure, axes = _figure(7, 4)
    for run, style in zip(runs, ("-", "--"), strict=True):
        window = min(20, len(run.losses))
        smooth = np.convolve(run.losses, np.ones(window) / window, mode="valid")
        axes.plot(np.arange(window, len(run.losses) + 1), smooth, style, label=run.name, linewidth=2)
    axes.set(xlabel="step", ylabel="cross entropy", yscale="log", title="Training loss (mean of 20 steps)")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def mistakes(test: Any, predictions: np.ndarray, path: Path) -> Path:
    """The first 40 misclassified images, each with what it is and what it was taken for."""
    images, labels = (t.numpy() for t in test.tensors)
    wrong = np.flatnonzero(predictions != labels)[:40]
    figure, _ = _figure(10, 6)
    figure.clf()
    for place, k in enumerate(wrong):
        axes = figure.add_subplot(5, 8, place + 1)
        axes.imshow(images[k, 0], cmap="gray_r")
        axes.set_title(f"{labels[k]}, read as {predictions[k]}", fontsize=8)
        axes.axis("off")
    figure.suptitle(f"{(predictions != labels).sum()} of {len(labels)} misclassified")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def dumps(step: Any, folder: Path) -> Path:
    """Every stage of the compiled step as a text file."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage, suffix in STAGES.items():
        (folder / f"step.{stage}.{suffix}").write_text(step.dump(stage), encoding="utf-8")
    return folder


def table(runs: Sequence[Any], files: dict[str, Path]) -> None:
    """Accuracy and time of both runs side by side, and where things were written."""
    eager, compiled = runs
    # The first epoch of the compiled run holds the compilation, which has a row of its own.
    times = [median(run.seconds[1:] or run.seconds) for run in runs]
    rows = [
        ("", "eager", "compiled", ""),
        ("test accuracy", f"{eager.accuracy:.1%}", f"{compiled.accuracy:.1%}", ""),
        ("time per epoch", f"{times[0]:.2f} s", f"{times[1]:.2f} s", f"{times[0] / times[1]:.1f} times faster"),
        ("first step", f"{eager.first_step:.2f} s", f"{compiled.first_step:.2f} s", "compilation included"),
    ]
    print()
    for name, a, b, note in rows:
        print(f"{name:<16}{a:>10}{b:>10}  {note}".rstrip())
    print()
    for name, path in files.items():
        print(f"{name:<16}{path}")
