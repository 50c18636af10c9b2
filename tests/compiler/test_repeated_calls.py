"""A call like the last one takes a short way: whatever changed in between must still be seen."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

import lucid
from lucid import nn, optim


def model() -> nn.Module:
    lucid.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 2)).eval()


def _copy(m: nn.Module) -> None:
    m[0].weight.copy_(m[0].weight.detach() * 2)


def _through_numpy(m: nn.Module) -> None:
    m[2].bias.numpy()[:] += 7.0


def _through_a_twin(m: nn.Module) -> None:
    m[2].bias.detach().numpy()[0] += 1.0


def _load(m: nn.Module) -> None:
    m.load_state_dict({k: v * -1 for k, v in m.state_dict().items()})


def _replace(m: nn.Module) -> None:
    m[0].weight = nn.Parameter(lucid.randn(40, 6))


def _step(m: nn.Module) -> None:
    optimizer = optim.SGD(m.parameters(), 0.1, momentum=0.9)
    with lucid.enable_grad():
        m(lucid.ones(3, 6)).sum().backward()
    optimizer.step()


def _compiled_step(m: nn.Module) -> None:
    optimizer = optim.SGD(m.parameters(), 0.1)

    @lucid.compile
    def step(x: lucid.Tensor) -> lucid.Tensor:
        loss = m(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    with lucid.enable_grad():
        step(lucid.ones(3, 6))
        step(lucid.ones(3, 6))


@pytest.mark.parametrize("change", [_copy, _through_numpy, _through_a_twin, _load, _replace, _step, _compiled_step])
def test_new_values_are_seen(change: Callable[[nn.Module], None]) -> None:
    plain = model()
    compiled = lucid.compile(plain)
    x = lucid.randn(4, 6)
    with lucid.no_grad():
        for _ in range(3):
            compiled(x)
        for _ in range(3):
            before = compiled(x).numpy()
            change(plain)
            after = [compiled(x).numpy() for _ in range(3)]
            wanted = plain(x).numpy()
            assert np.abs(before - wanted).max() > 1e-3
            for got in after:
                np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_values_written_after_the_memory_was_handed_out() -> None:
    plain = nn.Conv2d(3, 20, 3)  # whose weights are packed when they change
    compiled = lucid.compile(plain)
    x = lucid.randn(1, 3, 8, 8)
    with lucid.no_grad():
        compiled(x)
        weight = plain.weight.numpy()
        for k in range(4):
            weight[:] = k / 8
            np.testing.assert_allclose(compiled(x).numpy(), plain(x).numpy(), rtol=1e-5, atol=1e-6)


def test_arguments_of_other_memory_and_kinds() -> None:
    compiled, plain = lucid.compile(model()), model()
    wide = np.arange(48, dtype=np.float32).reshape(4, 12)
    fixed = lucid.randn(4, 6)
    with lucid.no_grad():
        inputs = [
            fixed,
            fixed,
            lucid.randn(4, 6),
            lucid.from_numpy(wide[:, ::2]),
            lucid.from_numpy(wide[:, 1::2]),
            lucid.randn(6, 4).T,
            lucid.randn(2, 6),
            fixed,
        ]
        for x in inputs * 3:
            np.testing.assert_allclose(compiled(x).numpy(), plain(x).numpy(), rtol=1e-5, atol=1e-5)


def test_results_are_arrays_of_their_own() -> None:
    compiled = lucid.compile(model())
    with lucid.no_grad():
        x, y = lucid.randn(4, 6), lucid.randn(4, 6)
        first = [compiled(x) for _ in range(4)]
        values = [r.numpy().copy() for r in first]
        compiled(y)
        for result, value in zip(first, values, strict=True):
            np.testing.assert_array_equal(result.numpy(), value)


def test_looking_inside_in_between() -> None:
    plain = model()
    compiled = lucid.compile(plain)
    x = lucid.randn(4, 6)
    with lucid.no_grad():
        wanted = compiled(x).numpy()
        for _ in range(3):
            compiled(x)
            compiled.explain(measure=True)
            np.testing.assert_array_equal(compiled(x).numpy(), wanted)


def test_a_constant_that_is_not_contiguous_is_copied_for_every_call() -> None:
    """The copy's memory is somebody else's after the call."""
    factor = lucid.randn(300, 400).T + 1.0
    assert not factor._data.flags.c_contiguous
    scaled = lucid.compile(lambda x: x * factor)
    x = lucid.randn(400, 300)
    wanted = (x * factor).numpy()
    for _ in range(4):
        others = [lucid.zeros(400, 300) for _ in range(3)]
        np.testing.assert_array_equal(scaled(x).numpy(), wanted)
        del others


def test_profiling_leaves_packed_parameters_as_they_are() -> None:
    """A constant that is not contiguous is not remembered; samples are made up in its place."""
    weight = lucid.randn(40, 40).T * 1.0
    assert not weight._data.flags.c_contiguous
    compiled = lucid.compile(lambda x: lucid.relu(nn.functional.linear(x, weight)))
    x = lucid.randn(30, 40)
    wanted = compiled(x).numpy()
    compiled.explain(measure=True)
    np.testing.assert_array_equal(compiled(x).numpy(), wanted)


def test_several_threads_while_values_change() -> None:
    factor = lucid.tensor(np.zeros(64, np.float32))
    scale = lucid.compile(lambda x: x * 0 + factor)
    x = lucid.ones(64)
    scale(x)
    seen: list[bool] = []

    def call() -> None:
        for _ in range(300):
            low = float(factor._data[0])
            got = scale(x).numpy()
            high = float(factor._data[0])
            seen.append(bool((got == got[0]).all() and low <= got[0] <= high))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for k in range(1, 200):
        factor.copy_(float(k))
    for thread in threads:
        thread.join()
    assert all(seen)
