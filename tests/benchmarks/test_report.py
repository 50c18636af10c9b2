"""The record, what it says about the bars, and the tables made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bars import findings, ratio, share_of_peak
from benchmarks.report import render, seconds, summary
from benchmarks.results import Record, Result, Row, Start, same_machine

MACHINE = {"cpu": "a CPU", "cores": "2", "python": "3.12", "torch": "torch 3.0"}


def row(workload: str, lucid: float, torch: float, *more: Result, threads: int = 1) -> Row:
    results = [
        Result("lucid", "compiled", median=lucid, best=lucid, turns=9, difference=1e-7),
        Result("torch", "eager", median=torch, best=torch, turns=9),
        *more,
    ]
    return Row(workload, threads, "2026-01-01 12:00", 0.5, "torch eager", results)


def record(*rows: Row) -> Record:
    made = Record(dict(MACHINE))
    for one in rows:
        made.add(one)
    return made


def test_the_fastest_peer_counts_and_tuned_ones_only_if_asked_for() -> None:
    jax = Result("jax", "jit", median=3.0, turns=9)
    tuned = Result("torch-tuned", "eager", median=1.5, turns=9)
    broken = Result("openvino", "", failure="no")
    unequal = Result("onnxruntime", "", median=0.1, turns=0)
    r = row("train:mlp:64", 2.0, 4.0, jax, tuned, broken, unequal)
    assert ratio(r) == 1.5
    assert ratio(r, tuned=True) == 0.75
    assert r.find("openvino", "") is None


def test_no_ratio_without_lucid_or_without_peers() -> None:
    r = row("train:mlp:64", 2.0, 4.0)
    assert ratio(replace(r, results=r.results[1:])) is None
    assert ratio(replace(r, results=r.results[:1])) is None


def test_the_share_of_the_peak() -> None:
    fma = Result("machine", "multiply-adds", median=2.0, best=1.0, turns=9, amount=100.0)
    assert share_of_peak(row("infer:mlp:1", 4.0, 4.0, fma), flops=200.0) == 0.5
    memory = Result("machine", "memory", median=2.0, best=1.0, turns=9, amount=100.0)
    assert share_of_peak(row("ew:softmax", 4.0, 4.0, memory), flops=0.0) == 0.25
    assert share_of_peak(row("ew:softmax", 4.0, 4.0), flops=0.0) is None


def test_bars_met_and_not_met() -> None:
    made = record(
        row("conv_fwd:3x16x32k3s1p1g1:1", 1.0, 4.0),
        row("conv_fwd:3x16x32k3s1p1g1:16", 1.0, 0.5),
        row("infer:resnet18:1", 1.0, 1.4),
        row("infer:lenet:1", 1.0, 1.4),
        row("train:mlp:64", 1.0, 5.0, threads=2),
    )
    found = {f.bar: f for f in findings(made, 1)}
    assert found["single convolutions, forward: geometric mean at least 1.3"].met
    assert found["single convolutions, forward: geometric mean at least 1.3"].measured == "1.41 over 2"
    worst = found["single convolutions, forward: none below 0.9"]
    assert not worst.met
    assert worst.measured == "1 below; lowest 0.50, conv_fwd:3x16x32k3s1p1g1:16"
    assert not found["infer:resnet18:1: at least 1.5 times the fastest peer"].met
    assert found["infer:lenet:1: at least 1.1 times the fastest peer"].met
    assert not any("train" in bar for bar in found)


def test_a_bar_that_was_not_measured_is_said_to_be_so() -> None:
    r = row("infer:lenet:1", 1.0, 1.4)
    (finding,) = findings(record(replace(r, results=r.results[:1])), 1)
    assert (finding.met, finding.measured) == (None, "not measured")


def test_starts_have_bars_too() -> None:
    made = record()
    made.add_start(Start("infer:resnet18:1", 2, "lucid", "compiled", cold=0.5, warm=0.2, memory=300_000_000))
    made.add_start(Start("infer:resnet18:1", 2, "torch", "eager", cold=0.1, warm=0.1, memory=400_000_000))
    assert [f.met for f in findings(made, 2)] == [True, False, True]


def test_a_ratio_below_its_bar_stands_out() -> None:
    (table, mean) = summary("infer", [row("infer:lenet:1", 2e-3, 2e-3), row("infer:lenet:64", 1e-3, 4e-3)])
    assert "| infer:lenet:1 | 2.00 ms | 0 |  | torch eager | 2.00 ms | **1.00** | 1.1 | 1e-07 |" in table
    assert "| 4.00 |" in table
    assert "2.00; lowest 1.00" in mean


def test_failures_are_in_the_report() -> None:
    text = render(record(row("infer:lenet:1", 1.0, 1.4, Result("jax", "jit", failure="Oops: a|b"))))
    assert "| infer:lenet:1 | 1 | jax jit | Oops: a\\|b |" in text
    assert "## Inference, 1 thread\n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, ""), (1.234, "1.23 s"), (0.01234, "12.3 ms"), (0.1234, "123 ms"), (4.5e-7, "0.45 us"), (1e-3, "1.00 ms")],
)
def test_times_have_three_digits(value: float, text: str) -> None:
    assert seconds(value) == text


def test_runs_are_merged(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = record(row("infer:lenet:1", 1.0, 2.0), row("infer:lenet:64", 1.0, 2.0))
    first.add_start(Start("infer:seed:1", 1, "lucid", "compiled", cold=0.25))
    first.save(path)
    again = Record.load(path, MACHINE)
    assert (again.rows, again.starts) == (first.rows, first.starts)
    again.add(row("infer:lenet:1", 1.0, 3.0))
    again.save(path)
    assert {r.workload: ratio(r) for r in Record.load(path, MACHINE).rows.values()} == {
        "infer:lenet:1": 3.0,
        "infer:lenet:64": 2.0,
    }


def test_another_machine_or_version_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    record(row("infer:lenet:1", 1.0, 2.0)).save(path)
    assert Record.load(path, {**MACHINE, "cpu": "another"}).rows == {}
    assert Record.load(path, {**MACHINE, "torch": "torch 3.1"}).rows == {}
    assert len(Record.load(path, {**MACHINE, "jax": "jax 1.0"}).rows) == 1
    assert same_machine({"cpu": "a", "torch": "1"}, {"cpu": "a"})
