"""Every layer that Lucid shares with PyTorch's table of modules, on its samples: values, gradients and state dicts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn

pytest.importorskip("torch")

from tests.tensor.test_torch_samples import ALL_SAMPLES, leaves
from tests.tensor.test_torch_samples import ours as arguments_of

torch = pytest.importorskip("torch")
module_db = pytest.importorskip("torch.testing._internal.common_modules").module_db

#: Arguments of constructors that are of no effect here, or name what Lucid has not.
DROPPED = {"device", "dtype", "inplace", "size_average", "reduce", "recompute_scale_factor", "enable_nested_tensor"}
#: Layers whose draws differ from PyTorch's: compared in evaluation.
RANDOM = {"RReLU", "AlphaDropout", "FeatureAlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"}
#: What Lucid refuses, and says why: each by its constructor's arguments and its inputs.
REFUSED: dict[str, Callable[[Any, Any], bool]] = {
    "Embedding": lambda options, inputs: bool(options.get("max_norm") or options.get("sparse")),
    "BatchNorm1d": lambda options, inputs: inputs[0].shape[0] == 0,
    "BatchNorm2d": lambda options, inputs: inputs[0].shape[0] == 0,
    "BatchNorm3d": lambda options, inputs: inputs[0].shape[0] == 0,
}

#: Where PyTorch's gradient is another one for what does not come from ``log_softmax``; see tests/nn/test_ctc.py.
VALUES_ALONE = {"CTCLoss"}

NAMES = sorted({m.module_cls.__name__ for m in module_db if hasattr(nn, m.module_cls.__name__)})


def samples(name: str, dtype: Any, training: bool) -> list[Any]:
    found = []
    for info in module_db:
        if info.module_cls.__name__ == name and info.dtypes and dtype in info.dtypes:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found += info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)
    refused = REFUSED.get(name, lambda *_: False)
    found = [
        s
        for s in found
        if s.forward_input is not None and not refused(s.constructor_input.kwargs, s.forward_input.args)
    ]
    return found if ALL_SAMPLES else found[:: -(-len(found) // 12)] if found else []


def constructed(name: str, given: Any) -> Any:
    options = {k: v for k, v in given.kwargs.items() if k not in DROPPED}
    args = [activation(a) for a in given.args]
    return getattr(nn, name)(*arguments_of(args), **arguments_of({k: activation(v) for k, v in options.items()}))


def given_to_ours(value: Any) -> Any:
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return nn.utils.rnn.PackedSequence(*map(arguments_of, value))
    if isinstance(value, list | tuple):
        return type(value)(map(given_to_ours, value))
    return arguments_of(value)


def activation(value: Any) -> Any:
    """Functions and layers among the arguments, by their names."""
    if isinstance(value, torch.nn.TransformerEncoderLayer):
        attention = value.self_attn
        sizes = (attention.embed_dim, attention.num_heads, value.linear1.out_features, value.dropout.p)
        options = {"batch_first": attention.batch_first, "bias": value.linear1.bias is not None}
        options["activation"] = activation(value.activation)
        return nn.TransformerEncoderLayer(*sizes, norm_first=value.norm_first, **options)
    if isinstance(value, torch.nn.Module):
        return getattr(nn, type(value).__name__)()
    return getattr(nn.functional, value.__name__) if callable(value) and hasattr(value, "__name__") else value


def take_over(ours: Any, theirs: Any) -> None:
    """PyTorch's parameters and buffers, in their own dtypes."""
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for path, value in expected.items():
        home, _, leaf = path.rpartition(".")
        module = ours.get_submodule(home)
        array = value.numpy(force=True).copy()
        if leaf in module._parameters:
            module._parameters[leaf] = nn.Parameter(array)
        else:
            module._buffers[leaf] = lucid.tensor(array)


def leaf_copies(value: Any) -> Any:
    """The same arguments, their tensors leaves of their own."""
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return value._replace(data=leaf_copies(value.data))
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, list | tuple):
        return type(value)(map(leaf_copies, value))
    if isinstance(value, dict):
        return {k: leaf_copies(v) for k, v in value.items()}
    return value


def agree(found: Any, expected: Any, tolerance: float, what: str) -> None:
    wanted = expected.numpy(force=True)
    assert found.shape == wanted.shape, what
    assert found.dtype == wanted.dtype, what
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=tolerance, atol=tolerance, err_msg=what)


def check(name: str, sample: Any, dtype: Any, training: bool, compiled: bool) -> None:
    given = sample.constructor_input
    theirs = getattr(torch.nn, name)(*given.args, **given.kwargs)
    theirs = theirs.to(dtype).train(training)
    ours = constructed(name, given).train(training)
    take_over(ours, theirs)
    inputs = leaf_copies([sample.forward_input.args, sample.forward_input.kwargs])
    args, options = given_to_ours(inputs)
    what = f"{name}{given.args}{given.kwargs} {sample.desc}"
    tolerance = 1e-4 if dtype == torch.float32 else 1e-8
    expected = theirs(*inputs[0], **inputs[1])
    found = (lucid.compile(ours) if compiled else ours)(*args, **options)
    wanted, have = list(leaves(expected, torch.Tensor)), list(leaves(found, lucid.Tensor))
    assert len(have) == len(wanted), what
    for a, b in zip(have, wanted, strict=True):
        agree(a, b, tolerance, what)
    live = [k for k, o in enumerate(wanted) if o.requires_grad]
    if not live or name in VALUES_ALONE:
        return
    rng = np.random.default_rng(0)
    seeds = [np.asarray(rng.standard_normal(tuple(wanted[k].shape))).astype(have[k].dtype) for k in live]
    torch.autograd.backward([wanted[k] for k in live], [torch.tensor(s) for s in seeds])
    for k, seed in zip(live, seeds, strict=True):
        have[k].backward(lucid.tensor(seed), retain_graph=True)
    pairs = list(zip(leaves([args, options], lucid.Tensor), leaves(inputs, torch.Tensor), strict=True))
    pairs += list(zip(ours.parameters(), theirs.parameters(), strict=True))
    for k, (a, b) in enumerate(pairs):
        if a.requires_grad and b.requires_grad:
            zero = np.zeros(a.shape)
            mine, other = zero if a.grad is None else a.grad.numpy(), zero if b.grad is None else b.grad.numpy()
            scale = max(1.0, float(np.abs(other).max(initial=0)))
            np.testing.assert_allclose(mine / scale, other / scale, rtol=0, atol=tolerance, err_msg=f"{what}: {k}")
    for key, value in theirs.state_dict().items():
        agree(ours.state_dict()[key], value, tolerance, f"{what}: {key}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch(name: str, dtype: str) -> None:
    for training in (True, False):
        if not (training and name in RANDOM):
            for sample in samples(name, getattr(torch, dtype), training):
                check(name, sample, getattr(torch, dtype), training, compiled=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_compiled_agrees_with_torch(name: str) -> None:
    """The first and the last sample."""
    training = name not in RANDOM
    found = samples(name, torch.float64, training)
    for sample in found if ALL_SAMPLES else found[:: max(len(found) - 1, 1)]:
        check(name, sample, torch.float64, training, compiled=True)
