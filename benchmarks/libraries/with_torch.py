"""PyTorch: eager, eager with channels last, ``torch.compile``, and that with frozen weights for inference.

The optimizer is the fused one, which is the fastest torch has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.contender import Contender, Variants
from benchmarks.libraries import is_tuned
from benchmarks.models import initial_values
from benchmarks.workloads import Workload

Wrap = Callable[[Any], Any]


def variants(workload: Workload, threads: int) -> Variants:
    torch.set_num_threads(threads)
    torch._dynamo.reset()  # it stops compiling, silently, at the ninth version of a function
    eager, last, compiled = (lambda f: f), torch.channels_last, _compile
    same = torch.contiguous_format
    if workload.kind == "small":
        return {} if is_tuned() else _small(workload)
    if workload.kind == "ew":
        found: Variants = {"eager": lambda: _large(workload, eager), "compile": lambda: _large(workload, compiled)}
    elif workload.kind == "conv_bwd":
        found = {"eager": lambda: _gradients(workload, same), "channels last": lambda: _gradients(workload, last)}
    else:
        make = _training if workload.kind == "train" else _inference
        found = {"eager": lambda: make(workload, same, eager)}
        if len(workload.arrays()["x"].shape) == 4:
            found["channels last"] = lambda: make(workload, last, eager)
        if workload.kind != "conv_fwd":
            found["compile"] = lambda: make(workload, same, compiled)
        if workload.kind == "infer":
            found["compile, frozen"] = lambda: make(workload, same, _freeze)
    if is_tuned():  # the allocator matters to what allocates as it goes
        found.pop("compile, frozen", None)
    return found


def _compile(function: Any) -> Any:
    torch._inductor.config.freezing = False
    return torch.compile(function)


def _freeze(function: Any) -> Any:
    torch._inductor.config.freezing = True
    return torch.compile(function)


def _one(y: torch.Tensor) -> list[np.ndarray]:
    return [y.detach().numpy().copy()]


def _several(parts: Any) -> list[np.ndarray]:
    return [part.detach().contiguous().numpy().copy() for part in parts]


def _tensors(workload: Workload, layout: Any = torch.contiguous_format) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(a).to(memory_format=layout) if a.ndim == 4 else torch.from_numpy(a)
        for name, a in workload.arrays().items()
    }


def _network(workload: Workload, layout: Any = torch.contiguous_format) -> Any:
    model = workload.network(torch.nn)
    values = initial_values({name: value.shape for name, value in model.state_dict().items()})
    model.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
    return model.to(memory_format=layout)


def _inference(workload: Workload, layout: Any, wrap: Wrap) -> Contender:
    torch.set_grad_enabled(False)
    run, x = wrap(_network(workload, layout).eval()), _tensors(workload, layout)["x"]
    return Contender(lambda: run(x), _one)


def _gradients(workload: Workload, layout: Any) -> Contender:
    c, tensors = workload.conv, _tensors(workload, layout)
    x, w, g = tensors["x"], tensors["w"], tensors["g"]
    sides = ([c.stride] * 2, [c.padding] * 2, [c.dilation] * 2, False, [0, 0], c.groups)
    backward = torch.ops.aten.convolution_backward
    return Contender(lambda: backward(g, x, w, [c.outputs], *sides, [True, True, True]), _several)


def _training(workload: Workload, layout: Any, wrap: Wrap) -> Contender:
    torch.set_grad_enabled(True)
    tensors, model = _tensors(workload, layout), _network(workload, layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    x, t, run = tensors["x"], tensors["t"], wrap(model)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(run(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return Contender(step, _one)


_LARGE: dict[str, Callable[..., torch.Tensor]] = {
    "affine_relu": lambda x, a, b: torch.relu(x * a + b),
    "affine_relu_sum1": lambda x, a, b: torch.relu(x * a + b).sum(1),
    "affine_relu_sum0": lambda x, a, b: torch.relu(x * a + b).sum(0),
    "softmax": lambda x, a, b: torch.softmax(x, -1),
    "layernorm": lambda x, a, b: F.layer_norm(x, x.shape[-1:], a, b, 1e-5),
}


def _large(workload: Workload, wrap: Wrap) -> Contender:
    torch.set_grad_enabled(False)
    run, tensors = wrap(_LARGE[workload.what]), _tensors(workload)
    x, a, b = tensors["x"], tensors["a"], tensors["b"]
    return Contender(lambda: run(x, a, b), _one)


def _small(workload: Workload) -> Variants:
    torch.set_grad_enabled(workload.what in ("add8_grad", "tiny_grad"))
    tensors, same = _tensors(workload), torch.contiguous_format
    if workload.what == "tiny":
        return {
            "eager": lambda: _inference(workload, same, lambda f: f),
            "compile": lambda: _inference(workload, same, _compile),
        }
    if workload.what == "tiny_grad":
        model = _network(workload)
        parameters = list(model.parameters())
        x, t = tensors["x"], tensors["t"]
        return {
            "eager": lambda: Contender(lambda: torch.autograd.grad(F.cross_entropy(model(x), t), parameters), _several)
        }
    if workload.what == "conv_tiny":
        x, w = tensors["x"], tensors["w"]
        return {"eager": lambda: Contender(lambda: F.conv2d(x, w, padding=1), _one)}
    x, y = (tensors[name].requires_grad_(workload.what == "add8_grad") for name in "xy")
    return {"eager": lambda: Contender(lambda: x + y, _one)}
