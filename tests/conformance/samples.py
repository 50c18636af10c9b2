"""PyTorch's samples as arguments of Lucid's functions, and whether the two libraries agree on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import lucid

DTYPES = {
    getattr(torch, d.name): d
    for d in (
        lucid.float32, lucid.float64, lucid.int64, lucid.int32, lucid.int16, lucid.int8, lucid.uint8, lucid.bool_,
    )
}  # fmt: skip

#: PyTorch's function for a sample, and the sample.
Pair = tuple[Callable[..., Any], Any]


def samples_of(name: str, dtype: Any = torch.float64) -> list[Pair]:
    """Each sample of an op with PyTorch's function for it, alike in every process; integers if it takes no floats."""
    torch.manual_seed(0)
    found = []
    for op in (op for op in op_db if op.name == name):
        supported = op.supported_dtypes("cpu")
        kind = dtype if dtype in supported else torch.int64
        if kind in supported:  # some entries are for complex numbers or other devices alone
            grad = op.supports_autograd and kind.is_floating_point
            found += [(op.op, s) for s in op.sample_inputs("cpu", kind, requires_grad=grad)]
    assert found, f"PyTorch has no samples of {name}"
    return found


def ours(value: Any) -> Any:
    """PyTorch's arguments as Lucid's."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        return lucid.tensor(array, requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return DTYPES[value]
    if isinstance(value, torch.memory_format):
        return getattr(lucid, str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, list | tuple):
        return type(value)(map(ours, value))
    if isinstance(value, dict):
        return {k: ours(v) for k, v in value.items() if k != "device"}
    return value


def leaves(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item, kind)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()), kind)


def assert_same(found: Any, expected: Any, what: str, rtol: float = 1e-7) -> None:
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected), what
        for k, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{what}[{k}]", rtol)
        return
    if not isinstance(expected, torch.Tensor):
        assert found == expected, what
        return
    wanted = expected.numpy(force=True)
    assert found.shape == wanted.shape, what
    assert found.dtype == wanted.dtype, what
    np.testing.assert_allclose(found.numpy(), wanted, rtol=rtol, atol=rtol, err_msg=what)


def cotangents(outputs: list[Any]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(tuple(o.shape))) for o in outputs]


def torch_gradients(function: Callable[..., Any], sample: Any) -> tuple[Any, list[Any] | None]:
    """PyTorch's result, and the gradients to every argument that asks for one; None if the result has none."""
    result = function(sample.input, *sample.args, **sample.kwargs)
    outputs = [o for o in leaves(result, torch.Tensor) if o.requires_grad]
    wrt = [t for t in leaves([sample.input, sample.args, sample.kwargs], torch.Tensor) if t.requires_grad]
    if not outputs or not wrt:
        return result, None
    seeds = [torch.tensor(c, dtype=o.dtype) for c, o in zip(cotangents(outputs), outputs, strict=True)]
    return result, list(torch.autograd.grad(outputs, wrt, seeds, allow_unused=True))


def check(name: str, run: Callable[..., Any], theirs: Callable[..., Any], sample: Any, rtol: float = 1e-7) -> None:
    """Values and gradients of one sample, or AssertionError."""
    expected, gradients = torch_gradients(theirs, sample)
    arguments = [ours(a) for a in (sample.input, sample.args, sample.kwargs)]
    found = run(arguments[0], *arguments[1], **arguments[2])
    what = f"{name}{sample.args}{sample.kwargs}"
    assert_same(found, expected, what, rtol)
    if gradients is None:
        return
    shown = list(leaves(expected, torch.Tensor))
    outputs = [o for o, e in zip(leaves(found, lucid.Tensor), shown, strict=True) if e.requires_grad]
    wrt = [t for t in leaves(arguments, lucid.Tensor) if t.requires_grad]
    for o, c in zip(outputs, cotangents(outputs), strict=True):
        if o.requires_grad:
            o.backward(c.astype(o.dtype), retain_graph=True)
    for k, (t, g) in enumerate(zip(wrt, gradients, strict=True)):
        wanted = np.zeros(t.shape) if g is None else g.numpy(force=True)
        have = np.zeros(t.shape) if t.grad is None else t.grad.numpy()
        np.testing.assert_allclose(have, wanted, rtol=10 * rtol, atol=10 * rtol, err_msg=f"{what}: gradient {k}")
