"""What every module does: registration, traversal, modes, hooks, printing, copying."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import Any

import pytest

import lucid
from lucid import nn
from lucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    IndexRangeError,
    MissingAttributeError,
    MissingForwardError,
    MissingKeyError,
    ShapeError,
)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Any) -> Any:
        return self.norm(self.conv(x)).relu()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block()])
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
        self.scale = nn.Parameter([1.0, 2.0])

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.head(x) * self.scale


NAMES = [
    "scale",
    "blocks.0.conv.weight",
    "blocks.0.conv.bias",
    "blocks.0.norm.weight",
    "blocks.0.norm.bias",
    "head.1.weight",
    "head.1.bias",
]


def test_traversal() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert len(list(net.parameters())) == len(NAMES)
    assert [name for name, _ in net.named_parameters("net", recurse=False)] == ["net.scale"]
    assert [name for name, _ in net.named_buffers()] == [
        f"blocks.0.norm.{b}" for b in ("running_mean", "running_var", "num_batches_tracked")
    ]
    assert len(list(net.buffers())) == 3
    assert [name for name, _ in net.named_modules()] == [
        "", "blocks", "blocks.0", "blocks.0.conv", "blocks.0.norm", "head", "head.0", "head.1",
    ]  # fmt: skip
    assert [name for name, _ in net.named_children()] == ["blocks", "head"]
    assert net.get_submodule("blocks.0.conv") is net.blocks[0].conv
    assert net.get_submodule("") is net
    assert net.get_parameter("head.1.bias") is net.head[1].bias
    with pytest.raises(MissingAttributeError, match="Block has no submodule 'cnv'"):
        net.get_submodule("blocks.0.cnv")
    with pytest.raises(MissingAttributeError, match="has no parameter 'wieght'"):
        net.get_parameter("head.1.wieght")


def test_shared_modules_and_parameters_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.b = self.a
            self.c = nn.Linear(2, 2)
            self.c.weight = self.a.weight

    tied = Tied()
    assert [n for n, _ in tied.named_parameters()] == ["a.weight", "a.bias", "c.bias"]
    assert [n for n, _ in tied.named_children()] == ["a", "c"]
    assert list(tied.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias"]
    calls: list[nn.Module] = []
    tied.apply(calls.append)
    assert calls == [tied.a, tied.c, tied]


def test_parameters_carry_their_path_into_graphs() -> None:
    net = Net()
    assert {p.name for p in net.parameters()} == set(NAMES)
    printed = str(lucid.graph(net.eval()(lucid.ones(1, 2, 4, 4))))
    assert "blocks.0.conv.weight" in printed
    late = nn.Sequential()
    outer = nn.Sequential(late)
    late.append(nn.Linear(1, 1))
    assert {p.name for p in outer.parameters()} == {"0.0.weight", "0.0.bias"}


def test_operations_know_the_module_path_they_ran_under() -> None:
    net = Net().eval()
    graph = lucid.graph(net(lucid.ones(1, 2, 4, 4)))
    from lucid.ir.location import resolve

    paths = {node.call.op.name: resolve(node.where).path for node in graph.nodes if resolve(node.where)}  # type: ignore[union-attr]
    assert paths["conv2d"] == "blocks.0.conv"
    assert paths["matmul"] == "head.1"
    assert paths["relu"] == "blocks.0"
    with pytest.raises(ShapeError):
        net(lucid.ones(1, 5, 4, 4))
    after = resolve((lucid.ones(1) * 2)._record.where)
    assert after is not None
    assert after.path == ""


class TestAttributes:
    def test_replace_delete_and_none(self) -> None:
        layer = nn.Linear(2, 3)
        new = nn.Parameter(lucid.ones(3, 2))
        layer.weight = new
        assert layer.weight is new
        assert list(dict(layer.named_parameters())) == ["weight", "bias"]
        layer.bias = None
        assert layer.bias is None
        assert layer(lucid.ones(1, 2)).tolist() == [[2.0, 2.0, 2.0]]
        assert list(layer.state_dict()) == ["weight"]
        del layer.weight
        with pytest.raises(MissingAttributeError, match="'weight'"):
            _ = layer.weight
        with pytest.raises(MissingAttributeError):
            del layer.weight

    def test_a_name_moves_between_kinds(self) -> None:
        module = nn.Module()
        module.x = 1
        module.x = nn.Parameter([1.0])
        assert "x" not in module.__dict__
        module.x = nn.Linear(1, 1)
        assert not list(module.named_parameters(recurse=False))
        assert [n for n, _ in module.named_children()] == ["x"]
        module.x = None
        assert module.x is None
        del module.x
        module.register_buffer("x", lucid.ones(1))
        module.x = nn.Parameter([3.0])
        assert not list(module.buffers())

    def test_buffers(self) -> None:
        module = nn.Module()
        module.register_buffer("mean", lucid.zeros(2))
        module.register_buffer("cache", lucid.zeros(2), persistent=False)
        module.register_buffer("absent", None)
        assert list(module.state_dict()) == ["mean"]
        module.mean = lucid.ones(3)
        module.absent = lucid.ones(1)
        assert module.state_dict()["mean"].tolist() == [1.0, 1.0, 1.0]
        assert [n for n, _ in module.named_buffers()] == ["mean", "cache", "absent"]
        with pytest.raises(ArgumentTypeError, match=r"Module.mean must be a Tensor or None, not int"):
            module.mean = 3

    def test_what_cannot_be_assigned(self) -> None:
        layer = nn.Linear(2, 3)
        with pytest.raises(ArgumentTypeError, match=r"Linear.weight must be a Parameter or None, not Tensor"):
            layer.weight = lucid.ones(3, 2)  # type: ignore[assignment]
        model = nn.Sequential(layer)
        with pytest.raises(ArgumentTypeError, match="must be a Module or None"):
            setattr(model, "0", 7)

    def test_names(self) -> None:
        module = nn.Module()
        with pytest.raises(ArgumentError, match="dot"):
            module.register_buffer("a.b", lucid.ones(1))
        with pytest.raises(ArgumentError, match="empty"):
            module.add_module("", nn.Identity())
        with pytest.raises(ArgumentError, match="'forward' is already an attribute"):
            module.register_parameter("forward", nn.Parameter([1.0]))
        module.add_module("a", nn.Identity())
        with pytest.raises(ArgumentError, match="'a' is already"):
            module.register_buffer("a", lucid.ones(1))
        with pytest.raises(ArgumentTypeError, match=r"wrap it: nn.Parameter"):
            module.register_parameter("b", lucid.ones(1))  # type: ignore[arg-type]
        with pytest.raises(ArgumentTypeError, match="'b' must be a Tensor or None"):
            module.register_buffer("b", 3)  # type: ignore[arg-type]
        with pytest.raises(ArgumentTypeError, match="'b' must be a Module or None"):
            module.add_module("b", len)  # type: ignore[arg-type]

    def test_near_names_are_suggested(self) -> None:
        with pytest.raises(AttributeError, match="did you mean 'weight'") as caught:
            _ = nn.Linear(1, 1).wieght
        assert "test_module.py" in str(caught.value)
        assert not hasattr(nn.Linear(1, 1), "nothing_like_it")
        assert {"weight", "bias", "training"} <= set(dir(nn.Linear(1, 1)))

    def test_before_init(self) -> None:
        class Early(nn.Module):
            def __init__(self) -> None:
                self.layer = nn.Linear(1, 1)

        class Forgotten(nn.Module):
            def __init__(self) -> None:
                self.size = 3

        with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first"):
            Early()
        forgotten = Forgotten()
        for use in (
            lambda: forgotten(1),
            lambda: list(forgotten.parameters()),
            lambda: nn.Sequential(forgotten),
            lambda: forgotten.register_buffer("x", None),
        ):
            with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first"):
                use()
        assert repr(forgotten) == "Forgotten(<not initialised>)"

    def test_a_module_cannot_contain_itself(self) -> None:
        inner = nn.Sequential()
        outer = nn.Sequential(inner)
        with pytest.raises(ArgumentError, match="contains the one it is added to"):
            inner.append(outer)


def test_modes_reach_all_submodules_and_can_be_overruled() -> None:
    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> Any:
            return super().train(False)

    net = nn.Sequential(Block(), Frozen(3))
    assert net.train() is net
    assert [m.training for m in net.modules()] == [True, True, True, True, False]
    assert not any(m.training for m in net.eval().modules())
    with pytest.raises(ArgumentTypeError, match="mode=1"):
        net.train(1)  # type: ignore[arg-type]


def test_gradients_of_all_parameters() -> None:
    layer = nn.Linear(2, 1)
    layer(lucid.tensor([[1.0, float("inf")]])).backward()
    layer.zero_grad(set_to_none=False)
    assert [p.grad.tolist() for p in layer.parameters()] == [[[0.0, 0.0]], [0.0]]  # type: ignore[union-attr]
    layer.zero_grad()
    assert all(p.grad is None for p in layer.parameters())
    layer.zero_grad(set_to_none=False)
    assert all(p.grad is None for p in layer.parameters())
    assert not any(p.requires_grad for p in layer.requires_grad_(False).parameters())
    assert not layer(lucid.ones(1, 2)).requires_grad
    assert all(p.requires_grad for p in layer.requires_grad_().parameters())


def test_hooks() -> None:
    layer = nn.Identity()
    log: list[Any] = []
    pre = layer.register_forward_pre_hook(lambda m, args: log.append(("pre", m is layer, args[0].item())))
    double = layer.register_forward_pre_hook(lambda m, args: args[0] * 2)
    post = layer.register_forward_hook(lambda m, args, out: log.append(("post", args[0].item(), out.item())))
    negate = layer.register_forward_hook(lambda m, args, out: -out)
    assert layer(lucid.tensor(3.0)).item() == -6.0
    assert log == [("pre", True, 3.0), ("post", 6.0, 6.0)]
    for handle in (pre, post, negate):
        handle.remove()
        handle.remove()
    assert layer(lucid.tensor(3.0)).item() == 6.0
    again = layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    double.remove()
    assert layer(lucid.tensor(3.0)).item() == 4.0
    again.remove()
    assert layer(lucid.tensor(3.0)).item() == 3.0
    assert len(log) == 2


def test_a_module_without_forward() -> None:
    class Nothing(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Nothing cannot be called: it defines no forward"):
        Nothing()(lucid.ones(1))
    with pytest.raises(MissingForwardError):
        nn.ModuleList([nn.Identity()])(lucid.ones(1))


def test_printing() -> None:
    assert repr(Net()) == (
        "Net(\n"
        "  (blocks): ModuleList(\n"
        "    (0): Block(\n"
        "      (conv): Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "      (norm): BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)\n"
        "    )\n"
        "  )\n"
        "  (head): Sequential(\n"
        "    (0): Flatten(start_dim=1, end_dim=-1)\n"
        "    (1): Linear(in_features=48, out_features=2, bias=True)\n"
        "  )\n"
        ")"
    )
    conv = nn.Conv2d(4, 4, 3, padding=((0, 1), (1, 1)), dilation=2, groups=4, bias=False)
    assert repr(conv) == (
        "Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=((0, 1), (1, 1)), "
        "dilation=(2, 2), groups=4, bias=False)"
    )
    assert repr(nn.Sequential()) == "Sequential()"
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1))"
    assert repr(nn.AvgPool2d(2, 1)) == "AvgPool2d(kernel_size=(2, 2), stride=(1, 1), padding=(0, 0))"
    assert repr(nn.Dropout(0.25)) == "Dropout(p=0.25)"
    assert repr(nn.MSELoss("sum")) == "MSELoss(reduction='sum')"
    assert repr(nn.Softmax(dim=-1)) == "Softmax(axis=-1)"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_copies_are_independent(duplicate: Any) -> None:
    net = Net()
    net(lucid.randn(2, 2, 4, 4)).sum().backward()
    twin = duplicate(net)
    x = lucid.randn(2, 2, 4, 4)
    assert twin.eval()(x).tolist() == net.eval()(x).tolist()
    assert [n for n, _ in twin.named_parameters()] == NAMES
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in twin.parameters())
    before = net.head[1].weight.tolist()
    nn.init.zeros_(twin.head[1].weight)
    assert net.head[1].weight.tolist() == before
    twin.zero_grad()
    assert net.head[1].weight.grad is not None


def test_tied_parameters_stay_tied_in_a_copy() -> None:
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.weight = a.weight
    twin = copy.deepcopy(nn.Sequential(a, b))
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not a.weight


class TestParameter:
    def test_it_is_a_leaf_that_wants_its_gradient(self) -> None:
        source = lucid.ones(2)
        p = nn.Parameter(source)
        assert isinstance(p, lucid.Tensor)
        assert p.requires_grad
        assert p.is_leaf
        assert not source.requires_grad
        assert not nn.Parameter(source, requires_grad=False).requires_grad
        assert nn.Parameter([1.0], dtype=lucid.float64).dtype == lucid.float64

    def test_integers_cannot_be_learned(self) -> None:
        with pytest.raises(lucid.errors.DTypeError, match="int64"):
            nn.Parameter([1, 2])
        assert not nn.Parameter([1, 2], requires_grad=False).requires_grad

    def test_results_are_plain_tensors(self) -> None:
        assert type(nn.Parameter([1.0]) * 2) is lucid.Tensor
        with pytest.raises(GradientError):
            copy.deepcopy(nn.Parameter([1.0]) * 2)


class TestContainers:
    def test_sequential(self) -> None:
        a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
        model = nn.Sequential(a, b, c)
        assert model[0] is a
        assert model[-1] is c
        assert list(model) == [a, b, c]
        assert list(model[1:]) == [b, c]
        assert list(model[1:]._modules) == ["1", "2"]
        x = lucid.randn(4, 2)
        assert model(x).tolist() == c(b(a(x))).tolist()
        assert nn.Sequential()(x) is x
        model[1] = nn.Tanh()
        assert repr(model[1]) == "Tanh()"
        del model[0]
        assert list(model._modules) == ["0", "1"]
        assert model.append(nn.Identity()) is model
        model.insert(0, a).extend([nn.ReLU()])
        assert [type(m).__name__ for m in model] == ["Linear", "Tanh", "Linear", "Identity", "ReLU"]
        del model[1:4]
        assert list(model._modules) == ["0", "1"]
        with pytest.raises(IndexRangeError, match="index=5 is out of range for 2 modules"):
            model[5]
        with pytest.raises(ArgumentTypeError, match=r"index=1\.0"):
            model[1.0]
        with pytest.raises(ArgumentTypeError, match="builtin_function_or_method is not a Module"):
            nn.Sequential(len)

    def test_named_sequential(self) -> None:
        model = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 1, 1), act=nn.ReLU()))
        assert list(model.state_dict()) == ["conv.weight", "conv.bias"]
        assert isinstance(model.act, nn.ReLU)
        model.append(nn.Identity())
        assert list(model._modules) == ["conv", "act", "2"]
        with pytest.raises(ArgumentError, match="names"):
            model.insert(0, nn.Identity())
        clash = nn.Sequential({"1": nn.ReLU()})
        clash.append(nn.Tanh())
        assert [type(m) for m in clash] == [nn.ReLU, nn.Tanh]

    def test_list(self) -> None:
        layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
        assert len(layers) == 3
        assert len(list(layers.parameters())) == 6
        assert isinstance(layers[:2], nn.ModuleList)
        assert layers[:2][1] is layers[1]
        layers[0] = nn.ReLU()
        assert len(list(layers.parameters())) == 4

    def test_dict(self) -> None:
        heads = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ReLU()})
        assert list(heads) == list(heads.keys()) == ["a", "b"]
        assert "a" in heads
        assert [type(m) for m in heads.values()] == [nn.Linear, nn.ReLU]
        assert [k for k, _ in heads.items()] == ["a", "b"]
        assert list(heads.state_dict()) == ["a.weight", "a.bias"]
        heads["c"] = nn.Tanh()
        del heads["b"]
        assert isinstance(heads.pop("a"), nn.Linear)
        assert len(heads) == 1
        with pytest.raises(KeyError, match=r"there is no module 'z'\n  hint: it holds 'c'"):
            heads["z"]
        with pytest.raises(MissingKeyError):
            del heads["z"]
        with pytest.raises(ArgumentTypeError, match="'d' must be a Module"):
            heads["d"] = 3  # type: ignore[assignment]
        with pytest.raises(ArgumentTypeError, match="name=1 must be a string"):
            heads[1] = nn.ReLU()  # type: ignore[index]
        with pytest.raises(ArgumentError, match="'train' is already an attribute"):
            heads["train"] = nn.ReLU()
        heads.clear()
        assert len(heads) == 0


def test_lists_and_dictionaries_of_parameters() -> None:
    held = nn.ParameterList([lucid.ones(2), nn.Parameter([3.0])])
    held += [lucid.zeros(1)]
    held[-1] = nn.Parameter([4.0])
    assert [p.tolist() for p in held] == [[1.0, 1.0], [3.0], [4.0]]
    assert len(held[1:]) == 2
    assert held[1:][0] is held[1]
    table = nn.ParameterDict({"a": held[0], "b": lucid.ones(1)})
    assert table["a"] is held[0]
    assert table.get("c") is None
    assert table.setdefault("c", lucid.ones(3)).requires_grad
    assert list(table.copy()) == ["a", "b", "c"] == list(table.state_dict())
    assert table.pop("b").tolist() == [1.0]
    assert "b" not in table
    both = nn.Sequential()
    both.add_module("held", held)
    both.add_module("table", table)
    assert [name for name, _ in both.named_parameters()] == ["held.0", "held.1", "held.2", "table.c"]
    assert "(1): Parameter of f32[1]" in repr(held)
    for wrong, error in [
        (lambda: held[3], IndexRangeError),
        (lambda: table["z"], MissingKeyError),
        (lambda: held.append(3.0), ArgumentTypeError),
        (lambda: held.extend(3), ArgumentTypeError),
        (lambda: table.update(3), ArgumentTypeError),
    ]:
        with pytest.raises(error):
            wrong()
