"""JAX: everything under ``jit``; single convolutions also with images as NHWC; whole training steps in one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contender import Contender, Variants
from benchmarks.layers import Layers
from benchmarks.models import initial_values
from benchmarks.workloads import Workload


def variants(workload: Workload, threads: int) -> Variants:  # threads follow from the cores the process may use
    if workload.kind == "small":
        return _small(workload)
    if workload.kind in ("conv_fwd", "conv_bwd"):
        make = _conv if workload.kind == "conv_fwd" else _gradients
        return {"jit": lambda: make(workload, "NCHW"), "jit NHWC": lambda: make(workload, "NHWC")}
    return {"jit": lambda: {"infer": _inference, "train": _training, "ew": _large}[workload.kind](workload)}


def _one(y: Any) -> list[np.ndarray]:
    return [np.asarray(y)]


def _several(parts: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in parts]


def _timed(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(function(*arguments))


class _Functions:
    """``layers.Functions`` on JAX arrays, NCHW."""

    def conv2d(self, x: Any, w: Any, b: Any, stride: int, padding: int, dilation: int, groups: int) -> Any:
        y = _convolve(x, w, "NCHW", stride, padding, dilation, groups)
        return y if b is None else y + b[:, None, None]

    def linear(self, x: Any, w: Any, b: Any) -> Any:
        return x @ w.T + b

    def relu(self, x: Any) -> Any:
        return jnp.maximum(x, 0)

    def relu6(self, x: Any) -> Any:
        return jnp.clip(x, 0, 6)

    def max_pool2d(self, x: Any, kernel: int, stride: int, padding: int) -> Any:
        sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, kernel, kernel), (1, 1, stride, stride), sides)

    def batch_norm(self, x: Any, state: Mapping[str, Any], training: bool) -> tuple[Any, Mapping[str, Any]]:
        mean, variance, changed = state["running_mean"], state["running_var"], {}
        if training:
            count = x.size // x.shape[1]
            running = mean, variance
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
            changed["running_mean"] = 0.9 * running[0] + 0.1 * mean
            changed["running_var"] = 0.9 * running[1] + 0.1 * variance * (count / (count - 1))
        scale = state["weight"] * lax.rsqrt(variance + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + state["bias"][:, None, None], changed


def _convolve(x: Any, w: Any, images: str, stride: int, padding: int, dilation: int, groups: int) -> Any:
    return lax.conv_general_dilated(
        x,
        w,
        (stride, stride),
        [(padding, padding)] * 2,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=(images, "OIHW" if images == "NCHW" else "HWIO", images),
        feature_group_count=groups,
    )


def _network(workload: Workload) -> tuple[Any, dict[str, Any]]:
    model = workload.network(Layers(_Functions()))
    return model, {name: jnp.asarray(v) for name, v in initial_values(model.named_state()).items()}


def _inference(workload: Workload) -> Contender:
    model, values = _network(workload)

    def run(values: Any, x: Any) -> Any:
        model.load(values)
        return model(x)

    return Contender(_timed(jax.jit(run), values, jnp.asarray(workload.arrays()["x"])), _one)


def _training(workload: Workload) -> Contender:
    model, values = _network(workload)
    model.train()
    arrays = {name: jnp.asarray(a) for name, a in workload.arrays().items()}
    running = {name for name in values if "running" in name}

    def loss_of(learned: Any, statistics: Any, x: Any, t: Any) -> Any:
        model.load({**learned, **statistics})
        scores = jax.nn.log_softmax(model(x))
        now = model.named_state()
        return -jnp.take_along_axis(scores, t[:, None], 1).mean(), {name: now[name] for name in running}

    def step(learned: Any, statistics: Any, velocity: Any, x: Any, t: Any) -> Any:
        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(learned, statistics, x, t)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
        return loss, jax.tree.map(lambda p, v: p - 0.01 * v, learned, velocity), statistics, velocity

    run = jax.jit(step, donate_argnums=(0, 1, 2))
    learned = {name: value for name, value in values.items() if name not in running}
    state = [learned, {name: values[name] for name in running}, jax.tree.map(jnp.zeros_like, learned)]

    def work() -> Any:
        loss, *state[:] = run(*state, arrays["x"], arrays["t"])
        return jax.block_until_ready(loss)

    return Contender(work, _one)


def _laid_out(workload: Workload, images: str) -> list[Any]:
    """The arrays of a convolution; NHWC has its weights as HWIO."""
    orders = {"x": (0, 2, 3, 1), "g": (0, 2, 3, 1), "w": (2, 3, 1, 0), "b": (0,)}
    arrays = workload.arrays()
    return [
        jnp.asarray(arrays[n] if images == "NCHW" else np.ascontiguousarray(arrays[n].transpose(orders[n])))
        for n in "xwbg"
    ]


def _with_bias(workload: Workload, images: str) -> Callable[..., Any]:
    options = workload.conv.options

    def compute(x: Any, w: Any, b: Any) -> Any:
        y = _convolve(x, w, images, **options)
        return y + (b[:, None, None] if images == "NCHW" else b)

    return compute


def _conv(workload: Workload, images: str) -> Contender:
    values = initial_values({"weight": workload.conv.shapes["w"], "bias": workload.conv.shapes["b"]})
    x, w, b, _ = _laid_out(workload, images)
    w = jnp.asarray(values["weight"] if images == "NCHW" else values["weight"].transpose(2, 3, 1, 0))
    b = jnp.asarray(values["bias"])
    back = (0, 1, 2, 3) if images == "NCHW" else (0, 3, 1, 2)
    return Contender(_timed(jax.jit(_with_bias(workload, images)), x, w, b), lambda y: [np.asarray(y).transpose(back)])


def _gradients(workload: Workload, images: str) -> Contender:
    compute = _with_bias(workload, images)

    def gradients(x: Any, w: Any, b: Any, g: Any) -> Any:
        return jax.vjp(compute, x, w, b)[1](g)

    def read(parts: Any) -> list[np.ndarray]:
        x, w, b = _several(parts)
        return [x, w, b] if images == "NCHW" else [x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), b]

    return Contender(_timed(jax.jit(gradients), *_laid_out(workload, images)), read)


def _layer_norm(x: Any, a: Any, b: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * a + b


_LARGE: dict[str, Callable[..., Any]] = {
    "affine_relu": lambda x, a, b: jnp.maximum(x * a + b, 0),
    "affine_relu_sum1": lambda x, a, b: jnp.maximum(x * a + b, 0).sum(1),
    "affine_relu_sum0": lambda x, a, b: jnp.maximum(x * a + b, 0).sum(0),
    "softmax": lambda x, a, b: jax.nn.softmax(x, -1),
    "layernorm": _layer_norm,
}


def _large(workload: Workload) -> Contender:
    arrays = workload.arrays()
    return Contender(_timed(jax.jit(_LARGE[workload.what]), *(jnp.asarray(arrays[n]) for n in "xab")), _one)


def _small(workload: Workload) -> Variants:
    arrays = {name: jnp.asarray(a) for name, a in workload.arrays().items()}
    if workload.what == "tiny":
        return {"jit": lambda: _inference(workload)}
    if workload.what != "add8":
        return {}
    x, y = arrays["x"], arrays["y"]
    return {"eager": lambda: Contender(_timed(jnp.add, x, y), _one)}
