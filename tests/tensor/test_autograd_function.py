"""``autograd.Function``: gradients that a function says itself, eagerly, compiled, and differentiated again."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
import pytest

import lucid
from lucid import nn, optim
from lucid.autograd import Function
from lucid.autograd.function import once_differentiable
from lucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    LucidError,
    MissingForwardError,
    ShapeError,
    TraceError,
)


def functions(library: Any) -> dict[str, Any]:
    """The same functions for either library."""
    base = library.autograd.Function
    once = library.autograd.function.once_differentiable

    class Exp(base):
        """Saves its result."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (y,) = ctx.saved_tensors
            return g * y

    class Product(base):
        """Two arguments and a number between them; saves the arguments."""

        @staticmethod
        def forward(ctx: Any, a: Any, factor: float, b: Any) -> Any:
            ctx.save_for_backward(a, None, b)
            ctx.factor = factor
            return a * b * factor

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            a, nothing, b = ctx.saved_tensors
            assert nothing is None
            return (
                g * b * ctx.factor if ctx.needs_input_grad[0] else None,
                None,
                g * a * ctx.factor if ctx.needs_input_grad[2] else None,
            )

    class Parts(base):
        """Three results, of which one has no gradient; and a gradient that is not the true one."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            places = x.argmax(1)
            steps = x.round()
            ctx.mark_non_differentiable(places, steps)
            return x * 2, steps, x.sin(), places

        @staticmethod
        def backward(ctx: Any, g1: Any, g2: Any, g3: Any, g4: Any) -> Any:
            return g1 * 5 + g3 * 7

    class Modern(base):
        """``forward`` without a context."""

        @staticmethod
        def forward(x: Any, power: int) -> Any:
            return x**power

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            x, ctx.power = inputs
            ctx.save_for_backward(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * ctx.power * x ** (ctx.power - 1), None

    class Reversed(base):
        """Gives its argument itself."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return -g

    class Once(base):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @once
        def backward(ctx: Any, g: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * g

    return {f.__name__: f for f in (Exp, Product, Parts, Modern, Reversed, Once)}


OURS = functions(lucid)
DATA = np.array([[0.5, -1.5, 0.25], [2.0, 1.0, -0.75]], np.float32)

#: From functions and a leaf to a number.
USES: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    "a result saved": lambda f, x: f["Exp"].apply(x).sum(),
    "nested": lambda f, x: f["Exp"].apply(f["Reversed"].apply(f["Exp"].apply(x) * 0.5)).sum(),
    "two arguments": lambda f, x: f["Product"].apply(x, 3.0, x * x).sum(),
    "one of two arguments": lambda f, x: f["Product"].apply(x, 3.0, x.detach()).sum(),
    "the same argument twice": lambda f, x: f["Product"].apply(x, 0.5, x).sum(),
    "several results": lambda f, x: (f["Parts"].apply(x)[0] * f["Parts"].apply(x)[2]).sum(),
    "a result of several": lambda f, x: (f["Parts"].apply(x)[2] * x).sum(),
    "all results": lambda f, x: sum([(y * y).sum() for y in f["Parts"].apply(x)[:3]]),
    "with a context apart": lambda f, x: f["Modern"].apply(x, 3).sum(),
    "reversed": lambda f, x: (f["Reversed"].apply(x) * x).sum(),
    "once": lambda f, x: f["Once"].apply(x).sum(),
    "side by side": lambda f, x: (f["Exp"].apply(x) * f["Modern"].apply(x, 2) + f["Reversed"].apply(x)).sum(),
}
TWICE = [name for name in USES if name != "once"]


@pytest.mark.parametrize("use", USES)
def test_gradients_are_pytorchs(use: str) -> None:
    torch = pytest.importorskip("torch")
    x, y = lucid.tensor(DATA, requires_grad=True), torch.tensor(DATA, requires_grad=True)
    ours, theirs = USES[use](OURS, x), USES[use](functions(torch), y)
    np.testing.assert_allclose(ours.item(), theirs.item(), rtol=1e-6)
    for _ in range(2):  # what is kept serves a second backward
        ours.backward(retain_graph=True)
        theirs.backward(retain_graph=True)
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-6)
    with pytest.raises(GradientError, match="freed"):
        [ours.backward(), ours.backward()]


@pytest.mark.parametrize("use", TWICE)
def test_second_derivatives_are_pytorchs(use: str) -> None:
    torch = pytest.importorskip("torch")
    found = []
    for library, f in ((lucid, OURS), (torch, functions(torch))):
        x = library.tensor(DATA, requires_grad=True)
        (first,) = library.autograd.grad((USES[use](f, x) * x.sum()).sum(), x, create_graph=True)
        (second,) = library.autograd.grad((first * first).sum(), x)
        found.append(second.numpy())
    np.testing.assert_allclose(*found, rtol=2e-5)


@pytest.mark.parametrize("use", TWICE)
def test_compiled_steps_are_eager_ones(use: str) -> None:
    def step(x: Any) -> Any:
        (first,) = lucid.grad(USES[use](OURS, x) * x.sum(), x, create_graph=True)
        (second,) = lucid.grad((first * first).sum(), x)
        return first.detach(), second

    x = lucid.tensor(DATA, requires_grad=True)
    for expected, found in zip(step(x), lucid.compile(step)(x), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-5)


class Rounded(Function):
    """Straight through."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return (x * 8).round() / 8

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


class Quantised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return nn.functional.linear(x, Rounded.apply(self.layer.weight), self.layer.bias)


def test_a_compiled_training_step() -> None:
    lucid.manual_seed(0)
    x, y = lucid.randn(6, 4), lucid.randn(6, 3)

    def losses(compiled: bool) -> list[float]:
        lucid.manual_seed(1)
        model = Quantised()
        optimizer = optim.SGD(model.parameters(), lr=0.3)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        run = lucid.compile(step) if compiled else step
        return [run(x, y).item() for _ in range(6)]

    eager = losses(False)
    assert eager[-1] < 0.9 * eager[0]
    np.testing.assert_allclose(losses(True), eager, rtol=1e-5)


def test_a_compiled_model_and_a_backward_outside() -> None:
    model = Quantised()
    fast = lucid.compile(model)
    x = lucid.ones(2, 4)
    with lucid.no_grad():
        np.testing.assert_allclose(fast(x).numpy(), model(x).numpy(), rtol=1e-6)
    with pytest.raises(TraceError, match="a backward outside"):
        fast(x)


def test_a_second_derivative_that_was_ruled_out() -> None:
    x = lucid.tensor(2.0, requires_grad=True)
    (first,) = lucid.grad(OURS["Once"].apply(x), x, create_graph=True)
    assert first.item() == 12.0
    with pytest.raises(GradientError, match="once_differentiable"):
        first.backward()


def test_results_that_nothing_depends_on() -> None:
    seen: list[Any] = []

    class Pair(Function):
        materialize = True

        @classmethod
        def forward(cls, ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(Pair.materialize)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            seen.append(a if a is None else a.tolist())
            return b * 3

    for Pair.materialize in (True, False):
        x = lucid.ones(2, requires_grad=True)
        Pair.apply(x)[1].sum().backward()
        assert x.grad.tolist() == [3.0, 3.0]
    assert seen == [[0.0, 0.0], None]


def test_eager_code_sees_values() -> None:
    class Clever(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mask = x.numpy() > 0
            return lucid.tensor(np.where(ctx.mask, x.numpy(), 0))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return lucid.tensor(np.where(ctx.mask, g.numpy(), -1).astype(np.float32)) if g.sum().item() > 0 else None

    x = lucid.tensor([-1.0, 2.0], requires_grad=True)
    Clever.apply(x).sum().backward()
    assert x.grad.tolist() == [-1.0, 1.0]


def test_what_is_saved_keeps_its_value() -> None:
    x = lucid.tensor([1.0, 2.0], requires_grad=True)
    y = OURS["Modern"].apply(x, 2)
    with lucid.no_grad():
        x.mul_(100)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_halves_and_signs_of_zeros() -> None:
    x = lucid.tensor([-0.0, 0.0, float("nan"), float("inf")], requires_grad=True)
    assert np.signbit(OURS["Reversed"].apply(x).detach().numpy()).tolist()[:2] == [True, False]
    OURS["Reversed"].apply(x).sum().backward()
    assert x.grad.tolist() == [-1.0] * 4
    half = lucid.tensor([0.1, 3.0], dtype="float16", requires_grad=True)
    y = OURS["Exp"].apply(half)
    assert (y.dtype, y.tolist()) == (lucid.float16, half.exp().tolist())
    y.sum().backward()
    assert (half.grad.dtype, half.grad.tolist()) == (lucid.float16, half.exp().tolist())


def test_without_gradients_nothing_is_kept() -> None:
    x = lucid.ones(2, requires_grad=True)
    with lucid.no_grad():
        assert not OURS["Exp"].apply(x).requires_grad
    assert not OURS["Exp"].apply(x.detach()).requires_grad
    parts = OURS["Parts"].apply(lucid.ones(1, 2, requires_grad=True))
    assert [y.requires_grad for y in parts] == [True, False, True, False]


def test_memory_is_free_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = lucid.ones(1000, requires_grad=True)
        y = OURS["Exp"].apply(x)
        record = ref(y._record)
        del y
        assert record() is None
    finally:
        gc.enable()


def test_wrong_uses() -> None:
    def gradient(given: Any) -> Any:
        class Wrong(Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return x * 2

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return given

        return lambda: Wrong.apply(lucid.ones(2, requires_grad=True)).sum().backward()

    def forward(compute: Callable[[Any, Any], Any]) -> Any:
        class Wrong(Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return compute(ctx, x)

        return lambda: Wrong.apply(lucid.ones(2, requires_grad=True)).sum().backward()

    uses: list[tuple[Callable[[], Any], type[LucidError], str]] = [
        (gradient((None, lucid.ones(2))), ArgumentError, "gave 2 gradients for 1 arguments"),
        (gradient(()), ArgumentError, "gave 0 gradients"),
        (gradient(1.0), ArgumentTypeError, "Wrong.backward: gradient 0 is a float"),
        (gradient(lucid.ones(3)), ShapeError, r"shape \(3,\), but the argument has \(2,\)"),
        (forward(lambda ctx, x: x * 2), MissingForwardError, "no backward"),
        (forward(lambda ctx, x: 3.0), ArgumentTypeError, "forward gave 3.0"),
        (forward(lambda ctx, x: ctx.save_for_backward([x])), ArgumentTypeError, "save_for_backward"),
        (forward(lambda ctx, x: ctx.mark_non_differentiable(3)), ArgumentTypeError, "mark_non_differentiable"),
        (lambda: Function.apply(lucid.ones(2)), MissingForwardError, "no forward"),
    ]
    for use, error, words in uses:
        with pytest.raises(error, match=words):
            use()
    gradient((lucid.ones(2), None))()  # further Nones are as good as none


def test_the_mark_keeps_the_name() -> None:
    def backward(ctx: Any, g: Any) -> Any:
        """Documented."""

    assert once_differentiable(backward).__doc__ == "Documented."
