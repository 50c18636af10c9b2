"""Functions of tensors on PyTorch's own sample inputs: values and gradients, eager and compiled.

A spread of the samples, unless ``LUCID_ALL_SAMPLES=1`` asks for all of them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.errors import TraceError

torch = pytest.importorskip("torch")
ALL_SAMPLES = os.environ.get("LUCID_ALL_SAMPLES", "") == "1"

#: What PyTorch has to say of its own samples.
pytestmark = [pytest.mark.filterwarnings("ignore:.*(searchsorted|index_reduce)", "ignore:Using torch.cross")]
op_db = pytest.importorskip("torch.testing._internal.common_methods_invocations").op_db

#: Groups of names that PyTorch and Lucid share.
NAMES = """
H T __getitem__ abs acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin aminmax any arange argmax
argmin argsort argwhere asin asinh atan atan2 atanh atleast_1d atleast_2d atleast_3d baddbmm bincount bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor block_diag bmm broadcast_tensors
broadcast_to bucketize cartesian_prod cat cdist ceil chunk clamp clamp_max clamp_min column_stack combinations
copysign cos cosh count_nonzero cross cummax cummin cumprod cumsum deg2rad diag diag_embed diagflat diagonal
diagonal_scatter diff dist div dot dsplit dstack einsum eq erf erfc exp exp2 expand expand_as expm1 eye flatten flip
fliplr flipud float_power floor floor_divide fmax fmin fmod frac full full_like gather ge gt heaviside histc hsplit
hstack hypot index_add index_copy index_fill index_put index_reduce index_select inner isclose isfinite isin isinf
isnan isneginf isposinf kron kthvalue ldexp le lerp linalg.cholesky linalg.cross linalg.det linalg.inv
linalg.matrix_norm linalg.matrix_power linalg.multi_dot linalg.norm linalg.qr linalg.slogdet linalg.solve
linalg.vecdot linalg.vector_norm linspace log log10 log1p log2 log_softmax logaddexp logaddexp2 logcumsumexp logdet
logical_and logical_not logical_or logical_xor logit logspace logsumexp lt mH mT masked_fill masked_scatter
masked_select matmul max maximum mean median meshgrid min minimum mm mode movedim msort mul mv nan_to_num nanmean
nanmedian nanquantile nansum narrow ne neg new_full new_ones new_zeros nonzero norm ones ones_like outer permute
positive pow prod put quantile rad2deg ravel reciprocal remainder renorm repeat repeat_interleave reshape reshape_as
roll rot90 round rsqrt rsub scalar_tensor scatter scatter_add scatter_reduce searchsorted select select_scatter sgn
sigmoid sign signbit sin sinc sinh slice_scatter softmax sort special.xlog1py split sqrt square squeeze stack std
std_mean sub sum t take take_along_dim tan tanh tensor_split tensordot tile topk trace transpose tril tril_indices
triu triu_indices true_divide trunc unbind unflatten unfold unique unique_consecutive unsqueeze var var_mean vdot view
view_as vsplit vstack where xlogy zeros zeros_like
""".split()  # noqa: SIM905

#: The function of Lucid that is meant, where it has another name or place.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "einsum": lambda operands, equation: lucid.einsum(equation, *operands),
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
        return {k: ours(v) for k, v in value.items() if k != "device"}
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
    if hasattr(lucid, name.split(".", 1)[0]):
        return functools.reduce(getattr, name.split("."), lucid)
    attribute = getattr(lucid.Tensor, name)
    return attribute.fget if isinstance(attribute, property) else attribute


#: Samples that Lucid refuses, by what is in their arguments.
REFUSED = {
    "arange": lambda s: isinstance(s.input, bool),
    "linspace": lambda s: any(isinstance(x, torch.Tensor) for x in (s.input, *s.args)),
    "logspace": lambda s: any(isinstance(x, torch.Tensor) for x in (s.input, *s.args)),
    "norm": lambda s: "nuc" in s.args,
    "linalg.norm": lambda s: {*s.args, *s.kwargs.values()} & {"nuc", 2, -2} and s.input.ndim > 1,
    "linalg.matrix_norm": lambda s: s.args[0] in ("nuc", 2, -2),
}


def samples_of(name: str, dtype: Any = torch.float64) -> list[tuple[Any, Any]]:
    """Each sample of an op with PyTorch's function for it; integers where the op takes no floats."""
    found = []
    for op in (op for op in op_db if op.name == name):
        kind = dtype if dtype in op.supported_dtypes("cpu") else torch.int64
        grad = op.supports_autograd and kind.is_floating_point
        found += [(op.op, s) for s in op.sample_inputs("cpu", kind, requires_grad=grad)]
    assert found, f"PyTorch has no samples of {name}"
    found = [(f, s) for f, s in found if name not in REFUSED or not REFUSED[name](s)]
    return found if ALL_SAMPLES else found[:: -(-len(found) // 16)]


def assert_same(found: Any, expected: Any, what: str, rtol: float = 1e-7) -> None:
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected), what
        for k, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{what}[{k}]", rtol)
        return
    if not isinstance(expected, torch.Tensor):
        assert found == expected, what
        return
    wanted = expected.numpy(force=True)
    assert found.shape == wanted.shape, what
    assert found.dtype == wanted.dtype, what
    np.testing.assert_allclose(found.numpy(), wanted, rtol=rtol, atol=rtol, err_msg=what)


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


def check(name: str, run: Callable[..., Any], theirs: Callable[..., Any], sample: Any, rtol: float = 1e-7) -> None:
    expected, gradients = torch_gradients(theirs, sample)
    arguments = [ours(a) for a in (sample.input, sample.args, sample.kwargs)]
    found = run(arguments[0], *arguments[1], **arguments[2])
    what = f"{name}{sample.args}{sample.kwargs}"
    assert_same(found, expected, what, rtol)
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
        np.testing.assert_allclose(have, wanted, rtol=10 * rtol, atol=10 * rtol, err_msg=f"{what}: gradient {k}")


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch(name: str) -> None:
    for theirs, sample in samples_of(name):
        check(name, function_of(name), theirs, sample)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch_in_single_precision(name: str) -> None:
    samples = samples_of(name, torch.float32)
    for theirs, sample in samples if ALL_SAMPLES else samples[:: -(-len(samples) // 3)]:
        check(name, function_of(name), theirs, sample, 2e-4)


def second_order(outputs: list[Any], wrt: list[Any], grad: Any, constant: Any) -> list[np.ndarray] | None:
    """Gradients of a random slope of the sum of squares; None where there are none."""
    first = grad(sum((o * o).sum() for o in outputs), wrt, create_graph=True, allow_unused=True)
    slopes = [
        (g * constant(np.random.default_rng(k).standard_normal(tuple(g.shape)))).sum()
        for k, g in enumerate(first)
        if g is not None and g.requires_grad
    ]
    if not slopes:
        return None
    second = grad(sum(slopes), wrt, allow_unused=True)
    return [np.zeros(tuple(t.shape)) if g is None else np.asarray(g) for t, g in zip(wrt, second, strict=True)]


@pytest.mark.parametrize("name", [n for n in NAMES if n != "linalg.norm"])  # there PyTorch has NaN at a 0
def test_second_derivatives_agree_with_torch(name: str) -> None:
    samples = samples_of(name)
    for theirs, sample in samples if ALL_SAMPLES else samples[:: -(-len(samples) // 2)]:
        given = [sample.input, sample.args, sample.kwargs]
        wrt = [t for t in leaves(given, torch.Tensor) if t.requires_grad]
        result = theirs(sample.input, *sample.args, **sample.kwargs)
        outputs = [o for o in leaves(result, torch.Tensor) if o.requires_grad]
        if not wrt or not outputs:
            continue
        try:
            expected = second_order(outputs, wrt, torch.autograd.grad, torch.tensor)
        except (RuntimeError, NotImplementedError):  # PyTorch has none
            continue
        arguments = ours(given)
        leaves_of = [t for t in leaves(arguments, lucid.Tensor) if t.requires_grad]
        result = function_of(name)(arguments[0], *arguments[1], **arguments[2])
        live = [o for o in leaves(result, lucid.Tensor) if o.requires_grad]
        found = second_order(live, leaves_of, lucid.grad, lucid.tensor) if live else None
        zeros = [np.zeros(t.shape) for t in leaves_of]
        for a, b in zip(found or zeros, expected or zeros, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=f"{name}{sample.args}{sample.kwargs}")


#: Functions whose results have a size that depends on values.
DYNAMIC = {"argwhere", "bincount", "masked_select", "nonzero", "unique", "unique_consecutive"}


@pytest.mark.parametrize("name", ["bincount", "unique", "unique_consecutive"])
def test_sizes_that_depend_on_values_are_not_compiled(name: str) -> None:
    x = lucid.tensor([1, 1, 2])
    with pytest.raises(TraceError, match=name):
        lucid.compile(function_of(name))(x)


#: Functions for which that holds if places or counts come as tensors (or masks).
DYNAMIC_ARGUMENTS = {"index_put", "narrow", "repeat_interleave", "tensor_split"}


@pytest.mark.parametrize("name", [n for n in NAMES if n not in DYNAMIC])
def test_compiled_agrees_with_eager(name: str) -> None:
    """The first samples of an op, forward and backward, as one compiled function."""
    samples = [s for _, s in samples_of(name)]
    if name in DYNAMIC_ARGUMENTS:
        kinds = (torch.bool,) if name == "index_put" else (torch.bool, torch.int64)
        samples = [s for s in samples if all(t.dtype not in kinds for t in leaves([s.args, s.kwargs], torch.Tensor))]
    samples = samples[: None if ALL_SAMPLES else 2]
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


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: lucid.linalg.cross(lucid.ones(5, 3), lucid.ones(5, 1)),
        lambda: lucid.cross(lucid.ones(3), lucid.ones(1, 3), 0),
        lambda: lucid.renorm(lucid.tensor(1.0), 2, 0, 1.0),
    ],
)
def test_error_inputs_of_torch_are_errors(wrong: Callable[[], Any]) -> None:
    with pytest.raises(lucid.errors.ShapeError, match="but it must"):
        wrong()
