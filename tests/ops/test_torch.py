"""PyTorch as a second opinion: every op that has a counterpart there agrees with it, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from lucid.autodiff import differentiate, gradients
from lucid.ir.graph import Array, Graph, Node, Op, Sample, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import is_float, type_of
from lucid.ops import constant as literal
from lucid.runtime.executable import build
from tests.ops.cases import DECLARED, all_samples, graph_of, samples_of

torch = pytest.importorskip("torch")
F = torch.nn.functional

DTYPES = {
    name: getattr(torch, name)
    for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "uint32", "uint64", "float32", "float64")
}


def dtype_of(dtype: np.dtype[Any]) -> Any:
    return DTYPES[dtype.name]


def edges(padding: Any) -> tuple[int, ...]:
    """Padding as ``F.pad`` wants it: last axis first."""
    (top, bottom), (left, right) = padding
    return left, right, top, bottom


def conv2d(x: Any, w: Any, *, padding: Any, **attrs: Any) -> Any:
    return F.conv2d(F.pad(x, edges(padding)), w, **attrs)


def conv2d_input_grad(g: Any, w: Any, *, input_size: Any, **attrs: Any) -> Any:
    x = torch.zeros((g.shape[0], w.shape[1] * attrs["groups"], *input_size), dtype=g.dtype, requires_grad=True)
    return torch.autograd.grad(conv2d(x, w, **attrs), x, g, create_graph=True)[0]


def conv2d_weight_grad(x: Any, g: Any, *, kernel_size: Any, **attrs: Any) -> Any:
    shape = (g.shape[1], x.shape[1] // attrs["groups"], *kernel_size)
    w = torch.zeros(shape, dtype=g.dtype, requires_grad=True)
    return torch.autograd.grad(conv2d(x, w, **attrs), w, g, create_graph=True)[0]


def max_pool2d(x: Any, *, padding: Any, **attrs: Any) -> Any:
    return F.max_pool2d(F.pad(x, edges(padding), value=float("-inf")), **attrs)


def max_pool2d_index(x: Any, *, padding: Any, kernel_size: Any, stride: Any, dilation: Any) -> Any:
    """PyTorch's indices in the padded image, counted in the window; the number after the last where it is padding."""
    (top, _), (left, right) = padding
    h, w = x.shape[2:]
    attrs = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
    flat = F.max_pool2d(F.pad(x, edges(padding), value=float("-inf")), return_indices=True, **attrs)[1]
    row, column = flat // (w + left + right), flat % (w + left + right)
    first = (torch.arange(n) * s for n, s in zip(flat.shape[2:], stride, strict=True))
    i, j = torch.meshgrid(*first, indexing="ij")
    number = (row - i) // dilation[0] * kernel_size[1] + (column - j) // dilation[1]
    inside = (row >= top) & (row < top + h) & (column >= left) & (column < left + w)
    count = kernel_size[0] * kernel_size[1]
    return torch.where(inside, number, count).to(torch.uint8 if 2 * count < 256 else torch.int32)


def _places(index: Any, h: int, w: int, *, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """Where in the flattened image each window's choice lies, ``h * w`` if nowhere."""
    index = index.long()
    first = (torch.arange(n) * s - p for n, s, (p, _) in zip(index.shape[2:], stride, padding, strict=True))
    i, j = torch.meshgrid(*first, indexing="ij")
    row, column = i + index // kernel_size[1] * dilation[0], j + index % kernel_size[1] * dilation[1]
    return torch.where(index == kernel_size[0] * kernel_size[1], h * w, row * w + column).flatten(2)


def max_pool2d_input_grad(g: Any, index: Any, *, input_size: Any, **attrs: Any) -> Any:
    flat = torch.zeros((*g.shape[:2], input_size[0] * input_size[1] + 1), dtype=g.dtype)
    place = _places(index, *input_size, **attrs)
    return flat.scatter_add(2, place, g.flatten(2))[:, :, :-1].unflatten(2, input_size)


def max_pool2d_take(x: Any, index: Any, **attrs: Any) -> Any:
    place = _places(index, *x.shape[2:], **attrs)
    return F.pad(x.flatten(2), (0, 1)).gather(2, place).unflatten(2, index.shape[2:])


def avg_pool2d(x: Any, *, kernel_size: Any, stride: Any, padding: Any, count_include_pad: bool) -> Any:
    sums = F.avg_pool2d(F.pad(x, edges(padding)), kernel_size, stride, divisor_override=1)
    real = F.avg_pool2d(F.pad(torch.ones_like(x), edges(padding)), kernel_size, stride, divisor_override=1)
    return sums / (kernel_size[0] * kernel_size[1] if count_include_pad else real.clamp(min=1))


def avg_pool2d_input_grad(g: Any, *, input_size: Any, **attrs: Any) -> Any:
    x = torch.zeros((*g.shape[:2], *input_size), dtype=g.dtype, requires_grad=True)
    return torch.autograd.grad(avg_pool2d(x, **attrs), x, g, create_graph=True)[0]


def pad(x: Any, *, low: Any, high: Any, interior: Any, value: Any) -> Any:
    reach = [(n - 1) * (s + 1) + 1 if n else 0 for n, s in zip(x.shape, interior, strict=True)]
    y = torch.full([a + r + b for a, r, b in zip(low, reach, high, strict=True)], value, dtype=x.dtype)
    y[(..., *(slice(a, a + r, s + 1) for a, r, s in zip(low, reach, interior, strict=True)))] = x
    return y


def sign(x: Any) -> Any:
    """PyTorch calls the sign of NaN 0; we keep NaN, as NumPy does."""
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.is_floating_point() else torch.sign(x)


def prod(x: Any, *, axes: Any, keepdims: bool) -> Any:
    for axis in reversed(axes):
        x = x.prod(axis, keepdim=keepdims, dtype=x.dtype)
    return x


def squared_deviations(x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    if not axes:  # torch takes no axes for all of them
        return (x - x) ** 2
    return ((x - x.mean(axes, keepdim=True)) ** 2).sum(axes, keepdim=keepdims)


def reduced(function: Callable[..., Any], **extra: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(x: Any, *, axes: Any, keepdims: bool) -> Any:
        return function(x, axes, keepdim=keepdims, **{k: of(x) for k, of in extra.items()}) if axes else x.clone()

    return run


def take(x: Any, indices: Any, *, axis: int) -> Any:
    i = indices.long()
    i = torch.where(i < 0, i + x.shape[axis], i)
    return x.index_select(axis, i.flatten()).reshape((*x.shape[:axis], *i.shape, *x.shape[axis + 1 :]))


def scatter_add(g: Any, indices: Any, *, axis: int, size: int) -> Any:
    i = indices.long()
    i = torch.where(i < 0, i + size, i).flatten()
    rest = g.shape[axis + indices.ndim :]
    zeros = torch.zeros((*g.shape[:axis], size, *rest), dtype=g.dtype)
    return zeros.index_add(axis, i, g.reshape((*g.shape[:axis], i.numel(), *rest)))


def front(indices: Any, size: int) -> Any:
    """Indices counted from the front."""
    i = indices.long()
    return torch.where(i < 0, i + size, i)


def scatter_along(x: Any, indices: Any, source: Any, *, axis: int, kind: str) -> Any:
    name = {"sum": "sum", "prod": "prod", "max": "amax", "min": "amin"}[kind]
    return x.scatter_reduce(axis, front(indices, x.shape[axis]), source, name)


def rank(x: Any, *, axis: int, descending: bool) -> Any:
    return torch.argsort(x, dim=axis, descending=descending, stable=True).argsort(axis)


def winograd_weights(w: Any, *, flip: bool) -> Any:
    def along(x: Any, axis: int) -> Any:
        a, b, c = x.unbind(axis)
        return torch.stack([a, (a + b + c) / 2, (a - b + c) / 2, c], axis)

    return along(along(w.flip(1, 2) if flip else w, 1), 2)


def one_hot(x: Any, *, classes: int, dtype: Any) -> Any:
    return (x.long()[..., None] == torch.arange(classes)).to(dtype_of(dtype))


def constant(*, value: Any, shape: Any, dtype: Any) -> Any:
    return torch.tensor(value, dtype=dtype_of(dtype)).expand(shape) if not isinstance(value, tuple) else (
        torch.tensor(value, dtype=dtype_of(dtype)).reshape(shape)
    )  # fmt: skip


def iota(*, axis: int, shape: Any, dtype: Any) -> Any:
    sizes = [n if k == axis else 1 for k, n in enumerate(shape)]
    return torch.arange(shape[axis]).to(dtype_of(dtype)).reshape(sizes).expand(shape)


COUNTERPART: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in (
        "neg", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "erf", "erfc", "sigmoid", "relu",
        "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh",
        "floor", "ceil", "round", "isnan", "logical_not", "bitwise_not", "add", "sub", "mul", "div", "pow", "maximum",
        "minimum", "lt", "le", "eq", "ne", "bitwise_and", "bitwise_or", "bitwise_xor", "where", "matmul",
    )},
    "sign": lambda x: sign(x.detach()),
    "abs": lambda x: x * sign(x.detach()),
    "floordiv": lambda a, b: torch.div(a, b, rounding_mode="floor"),
    "mod": torch.remainder,
    "left_shift": torch.bitwise_left_shift,
    "right_shift": torch.bitwise_right_shift,
    "clip": lambda x, *, lo, hi: torch.clamp(x, lo, hi) if (lo, hi) != (None, None) else x.clone(),
    "cast": lambda x, *, dtype: x.to(dtype_of(dtype)),
    "reshape": lambda x, *, shape: x.reshape(shape),
    "transpose": lambda x, *, perm: x.permute(perm),
    "broadcast_to": lambda x, *, shape: x.broadcast_to(shape),
    "flip": lambda x, *, axes: x.flip(axes),
    "slice": lambda x, *, start, stop, step: x[(..., *map(slice, start, stop, step))],
    "pad": pad,
    "concat": lambda *xs, axis: torch.cat(xs, axis),
    "sum": reduced(torch.sum, dtype=lambda x: x.dtype),
    "prod": prod,
    "squared_deviations": squared_deviations,
    "max": reduced(torch.amax),
    "min": reduced(torch.amin),
    "argmax": lambda x, *, axis, keepdims: torch.argmax(x, axis, keepdim=keepdims),
    "argmin": lambda x, *, axis, keepdims: torch.argmin(x, axis, keepdim=keepdims),
    "softmax": lambda x, *, axis: torch.softmax(x, axis),
    "log_softmax": lambda x, *, axis: torch.log_softmax(x, axis),
    "take": take,
    "scatter_add": scatter_add,
    "take_along": lambda x, i, *, axis: x.gather(axis, front(i, x.shape[axis])),
    "scatter_along": scatter_along,
    "rank": rank,
    "one_hot": one_hot,
    "constant": constant,
    "iota": iota,
    "identity": lambda x: x.clone(),
    "stop_gradient": lambda x: x.detach(),
    "conv2d": conv2d,
    "conv2d_input_grad": conv2d_input_grad,
    "conv2d_weight_grad": conv2d_weight_grad,
    "winograd_weights": winograd_weights,
    "max_pool2d": max_pool2d,
    "max_pool2d_index": max_pool2d_index,
    "max_pool2d_input_grad": max_pool2d_input_grad,
    "max_pool2d_take": max_pool2d_take,
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_input_grad": avg_pool2d_input_grad,
}  # fmt: skip

#: Random numbers are Lucid's own: PyTorch draws others.
NO_COUNTERPART = {"philox", "random_uniform", "random_normal"}


def comparable(op: Op, sample: Sample) -> bool:
    """True unless PyTorch refuses the sample or is itself wrong about it."""
    last = sample.inputs[-1] if sample.inputs else None
    if op.name in NO_COUNTERPART:
        return False
    if op.name in ("floordiv", "mod") and last.dtype.kind in "iu":
        return bool((last != 0).all())  # it raises, we give 0
    if op.name == "mod":
        return bool(np.isfinite(last).all())  # it gives NaN where the quotient overflows
    if op.name == "atan2":
        return bool(np.isfinite(last).all())  # its gradient is NaN where a product overflows
    if op.name in ("argmax", "argmin"):
        return last.dtype != np.bool_  # it refuses
    if op.name == "prod":
        return bool(np.isfinite(last).all())  # its gradient divides by the element: NaN where ours is exact
    return True


def test_every_op_is_listed() -> None:
    assert set(DECLARED) == COUNTERPART.keys() | NO_COUNTERPART


def assert_close(found: Array, expected: Array, what: str) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if is_float(found.dtype):
        eps = float(np.finfo(found.dtype).eps)
        np.testing.assert_allclose(found, expected, rtol=64 * eps, atol=256 * eps, err_msg=what)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=what)


def torch_answers(op: Op, sample: Sample) -> tuple[list[int], Array | None, list[Array]]:
    """What PyTorch says of a sample: operands with a gradient, the cotangent used, and [result, *gradients]."""
    tensors = [torch.from_numpy(x.copy()).requires_grad_(is_float(x.dtype)) for x in sample.inputs]
    with torch.enable_grad():
        theirs = COUNTERPART[op.name](*tensors, **sample.attrs)
    result = theirs.detach().numpy()
    wrt = [k for k, t in enumerate(tensors) if t.requires_grad]
    if not (wrt and theirs.requires_grad):
        return [], None, [result]
    g = np.asarray(np.random.default_rng(1).standard_normal(result.shape)).astype(result.dtype)
    found = torch.autograd.grad(theirs, [tensors[k] for k in wrt], torch.from_numpy(g), allow_unused=True)
    zeros = [np.zeros_like(sample.inputs[k]) for k in wrt]
    return wrt, g, [result, *(z if f is None else f.numpy() for f, z in zip(found, zeros, strict=True))]


def check(found: Sequence[Array], expected: Sequence[Array], wrt: Sequence[int]) -> None:
    names = ["result", *(f"gradient of operand {k}" for k in wrt)]
    for ours, theirs, name in zip(found, expected, names, strict=True):
        assert_close(ours, theirs, name)


@pytest.mark.parametrize(("op", "sample"), all_samples(comparable))
def test_agrees_with_torch(op: Op, sample: Sample) -> None:
    wrt, g, expected = torch_answers(op, sample)
    graph = graph_of(op, sample)
    found = evaluate(graph, sample.inputs)
    if g is not None:
        found += evaluate(differentiate(graph, [graph.inputs[k] for k in wrt]), [*sample.inputs, g])
    check(found, expected, wrt)


@pytest.mark.parametrize("name", sorted(COUNTERPART))
def test_compiled_agrees_with_torch(name: str) -> None:
    """All samples of an op, forward and backward, in one module."""
    op = DECLARED[name]
    samples = [s for s in samples_of(op) if comparable(op, s)]
    answers = [torch_answers(op, s) for s in samples]
    inputs: list[Node] = []
    outputs: list[Node] = []
    arrays: list[Array] = []
    for sample, (wrt, g, _) in zip(samples, answers, strict=True):
        graph = graph_of(op, sample)
        inputs += graph.inputs
        arrays += sample.inputs
        outputs += graph.outputs
        if g is not None:
            seed = input_node(type_of(g))
            inputs.append(seed)
            arrays.append(g)
            chosen = [graph.inputs[k] for k in wrt]
            found = gradients(graph.outputs, chosen, [seed])
            outputs += [zeros_like(x) if n is None else n for n, x in zip(found, chosen, strict=True)]
    results = iter(build(Graph(inputs, outputs))(arrays))
    for wrt, _, expected in answers:
        check([next(results) for _ in expected], expected, wrt)


def zeros_like(x: Node) -> Node:
    return literal(value=0.0, shape=x.shape, dtype=x.dtype)
