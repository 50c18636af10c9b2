"""Another default dtype: what becomes it, and what PyTorch says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import lucid
from lucid import nn
from lucid.errors import DTypeError, TraceError

#: Expressions of either library whose dtype depends on the default.
DEPENDING = [
    "t.tensor([1.5, 2])", "t.tensor(0.5)", "t.zeros(2)", "t.ones(2, 3)", "t.empty(1)", "t.full((2,), 0.5)",
    "t.arange(0.0, 3.0)", "t.linspace(0, 1, 3)", "t.logspace(0, 1, 3)", "t.eye(2)", "t.rand(2)", "t.randn(2)",
    "t.normal(0.0, 1.0, (2,))", "t.scalar_tensor(2)", "t.tensor([1, 2]) / 2", "t.tensor([1, 2]) / t.tensor([2, 2])",
    "t.tensor([1, 2]) * 0.5", "t.tensor([True]) + 0.5", "t.tensor([1, 2]).exp()", "t.tensor([1, 2]).sqrt()",
    "t.where(t.tensor([True]), 1.0, 2.0)", "t.result_type(t.tensor([1]), 1.0)", "t.nn.Linear(2, 3).weight",
    "t.nn.BatchNorm2d(2).running_mean", "t.nn.LSTM(2, 3).weight_hh_l0", "t.nn.PReLU().weight",
]  # fmt: skip
#: And of those whose dtype does not.
SETTLED = [
    "t.tensor([1, 2])", "t.tensor([True])", "t.arange(3)", "t.tensor([1.5], dtype=t.float16)", "t.full((2,), 1)",
    "t.ones(2, dtype=t.float32) * 0.5", "t.zeros_like(t.ones(2, dtype=t.float32))", "t.tensor([1]) * 2",
    "t.nn.Linear(2, 3, dtype=t.float32).weight", "t.ones(2).half()", "t.tensor([1, 2]).sum()",
    "t.randint(0, 5, (2,))",
]  # fmt: skip


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    lucid.set_default_dtype(lucid.float32)


def dtype_of(code: str, library: Any) -> str:
    found = eval(code, {"t": library})
    return str(getattr(found, "dtype", found)).replace("torch.", "")


@pytest.mark.parametrize("default", ["float64", "float16", "float32"])
def test_what_becomes_it(default: str) -> None:
    settled = [dtype_of(code, lucid) for code in SETTLED]
    lucid.set_default_dtype(default)
    assert lucid.get_default_dtype().name == default
    assert {code: dtype_of(code, lucid) for code in DEPENDING} == dict.fromkeys(DEPENDING, default)
    assert lucid.finfo().dtype.name == default
    assert [dtype_of(code, lucid) for code in SETTLED] == settled


def test_pytorch_says_so_too() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        lucid.set_default_dtype(lucid.float64)
        for code in (*DEPENDING, *SETTLED):
            assert dtype_of(code, lucid) == dtype_of(code, torch), code
    finally:
        torch.set_default_dtype(before)


def test_a_compiled_function_follows() -> None:
    fast = lucid.compile(lambda x: x / 2 + lucid.ones(2))
    x = lucid.tensor([1, 3])
    assert fast(x).dtype == lucid.float32
    lucid.set_default_dtype("float64")
    assert (fast(x).dtype, fast(x).tolist()) == (lucid.float64, [1.5, 2.5])
    assert "default dtype: float64 instead of absent" in fast.explain()
    lucid.set_default_dtype("float32")
    assert fast(x).dtype == lucid.float32
    assert "2 versions, 4 calls" in fast.explain()


def test_a_model_of_doubles_trains() -> None:
    lucid.set_default_dtype(lucid.double)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    loss = nn.functional.cross_entropy(model(lucid.rand(3, 1, 4, 4)), lucid.tensor([0, 1, 1]))
    loss.backward()
    assert (loss.dtype, model[0].weight.grad.dtype) == (lucid.float64, lucid.float64)


def test_its_name_is_not_printed() -> None:
    lucid.set_default_dtype(lucid.float64)
    assert repr(lucid.tensor([0.5])) == "Tensor([0.5])"
    assert repr(lucid.tensor([0.5], dtype="float32")) == "Tensor([0.5], dtype=float32)"


def test_wrong_uses() -> None:
    for wrong in ("int32", "nonsense", None, lucid.bool_):
        with pytest.raises(DTypeError, match="set_default_dtype"):
            lucid.set_default_dtype(wrong)
    with pytest.raises(TraceError, match="cannot be changed in a compiled function"):
        lucid.compile(lambda x: [x + 1, lucid.set_default_dtype("float64")])(lucid.ones(1))
    assert lucid.get_default_dtype() == lucid.float32
