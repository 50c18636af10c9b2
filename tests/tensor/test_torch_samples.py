"""Functions of tensors on PyTorch's own sample inputs: values and gradients, eager and compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.errors import TraceError

torch = pytest.importorskip("torch")
#: What PyTorch has to say of its own samples.
pytestmark = [pytest.mark.filterwarnings("ignore:.*(searchsorted|index_reduce)")]
op_db = pytest.importorskip("torch.testing._internal.common_methods_invocations").op_db

#: Groups of names that PyTorch and Lucid share.
NAMES = """
abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or
bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min copysign cos cosh deg2rad div eq erf erfc exp exp2
expm1 float_power floor floor_divide fmax fmin fmod frac ge gt heaviside hypot isclose isfinite isinf isnan isneginf
isposinf ldexp le lerp log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit
lt maximum minimum mul nan_to_num ne neg positive pow rad2deg reciprocal remainder round rsqrt rsub sgn sigmoid sign
signbit sin sinc sinh special.xlog1py sqrt square sub tan tanh true_divide trunc where xlogy
cumsum cumprod cummax cummin logcumsumexp diff all any amax amin aminmax nansum nanmean norm linalg.vector_norm std_mean
var_mean std var median nanmedian quantile nanquantile count_nonzero sort argsort msort topk kthvalue unique
unique_consecutive searchsorted bucketize histc bincount mode isin gather scatter scatter_add scatter_reduce index_add
index_copy index_fill index_reduce take_along_dim max min argmax argmin sum mean prod logsumexp softmax log_softmax dist
renorm
""".split()  # noqa: SIM905

#: The function of Lucid that is meant, where it has another name or place.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "special.xlog1py": lucid.xlog1py,
    "where": lambda x, condition, other: x.where(condition, other),
}

DTYPES = {getattr(torch, d.name): d for d in (lucid.float32, lucid.float64, lucid.int64, lucid.int32, lucid.bool_)}


def ours(value: Any) -> Any:
    """PyTorch's arguments as Lucid's."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        return lucid.tensor(array, requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return DTYPES[value]
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, list | tuple):
        return type(value)(map(ours, value))
    if isinstance(value, dict):
        return {k: ours(v) for k, v in value.items()}
    return value


def leaves(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item, kind)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()), kind)


def function_of(name: str) -> Callable[..., Any]:
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    return functools.reduce(getattr, name.split("."), lucid)


#: Samples that Lucid refuses, by what is in their arguments.
REFUSED = {"norm": lambda s: "nuc" in s.args}


def samples_of(name: str, dtype: Any = torch.float64) -> list[tuple[Any, Any]]:
    """Each sample of an op with PyTorch's function for it; integers where the op takes no floats."""
    found = []
    for op in (op for op in op_db if op.name == name):
        kind = dtype if dtype in op.supported_dtypes("cpu") else torch.int64
        grad = op.supports_autograd and kind.is_floating_point
        found += [(op.op, s) for s in op.sample_inputs("cpu", kind, requires_grad=grad)]
    assert found, f"PyTorch has no samples of {name}"
    return [(f, s) for f, s in found if name not in REFUSED or not REFUSED[name](s)]


def assert_same(found: Any, expected: Any, what: str) -> None:
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected), what
        for k, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{what}[{k}]")
        return
    if not isinstance(expected, torch.Tensor):
        assert found == expected, what
        return
    wanted = expected.numpy(force=True)
    assert found.shape == wanted.shape, what
    assert found.dtype == wanted.dtype, what
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-7, atol=1e-7, err_msg=what)


def cotangents(outputs: list[Any]) -> list[Any]:
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(tuple(o.shape))) for o in outputs]


def torch_gradients(function: Callable[..., Any], sample: Any) -> tuple[Any, list[Any] | None]:
    result = function(sample.input, *sample.args, **sample.kwargs)
    outputs = [o for o in leaves(result, torch.Tensor) if o.requires_grad]
    wrt = [t for t in leaves([sample.input, sample.args, sample.kwargs], torch.Tensor) if t.requires_grad]
    if not outputs or not wrt:
        return result, None
    seeds = [torch.tensor(c, dtype=o.dtype) for c, o in zip(cotangents(outputs), outputs, strict=True)]
    return result, list(torch.autograd.grad(outputs, wrt, seeds, allow_unused=True))


def check(name: str, run: Callable[..., Any], theirs: Callable[..., Any], sample: Any) -> None:
    expected, gradients = torch_gradients(theirs, sample)
    arguments = [ours(a) for a in (sample.input, sample.args, sample.kwargs)]
    found = run(arguments[0], *arguments[1], **arguments[2])
    what = f"{name}{sample.args}{sample.kwargs}"
    assert_same(found, expected, what)
    if gradients is None:
        return
    shown = list(leaves(expected, torch.Tensor))
    outputs = [o for o, e in zip(leaves(found, lucid.Tensor), shown, strict=True) if e.requires_grad]
    wrt = [t for t in leaves(arguments, lucid.Tensor) if t.requires_grad]
    for o, c in zip(outputs, cotangents(outputs), strict=True):
        if o.requires_grad:
            o.backward(c.astype(o.dtype), retain_graph=True)
    for k, (t, g) in enumerate(zip(wrt, gradients, strict=True)):
        wanted = np.zeros(t.shape) if g is None else g.numpy(force=True)
        have = np.zeros(t.shape) if t.grad is None else t.grad.numpy()
        np.testing.assert_allclose(have, wanted, rtol=1e-6, atol=1e-6, err_msg=f"{what}: gradient {k}")


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch(name: str) -> None:
    for theirs, sample in samples_of(name):
        check(name, function_of(name), theirs, sample)


#: Functions whose results have a size that depends on values.
DYNAMIC = {"bincount", "unique", "unique_consecutive"}


@pytest.mark.parametrize("name", sorted(DYNAMIC))
def test_sizes_that_depend_on_values_are_not_compiled(name: str) -> None:
    x = lucid.tensor([1, 1, 2])
    with pytest.raises(TraceError, match=name):
        lucid.compile(function_of(name))(x)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in DYNAMIC])
def test_compiled_agrees_with_eager(name: str) -> None:
    """The first samples of an op, forward and backward, as one compiled function."""
    samples = [s for _, s in samples_of(name)][:4]
    arguments = [ours([s.input, s.args, s.kwargs]) for s in samples]
    tensors = list(leaves(arguments, lucid.Tensor))
    function = function_of(name)

    def run(*given: lucid.Tensor) -> list[lucid.Tensor]:
        rest = iter(given)
        found = []
        for value in arguments:
            first, args, kwargs = put(value, rest)
            found += leaves(function(first, *args, **kwargs), lucid.Tensor)
        return found

    again = [lucid.tensor(t.numpy(), requires_grad=t.requires_grad) for t in tensors]
    expected, found = run(*tensors), lucid.compile(run)(*again)
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a.shape, a.dtype, a.requires_grad) == (b.shape, b.dtype, b.requires_grad)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-11, err_msg=f"{name} output {k}")
    for outputs in (expected, found):
        live = [o for o in outputs if o.requires_grad]
        total = sum((o * o.detach()).sum() for o in live if o.isfinite().all().item())
        if isinstance(total, lucid.Tensor):
            total.backward()
    for k, (a, b) in enumerate(zip(again, tensors, strict=True)):
        zero = np.zeros(a.shape)
        have, wanted = (zero if t.grad is None else t.grad.numpy() for t in (a, b))
        np.testing.assert_allclose(have, wanted, rtol=1e-7, atol=1e-9, err_msg=f"{name} {k}")


def put(value: Any, tensors: Iterator[lucid.Tensor]) -> Any:
    """``value`` with its tensors replaced by others, in order."""
    if isinstance(value, lucid.Tensor):
        return next(tensors)
    if isinstance(value, list | tuple):
        return type(value)(put(v, tensors) for v in value)
    if isinstance(value, dict):
        return {k: put(v, tensors) for k, v in value.items()}
    return value


UNARY = """
abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad erf erfc exp exp2 expm1 floor frac isfinite isinf isnan
isneginf isposinf log log10 log1p log2 logit nan_to_num neg reciprocal round rsqrt sigmoid signbit sin sinc sinh sqrt
square tan tanh trunc
""".split()  # noqa: SIM905
BINARY = """
add atan2 copysign div eq floor_divide fmax fmin ge heaviside hypot isclose le logaddexp logical_xor
maximum minimum mul ne pow sub xlogy
""".split()  # noqa: SIM905
SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-40, -1e-40, 1e4, 3e38, -3e38], np.float32
)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_special_values(compiled: bool) -> None:
    """NaN, infinities, both zeros and denormals, each function of one and of every pair."""
    normal = SPECIAL[(np.abs(SPECIAL) > 1e-30) | (SPECIAL == 0) | np.isnan(SPECIAL)]
    a, b = np.repeat(normal, normal.size), np.tile(normal, normal.size)
    plain = np.abs(SPECIAL) < 1e30  # trigonometric functions of huge angles are another subject
    angles = np.where(plain | ~np.isfinite(SPECIAL), SPECIAL, 1.0).astype(np.float32)

    def operand(name: str) -> np.ndarray:
        return angles if name in ("sin", "cos", "tan", "sinc") else SPECIAL

    def run() -> list[lucid.Tensor]:
        ones = [getattr(lucid, name)(lucid.tensor(operand(name))) for name in UNARY]
        return ones + [getattr(lucid, name)(lucid.tensor(a), lucid.tensor(b)) for name in BINARY]

    found = (lucid.compile(run) if compiled else run)()
    wanted = [getattr(torch, name)(torch.tensor(operand(name))) for name in UNARY]
    wanted += [getattr(torch, name)(torch.tensor(a), torch.tensor(b)) for name in BINARY]
    for name, y, z in zip(UNARY + BINARY, found, wanted, strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=4e-6, atol=1e-37, err_msg=name)
        if y.dtype == lucid.float32 and name not in ("maximum", "minimum", "xlogy"):
            zero = (z == 0).numpy()
            np.testing.assert_array_equal(np.signbit(y.numpy())[zero], np.signbit(z.numpy())[zero], err_msg=name)
