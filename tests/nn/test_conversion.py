"""Models in other dtypes, hooks on gradients, parameters as a vector, and averages of weights: as PyTorch has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn, optim
from lucid.errors import ArgumentTypeError, GradientError, ShapeError, TraceError
from lucid.nn.utils import get_total_norm, parameters_to_vector, vector_to_parameters
from lucid.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_model_trains_in_another_dtype(dtype: str) -> None:
    lucid.manual_seed(0)
    model = small()
    first = model[0].weight
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model.to(dtype)
    assert model[0].weight is first  # the optimizer's parameters are still the model's
    assert {t.dtype.name for t in [*model.parameters(), model[1].running_mean]} == {dtype}
    assert model[1].num_batches_tracked.dtype == lucid.int64
    x, y = lucid.randn(8, 1, 6, 6, dtype=dtype), lucid.arange(8) % 3

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss

    before = {name: value.clone() for name, value in model.state_dict().items()}
    eager = [step(x, y).item() for _ in range(8)]
    assert eager[-1] < 0.5 * eager[0]
    model.load_state_dict(before)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    compiled = lucid.compile(step)
    np.testing.assert_allclose([compiled(x, y).item() for _ in range(8)], eager, rtol=0.05, atol=0.02)
    assert model.float()[0].weight.dtype == lucid.float32


def test_half_models_are_near_torchs() -> None:
    torch = pytest.importorskip("torch")
    lucid.manual_seed(1)
    ours = small().eval()
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 3)
    ).eval()
    theirs.load_state_dict({name: torch.from_numpy(value.numpy().copy()) for name, value in ours.state_dict().items()})
    x = lucid.randn(5, 1, 6, 6)
    with torch.no_grad():
        expected = theirs.bfloat16()(torch.from_numpy(x.numpy().copy()).bfloat16()).float().numpy()
    np.testing.assert_allclose(ours.bfloat16()(x.bfloat16()).float().detach().numpy(), expected, atol=0.02)


class TestBackwardHooks:
    def run(self, library: Any, hook: Callable[..., Any]) -> list[Any]:
        layer = library.nn.Linear(2, 2)
        with library.no_grad():
            layer.weight.copy_(library.tensor([[1.0, 2.0], [3.0, 4.0]]))
        layer.register_full_backward_hook(hook)
        x = library.tensor([[1.0, -1.0]], requires_grad=True)
        (layer(x) * library.tensor([[2.0, 1.0]])).sum().backward()
        assert x.grad is not None
        return [x.grad.tolist(), layer.weight.grad.tolist()]

    def test_it_sees_and_replaces(self) -> None:
        torch = pytest.importorskip("torch")
        seen: list[Any] = []

        def keep(module: Any, before: Any, after: Any) -> None:
            seen.append([before[0].tolist(), after[0].tolist()])

        def replace(module: Any, before: Any, after: Any) -> Any:
            return (before[0] * 10,)

        for hook in (keep, replace):
            assert self.run(lucid, hook) == self.run(torch, hook)
        assert seen[0] == seen[1] == [[[5, 8]], [[2, 1]]]

    def test_an_input_without_a_gradient(self) -> None:
        seen = []
        layer = nn.Linear(2, 2)
        handle = layer.register_full_backward_hook(lambda module, before, after: seen.append(before))
        layer(lucid.ones(1, 2)).sum().backward()
        assert seen == [(None,)]
        handle.remove()
        layer(lucid.ones(1, 2)).sum().backward()
        assert len(seen) == 1

    def test_refusals(self) -> None:
        with pytest.raises(ArgumentTypeError, match="return None or 1 gradients"):
            self.run(lucid, lambda module, before, after: (None, None))
        layer = nn.Bilinear(1, 1, 1)
        layer.register_full_backward_hook(lambda module, before, after: before)
        a, b = (lucid.ones(1, 1, requires_grad=True) for _ in range(2))
        with pytest.raises(GradientError, match="only input"):
            layer(a, b).sum().backward()
        with pytest.raises(TraceError, match="backward hooks"):
            lucid.compile(lambda x: layer(x, x))(a)


def test_parameters_as_a_vector() -> None:
    model = nn.Linear(2, 3)
    vector = parameters_to_vector(model.parameters())
    assert vector.requires_grad
    vector_to_parameters(lucid.arange(9.0), model.parameters())
    assert model.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert get_total_norm(model.parameters()).item() == pytest.approx(sum(k * k for k in range(9)) ** 0.5)
    with pytest.raises(ShapeError, match="9 elements"):
        vector_to_parameters(lucid.ones(8), model.parameters())


def test_step_hooks() -> None:
    x = lucid.ones(1, requires_grad=True)
    sgd, calls = optim.SGD([x], lr=1.0), []
    before = sgd.register_step_pre_hook(lambda optimizer, args, kwargs: calls.append(("before", x.item())))
    sgd.register_step_post_hook(lambda optimizer, args, kwargs: calls.append(("after", x.item())))
    (2 * x).backward()
    sgd.step()
    before.remove()
    sgd.step()
    assert calls == [("before", 1.0), ("after", -1.0), ("after", -3.0)]


def test_averages_of_weights_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    from torch.optim import swa_utils as theirs

    values = [[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]]
    for ema in (False, True):
        results = []
        for library, tools in ((lucid, None), (torch, theirs)):
            layer = library.nn.Linear(2, 1, bias=False)
            make = AveragedModel if tools is None else tools.AveragedModel
            average = get_ema_multi_avg_fn if tools is None else tools.get_ema_multi_avg_fn
            model = make(layer, multi_avg_fn=average(0.9)) if ema else make(layer)
            for value in values:
                with library.no_grad():
                    layer.weight.copy_(library.tensor([value]))
                model.update_parameters(layer)
            results.append([*model.module.weight.tolist()[0], int(model.n_averaged)])
        assert results[0] == pytest.approx(results[1], rel=1e-6)
    for strategy in ("cos", "linear"):
        rates = []
        for library, make in ((lucid, SWALR), (torch, theirs.SWALR)):
            sgd = library.optim.SGD([library.zeros(1, requires_grad=True)], lr=0.5)
            scheduler, row = make(sgd, swa_lr=0.05, anneal_epochs=3, anneal_strategy=strategy), []
            for _ in range(6):
                row.append(sgd.param_groups[0]["lr"])
                sgd.step()
                scheduler.step()
            rates.append(row)
        assert rates[0] == pytest.approx(rates[1])


def test_running_statistics_anew() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2)).eval()
    batches = [lucid.randn(6, 2) + 3, lucid.randn(6, 2)]
    update_bn(batches, model)
    expected = (batches[0].mean(0) + batches[1].mean(0)) / 2
    np.testing.assert_allclose(model[0].running_mean.numpy(), expected.numpy(), rtol=1e-5)
    assert (model[0].momentum, model.training) == (0.1, False)
