"""All samples of one op or one layer in one dtype, and what became of each."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

import lucid
from lucid.errors import LucidError
from tests.conformance import modules, ops
from tests.conformance.samples import check, leaves, ours

#: Relative error that counts as equal, of values; of gradients ten times as much.
BOUNDS = {"float64": 1e-7, "float32": 2e-4}


@dataclass
class Row:
    """What became of one op or layer: how many samples passed in each lane, and the others with the reason."""

    name: str
    passed: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    apart: Counter[str] = field(default_factory=Counter)
    typed: int = 0
    untyped: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)

    def __iadd__(self, other: Row) -> Row:
        self.passed += other.passed
        self.failed += other.failed
        self.refused += other.refused
        self.apart += other.apart
        self.typed += other.typed
        self.untyped += other.untyped
        self.accepted += other.accepted
        return self

    def attempt(self, lane: str, k: int, action: Callable[[], None]) -> None:
        """Count a sample as passed, or keep what was wrong with it."""
        try:
            action()
            self.passed[lane] += 1
        except Exception as error:  # whatever it is, it is a finding
            text = " ".join(str(error).split())[:160]
            self.failed.append(f"{lane}, sample {k}: {type(error).__name__}: {text}")

    def refuse(self, lane: str, k: int, reason: str, action: Callable[[], Any]) -> None:
        """Count a sample as refused, if it is: by an error of Lucid's own."""
        found = outcome(action)
        if found == "typed":
            self.refused[reason] += 1
        else:
            self.failed.append(f"{lane}, sample {k}: said to be refused ({reason}), but it raised {found}")

    def expect(self, what: str, action: Callable[[], Any]) -> None:
        """Count one of PyTorch's wrong uses by what it comes to."""
        found = outcome(action)
        if found == "typed":
            self.typed += 1
        elif found == "no error":
            self.accepted.append(what)
        else:
            self.untyped.append(f"{what}: {found}")


def outcome(action: Callable[[], Any]) -> str:
    """What a wrong use comes to: "typed" for an error of Lucid's own, "no error", or the name of another one."""
    try:
        action()
    except LucidError:
        return "typed"
    except Exception as error:
        return type(error).__name__
    return "no error"


def on_one_thread() -> None:
    """For one process of several."""
    lucid.set_num_threads(1)
    torch.set_num_threads(1)


def walk(kind: str, name: str, dtype: str) -> Row:
    """One op or layer in one dtype; float64 brings PyTorch's wrong uses along."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (walk_op if kind == "op" else walk_module)(name, dtype)


def walk_op(name: str, dtype: str) -> Row:
    row = Row(name)
    run, kind = ops.function_of(name), getattr(torch, dtype)
    if kind == torch.float32 and not any(kind in op.supported_dtypes("cpu") for op in op_db if op.name == name):
        return row  # integers: walked once
    fast = lucid.compile(run)
    for k, (theirs, sample) in enumerate(ops.cleaned(name, kind)):
        reason = ops.refusal(name, sample)
        if reason:
            row.refuse(dtype, k, reason, lambda s=sample: called(run, s))
        elif ops.randomness(name, sample):
            row.apart["drawn at random"] += 1
        else:
            row.attempt(dtype, k, lambda f=theirs, s=sample: check(name, run, f, s, BOUNDS[dtype]))
            if ops.is_dynamic(name, sample):
                row.apart["a value, or of a size that depends on values: not compiled"] += 1
            else:
                lane = f"{dtype} compiled"
                row.attempt(lane, k, lambda f=theirs, s=sample: check(name, fast, f, s, BOUNDS[dtype]))
    for op in op_db if dtype == "float64" else ():
        if op.name == name and op.error_inputs_func is not None:
            for wrong in op.error_inputs("cpu"):
                sample = wrong.sample_input
                deepest = max((t.ndim for t in leaves([sample.input, sample.args], torch.Tensor)), default=0)
                if "out" in sample.kwargs or deepest > 32:
                    row.apart["wrong uses of out=, or of more dimensions than NumPy has"] += 1
                else:
                    row.expect(message(wrong.error_regex), lambda s=sample: called(run, s))
    return row


def called(run: Callable[..., Any], sample: Any) -> Any:
    first, args, kwargs = (ours(x) for x in (sample.input, sample.args, sample.kwargs))
    return run(first, *args, **kwargs)


def message(regex: str) -> str:
    """PyTorch's message as one line of a table."""
    return " ".join(regex.replace("\\", "").split())[:100].replace("|", "/")


def walk_module(name: str, dtype: str) -> Row:
    row = Row(name)
    kind = getattr(torch, dtype)
    for mode in ("training", "evaluation"):
        training = mode == "training"
        for k, sample in enumerate(modules.samples_of(name, kind, training)):
            reason = modules.refusal(name, sample)
            if reason:
                row.refuse(f"{dtype} {mode}", k, reason, lambda s=sample: modules.forward(name, s))
                continue
            if training and name in modules.RANDOM:
                row.apart["drawn at random"] += 1
                continue
            for lane in (mode, f"{mode} compiled"):
                row.attempt(
                    f"{dtype} {lane}",
                    k,
                    lambda s=sample, t=training, c=lane != mode: modules.check(name, s, kind, training=t, compiled=c),
                )
    for info in module_db if dtype == "float64" else ():
        if info.module_cls.__name__ == name and info.module_error_inputs_func is not None:
            for training in (True, False):
                for wrong in info.module_error_inputs_func(
                    info, device="cpu", dtype=kind, requires_grad=False, training=training
                ):
                    built = wrong.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR
                    sample = wrong.module_error_input
                    row.expect(
                        message(wrong.error_regex),
                        lambda s=sample, b=built: (
                            modules.constructed(name, s.constructor_input) if b else modules.forward(name, s)
                        ),
                    )
    return row
