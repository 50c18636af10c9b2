"""One device, by all the names that programs for several have for it."""

from __future__ import annotations

import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError


def test_a_program_takes_its_path_for_the_cpu() -> None:
    device = lucid.device("cuda" if lucid.cuda.is_available() else "cpu")
    lucid.cuda.manual_seed_all(3)
    lucid.backends.cudnn.benchmark = True
    x = lucid.zeros(2, device=device).to(device, non_blocking=True).cpu()
    assert x.device == device == lucid.device("cpu")
    assert (str(device), repr(device), str(lucid.device("cpu", 0))) == ("cpu", "device(type='cpu')", "cpu:0")
    assert not x.is_cuda
    assert lucid.randn(2, device="cpu:0").to(lucid.float64).to(x).dtype == lucid.float32
    model = nn.Linear(2, 3).to(device)
    assert next(model.parameters()).device == device
    assert model.to(device, lucid.float64).weight.dtype == lucid.float64
    assert x.to("cpu", copy=True) is not x
    assert x.to("cpu") is x


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "cpu:3"])
def test_other_devices_are_not_there(name: str) -> None:
    for ask in (lambda: lucid.device(name), lambda: lucid.ones(2, device=name), lambda: lucid.ones(2).to(name)):
        with pytest.raises(ArgumentError, match=f"'{name}' is not there"):
            ask()
    with pytest.raises(ArgumentError, match="is not there"):
        nn.Linear(2, 2).to(name)


def test_wrong_uses() -> None:
    with pytest.raises(ArgumentTypeError, match="device=3"):
        lucid.device(3)
    with pytest.raises(DTypeError, match="int64 must be floating"):
        nn.Linear(2, 2).to("int64")
    with pytest.raises(ArgumentTypeError, match="nonsense"):
        nn.Linear(2, 2).to(nonsense=3)


def test_pytorchs_names_of_dtypes() -> None:
    assert (lucid.float, lucid.double, lucid.half) == (lucid.float32, lucid.float64, lucid.float16)
    assert (lucid.long, lucid.int, lucid.short, lucid.bool) == (lucid.int64, lucid.int32, lucid.int16, lucid.bool_)
    assert lucid.FloatTensor([1, 2]).dtype == lucid.float32
    assert lucid.LongTensor(2, 3).type is lucid.zeros(2, 3, dtype=lucid.long).type
    assert isinstance(lucid.float, lucid.dtype)
