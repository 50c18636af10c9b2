"""Functions of tensors on PyTorch's own sample inputs: values and gradients, eager and compiled.

Some names and a spread of their samples, unless ``LUCID_ALL_SAMPLES=1`` asks for all of them, as
``python -m tests.conformance`` walks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.errors import TraceError

pytest.importorskip("torch")
pytest.importorskip("torch.testing._internal.common_methods_invocations")

import torch

from tests.conformance.ops import (
    ALL_SAMPLES,
    DYNAMIC,
    PLAIN,
    TENSOR_OPS,
    compared,
    function_of,
    is_dynamic,
    some,
    spread,
)
from tests.conformance.samples import check, leaves, ours

#: What PyTorch has to say of its own samples.
pytestmark = [pytest.mark.filterwarnings("ignore:.*(searchsorted|index_reduce)", "ignore:Using torch.cross")]


@pytest.mark.parametrize("name", some(TENSOR_OPS, 0))
def test_agrees_with_torch(name: str) -> None:
    for theirs, sample in spread(compared(name), 16):
        check(name, function_of(name), theirs, sample)


@pytest.mark.parametrize("name", some(TENSOR_OPS, 2))
def test_agrees_with_torch_in_single_precision(name: str) -> None:
    for theirs, sample in spread(compared(name, torch.float32), 3):
        check(name, function_of(name), theirs, sample, 2e-4)


def second_order(outputs: list[Any], wrt: list[Any], grad: Any, constant: Any) -> list[np.ndarray] | None:
    """Gradients of a random slope of the sum of squares; None where there are none."""
    first = grad(sum((o * o).sum() for o in outputs), wrt, create_graph=True, allow_unused=True)
    slopes = [
        (g * constant(np.random.default_rng(k).standard_normal(tuple(g.shape)))).sum()
        for k, g in enumerate(first)
        if g is not None and g.requires_grad
    ]
    if not slopes:
        return None
    second = grad(sum(slopes), wrt, allow_unused=True)
    return [np.zeros(tuple(t.shape)) if g is None else np.asarray(g) for t, g in zip(wrt, second, strict=True)]


@pytest.mark.parametrize("name", [n for n in some(TENSOR_OPS, 4) if n != "linalg.norm"])  # there PyTorch has NaN at a 0
def test_second_derivatives_agree_with_torch(name: str) -> None:
    for theirs, sample in spread(compared(name), 2):
        given = [sample.input, sample.args, sample.kwargs]
        wrt = [t for t in leaves(given, torch.Tensor) if t.requires_grad]
        result = theirs(sample.input, *sample.args, **sample.kwargs)
        outputs = [o for o in leaves(result, torch.Tensor) if o.requires_grad]
        if not wrt or not outputs:
            continue
        try:
            expected = second_order(outputs, wrt, torch.autograd.grad, torch.tensor)
        except (RuntimeError, NotImplementedError):  # PyTorch has none
            continue
        arguments = ours(given)
        leaves_of = [t for t in leaves(arguments, lucid.Tensor) if t.requires_grad]
        result = function_of(name)(arguments[0], *arguments[1], **arguments[2])
        live = [o for o in leaves(result, lucid.Tensor) if o.requires_grad]
        found = second_order(live, leaves_of, lucid.grad, lucid.tensor) if live else None
        zeros = [np.zeros(t.shape) for t in leaves_of]
        for a, b in zip(found or zeros, expected or zeros, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=f"{name}{sample.args}{sample.kwargs}")


@pytest.mark.parametrize("name", ["bincount", "unique", "unique_consecutive"])
def test_sizes_that_depend_on_values_are_not_compiled(name: str) -> None:
    x = lucid.tensor([1, 1, 2])
    with pytest.raises(TraceError, match=name):
        lucid.compile(function_of(name))(x)


@pytest.mark.parametrize("name", [n for n in some(TENSOR_OPS, 6) if n not in DYNAMIC | PLAIN])
def test_compiled_agrees_with_eager(name: str) -> None:
    """The first samples of an op, forward and backward, as one compiled function."""
    samples = [s for _, s in compared(name) if not is_dynamic(name, s)][: None if ALL_SAMPLES else 2]
    arguments = [ours([s.input, s.args, s.kwargs]) for s in samples]
    tensors = list(leaves(arguments, lucid.Tensor))
    function = function_of(name)

    def run(*given: lucid.Tensor) -> list[lucid.Tensor]:
        rest = iter(given)
        found = []
        for value in arguments:
            first, args, kwargs = put(value, rest)
            found += leaves(function(first, *args, **kwargs), lucid.Tensor)
        return found

    again = [lucid.tensor(t.numpy(), requires_grad=t.requires_grad) for t in tensors]
    expected, found = run(*tensors), lucid.compile(run)(*again)
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a.shape, a.dtype, a.requires_grad) == (b.shape, b.dtype, b.requires_grad)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-11, err_msg=f"{name} output {k}")
    for outputs in (expected, found):
        live = [o for o in outputs if o.requires_grad]
        total = sum((o * o.detach()).sum() for o in live if o.isfinite().all().item())
        if isinstance(total, lucid.Tensor):
            total.backward()
    for k, (a, b) in enumerate(zip(again, tensors, strict=True)):
        zero = np.zeros(a.shape)
        have, wanted = (zero if t.grad is None else t.grad.numpy() for t in (a, b))
        np.testing.assert_allclose(have, wanted, rtol=1e-7, atol=1e-9, err_msg=f"{name} {k}")


def put(value: Any, tensors: Iterator[lucid.Tensor]) -> Any:
    """``value`` with its tensors replaced by others, in order."""
    if isinstance(value, lucid.Tensor):
        return next(tensors)
    if isinstance(value, list | tuple):
        return type(value)(put(v, tensors) for v in value)
    if isinstance(value, dict):
        return {k: put(v, tensors) for k, v in value.items()}
    return value


UNARY = """
abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad erf erfc exp exp2 expm1 floor frac isfinite isinf isnan
isneginf isposinf log log10 log1p log2 logit nan_to_num neg reciprocal round rsqrt sigmoid signbit sin sinc sinh sqrt
square tan tanh trunc
""".split()  # noqa: SIM905
BINARY = """
add atan2 copysign div eq floor_divide fmax fmin ge heaviside hypot isclose le logaddexp logical_xor
maximum minimum mul ne pow sub xlogy
""".split()  # noqa: SIM905
SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-40, -1e-40, 1e4, 3e38, -3e38], np.float32
)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_special_values(compiled: bool) -> None:
    """NaN, infinities, both zeros and denormals, each function of one and of every pair."""
    normal = SPECIAL[(np.abs(SPECIAL) > 1e-30) | (SPECIAL == 0) | np.isnan(SPECIAL)]
    a, b = np.repeat(normal, normal.size), np.tile(normal, normal.size)
    plain = np.abs(SPECIAL) < 1e30  # trigonometric functions of huge angles are another subject
    angles = np.where(plain | ~np.isfinite(SPECIAL), SPECIAL, 1.0).astype(np.float32)

    def operand(name: str) -> np.ndarray:
        return angles if name in ("sin", "cos", "tan", "sinc") else SPECIAL

    def run() -> list[lucid.Tensor]:
        ones = [getattr(lucid, name)(lucid.tensor(operand(name))) for name in UNARY]
        return ones + [getattr(lucid, name)(lucid.tensor(a), lucid.tensor(b)) for name in BINARY]

    found = (lucid.compile(run) if compiled else run)()
    wanted = [getattr(torch, name)(torch.tensor(operand(name))) for name in UNARY]
    wanted += [getattr(torch, name)(torch.tensor(a), torch.tensor(b)) for name in BINARY]
    for name, y, z in zip(UNARY + BINARY, found, wanted, strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=4e-6, atol=1e-37, err_msg=name)
        if y.dtype == lucid.float32 and name not in ("maximum", "minimum", "xlogy"):
            zero = (z == 0).numpy()
            np.testing.assert_array_equal(np.signbit(y.numpy())[zero], np.signbit(z.numpy())[zero], err_msg=name)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: lucid.linalg.cross(lucid.ones(5, 3), lucid.ones(5, 1)),
        lambda: lucid.cross(lucid.ones(3), lucid.ones(1, 3), 0),
        lambda: lucid.renorm(lucid.tensor(1.0), 2, 0, 1.0),
    ],
)
def test_error_inputs_of_torch_are_errors(wrong: Callable[[], Any]) -> None:
    with pytest.raises(lucid.errors.ShapeError, match="but it must"):
        wrong()
