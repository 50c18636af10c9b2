"""What a compiled function cannot do says so, names the user's line, and says what to do instead."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import IndexRangeError, TraceError

W = lucid.ones(3)
P = lucid.ones(3, requires_grad=True)


def here() -> int:
    return inspect.currentframe().f_back.f_lineno


def test_a_branch_on_values_names_the_line_and_the_way_out() -> None:
    @lucid.compile
    def f(x):
        if x.sum() > 0:  # the line that is named
            return x
        return -x

    line = here() - 4
    with pytest.raises(TraceError) as caught:
        f(lucid.ones(3))
    message = str(caught.value)
    assert f"test_tracing.py:{line}" in message
    assert "bool()" in message
    assert "lucid.where" in message
    # Nothing falls back: the same call fails again, and the function that chooses by values is fine.
    with pytest.raises(TraceError):
        f(lucid.ones(3))
    g = lucid.compile(lambda x: lucid.where(x.sum() > 0, x, -x))
    assert g(lucid.full((2,), -1.0)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda x: float(x.sum()), "float()"),
        (lambda x: int(x.sum()), "int()"),
        (lambda x: x.sum().item(), "item()"),
        (lambda x: x.numpy(), "numpy()"),
        (lambda x: np.asarray(x), "numpy.asarray()"),  # noqa: PLW0108
        (lambda x: x.tolist(), "tolist()"),
        (lambda x: [1, 2][x.argmax()], "index()"),
        (lambda x: x[: x.argmax()], "index()"),
        (lambda x: f"{x.sum():.3f}", "item()"),
        (lambda x: x in [W], "bool()"),
        (lambda x: lucid.tensor(x), "lucid.tensor()"),  # noqa: PLW0108
        (lambda x: lucid.tensor([x.sum(), 1.0]), "lucid.tensor()"),
        (lambda x: x if (W > 0).all() else -x, "bool()"),
        (lambda x: x * W.sum().item(), "item()"),
        (lambda x: x * W[0].item(), "item()"),
        (lambda x: x * float(W.numpy()[0]), "numpy()"),
        (lambda x: x.dot(x).item(), "item()"),
    ],
)
def test_asking_for_a_value(use, what) -> None:
    with pytest.raises(TraceError) as caught:
        lucid.compile(use)(lucid.ones(3))
    assert what in str(caught.value)
    assert "test_tracing.py" in str(caught.value)
    assert caught.value.hint


def test_shapes_and_types_are_known() -> None:
    @lucid.compile
    def f(x):
        assert x.shape == (2, 3)
        assert x.dtype == lucid.float32
        assert (len(x), x.ndim, x.size) == (2, 2, 6)
        rows = [row * k for k, row in enumerate(x)]
        assert "f32[2,3] in a trace" in repr(x)
        return lucid.stack(rows).reshape(x.shape[1], -1)

    x = lucid.ones(2, 3)
    assert f(x).tolist() == [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


def test_requires_grad_of_outside_tensors_is_not_changed() -> None:
    for t in (W, P):
        with pytest.raises(TraceError, match="requires_grad"):
            lucid.compile(lambda x, t=t: t.requires_grad_(not t.requires_grad) * x)(lucid.ones(3))
    assert P.requires_grad
    assert not W.requires_grad


def test_leaves_can_be_made_inside() -> None:
    @lucid.compile
    def f(x):
        y = x.detach().requires_grad_()
        (g,) = lucid.grad((y**3).sum(), y)
        return g

    assert f(lucid.tensor([2.0])).item() == 12.0


def test_graph_and_randperm_are_refused() -> None:
    with pytest.raises(TraceError, match="captured"):
        lucid.compile(lambda x: lucid.graph(x) and x)(lucid.ones(3))
    with pytest.raises(TraceError, match="randperm"):
        lucid.compile(lambda x: x + lucid.randperm(3))(lucid.ones(3))


def test_hooks_on_values_inside_are_refused_when_backward_is_outside() -> None:
    def f(x):
        h = x * 2
        h.register_hook(lambda g: g * 10)
        return h.sum()

    with pytest.raises(TraceError, match="hook"):
        lucid.compile(f)(lucid.ones(3, requires_grad=True))


def test_a_result_behind_an_update_is_refused() -> None:
    p = lucid.ones(3, requires_grad=True)

    @lucid.compile
    def f(x):
        p.copy_(p * 2)
        return (p * x).sum()

    with pytest.raises(TraceError, match="updated"):
        f(lucid.ones(3))
    with lucid.no_grad():
        assert f(lucid.ones(3)).item() == 6.0
    assert p.tolist() == [2.0, 2.0, 2.0]


def test_backward_does_not_leave_the_function() -> None:
    x = lucid.ones(3, requires_grad=True) * 2

    @lucid.compile
    def f(x):
        x.sum().backward()
        return x * 1

    with pytest.raises(TraceError, match="outside the compiled function"):
        f(x)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0
        self.seen = None
        self.shape = None

    def forward(self, x, count=False, keep=False):
        self.shape = x.shape
        if count:
            self.calls += 1
        if keep:
            self.seen = x * 2
        return x + 1


def test_python_state_that_changes_is_refused() -> None:
    module = Counting()
    compiled = lucid.compile(module)
    with pytest.raises(TraceError, match=r"Counting.calls changed from 0 to 1"):
        compiled(lucid.ones(2), count=True)
    assert module.calls == 0
    with pytest.raises(TraceError, match=r"Counting.seen"):
        compiled(lucid.ones(2), keep=True)
    assert module.seen is None
    assert compiled(lucid.ones(2)).tolist() == [2.0, 2.0]


def test_out_of_range_values_cannot_pass_in_silence() -> None:
    f = lucid.compile(lambda s, t: nn.functional.cross_entropy(s, t, reduction="none"))
    loss = f(lucid.zeros(3, 4), lucid.tensor([0, 4, -100]))
    assert not loss[0].isnan()
    assert loss[1].isnan()
    assert loss[2].item() == 0


@pytest.mark.parametrize(
    "indices", [[0, -4, 3], np.array([0, 200, 3], np.uint8), np.array([0, 2**63, 2**64 - 1], np.uint64)]
)
def test_an_index_out_of_range_gives_nan(indices: Any) -> None:
    x, at = lucid.tensor([1.0, 2.0, 3.0], requires_grad=True), lucid.tensor(indices)
    with pytest.raises(IndexRangeError):
        x.take(at)
    y = lucid.compile(lambda x, at: x.take(at))(x, at)
    np.testing.assert_array_equal(y.numpy(), np.array([1, np.nan, np.nan], np.float32))
    y.sum().backward()
    assert x.grad.isnan().all()
