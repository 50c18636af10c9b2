"""Lucid: compiled, with arrays in C order and with the channels last; and eager where that is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lucid
from benchmarks.contender import Contender, Variants
from benchmarks.models import initial_values
from benchmarks.workloads import Workload
from lucid import Tensor, nn
from lucid.functions.memory import MemoryFormat
from lucid.nn import functional as F

Wrap = Callable[[Any], Any]


def variants(workload: Workload, threads: int) -> Variants:
    lucid.set_num_threads(threads)
    if workload.kind == "small":
        return _small(workload)
    made = {"conv_fwd": _inference, "conv_bwd": _gradients, "infer": _inference, "train": _training, "ew": _large}
    make = made[workload.kind]
    found: Variants = {"compiled": lambda: make(workload, lucid.compile)}
    if workload.arrays()["x"].ndim == 4:
        found["compiled, channels last"] = lambda: make(workload, lucid.compile, lucid.channels_last)
    if workload.kind in ("infer", "train"):
        found["eager"] = lambda: make(workload, lambda function: function)
    return found


def _tensors(workload: Workload, layout: MemoryFormat = lucid.contiguous_format) -> dict[str, Tensor]:
    tensors = {name: lucid.tensor(array) for name, array in workload.arrays().items()}
    return {name: t.contiguous(layout) if t.ndim == 4 else t for name, t in tensors.items()}


def _network(workload: Workload) -> Any:
    model = workload.network(nn)
    values = initial_values({name: value.shape for name, value in model.state_dict().items()})
    model.load_state_dict({name: lucid.tensor(value) for name, value in values.items()})
    return model


def _one(y: Tensor) -> list[Any]:
    return [y.numpy()]


def _inference(workload: Workload, compiled: Wrap, layout: MemoryFormat = lucid.contiguous_format) -> Contender:
    lucid.set_grad_enabled(False)
    run, x = compiled(_network(workload).eval()), _tensors(workload, layout)["x"]
    return Contender(lambda: run(x), _one)


def _gradients(workload: Workload, compiled: Wrap, layout: MemoryFormat = lucid.contiguous_format) -> Contender:
    lucid.set_grad_enabled(True)
    options = workload.conv.options

    def gradients(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Any:
        return lucid.grad(F.conv2d(x, w, b, **options), [x, w, b], g)

    tensors = _tensors(workload, layout)
    x, w, b = (tensors[name].detach().requires_grad_() for name in "xwb")
    run, g = compiled(gradients), tensors["g"]
    return Contender(lambda: run(x, w, b, g), lambda parts: [part.numpy() for part in parts])


def _training(workload: Workload, compiled: Wrap, layout: MemoryFormat = lucid.contiguous_format) -> Contender:
    lucid.set_grad_enabled(True)
    tensors, model = _tensors(workload, layout), _network(workload).train()
    optimizer = lucid.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(x: Tensor, t: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    run, x, t = compiled(step), tensors["x"], tensors["t"]
    return Contender(lambda: run(x, t), _one)


def _layer_norm(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred / lucid.sqrt(variance + 1e-5) * a + b


_LARGE: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "affine_relu": lambda x, a, b: lucid.relu(x * a + b),
    "affine_relu_sum1": lambda x, a, b: lucid.relu(x * a + b).sum(1),
    "affine_relu_sum0": lambda x, a, b: lucid.relu(x * a + b).sum(0),
    "softmax": lambda x, a, b: F.softmax(x, -1),
    "layernorm": _layer_norm,
}


def _large(workload: Workload, compiled: Wrap) -> Contender:
    lucid.set_grad_enabled(False)
    run, tensors = compiled(_LARGE[workload.what]), _tensors(workload)
    x, a, b = tensors["x"], tensors["a"], tensors["b"]
    return Contender(lambda: run(x, a, b), _one)


def _small(workload: Workload) -> Variants:
    if workload.what == "tiny":
        return {
            "compiled": lambda: _inference(workload, lucid.compile),
            "eager": lambda: _inference(workload, lambda function: function),
        }
    made = {"add8": _add, "add8_grad": _add, "conv_tiny": _conv_tiny, "tiny_grad": _tiny_gradient}
    return {"eager": lambda: made[workload.what](workload)}


def _add(workload: Workload) -> Contender:
    recorded = workload.what == "add8_grad"
    lucid.set_grad_enabled(recorded)
    arrays = workload.arrays()
    x, y = (lucid.tensor(arrays[name], requires_grad=recorded) for name in "xy")
    return Contender(lambda: x + y, lambda z: [z.detach().numpy()])


def _conv_tiny(workload: Workload) -> Contender:
    lucid.set_grad_enabled(False)
    tensors = _tensors(workload)
    x, w = tensors["x"], tensors["w"]
    return Contender(lambda: F.conv2d(x, w, padding=1), _one)


def _tiny_gradient(workload: Workload) -> Contender:
    lucid.set_grad_enabled(True)
    model, tensors = _network(workload), _tensors(workload)
    parameters = list(model.parameters())
    x, t = tensors["x"], tensors["t"]

    def work() -> Any:
        return lucid.grad(F.cross_entropy(model(x), t), parameters)

    return Contender(work, lambda parts: [part.numpy() for part in parts])
