"""Compiled modules: still modules, never stale."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.nn import functional as F
from lucid.nn.compiled import CompiledModule

RNG = np.random.default_rng(2)


def randn(*shape: int) -> lucid.Tensor:
    return lucid.tensor(RNG.standard_normal(shape).astype(np.float32))


def same(a: lucid.Tensor, b: lucid.Tensor) -> None:
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


class Net(nn.Module):
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4 * 4 * 4, 5)
        self.scale = 1.0

    def forward(self, x: lucid.Tensor, flip: bool = False) -> lucid.Tensor:
        Net.runs += 1
        h = self.norm(self.conv(x)).relu()
        h = h.flip(-1) if flip else h
        return self.fc(h.flatten(1)) * self.scale


@pytest.fixture
def net() -> Net:
    lucid.manual_seed(0)
    return Net()


@pytest.fixture
def x() -> lucid.Tensor:
    return randn(3, 2, 4, 4)


def test_values_and_modes(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net)
    twin = copy.deepcopy(net)
    for _ in range(2):
        same(compiled(x), twin(x))
    compiled.eval()
    twin.eval()
    assert not net.training
    assert not net.norm.training
    same(compiled(x), twin(x))
    same(compiled(x, flip=True), twin(x, flip=True))
    compiled.train()
    twin.train()
    assert compiled.training
    assert net.norm.training
    same(compiled(x), twin(x))
    for a, b in zip(compiled.buffers(), twin.buffers(), strict=True):
        same(a, b)


def test_the_first_call_runs_the_model_once_and_moves_statistics_once(net: Net, x: lucid.Tensor) -> None:
    Net.runs = 0
    compiled = lucid.compile(net)
    for k in range(1, 4):
        compiled(x)
        assert net.norm.num_batches_tracked.item() == k
    assert Net.runs == 1


def test_a_replaced_parameter_is_seen_without_a_new_trace(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net.eval())
    compiled(x)
    Net.runs = 0
    net.fc.weight = nn.Parameter(lucid.zeros(5, 64))
    net.fc.bias = nn.Parameter(lucid.arange(5).float())
    assert compiled(x).tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0]] * 3
    assert Net.runs == 0
    net.norm.running_mean = lucid.ones(4)
    same(compiled(x), net(x))
    net.fc.weight.requires_grad_(False)
    assert compiled(x).requires_grad
    net.fc.bias = None
    same(compiled(x), net(x))
    net.fc = nn.Linear(64, 2)
    assert compiled(x).shape == (3, 2)
    same(compiled(x), net(x))


def test_a_replaced_parameter_gets_the_gradient(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net)
    compiled(x).sum().backward()
    old, net.fc.weight = net.fc.weight, nn.Parameter(net.fc.weight)
    before = old.grad
    compiled(x).sum().backward()
    assert old.grad is before
    assert net.fc.weight.grad is not None


def test_inference_after_further_training_is_never_stale(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net)
    for _ in range(3):
        compiled.eval()
        with lucid.no_grad():
            same(compiled(x), net(x))
        compiled.train()
        compiled.zero_grad()
        (compiled(x) ** 2).mean().backward()
        for p in compiled.parameters():
            p.copy_(p - p.grad * 0.1)
    compiled.eval()
    with lucid.no_grad():
        same(compiled(x), net(x))
        net.conv.weight.numpy()[:] = 0.5
        same(compiled(x), net(x))
        net.norm.running_var.numpy()[:] = 2.0
        same(compiled(x), net(x))
        net.load_state_dict(Net().state_dict())
        same(compiled(x), net(x))
    assert len(compiled.compiled.versions) == 2


def test_attributes_of_any_module_are_part_of_the_signature(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net.eval())
    compiled(x)
    net.scale = 3.0
    same(compiled(x), net(x))
    compiled.scale = 4.0
    assert net.scale == 4.0
    same(compiled(x), net(x))
    net.norm.eps = 0.5
    same(compiled(x), net(x))
    assert "norm.eps (BatchNorm2d): 0.5 instead of 1e-05" in compiled.explain()
    model = nn.Sequential(nn.Dropout(0.5))
    dropping = lucid.compile(model)
    dropping(x)
    model[0].p = 1.0
    assert (dropping(x) == 0).all()


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = lucid.tanh
        self.weights = [1.0, 2.0]
        self.table = np.array([1.0, 2.0], np.float32)
        self.mask = lucid.ones(2)
        self.inner = nn.Identity()

    def forward(self, x: lucid.Tensor) -> lucid.Tensor:
        return self.inner(self.act(x) * self.weights[0]) * lucid.tensor(self.table) * self.mask


def test_attributes_of_every_kind() -> None:
    module = Holder()
    compiled = lucid.compile(module)
    x = randn(3, 2)
    same(compiled(x), module(x))
    module.act = lucid.exp
    same(compiled(x), module(x))
    module.weights[0] = 5.0
    same(compiled(x), module(x))
    module.table[0] = 7.0
    same(compiled(x), module(x))
    module.mask = lucid.zeros(2)
    same(compiled(x), module(x))
    module.mask.copy_([1.0, 3.0])
    same(compiled(x), module(x))
    handle = module.inner.register_forward_hook(lambda m, args, out: out + 100)
    same(compiled(x), module(x))
    assert (compiled(x) > 50).any()
    handle.remove()
    same(compiled(x), module(x))
    module.inner = nn.ReLU()
    same(compiled(x), module(x))
    del module.inner
    module.inner = lambda x: x * 2
    same(compiled(x), module(x))


def test_containers_that_change() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2)])

        def forward(self, x: lucid.Tensor) -> lucid.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x

    module = Stack()
    compiled = lucid.compile(module)
    x = randn(3, 2)
    same(compiled(x), module(x))
    module.layers.append(nn.ReLU())
    same(compiled(x), module(x))
    del module.layers[0]
    same(compiled(x), module(x))
    module.layers[0] = nn.Sigmoid()
    same(compiled(x), module(x))


def test_it_nests_and_keeps_its_names(net: Net, x: lucid.Tensor) -> None:
    keys = list(net.state_dict())
    compiled = lucid.compile(net)
    assert list(compiled.state_dict()) == keys
    assert [n for n, _ in compiled.named_parameters()] == [n for n, _ in net.named_parameters()]
    assert compiled.conv is net.conv
    assert isinstance(compiled, nn.Module)
    assert isinstance(compiled, CompiledModule)
    outer = nn.Sequential(nn.Identity(), compiled, nn.ReLU())
    assert [k for k in outer.state_dict() if k.startswith("1.conv")] == ["1.conv.weight", "1.conv.bias"]
    twin = copy.deepcopy(net)
    same(outer(x), twin(x).relu())
    assert len(compiled.compiled.versions) == 1
    whole = lucid.compile(outer)
    same(whole(x), twin(x).relu())
    assert len(compiled.compiled.versions) == 1  # inlined into the larger function
    other = Net()
    compiled.load_state_dict(other.state_dict())
    same(net.fc.weight, other.fc.weight)
    assert lucid.compile(compiled) is compiled
    assert "Net" in repr(compiled)
    outer.eval()
    assert not net.norm.training


def test_it_trains_with_an_optimizer_and_is_saved(net: Net, x: lucid.Tensor, tmp_path: Path) -> None:
    from lucid import optim

    compiled = lucid.compile(net)
    twin = copy.deepcopy(net)
    for model in (compiled, twin):
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(x), [0, 1, 2]).backward()
            optimizer.step()
    for (name, a), (_, b) in zip(compiled.state_dict().items(), twin.state_dict().items(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-5, err_msg=name)


def test_pickles_and_copies_carry_the_weights(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net.eval())
    want = compiled(x)
    for twin in (pickle.loads(pickle.dumps(compiled)), copy.deepcopy(compiled)):
        assert isinstance(twin, CompiledModule)
        same(twin(x), want)
        assert twin.fc.weight is not net.fc.weight


def test_hooks_inside_and_outside(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net.eval())
    compiled(x)
    seen: list[tuple[int, ...]] = []
    handle = compiled.register_forward_hook(lambda m, args, out: seen.append(out.shape))
    compiled(x)
    compiled(x)
    handle.remove()
    assert seen == [(3, 5), (3, 5)]


def test_apply_and_requires_grad_reach_the_module(net: Net) -> None:
    compiled = lucid.compile(net)
    kinds = []
    compiled.apply(lambda m: kinds.append(type(m).__name__))
    assert kinds == ["Conv2d", "BatchNorm2d", "Linear", "Net"]
    compiled.requires_grad_(False)
    assert not net.fc.weight.requires_grad


def test_the_graph_carries_module_paths(net: Net, x: lucid.Tensor) -> None:
    compiled = lucid.compile(net)
    compiled(x)
    text = compiled.dump("graph")
    assert "%conv.weight" in text
    assert "in conv" in text
    assert "test_modules.py" in text


def test_shared_parameters() -> None:
    a = nn.Linear(3, 3)
    b = nn.Linear(3, 3)
    b.weight = a.weight
    model = nn.Sequential(a, nn.ReLU(), b)
    compiled = lucid.compile(model)
    x = randn(2, 3)
    grads = []
    for m in (compiled, model):
        model.zero_grad()
        m(x).sum().backward()
        grads.append(a.weight.grad)
    same(*grads)


def test_a_forward_with_several_results(x: lucid.Tensor) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x, *, scale=1.0):
            h = self.fc(x)
            return {"h": h, "sum": h.sum() * scale}

    model = Two()
    compiled = lucid.compile(model)
    out, want = compiled(x, scale=2.0), model(x, scale=2.0)
    same(out["h"], want["h"])
    same(out["sum"], want["sum"])
