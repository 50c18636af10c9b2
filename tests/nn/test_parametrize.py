"""Parameters that are computed from others: eagerly, in compiled steps, in copies and in state dicts, as PyTorch's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn, optim
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from lucid.nn.utils import parametrize


class Doubled(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2

    def right_inverse(self, x: Any) -> Any:
        return x / 2


class Skew(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.triu(1) - x.triu(1).T


class Parts(nn.Module):
    """Two originals for one weight."""

    def forward(self, a: Any, b: Any) -> Any:
        return a + b

    def right_inverse(self, x: Any) -> Any:
        return x * 0.25, x * 0.75


class First(nn.Module):
    def forward(self, x: Any) -> Any:
        return x[:1]


class TestParametrizations:
    def test_the_value_is_kept_and_the_parameter_too(self) -> None:
        layer = nn.Linear(2, 3)
        weight, before = layer.weight, layer.weight.tolist()
        assert parametrize.register_parametrization(layer, "weight", Doubled()) is layer
        assert layer.weight.tolist() == before
        assert layer.parametrizations.weight.original is weight  # what an optimizer may have
        assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
        layer.weight.sum().backward()
        assert weight.grad is not None
        assert weight.grad.tolist() == [[2.0, 2.0]] * 3
        assert "weight" in dir(layer)

    def test_several_one_after_the_other(self) -> None:
        layer = nn.Linear(3, 3)
        for rule in (Skew(), Doubled()):
            parametrize.register_parametrization(layer, "weight", rule)
        original = layer.parametrizations.weight.original.detach().numpy()
        upper = np.triu(original, 1)
        np.testing.assert_array_equal(layer.weight.detach().numpy(), 2 * (upper - upper.T))
        assert parametrize.is_parametrized(layer)
        assert not parametrize.is_parametrized(layer, "bias")
        assert type(layer) is parametrize.type_before_parametrizations(layer) is nn.Linear

    def test_several_originals(self) -> None:
        layer = nn.Linear(2, 2)
        before = layer.weight.detach().numpy().copy()
        parametrize.register_parametrization(layer, "weight", Parts())
        rule = layer.parametrizations.weight
        np.testing.assert_allclose(rule.original0.detach().numpy(), before * 0.25)
        layer.weight = lucid.ones(2, 2)
        assert (rule.original1.tolist(), layer.weight.tolist()) == ([[0.75] * 2] * 2, [[1.0] * 2] * 2)
        with pytest.raises(ArgumentError, match="computed from 2 tensors"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        parametrize.remove_parametrizations(layer, "weight")
        assert isinstance(layer.weight, nn.Parameter)
        assert list(layer.state_dict()) == ["bias", "weight"]

    @pytest.mark.parametrize("leave", [True, False])
    def test_they_can_be_removed(self, leave: bool) -> None:
        layer = nn.Linear(3, 3)
        before = layer.weight.tolist()
        parametrize.register_parametrization(layer, "weight", Skew())
        skew = layer.weight.tolist()
        parametrize.register_parametrization(layer, "bias", Doubled())
        parametrize.remove_parametrizations(layer, "weight", leave)
        assert layer.weight.tolist() == (skew if leave else before)
        assert isinstance(layer.weight, nn.Parameter)
        assert parametrize.is_parametrized(layer, "bias")
        parametrize.remove_parametrizations(layer, "bias")
        assert not hasattr(layer, "parametrizations")

    def test_buffers(self) -> None:
        norm = nn.BatchNorm1d(2)
        parametrize.register_parametrization(norm, "running_var", Doubled())
        assert norm.running_var.tolist() == [1.0, 1.0]
        assert [n for n, _ in norm.named_buffers()][-1] == "parametrizations.running_var.original"
        parametrize.remove_parametrizations(norm, "running_var")
        assert "running_var" in dict(norm.named_buffers())

    def test_another_shape_is_unsafe(self) -> None:
        layer = nn.Linear(2, 3)
        with pytest.raises(ShapeError, match=r"gave f32\[1,2\] instead of f32\[3,2\]"):
            parametrize.register_parametrization(layer, "weight", First())
        assert list(layer.state_dict()) == ["weight", "bias"]  # nothing has changed
        parametrize.register_parametrization(layer, "weight", First(), unsafe=True)
        assert layer.weight.shape == (1, 2)

    def test_wrong_uses(self) -> None:
        layer = nn.Linear(2, 3)
        for code, error, words in (
            (lambda: parametrize.register_parametrization(layer, "wait", Doubled()), ArgumentError, "'wait'"),
            (lambda: parametrize.register_parametrization(layer, "weight", abs), ArgumentTypeError, "must be a Module"),
            (lambda: parametrize.remove_parametrizations(layer, "weight"), ArgumentError, "is not parametrized"),
            (lambda: nn.utils.remove_weight_norm(layer), ArgumentError, "no weight norm"),
            (lambda: nn.utils.remove_spectral_norm(layer), ArgumentError, "no spectral norm"),
            (lambda: nn.utils.spectral_norm(layer, n_power_iterations=0), ArgumentError, "at least 1"),
            (lambda: nn.utils.weight_norm(layer, "wait"), ArgumentError, "no parameter 'wait'"),
            (lambda: nn.utils.weight_norm(layer, dim=5), ArgumentError, "dim=5"),
            (lambda: nn.utils.parametrizations.spectral_norm(layer, dim=3), ArgumentError, "dim=3"),
        ):
            with pytest.raises(error, match=words):
                code()
        nn.utils.weight_norm(layer)
        with pytest.raises(ArgumentError, match="computed from weight_g and weight_v"):
            layer.weight = lucid.ones(3, 2)
        with pytest.raises(ArgumentError, match="computed already"):
            nn.utils.weight_norm(layer)

    def test_dtypes_stay(self) -> None:
        class Wide(nn.Module):
            def forward(self, x: Any) -> Any:
                return x.double()

        with pytest.raises(DTypeError, match=r"f64\[3\] instead of f32\[3\]"):
            parametrize.register_parametrization(nn.Linear(2, 3), "bias", Wide())


#: Layers, the name of the weight, and what they are given.
LAYERS: dict[str, tuple[Callable[[Any], Any], str, tuple[int, ...]]] = {
    "linear": (lambda n: n.Linear(4, 3), "weight", (5, 4)),
    "conv": (lambda n: n.Conv2d(2, 3, 3), "weight", (2, 2, 5, 5)),
    "transposed": (lambda n: n.ConvTranspose2d(2, 3, 2), "weight", (2, 2, 4, 4)),
    "lstm": (lambda n: n.LSTM(3, 2), "weight_hh_l0", (4, 2, 3)),
}
NORMS: dict[str, Callable[[Any, Any, str], Any]] = {
    "weight": lambda n, m, name: n.utils.parametrizations.weight_norm(m, name),
    "weight of one length": lambda n, m, name: n.utils.parametrizations.weight_norm(m, name, None),
    "weight along 1": lambda n, m, name: n.utils.parametrizations.weight_norm(m, name, 1),
    "spectral": lambda n, m, name: n.utils.parametrizations.spectral_norm(m, name, 2),
}
OLDER: dict[str, Callable[[Any, Any, str], Any]] = {
    "older weight": lambda n, m, name: n.utils.weight_norm(m, name),
    "older spectral": lambda n, m, name: n.utils.spectral_norm(m, name),
}


def output_of(given: Any) -> Any:
    return given[0] if isinstance(given, tuple) else given


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("norm", [*NORMS, *OLDER])
@pytest.mark.parametrize("layer", LAYERS)
def test_steps_like_torchs(layer: str, norm: str) -> None:
    torch = pytest.importorskip("torch")
    make, name, shape = LAYERS[layer]
    if layer == "lstm" and (norm in OLDER or norm == "spectral"):
        pytest.skip("PyTorch's LSTM does not see older norms, and asks for its weights twice in a call")
    apply = {**NORMS, **OLDER}[norm]
    torch.manual_seed(0)
    ours, theirs = apply(nn, make(nn), name), apply(torch.nn, make(torch.nn), name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for library, model, given in ((nn, ours, lucid.tensor(x)), (torch.nn, theirs, torch.tensor(x))):
        optimizer = (optim if library is nn else torch.optim).SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (output_of(model(given)) ** 2).mean().backward()
            optimizer.step()
    expected = theirs.state_dict()
    for n, t in ours.state_dict().items():
        np.testing.assert_allclose(t.numpy(), expected[n].numpy(), rtol=2e-4, atol=2e-5, err_msg=n)
    np.testing.assert_allclose(
        output_of(ours.eval()(lucid.tensor(x))).detach().numpy(),
        output_of(theirs.eval()(torch.tensor(x))).detach().numpy(), rtol=2e-4, atol=2e-5,
    )  # fmt: skip


@pytest.mark.parametrize("norm", ["weight", "spectral", "older weight", "older spectral"])
def test_compiled_steps_are_eager_ones(norm: str) -> None:
    lucid.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    {**NORMS, **OLDER}[norm](nn, model[0], "weight")
    other = copy.deepcopy(model)
    x, y = lucid.randn(5, 4), lucid.randn(5, 2)

    def step_of(model: nn.Module) -> Callable[[], Any]:
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step() -> Any:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, compiled = step_of(model), lucid.compile(step_of(other))
    before = {n: t.clone() for n, t in model.state_dict().items()}
    for _ in range(4):
        np.testing.assert_allclose(compiled().item(), eager().item(), rtol=1e-5)
    for n, t in other.state_dict().items():
        np.testing.assert_allclose(t.numpy(), model.state_dict()[n].numpy(), rtol=1e-4, atol=1e-6, err_msg=n)
        assert (t != before[n]).any().item(), n  # buffers of the power method too
    again = pickle.loads(pickle.dumps(other.eval()))
    assert again(x).tolist() == other(x).tolist()
    np.testing.assert_allclose(lucid.compile(other)(x).detach().numpy(), other(x).detach().numpy(), rtol=1e-5)


def test_a_compiled_function_sees_that_a_weight_is_computed_now() -> None:
    layer = nn.Linear(2, 2)
    fast = lucid.compile(layer)
    x = lucid.ones(1, 2)
    fast(x)
    parametrize.register_parametrization(fast, "weight", Skew())
    np.testing.assert_allclose(fast(x).detach().numpy(), layer(x).detach().numpy(), rtol=1e-6)
    assert layer.weight[0, 0].item() == 0.0
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_allclose(fast(x).detach().numpy(), layer(x).detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("add", "remove"),
    [
        (nn.utils.weight_norm, nn.utils.remove_weight_norm),
        (nn.utils.spectral_norm, nn.utils.remove_spectral_norm),
    ],
)
def test_older_norms_can_be_removed(add: Any, remove: Any) -> None:
    layer = add(nn.Conv2d(2, 3, 3)).eval()
    value = layer.weight.tolist()
    assert remove(layer) is layer
    assert isinstance(layer.weight, nn.Parameter)
    assert layer.weight.tolist() == value
    assert list(layer.state_dict()) == ["bias", "weight"]


def test_a_spectral_norm_is_one() -> None:
    lucid.manual_seed(0)
    for layer in (nn.Linear(6, 4), nn.Conv2d(3, 4, 3)):
        nn.utils.parametrizations.spectral_norm(layer, n_power_iterations=30)
        matrix = layer.weight.reshape(4, -1)
        assert abs(lucid.linalg.matrix_norm(matrix, 2).item() - 1) < 1e-3
