"""A bar that shows how far a loop is, drawn by rich or tqdm, whichever is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any, TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], description: str = "", total: int | None = None) -> Iterator[T]:
    """The items one by one, with a bar on the terminal. Without rich and tqdm, or a terminal, there is no bar.

    Args:
        items: anything to go through.
        description: what stands before the bar.
        total: how many there are; ``len(items)`` unless given.

    >>> list(progress([1, 2], "two"))
    [1, 2]
    """
    count = len(items) if total is None and hasattr(items, "__len__") else total  # type: ignore[arg-type]
    if not sys.stderr.isatty():
        yield from items
    elif find_spec("rich") is not None:
        yield from _rich(items, description, count)
    elif find_spec("tqdm") is not None:
        from tqdm import tqdm

        yield from tqdm(items, desc=description, total=count)
    else:
        yield from items


def _rich(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task)
