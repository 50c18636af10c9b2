"""Random tensors. Every draw is a function of the seed and of how many draws came before it.

The generator holds a seed and a stream counter; each draw takes the key ``uint32[4]`` = (seed low, seed high, stream
low, stream high) and moves the counter. Inside a compiled function a draw is an input that gets the next key at every
call, so compiled draws are those of eager, bit for bit.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.eager import apply, leaf, mode
from lucid.errors import ArgumentError, DTypeError, TraceError
from lucid.functions.arguments import dtype_of, fail, int_of, number_of, sizes_of
from lucid.ir.graph import Array
from lucid.ir.types import DType, float32, int64, is_float, is_integer
from lucid.promotion import as_tensor, binary, cast, floating, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

_WORD = 0xFFFFFFFF


class Generator:
    """A seed and the number of keys handed out. Safe to use from several threads.

    Raises:
        ArgumentTypeError: ``seed`` is not an int.

    >>> import lucid
    >>> generator = lucid.random.Generator(7)
    >>> generator.next_key()
    array([7, 0, 0, 0], dtype=uint32)
    >>> generator.state
    (7, 1)
    """

    def __init__(self, seed: int = 0):
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> None:
        """Start over: the same seed gives the same draws."""
        with self._lock:
            self.seed = int_of("manual_seed", "seed", seed) & 0xFFFFFFFFFFFFFFFF
            self.stream = 0

    def next_key(self) -> Array:
        """The key of the next draw."""
        with self._lock:
            stream = self.stream
            self.stream += 1
        return np.array([self.seed & _WORD, self.seed >> 32, stream & _WORD, stream >> 32 & _WORD], np.uint32)

    @property
    def state(self) -> tuple[int, int]:
        """Seed and counter: assign it to go back to this point."""
        return self.seed, self.stream

    @state.setter
    def state(self, value: tuple[int, int]) -> None:
        with self._lock:
            self.seed, self.stream = value


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed all random draws of Lucid: layers' initial weights, dropout, shuffling, ``lucid.randn``.

    >>> import lucid
    >>> _ = lucid.manual_seed(1)
    >>> a = lucid.rand(3)
    >>> _ = lucid.manual_seed(1)
    >>> bool((a == lucid.rand(3)).all())
    True
    """
    default_generator.manual_seed(seed)
    return default_generator


def next_key() -> Tensor:
    """The next key as a tensor; in a compiled function, an input that is fed a fresh key at every call.

    >>> import lucid
    >>> _ = lucid.manual_seed(3)
    >>> lucid.random.next_key()
    Tensor([3, 0, 0, 0], dtype=uint32)
    """
    trace = mode.trace
    return leaf(default_generator.next_key()) if trace is None else trace.random_key()


def _float_dtype(op: str, dtype: object) -> DType:
    result = dtype_of(op, float32 if dtype is None else dtype)
    if not is_float(result):
        fail(DTypeError(f"dtype={result.name} must be floating", op=op))
    return result


def _unit(op: Any, name: str, shape: tuple[Any, ...], dtype: object) -> Tensor:
    sizes, element = sizes_of(name, shape), _float_dtype(name, dtype)  # refused before a key is used up
    return apply(op, next_key(), shape=sizes, dtype=element)


def _owned(drawn: Tensor, requires_grad: bool = False) -> Tensor:
    """In eager mode a leaf like any other created tensor."""
    result = drawn if drawn._data is None else leaf(drawn._data)
    return result if requires_grad is False else result.requires_grad_(requires_grad)


def rand(*shape: Any, dtype: object = None, requires_grad: bool = False) -> Tensor:
    """Uniform draws from [0, 1).

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        DTypeError: ``dtype`` is not floating.

    >>> import lucid
    >>> _ = lucid.manual_seed(0)
    >>> lucid.rand(2, 3).shape
    (2, 3)
    """
    return _owned(_unit(ops.random_uniform, "rand", shape, dtype), requires_grad)


def randn(*shape: Any, dtype: object = None, requires_grad: bool = False) -> Tensor:
    """Normal draws with mean 0 and variance 1.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        DTypeError: ``dtype`` is not floating.

    >>> import lucid
    >>> lucid.randn(2, 3, dtype=lucid.float64).dtype
    dtype('float64')
    """
    return _owned(_unit(ops.random_normal, "randn", shape, dtype), requires_grad)


def uniform(low: float, high: float, shape: Any, *, dtype: object = None, requires_grad: bool = False) -> Tensor:
    """Uniform draws from [low, high).

    Raises:
        ArgumentError: ``low`` is above ``high``.
        ArgumentTypeError: bounds that are not numbers.

    >>> import lucid
    >>> draws = lucid.random.uniform(-1, 1, (100,))
    >>> bool((draws >= -1).all()), bool((draws < 1).all())
    (True, True)
    """
    first, last = float(number_of("uniform", "low", low)), float(number_of("uniform", "high", high))
    if first > last:
        fail(ArgumentError(f"low={low} must not be above high={high}", op="uniform"))
    unit = _unit(ops.random_uniform, "uniform", (shape,), dtype)
    return _owned(unit * (last - first) + first, requires_grad)


def normal(mean: float, std: float, shape: Any, *, dtype: object = None, requires_grad: bool = False) -> Tensor:
    """Normal draws with the given mean and standard deviation.

    Raises:
        ArgumentError: ``std`` is negative.
        ArgumentTypeError: ``mean`` or ``std`` is not a number.

    >>> import lucid
    >>> lucid.random.normal(5, 0, (2,))
    Tensor([5.0, 5.0])
    """
    centre, spread = float(number_of("normal", "mean", mean)), float(number_of("normal", "std", std, 0))
    unit = _unit(ops.random_normal, "normal", (shape,), dtype)
    return _owned(unit * spread + centre, requires_grad)


def bernoulli(p: Any, shape: Any = None, *, dtype: object = None) -> Tensor:
    """1 with probability ``p``, else 0; ``p`` is a number (then ``shape`` is needed) or a tensor of probabilities.

    Raises:
        ArgumentError: a probability outside 0 .. 1 (in a compiled function, where values are not seen, it counts as
            the nearer of the two).
        ArgumentTypeError: ``p`` is not a number although there is a ``shape``.

    >>> import lucid
    >>> lucid.bernoulli(lucid.tensor([0.0, 1.0]))
    Tensor([0.0, 1.0])
    """
    if shape is None:
        chance = floating(as_tensor(p, "bernoulli", "p"))
        if mode.trace is None:
            wrong = ~((chance._data >= 0) & (chance._data <= 1))
            if wrong.any():
                fail(ArgumentError(f"p holds {chance._data[wrong][0]}, but it must lie in 0 .. 1", op="bernoulli"))
        unit = apply(ops.random_uniform, next_key(), shape=chance.shape, dtype=chance.dtype)
    else:
        chance = scalar(float(number_of("bernoulli", "p", p, 0, 1)), float32)
        unit = apply(ops.random_uniform, next_key(), shape=sizes_of("bernoulli", (shape,)), dtype=float32)
    return _owned(cast(binary("lt", unit, chance), _float_dtype("bernoulli", dtype)))


def randint(low: int, high: int | None = None, shape: Any = None, *, size: Any = None, dtype: object = int64) -> Tensor:
    """Integers from ``low`` up to, not including, ``high``; ``randint(n, shape=s)`` starts from 0.

    Raises:
        ArgumentTypeError, ArgumentError: bounds that are no ints, or none between; more than 2**32 of them; bounds
            outside ``dtype``.
        DTypeError: ``dtype`` is no integer dtype.

    >>> import lucid
    >>> draws = lucid.randint(-1, 2, (100,))
    >>> draws.min(), draws.max()
    (Tensor(-1), Tensor(1))
    """
    if high is None:
        low, high = 0, low
    low, high = int_of("randint", "low", low), int_of("randint", "high", high)
    if high <= low:
        fail(ArgumentError(f"high={high} must be greater than low={low}", op="randint"))
    if high - low > 2**32:
        fail(ArgumentError(f"the range {low} .. {high} holds more than 2**32 integers", op="randint"))
    wanted = dtype_of("randint", dtype)
    if not is_integer(wanted):
        fail(DTypeError(f"dtype={wanted.name} must be an integer dtype", op="randint"))
    if not np.iinfo(wanted).min <= low < high <= int(np.iinfo(wanted).max) + 1:
        fail(ArgumentError(f"low={low} .. high={high} are not all values of dtype {wanted.name}", op="randint"))
    sizes = sizes_of("randint", ((() if size is None else size) if shape is None else shape,))
    # 53 random bits scaled to the range: each value's chance is off by less than 2**-21.
    unit = apply(ops.random_uniform, next_key(), shape=sizes, dtype=np.dtype(np.float64))
    return _owned(cast(cast(unit * float(high - low), int64) + low, wanted))


def randperm(n: int) -> Tensor:
    """The integers 0 .. n-1 in random order.

    Raises:
        ArgumentTypeError, ArgumentError: ``n`` is no int, or negative.
        TraceError: in a compiled function.

    >>> import lucid
    >>> lucid.randperm(5).sort().values
    Tensor([0, 1, 2, 3, 4])
    """
    if mode.trace is not None:
        fail(TraceError("randperm cannot be compiled", op="randperm", hint="shuffle before calling the function"))
    count = int_of("randperm", "n", n)
    if count < 0:
        fail(ArgumentError(f"n={count} must not be negative", op="randperm"))
    words = ops.philox.evaluate(default_generator.next_key(), shape=(2 * count,)).astype(np.uint64)
    return leaf(np.argsort(words[:count] << np.uint64(32) | words[count:], kind="stable"))


def rand_like(x: Any, *, dtype: object = None) -> Tensor:
    """Uniform draws from [0, 1), of ``x``'s shape and dtype.

    Raises:
        DTypeError: the dtype is not floating.

    >>> import lucid
    >>> lucid.rand_like(lucid.ones(2, 3)).shape
    (2, 3)
    """
    x = as_tensor(x, "rand_like")
    return rand(x.shape, dtype=x.dtype if dtype is None else dtype)


def randn_like(x: Any, *, dtype: object = None) -> Tensor:
    """Normal draws with mean 0 and variance 1, of ``x``'s shape and dtype.

    Raises:
        DTypeError: the dtype is not floating.

    >>> import lucid
    >>> lucid.randn_like(lucid.ones(2, 3)).shape
    (2, 3)
    """
    x = as_tensor(x, "randn_like")
    return randn(x.shape, dtype=x.dtype if dtype is None else dtype)
