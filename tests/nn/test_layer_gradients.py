"""Gradients of every layer, loss and functional layer against differences in float64: first and second order, and the
same from machine code.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.nn import functional as F
from tests.nn.layer_cases import CASES, WITHOUT, Between, Case

#: How far the arguments of differences lie apart.
H = 1e-5


def tensors(value: Any) -> Iterator[lucid.Tensor]:
    if isinstance(value, lucid.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


class Subject:
    """A case set up: a function in float64, and the leaves its gradients are taken to."""

    def __init__(self, name: str, case: Case):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        lucid.manual_seed(0)
        self.function = case.make()
        self.leaves: list[lucid.Tensor] = []
        for module in self.function.modules() if isinstance(self.function, nn.Module) else ():
            for key, parameter in module._parameters.items():
                if parameter is not None:
                    module._parameters[key] = nn.Parameter(self.rng.normal(0, 0.5, parameter.shape))
                    self.leaves.append(module._parameters[key])
            for key, buffer in module._buffers.items():
                if buffer is not None and buffer.dtype == lucid.float32:
                    module._buffers[key] = lucid.tensor(buffer.numpy().astype(np.float64))
        self.parameters = len(self.leaves)
        self.given = [self._given(g) for g in case.given]
        self.leaves += [t for t in self.given if t.requires_grad]
        self.directions = [lucid.tensor(self.rng.standard_normal(x.shape)) for x in self.leaves]
        self.weights = [
            lucid.tensor(self.rng.standard_normal(y.shape)) for y in tensors(self.run()) if y.dtype == lucid.float64
        ]

    def _given(self, given: Any) -> lucid.Tensor:
        if isinstance(given, np.ndarray):
            return lucid.tensor(given)
        if isinstance(given, Between):
            return lucid.tensor(self.rng.uniform(0.1, 0.9, given.shape), requires_grad=True)
        return lucid.tensor(self.rng.standard_normal(given), requires_grad=True)

    def run(self) -> Any:
        """The results, with the same draws every time."""
        lucid.manual_seed(1)
        return self.function(*self.given)

    def loss(self, result: Any) -> lucid.Tensor:
        """Quadratic in the results, so that linear layers have second derivatives too."""
        found = [y for y in tensors(result) if y.dtype == lucid.float64]
        return sum((y * y * w).sum() for y, w in zip(found, self.weights, strict=True))

    def slope(self, result: Any) -> tuple[lucid.Tensor, list[lucid.Tensor]]:
        """The loss's slope along the directions, and its gradients."""
        gradients = lucid.grad(self.loss(result), self.leaves, create_graph=True)
        return sum((g * d).sum() for g, d in zip(gradients, self.directions, strict=True)), list(gradients)

    def second(self, result: Any) -> tuple[list[lucid.Tensor], list[lucid.Tensor]]:
        """All first gradients, and the slope's gradients: the Hessian times the directions."""
        slope, gradients = self.slope(result)
        return gradients, list(lucid.grad(slope, self.leaves))

    def difference(self, value: Callable[[], lucid.Tensor]) -> float:
        """The central difference of a value along the directions."""
        ends = []
        before = [x.detach().clone() for x in self.leaves]
        for step in (H, -H):
            for x, old, d in zip(self.leaves, before, self.directions, strict=True):
                with lucid.no_grad():
                    x.copy_(old + d * step)
            ends.append(value().item())
        for x, old in zip(self.leaves, before, strict=True):
            with lucid.no_grad():
                x.copy_(old)
        return (ends[0] - ends[1]) / (2 * H)


SUBJECTS = [
    pytest.param(f"{name}-{k}", case, id=f"{name}-{k}") for name, cases in CASES.items() for k, case in enumerate(cases)
]


def close(found: float, expected: float, scale: float) -> None:
    assert abs(found - expected) <= 1e-6 * scale + 1e-8, (found, expected, scale)


@pytest.mark.parametrize(("name", "case"), SUBJECTS)
def test_against_differences(name: str, case: Case) -> None:
    subject = Subject(name, case)
    gradients, second = subject.second(subject.run())
    for order, found, value in (
        ("first", gradients, lambda: subject.loss(subject.run())),
        ("second", second, lambda: subject.slope(subject.run())[0]),
    ):
        products = [(g * d).numpy() for g, d in zip(found, subject.directions, strict=True)]
        scale = sum(float(np.abs(p).sum()) for p in products)
        assert scale > 0, f"the {order} derivative is zero everywhere"
        close(sum(float(p.sum()) for p in products), subject.difference(value), scale)


@pytest.mark.parametrize(("name", "case"), SUBJECTS)
def test_machine_code_gives_the_same(name: str, case: Case) -> None:
    subject = Subject(name, case)
    expected = subject.second(subject.run())

    def compiled(*given: lucid.Tensor) -> Any:
        subject.leaves[subject.parameters :] = [x for x in given if x.requires_grad]
        return subject.second(subject.function(*given))

    lucid.manual_seed(1)
    found = lucid.compile(compiled)(*subject.given)
    for order in (0, 1):
        for k, (a, b) in enumerate(zip(found[order], expected[order], strict=True)):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9, err_msg=f"{order}: {k}")


def test_every_layer_has_a_case() -> None:
    layers = {n for n in nn.__all__ if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Module)}
    again = {n for n in layers if getattr(nn, n).__name__ != n}  # other names of the same
    assert {n for n in CASES if not n.startswith("functional.")} == layers - again - WITHOUT


def test_every_functional_layer_is_called_by_a_case() -> None:
    functions = {n: f for n in F.__all__ if isinstance(f := getattr(F, n), FunctionType)}
    called: set[CodeType] = set()

    def watch(frame: FrameType, event: str, argument: object) -> None:
        called.add(frame.f_code)

    for name, cases in CASES.items():
        for case in cases:
            subject = Subject(name, case)
            sys.setprofile(watch)
            try:
                subject.run()
            finally:
                sys.setprofile(None)
    assert [n for n, f in functions.items() if f.__code__ not in called] == []
