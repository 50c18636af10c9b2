"""The layers of PyTorch's table of modules: values, gradients and state dicts, in training and in evaluation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_modules import module_db

import lucid
from lucid import nn
from tests.conformance.samples import DTYPES, leaves, ours

#: Arguments of constructors that are of no effect here, or name what Lucid has not.
DROPPED = {"device", "dtype", "inplace", "size_average", "reduce", "recompute_scale_factor", "enable_nested_tensor"}
#: Layers whose draws differ from PyTorch's: compared in evaluation.
RANDOM = {"RReLU", "AlphaDropout", "FeatureAlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"}
#: Where PyTorch's gradient is another one for what does not come from ``log_softmax``; see tests/nn/test_ctc.py.
VALUES_ALONE = {"CTCLoss"}

NAMES = sorted({m.module_cls.__name__ for m in module_db if hasattr(nn, m.module_cls.__name__)})


def compared(name: str, dtype: Any, training: bool) -> list[Any]:
    """The samples of a layer that are compared: alike in every process, without draws of the libraries' own."""
    if training and name in RANDOM:
        return []
    return [s for s in samples_of(name, dtype, training) if not refusal(name, s)]


def samples_of(name: str, dtype: Any, training: bool) -> list[Any]:
    torch.manual_seed(0)
    found = []
    for info in module_db:
        if info.module_cls.__name__ == name and info.dtypes and dtype in info.dtypes:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found += info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)
    return [s for s in found if s.forward_input is not None]


def refusal(name: str, sample: Any) -> str:
    """Why Lucid turns a sample down with an error of its own; empty if it does not."""
    options = sample.constructor_input.kwargs
    return "sparse gradients" if name == "Embedding" and options.get("sparse") else ""


def constructed(name: str, given: Any) -> Any:
    options = {k: v for k, v in given.kwargs.items() if k not in DROPPED}
    args = [activation(a) for a in given.args]
    return getattr(nn, name)(*ours(args), **ours({k: activation(v) for k, v in options.items()}))


def forward(name: str, sample: Any) -> Any:
    """The call of a sample alone."""
    module, given = constructed(name, sample.constructor_input), sample.forward_input
    kind = sample.constructor_input.kwargs.get("dtype")
    for part in module.modules() if kind is not None else ():
        for key, p in part._parameters.items():
            part._parameters[key] = None if p is None else nn.Parameter(p.detach().astype(DTYPES[kind]))
    return module(*given_to_ours(given.args), **given_to_ours(given.kwargs))


def given_to_ours(value: Any) -> Any:
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return nn.utils.rnn.PackedSequence(*map(ours, value))
    if isinstance(value, list | tuple):
        return type(value)(map(given_to_ours, value))
    if isinstance(value, dict):
        return {k: given_to_ours(v) for k, v in value.items()}
    return ours(value)


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


def take_over(mine: Any, theirs: Any) -> None:
    """PyTorch's parameters and buffers, in their own dtypes."""
    expected = theirs.state_dict()
    assert list(mine.state_dict()) == list(expected)
    for path, value in expected.items():
        home, _, leaf = path.rpartition(".")
        module = mine.get_submodule(home)
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
    mine = constructed(name, given).train(training)
    take_over(mine, theirs)
    inputs = leaf_copies([sample.forward_input.args, sample.forward_input.kwargs])
    args, options = given_to_ours(inputs)
    what = f"{name}{given.args}{given.kwargs} {sample.desc}"
    tolerance = 1e-4 if dtype == torch.float32 else 1e-8
    expected = theirs(*inputs[0], **inputs[1])
    found = (lucid.compile(mine) if compiled else mine)(*args, **options)
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
    pairs += list(zip(mine.parameters(), theirs.parameters(), strict=True))
    for k, (a, b) in enumerate(pairs):
        if a.requires_grad and b.requires_grad:
            zero = np.zeros(a.shape)
            slope, other = zero if a.grad is None else a.grad.numpy(), zero if b.grad is None else b.grad.numpy()
            scale = max(1.0, float(np.abs(other).max(initial=0)))
            np.testing.assert_allclose(slope / scale, other / scale, rtol=0, atol=tolerance, err_msg=f"{what}: {k}")
    for key, value in theirs.state_dict().items():
        agree(mine.state_dict()[key], value, tolerance, f"{what}: {key}")
