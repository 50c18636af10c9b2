"""Lucid: deep learning on CPUs. Eager like PyTorch, a graph compiler underneath, every stage readable.

>>> import lucid
>>> x = lucid.tensor([1.0, 2.0], requires_grad=True)
>>> y = (x * x).sum()
>>> y.backward()
>>> x.grad
Tensor([2.0, 4.0])
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import errors, functions, linalg, random
from lucid.autodiff import differentiate
from lucid.backward import grad
from lucid.capture import evaluate, graph
from lucid.default_dtype import get_default_dtype, set_default_dtype
from lucid.devices import backends, cuda, device
from lucid.functions import *  # noqa: F403  # what __all__ names
from lucid.grad_modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from lucid.ir.graph import Graph
from lucid.ir.text import parse_graph, print_graph
from lucid.ir.types import (
    as_dtype,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    missing_bfloat16,
    uint8,
    uint32,
    uint64,
)
from lucid.printing import set_printoptions
from lucid.random import (
    Generator,
    bernoulli,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    set_rng_state,
)
from lucid.tensor import Tensor

# Last of all: the function takes the name of the module it comes after.
from lucid.functions.creation import tensor  # noqa: F401 isort: skip

__version__ = "0.1.0"

#: PyTorch's names of dtypes. Those that Python has too are left out of ``import *``.
half, float, double = float16, float32, float64
short, int, long, bool = int16, int32, int64, bool_
dtype = np.dtype
#: A shape is a plain tuple.
Size: Any = tuple
inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
newaxis = None

#: Parts that are imported when they are first asked for.
if TYPE_CHECKING:  # loaded when first used
    from lucid import autograd, checkpoint, compiler, data, models, nn, optim, training, utils
    from lucid.compiler import compile
    from lucid.io import load, save
    from lucid.model_summary import summary
    from lucid.runtime.threads import get_num_threads, set_num_threads

_LAZY = {
    "autograd": ("lucid.autograd", None),
    "checkpoint": ("lucid.checkpoint", None),
    "compile": ("lucid.compiler", "compile"),
    "compiler": ("lucid.compiler", None),
    "data": ("lucid.data", None),
    "get_num_threads": ("lucid.runtime.threads", "get_num_threads"),
    "load": ("lucid.io", "load"),
    "models": ("lucid.models", None),
    "nn": ("lucid.nn", None),
    "optim": ("lucid.optim", None),
    "save": ("lucid.io", "save"),
    "set_num_threads": ("lucid.runtime.threads", "set_num_threads"),
    "summary": ("lucid.model_summary", "summary"),
    "training": ("lucid.training", None),
    "utils": ("lucid.utils", None),
}


def __getattr__(name: str) -> Any:
    if name == "bfloat16":
        raise missing_bfloat16()
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
    "Generator",
    "Graph",
    "Tensor",
    "as_dtype",
    "autograd",
    "backends",
    "bernoulli",
    "bool_",
    "checkpoint",
    "compile",
    "compiler",
    "cuda",
    "data",
    "default_generator",
    "device",
    "differentiate",
    "double",
    "dtype",
    "enable_grad",
    "errors",
    "evaluate",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "get_num_threads",
    "get_rng_state",
    "grad",
    "graph",
    "half",
    "inf",
    "inference_mode",
    "initial_seed",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "linalg",
    "load",
    "long",
    "manual_seed",
    "models",
    "multinomial",
    "nan",
    "newaxis",
    "nn",
    "no_grad",
    "normal",
    "optim",
    "parse_graph",
    "pi",
    "print_graph",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "random",
    "randperm",
    "save",
    "set_default_dtype",
    "set_grad_enabled",
    "set_num_threads",
    "set_printoptions",
    "set_rng_state",
    "short",
    "summary",
    "training",
    "uint8",
    "uint32",
    "uint64",
    "utils",
]  # fmt: skip
__all__ += functions.__all__

if bfloat16 is None:  # to ask for it says what is missing
    del bfloat16
else:
    __all__ += ["bfloat16"]
