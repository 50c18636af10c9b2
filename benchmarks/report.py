"""The record as Markdown: bars, a table a kind of workload, every contender's time, starts, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.bars import bar_of, findings, ratio, share_of_peak
from benchmarks.results import Record, Result, Row
from benchmarks.statistics import geometric_mean
from benchmarks.workloads import Workload, catalogue

_KINDS = {
    "conv_fwd": "Single convolutions, forward",
    "conv_bwd": "Single convolutions, all gradients",
    "infer": "Inference",
    "train": "Training steps",
    "ew": "Large arrays",
    "small": "Small calls",
}

_HEAD = """# Measurements

Written by `python -m benchmarks`; `make bench` sets up what it needs. Every library runs in a process of its own, on as
many cores as it may use threads, and the libraries take turns within one run: a turn is about 20 ms of calls, after a
few that are not timed, and the next begins when no thread of the last is running. Times are medians over turns. Ratios
compare Lucid with the fastest other library on that row, above 1 where Lucid is faster; only numbers of one row were
measured in one run. Lucid and torch are given images in C order and, as *channels last*, with the channels innermost;
the faster counts. Results are compared with those of torch eager (the largest difference, as a part of the largest
value); a contender that disagrees is not timed. Everything is float32, with nothing of lower precision inside.

*Of peak* is the part of the most that the machine itself did in the same run, by kernels of Lucid's own: fused
multiply-adds in registers for convolutions and models (counted as a direct convolution does them, so that Winograd's
algorithm may exceed 100 %), or reading, or copying, the same number of bytes for large arrays. *Tuned* counts torch
with an allocator that keeps its memory as well: glibc's, with `MALLOC_MMAP_MAX_=0` and a large
`MALLOC_TRIM_THRESHOLD_` and `MALLOC_TOP_PAD_`.

Names: `conv_fwd:64x128x56k3s2p1g1:16` is 16 images of 64 channels and 56 x 56 pixels to 128 channels, kernel 3, stride
2, padding 1, 1 group; `conv_bwd` is its input, weight and bias gradient together; `infer:MODEL:N` and `train:MODEL:N`
(forward, loss, backward, SGD with momentum, batch norm in train mode) take N inputs.
"""


def render(record: Record) -> str:
    """The whole report."""
    threads = sorted({t for _, t in record.rows} | {t for _, t, _ in record.starts})
    order = {w.name: k for k, w in enumerate(catalogue())}
    rows = sorted(record.rows.values(), key=lambda r: (order.get(r.workload, len(order)), r.workload, r.threads))
    parts = [_HEAD, _machine(record, rows)]
    bars = [f for t in threads for f in findings(record, t)]
    if bars:
        parts += ["## Bars\n", _table(["bar", "threads", "measured", ""], ([*f[:3], _MET[f.met]] for f in bars))]
    for kind, title in _KINDS.items():
        for t in threads:
            of_kind = [r for r in rows if r.workload.startswith(f"{kind}:") and r.threads == t]
            if of_kind:
                parts += [f"## {title}, {t} thread{'s' * (t > 1)}\n", *summary(kind, of_kind)]
    parts += _starts(record)
    parts += ["## Every contender\n", _everyone(rows)]
    failures = list(_failures(record, rows))
    if failures:
        parts += ["## What could not be measured\n", _table(["workload", "threads", "contender", "why"], failures)]
    return "\n".join(parts).rstrip() + "\n"


_MET = {True: "met", False: "**not met**", None: "not measured"}


def summary(kind: str, rows: Sequence[Row]) -> list[str]:
    """One kind on one number of threads: a table, and the mean of its ratios."""
    heads = ["workload", "Lucid", "GFLOP/s", "of peak", "fastest peer", "its time", "ratio", "bar", "difference"]
    if kind in ("train", "ew"):
        heads[7:7] = ["ratio, tuned"]
    lines, ratios = [], []
    for row in rows:
        flops = Workload(row.workload).flops
        ours = _ours(row)
        peers, measured = row.peers(), ratio(row, ours.variant if ours else "compiled")
        share = share_of_peak(row, flops)
        bar = bar_of(row.workload)
        cells = [
            row.workload,
            _time(ours),
            f"{flops / ours.median / 1e9:.0f}" if ours and ours.median and flops else "",
            "" if share is None else f"{share:.0%}",
            peers[0].name if peers else "none",
            _time(peers[0] if peers else None),
            _ratio(measured, bar),
            "" if bar is None else f"{bar}",
            _difference(ours),
        ]
        if kind in ("train", "ew"):
            tuned = ratio(row, tuned=True) if row.find("torch-tuned", "eager") else None
            cells[7:7] = [_ratio(tuned, None)]
        lines.append(cells)
        if measured is not None:
            ratios.append(measured)
    parts = [_table(heads, lines)]
    if len(ratios) > 1:
        parts.append(f"Geometric mean of the ratios: {geometric_mean(ratios):.2f}; lowest {min(ratios):.2f}.\n")
    return parts


def _ours(row: Row) -> Result | None:
    return row.ours() or row.ours("eager")


def _ratio(value: float | None, bar: float | None) -> str:
    if value is None:
        return ""
    return f"**{value:.2f}**" if value < (bar or 0.0) else f"{value:.2f}"


def _difference(result: Result | None) -> str:
    """Nothing where there was nothing to compare with."""
    if result is None or result.difference is None:
        return ""
    return f"{result.difference:.0e}" if result.difference else "0"


def _time(result: Result | None) -> str:
    return "failed" if result is None else seconds(result.median)


def seconds(value: float) -> str:
    """With three digits, in a unit that suits; nothing for zero, which is a time that was not taken."""
    if not value:
        return ""
    unit, size = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e-3)) if value >= s), ("us", 1e-6))
    number = value / size
    return f"{number:.{max(0, 2 - len(str(int(number))) + 1)}f} {unit}"


def _machine(record: Record, rows: Sequence[Row]) -> str:
    known = dict(record.machine)
    about = f"{known.pop('cpu')}, {known.pop('cores')} cores; Python {known.pop('python')}"
    lines = [f"{about}; {'; '.join(dict.fromkeys(known.values()))}."]
    if rows:
        loads, days = [r.load for r in rows], sorted({r.when.split()[0] for r in rows})
        lines.append(
            f"Measured on {' and '.join(days)}; load averages when the runs began {min(loads):.1f} to {max(loads):.1f}."
        )
    return "\n".join(lines) + "\n"


def _everyone(rows: Sequence[Row]) -> str:
    def lines() -> Iterator[list[object]]:
        for row in rows:
            for result in sorted(row.results, key=lambda r: r.median):
                if not result.failure and result.turns:
                    apart = _difference(result)
                    spread = f"{result.spread:.0%}"
                    yield [
                        row.workload,
                        row.threads,
                        result.name,
                        seconds(result.median),
                        seconds(result.best),
                        spread,
                        apart,
                    ]

    return _table(["workload", "threads", "contender", "median", "best", "spread", "difference"], lines())


def _starts(record: Record) -> list[str]:
    lines = [
        [
            start.workload,
            start.threads,
            start.name,
            seconds(start.imported),
            seconds(start.cold),
            seconds(start.warm),
            seconds(start.call) if start.call else "",
            f"{start.memory / 1e6:.0f} MB",
        ]
        for start in record.starts.values()
        if not start.failure
    ]
    if not lines:
        return []
    about = (
        "Fresh processes: the import, then from a finished model to the first result, with empty caches (cold) and in "
        "a second process with the caches the first left (warm), and a later call; peak memory of the first process. "
        "The bars are for what cold and warm take beyond the call.\n"
    )
    heads = ["workload", "threads", "contender", "import", "cold", "warm", "a call", "peak memory"]
    return ["## First results and memory\n", about, _table(heads, lines)]


def _failures(record: Record, rows: Sequence[Row]) -> Iterator[list[object]]:
    for row in rows:
        for result in row.results:
            if result.failure:
                yield [row.workload, row.threads, result.name, result.failure]
    for start in record.starts.values():
        if start.failure:
            yield [f"{start.workload}, from the start", start.threads, start.name, start.failure]


def _table(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    # A bar in a cell would end it.
    body = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *body]) + "\n"
