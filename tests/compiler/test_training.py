"""A whole training step as one executable, step by step equal to eager training."""

from __future__ import annotations

import numpy as np
import pytest

import lucid
from lucid import nn, optim
from lucid.nn import functional as F

RNG = np.random.default_rng(4)
X = RNG.standard_normal((8, 1, 12, 12)).astype(np.float32)
Y = RNG.integers(0, 4, 8)


def make() -> nn.Module:
    lucid.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
        nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 4),
    )  # fmt: skip


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=1e-2),
    "adamw": lambda p: optim.AdamW(p, lr=1e-2, weight_decay=0.1),
}


def train(name: str, compiled: bool, steps: int = 5):
    model = make()
    optimizer = OPTIMIZERS[name](model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = lucid.compile(step) if compiled else step
    lucid.manual_seed(10)
    losses = []
    for k in range(steps):
        optimizer.param_groups[0]["lr"] *= 0.9
        losses.append(run(lucid.tensor(X + 0.1 * k), lucid.tensor(Y)).item())
    return losses, model, optimizer, run


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled_training_is_eager_training(name: str) -> None:
    want, eager_model, eager_optimizer, _ = train(name, compiled=False)
    got, model, optimizer, step = train(name, compiled=True)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    for (key, a), (_, b) in zip(model.state_dict().items(), eager_model.state_dict().items(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-3, atol=2e-4, err_msg=key)
    for p, q in zip(model.parameters(), eager_model.parameters(), strict=True):
        scale = np.abs(q.grad.numpy()).max() + 1e-6
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=2e-3 * scale)
    states = zip(optimizer.state.values(), eager_optimizer.state.values(), strict=True)
    for ours, theirs in states:
        for key in theirs:
            scale = np.abs(theirs[key].numpy()).max() + 1e-6
            np.testing.assert_allclose(
                ours[key].numpy(), theirs[key].numpy(), rtol=1e-3, atol=2e-3 * scale, err_msg=key
            )
    assert len(step.versions) == 1  # a learning rate that changes is read, not baked in
    assert step.versions[0].calls == 5


def test_without_zero_grad_gradients_accumulate_as_in_eager() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)

    @lucid.compile
    def f(x):
        (w * x).sum().backward()

    x = lucid.ones(2)
    for k in range(1, 4):
        f(x)
        assert w.grad.tolist() == [k, k]
    assert "w.grad" in f.explain() or "captured.grad" in f.explain()
    assert len(f.versions) == 2  # one for no gradient, one for adding to it


def test_zeroing_in_place_of_forgetting() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    @lucid.compile
    def f(x):
        optimizer.zero_grad(set_to_none=False)
        (w * x).sum().backward()
        optimizer.step()

    for _ in range(3):
        f(lucid.ones(2))
    assert w.tolist() == [-0.5, 0.5]
    assert w.grad.tolist() == [1.0, 1.0]


def test_gradients_of_arguments() -> None:
    @lucid.compile
    def f(x):
        (x * x).sum().backward()

    for _ in range(2):
        x = lucid.tensor([1.0, 2.0], requires_grad=True)
        f(x)
        assert x.grad.tolist() == [2.0, 4.0]
    f(x)
    assert x.grad.tolist() == [4.0, 8.0]


def test_several_inner_steps_in_one_executable() -> None:
    def run(compiled: bool) -> list[float]:
        w = lucid.tensor([1.0, -2.0], requires_grad=True)

        def steps(x):
            for _ in range(3):
                w.grad = None
                ((w * x) ** 2).sum().backward()
                with lucid.no_grad():
                    w.copy_(w - w.grad * 0.1)
            return (w * 1).detach()

        f = lucid.compile(steps) if compiled else steps
        f(lucid.tensor([1.0, 0.5]))
        return [*f(lucid.tensor([1.0, 0.5])).tolist(), *w.tolist(), *w.grad.tolist()]

    np.testing.assert_allclose(run(True), run(False), rtol=1e-6)


def test_hooks_inside_a_compiled_step() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    w.register_hook(lambda g: g * 10)

    @lucid.compile
    def f(x):
        w.grad = None
        h = w * x
        h.register_hook(lambda g: g + 1)
        h.sum().backward()

    f(lucid.ones(2))
    assert w.grad.tolist() == [20.0, 20.0]


def test_gradient_clipping_and_accumulation_written_with_the_public_api() -> None:
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=1.0)

    def step(x):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt()
        for p in model.parameters():
            p.grad = p.grad * (1.0 / norm.maximum(1.0))
        optimizer.step()
        return norm.detach()

    before = model.state_dict()
    x = lucid.tensor(RNG.standard_normal((4, 3)).astype(np.float32))
    norm = lucid.compile(step)(x)
    moved = [a - b for a, b in zip(model.state_dict().values(), before.values(), strict=True)]
    length = sum((m * m).sum() for m in moved).sqrt().item()
    np.testing.assert_allclose(length, min(norm.item(), 1.0), rtol=1e-5)


def test_snapshots_taken_between_steps_stay() -> None:
    _, model, optimizer, step = train("momentum", compiled=True, steps=2)
    snapshot = model.state_dict()
    kept = {k: v.numpy().copy() for k, v in snapshot.items()}
    pending = model(lucid.tensor(X)).sum()
    step(lucid.tensor(X), lucid.tensor(Y))
    for k, v in snapshot.items():
        np.testing.assert_array_equal(v.numpy(), kept[k])
    pending.backward()
    assert optimizer.state


def test_evaluation_inside_training() -> None:
    model = make()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @lucid.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    evaluate = lucid.compile(model)
    x, y = lucid.tensor(X), lucid.tensor(Y)
    for _ in range(3):
        model.train()
        step(x, y)
        model.eval()
        with lucid.no_grad():
            np.testing.assert_allclose(evaluate(x).numpy(), model(x).numpy(), rtol=1e-4, atol=1e-5)
    assert len(step.versions) == len(evaluate.compiled.versions) == 1


def test_updates_are_written_in_place_unless_somebody_else_holds_the_memory() -> None:
    w = lucid.zeros(1000)
    f = lucid.compile(lambda x: (w.copy_(w + x), None)[1])
    x = lucid.ones(1000)
    f(x)
    memory = w._data.ctypes.data
    f(x)
    assert w._data.ctypes.data == memory
    holders = {
        "twin": w.detach(),
        "array": w.numpy(),
        "view": w.reshape(10, 100).T,
        "part": w.numpy()[3:5],
    }
    before = {name: np.array(h) for name, h in holders.items()}
    for _ in range(3):
        f(x)
    for name, h in holders.items():
        np.testing.assert_array_equal(np.asarray(h), before[name], err_msg=name)
    assert w.tolist() == [5.0] * 1000
    holders.clear()
    f(x)
    memory = w._data.ctypes.data
    f(x)
    assert w._data.ctypes.data == memory


def test_a_pending_backward_keeps_the_values_it_was_recorded_with() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    f = lucid.compile(lambda x: (w.copy_(w + x), None)[1])
    f(lucid.ones(2))
    pending = (w * w).sum()
    f(lucid.ones(2))
    pending.backward()
    assert w.grad.tolist() == [4.0, 6.0]
    assert w.tolist() == [3.0, 4.0]


def test_two_tensors_exchanged() -> None:
    a, b = lucid.zeros(4), lucid.ones(4)

    @lucid.compile
    def swap():
        kept = a * 1
        a.copy_(b)
        b.copy_(kept)

    for k in range(1, 5):
        swap()
        assert (a.tolist(), b.tolist()) == ([k % 2] * 4, [1 - k % 2] * 4)


def test_one_tensor_shifted_along_itself() -> None:
    history = lucid.zeros(4)

    @lucid.compile
    def push(x):
        history.copy_(lucid.cat([x, history[:-1]]))
        return history.sum()

    for k in range(1, 6):
        assert push(lucid.full((1,), float(k))).item() == sum(range(max(k - 3, 1), k + 1))
    assert history.tolist() == [5.0, 4.0, 3.0, 2.0]


def test_a_tensor_over_an_array_of_the_users() -> None:
    array = np.zeros(4, np.float32)
    t = lucid.from_numpy(array)
    f = lucid.compile(lambda x: (t.copy_(t + x), None)[1])
    f(lucid.ones(4))
    f(lucid.ones(4))
    assert t.tolist() == [2.0] * 4
    assert array.tolist() == [0.0] * 4  # as in eager mode: an update gives new memory


def test_checking_an_update_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_CHECK", "1")
    train("momentum", compiled=True, steps=3)
