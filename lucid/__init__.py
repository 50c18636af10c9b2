"""Lucid: deep learning on CPUs. Eager like PyTorch, a graph compiler underneath, every stage readable.

>>> import lucid
>>> x = lucid.tensor([1.0, 2.0], requires_grad=True)
>>> y = (x * x).sum()
>>> y.backward()
>>> x.grad
Tensor([2.0, 4.0])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lucid import errors, random
from lucid.autodiff import differentiate
from lucid.backward import grad
from lucid.capture import evaluate, graph
from lucid.functions.creation import (
    arange,
    empty,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from lucid.functions.elementwise import (
    abs,
    add,
    ceil,
    clip,
    cos,
    div,
    erf,
    exp,
    expm1,
    floor,
    isfinite,
    isinf,
    isnan,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    relu,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    sub,
    tanh,
    where,
)
from lucid.functions.elementwise import clip as clamp
from lucid.functions.indexing import index_select, one_hot, take
from lucid.functions.linalg import dot, matmul, outer
from lucid.functions.memory import channels_last, channels_last_3d, contiguous_format, preserve_format
from lucid.functions.movement import (
    broadcast_to,
    cat,
    chunk,
    concat,
    expand,
    flatten,
    flip,
    moveaxis,
    pad,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
    unsqueeze,
)
from lucid.functions.reductions import (
    all,
    any,
    argmax,
    argmin,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    std,
    sum,
    var,
)
from lucid.grad_modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from lucid.ir.graph import Graph
from lucid.ir.text import parse_graph, print_graph
from lucid.ir.types import (
    as_dtype,
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint32,
    uint64,
)
from lucid.random import bernoulli, manual_seed, rand, rand_like, randint, randn, randn_like, randperm
from lucid.tensor import Tensor

# Last of all: the function takes the name of the module it comes after.
from lucid.functions.creation import tensor  # isort: skip

__version__ = "0.1.0"

#: Parts that are imported when they are first asked for.
if TYPE_CHECKING:  # loaded when first used
    from lucid import compiler, data, nn, optim
    from lucid.compiler import compile
    from lucid.io import load, save
    from lucid.runtime.threads import get_num_threads, set_num_threads

_LAZY = {
    "compile": ("lucid.compiler", "compile"),
    "compiler": ("lucid.compiler", None),
    "data": ("lucid.data", None),
    "get_num_threads": ("lucid.runtime.threads", "get_num_threads"),
    "load": ("lucid.io", "load"),
    "nn": ("lucid.nn", None),
    "optim": ("lucid.optim", None),
    "save": ("lucid.io", "save"),
    "set_num_threads": ("lucid.runtime.threads", "set_num_threads"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'lucid' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = import_module(module)
    value = loaded if attribute is None else getattr(loaded, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "Graph", "Tensor", "abs", "add", "all", "any", "arange", "argmax", "argmin", "as_dtype", "bernoulli", "bool_",
    "broadcast_to", "cat", "ceil", "channels_last", "channels_last_3d", "chunk", "clamp", "clip", "compile",
    "compiler", "concat", "contiguous_format", "cos", "data", "differentiate", "div", "dot", "empty", "enable_grad",
    "erf", "errors", "evaluate", "exp", "expand", "expm1", "eye", "flatten", "flip", "float32", "float64", "floor",
    "from_numpy", "full", "full_like", "get_num_threads", "grad", "graph", "index_select", "int8", "int16", "int32",
    "int64", "is_grad_enabled", "isfinite", "isinf", "isnan", "linspace", "load", "log", "log1p", "log_softmax",
    "logical_and", "logical_not", "logical_or", "logsumexp", "manual_seed", "matmul", "max", "maximum", "mean", "min",
    "minimum", "moveaxis", "mul", "neg", "nn", "no_grad", "one_hot", "ones", "ones_like", "optim", "outer", "pad",
    "parse_graph", "permute", "pow", "preserve_format", "print_graph", "prod", "rand", "rand_like", "randint",
    "randn", "randn_like", "random", "randperm", "relu", "reshape", "round", "rsqrt", "save", "set_grad_enabled",
    "set_num_threads", "sigmoid", "sign", "sin", "softmax", "split", "sqrt", "square", "squeeze", "stack", "std",
    "sub", "sum", "swapaxes", "take", "tanh", "tensor", "tile", "transpose", "uint8", "uint32", "uint64", "unsqueeze",
    "var", "where", "zeros", "zeros_like",
]  # fmt: skip
