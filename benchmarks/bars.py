"""What Lucid sets out to reach, and whether the record says it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.results import Record, Result, Row, Start
from benchmarks.statistics import geometric_mean

#: Of the fastest peer: single convolutions on average and at worst; the other kinds by model, "" for any other.
CONVOLUTIONS_MEAN, CONVOLUTIONS_WORST = 1.3, 0.9
RATIOS: dict[str, dict[str, float]] = {
    "conv_fwd": {"": CONVOLUTIONS_WORST},
    "conv_bwd": {"": CONVOLUTIONS_WORST},
    "infer": {"resnet18": 1.5, "seed": 1.5, "": 1.1},
    "train": {"seed": 2.5, "lenet": 2.5, "resnet20": 1.6, "mlp": 1.2},
    "ew": {"": 1.2},
}
OF_MEMORY = 0.9
#: Seconds: of a call of a compiled tiny model; of what recording a small operation costs over NumPy.
TINY_CALL, RECORDING = 5e-6, 4e-6
#: Seconds to the first result with empty caches, and with full ones, beyond those of a later call.
COLD, WARM = {"infer:resnet18:1": 1.0, "train:resnet18:8": 3.0}, 0.1


class Finding(NamedTuple):
    """A bar, and what was measured; ``met`` is None where the measurement is missing."""

    bar: str
    threads: int
    measured: str
    met: bool | None


def bar_of(workload: str) -> float | None:
    """The ratio to the fastest peer that a workload should reach."""
    kind, what = workload.split(":")[:2]
    bars = RATIOS.get(kind, {})
    return bars.get(what, bars.get(""))


def ratio(row: Row, variant: str = "compiled", tuned: bool = False) -> float | None:
    """How many times faster than the fastest peer Lucid is."""
    ours, peers = row.ours(variant), row.peers(tuned)
    return peers[0].median / ours.median if ours and peers and ours.median else None


def share_of_peak(row: Row, flops: float) -> float | None:
    """Of the most multiply-adds or memory traffic that the machine did in the same run."""
    ours, ceiling = row.ours(), row.ceiling()
    if ours is None or ceiling is None or not ours.median:
        return None
    ideal = ceiling.best * flops / ceiling.amount if flops else ceiling.best
    return ideal / ours.median


def findings(record: Record, threads: int) -> Iterator[Finding]:
    """Every bar, in the order of the report."""
    rows = [row for row in record.rows.values() if row.threads == threads]
    for kind, name in (("conv_fwd", "forward"), ("conv_bwd", "gradients")):
        ratios = {r.workload: q for r in rows if r.workload.startswith(kind) and (q := ratio(r)) is not None}
        if not ratios:
            continue
        mean = geometric_mean(list(ratios.values()))
        text = f"single convolutions, {name}: geometric mean at least {CONVOLUTIONS_MEAN}"
        yield Finding(text, threads, f"{mean:.2f} over {len(ratios)}", mean >= CONVOLUTIONS_MEAN)
        low = {w: q for w, q in ratios.items() if q < CONVOLUTIONS_WORST}
        worst = min(ratios, key=lambda w: ratios[w])
        text = f"single convolutions, {name}: none below {CONVOLUTIONS_WORST}"
        yield Finding(text, threads, f"{len(low)} below; lowest {ratios[worst]:.2f}, {worst}", not low)
    for row in rows:
        bar, measured = bar_of(row.workload), ratio(row)
        if row.workload.startswith("conv_") or bar is None:
            continue
        text = f"{row.workload}: at least {bar} times the fastest peer"
        yield Finding(text, threads, _times(measured), None if measured is None else measured >= bar)
        if row.workload.startswith("ew:"):
            share = share_of_peak(row, 0.0)
            text = f"{row.workload}: at least {OF_MEMORY:.0%} of the memory's speed"
            yield Finding(text, threads, _percent(share), None if share is None else share >= OF_MEMORY)
    for row in rows:
        if row.workload in ("train:seed:64", "train:lenet:64"):
            eager, theirs = row.ours("eager"), row.find("torch", "eager")
            measured = theirs.median / eager.median if eager and theirs else None
            text = f"{row.workload}, eager: as fast as torch eager"
            yield Finding(text, threads, _times(measured), None if measured is None else measured >= 1)
    yield from _small({row.workload: row for row in rows}, threads)
    yield from _starts([start for start in record.starts.values() if start.threads == threads], threads)


def _small(rows: dict[str, Row], threads: int) -> Iterator[Finding]:
    if "small:tiny" in rows:
        ours = rows["small:tiny"].ours()
        text = f"a call of a compiled tiny model: at most {TINY_CALL * 1e6:.0f} us"
        yield Finding(text, threads, _microseconds(ours), None if ours is None else ours.median <= TINY_CALL)
    if "small:add8_grad" in rows:
        row = rows["small:add8_grad"]
        eager, numpy = row.ours("eager"), row.find("numpy", "")
        if eager and numpy:
            over = eager.median - numpy.median
            text = f"a small eager operation, recorded: at most {RECORDING * 1e6:.0f} us over NumPy"
            yield Finding(text, threads, f"{over * 1e6:.1f} us", over <= RECORDING)


def _starts(starts: list[Start], threads: int) -> Iterator[Finding]:
    for start in starts:
        if start.library != "lucid" or start.variant != "compiled" or start.failure:
            continue
        if start.workload in COLD:
            bar = COLD[start.workload]
            cold, warm = (max(0.0, seconds - start.call) for seconds in (start.cold, start.warm))
            text = f"{start.workload}: compiled, with empty caches, within {bar:.0f} s"
            yield Finding(text, threads, f"{cold:.2f} s", cold <= bar)
            text = f"{start.workload}: from the disk cache within {WARM * 1e3:.0f} ms"
            yield Finding(text, threads, f"{warm * 1e3:.0f} ms", warm <= WARM)
        others = [s for s in starts if s.workload == start.workload and s.library == "torch" and not s.failure]
        if others:
            least = min(others, key=lambda s: s.memory)
            text = f"{start.workload}: peak memory below torch's"
            measured = f"{start.memory / 1e6:.0f} MB, torch {least.variant} {least.memory / 1e6:.0f} MB"
            yield Finding(text, threads, measured, start.memory < least.memory)


def _times(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.0%}"


def _microseconds(result: Result | None) -> str:
    return "not measured" if result is None else f"{result.median * 1e6:.1f} us"
