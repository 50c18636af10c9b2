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
from lucid.default_dtype import get_default_dtype
from lucid.devices import is_device, require_cpu
from lucid.eager import Recorded, apply, leaf, mode
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, TraceError
from lucid.functions.arguments import dtype_of, either, fail, int_of, is_several, number_of, sizes_of
from lucid.ir.graph import Array
from lucid.ir.types import DType, float32, int64, is_float, is_integer, uint64
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

    def __init__(self, seed: Any = 0, *, device: Any = None):
        if is_device(seed):  # PyTorch's Generator(device)
            seed, device = 0, seed
        require_cpu(device)
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start over: the same seed gives the same draws. Returns the generator."""
        with self._lock:
            self.seed = int_of("manual_seed", "seed", seed) & 0xFFFFFFFFFFFFFFFF
            self.stream = 0
        return self

    def initial_seed(self) -> int:
        """The seed."""
        return self.seed

    def get_state(self) -> Tensor:
        """``state`` as a tensor, for ``set_state``."""
        return leaf(np.array(self.state, np.uint64))

    def set_state(self, state: Tensor) -> Generator:
        """Go back to where ``get_state`` was called. Returns the generator."""
        given = as_tensor(state, "set_state", "state")
        if given.shape != (2,) or given.dtype != uint64:
            fail(ArgumentError(f"state of type {given.type} is not what get_state() gives", op="set_state"))
        self.state = tuple(given.tolist())
        return self

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


def get_rng_state() -> Tensor:
    """Where Lucid's random draws are, for ``set_rng_state``.

    >>> import lucid
    >>> _ = lucid.manual_seed(7)
    >>> lucid.get_rng_state()
    Tensor([7, 0], dtype=uint64)
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Go back to where ``get_rng_state`` was called.

    >>> import lucid
    >>> state = lucid.get_rng_state()
    >>> a = lucid.rand(3)
    >>> lucid.set_rng_state(state)
    >>> bool((a == lucid.rand(3)).all())
    True
    """
    default_generator.set_state(new_state)


def initial_seed() -> int:
    """The seed of Lucid's random draws.

    >>> import lucid
    >>> _ = lucid.manual_seed(7)
    >>> lucid.initial_seed()
    7
    """
    return default_generator.seed


def next_key(generator: Generator | None = None) -> Tensor:
    """The next key as a tensor; in a compiled function, an input that is fed a fresh key at every call.

    Raises:
        ArgumentTypeError: ``generator`` is something else.
        TraceError: a generator of one's own in a compiled function.

    >>> import lucid
    >>> _ = lucid.manual_seed(3)
    >>> lucid.random.next_key()
    Tensor([3, 0, 0, 0], dtype=uint32)
    """
    trace = mode.trace
    if generator is not None and generator is not default_generator:
        if not isinstance(generator, Generator):
            fail(ArgumentTypeError(f"generator must be a Generator, not {type(generator).__name__}", op="random"))
        if trace is not None:
            message = "a compiled function draws from Lucid's own generator alone"
            fail(TraceError(message, op="random", hint="draw before calling the function, or use lucid.manual_seed"))
        return leaf(generator.next_key())
    return leaf(default_generator.next_key()) if trace is None else trace.random_key()


def _float_dtype(op: str, dtype: object) -> DType:
    result = dtype_of(op, get_default_dtype() if dtype is None else dtype)
    if not is_float(result):
        fail(DTypeError(f"dtype={result.name} must be floating", op=op))
    return result


def _unit(op: Any, name: str, shape: tuple[Any, ...], dtype: object, generator: Generator | None = None) -> Tensor:
    sizes, element = sizes_of(name, shape), _float_dtype(name, dtype)  # refused before a key is used up
    return apply(op, next_key(generator), shape=sizes, dtype=element)


def _owned(drawn: Tensor, requires_grad: bool = False) -> Tensor:
    """In eager mode a leaf like any other created tensor."""
    result = drawn if drawn._data is None else leaf(drawn._data)
    return result if requires_grad is False else result.requires_grad_(requires_grad)


def rand(
    *shape: Any,
    generator: Generator | None = None,
    dtype: object = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Uniform draws from [0, 1).

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        DTypeError: ``dtype`` is not floating.

    >>> import lucid
    >>> _ = lucid.manual_seed(0)
    >>> lucid.rand(2, 3).shape
    (2, 3)
    """
    require_cpu(device)
    return _owned(_unit(ops.random_uniform, "rand", shape, dtype, generator), requires_grad)


def randn(
    *shape: Any,
    generator: Generator | None = None,
    dtype: object = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Normal draws with mean 0 and variance 1.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        DTypeError: ``dtype`` is not floating.

    >>> import lucid
    >>> lucid.randn(2, 3, dtype=lucid.float64).dtype
    dtype('float64')
    """
    require_cpu(device)
    return _owned(_unit(ops.random_normal, "randn", shape, dtype, generator), requires_grad)


def uniform(
    low: float,
    high: float,
    shape: Any,
    *,
    generator: Generator | None = None,
    dtype: object = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Uniform draws from [low, high).

    Raises:
        ArgumentError: ``low`` is above ``high``.
        ArgumentTypeError: bounds that are not numbers.

    >>> import lucid
    >>> draws = lucid.random.uniform(-1, 1, (100,))
    >>> bool((draws >= -1).all()), bool((draws < 1).all())
    (True, True)
    """
    require_cpu(device)
    first, last = float(number_of("uniform", "low", low)), float(number_of("uniform", "high", high))
    if first > last:
        fail(ArgumentError(f"low={low} must not be above high={high}", op="uniform"))
    unit = _unit(ops.random_uniform, "uniform", (shape,), dtype, generator)
    return _owned(unit * (last - first) + first, requires_grad)


def normal(
    mean: Any,
    std: Any = 1.0,
    shape: Any = None,
    *,
    size: Any = None,
    generator: Generator | None = None,
    dtype: object = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Normal draws with the given mean and standard deviation: numbers, or tensors with one for each draw.

    Raises:
        ArgumentError: ``std`` is negative.
        ArgumentTypeError: ``mean`` or ``std`` is not a number.

    >>> import lucid
    >>> lucid.random.normal(5, 0, (2,))
    Tensor([5.0, 5.0])
    """
    require_cpu(device)
    if isinstance(mean, Recorded) or isinstance(std, Recorded):
        if shape is not None or size is not None:
            fail(ArgumentError("a shape is given beside tensors, which have theirs", op="normal"))
        centres, spreads = floating(as_tensor(mean, "normal", "mean")), floating(as_tensor(std, "normal", "std"))
        sizes = (centres + spreads).shape
        return _owned(_unit(ops.random_normal, "normal", (sizes,), dtype, generator) * spreads + centres, requires_grad)
    shape = either("normal", () if shape is None and size is None else shape, size, ("shape", "size"))
    centre, spread = float(number_of("normal", "mean", mean)), float(number_of("normal", "std", std, 0))
    unit = _unit(ops.random_normal, "normal", (shape,), dtype, generator)
    return _owned(unit * spread + centre, requires_grad)


def bernoulli(
    p: Any, shape: Any = None, *, generator: Generator | None = None, dtype: object = None, device: Any = None
) -> Tensor:
    """1 with probability ``p``, else 0; ``p`` is a number (then ``shape`` is needed) or a tensor of probabilities.

    Raises:
        ArgumentError: a probability outside 0 .. 1 (in a compiled function, where values are not seen, it counts as
            the nearer of the two).
        ArgumentTypeError: ``p`` is not a number although there is a ``shape``.

    >>> import lucid
    >>> lucid.bernoulli(lucid.tensor([0.0, 1.0]))
    Tensor([0.0, 1.0])
    """
    require_cpu(device)
    if shape is None:
        chance = floating(as_tensor(p, "bernoulli", "p"))
        if mode.trace is None:
            wrong = ~((chance._data >= 0) & (chance._data <= 1))
            if wrong.any():
                fail(ArgumentError(f"p holds {chance._data[wrong][0]}, but it must lie in 0 .. 1", op="bernoulli"))
        unit = apply(ops.random_uniform, next_key(generator), shape=chance.shape, dtype=chance.dtype)
    else:
        chance = scalar(float(number_of("bernoulli", "p", p, 0, 1)), float32)
        unit = apply(ops.random_uniform, next_key(generator), shape=sizes_of("bernoulli", (shape,)), dtype=float32)
    return _owned(cast(binary("lt", unit, chance), _float_dtype("bernoulli", dtype)))


def randint(
    low: int,
    high: Any = None,
    shape: Any = None,
    *,
    size: Any = None,
    generator: Generator | None = None,
    dtype: object = int64,
    device: Any = None,
) -> Tensor:
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
    require_cpu(device)
    if is_several(high) and shape is None and size is None:  # randint(high, size)
        high, size = None, high
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
    unit = apply(ops.random_uniform, next_key(generator), shape=sizes, dtype=np.dtype(np.float64))
    return _owned(cast(cast(unit * float(high - low), int64) + low, wanted))


def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """The integers 0 .. n-1 in random order.

    Raises:
        ArgumentTypeError, ArgumentError: ``n`` is no int, or negative.
        TraceError: in a compiled function.

    >>> import lucid
    >>> lucid.randperm(5).sort().values
    Tensor([0, 1, 2, 3, 4])
    """
    require_cpu(device)
    if mode.trace is not None:
        fail(TraceError("randperm cannot be compiled", op="randperm", hint="shuffle before calling the function"))
    count = int_of("randperm", "n", n)
    if count < 0:
        fail(ArgumentError(f"n={count} must not be negative", op="randperm"))
    words = ops.philox.evaluate(next_key(generator)._data, shape=(2 * count,)).astype(np.uint64)
    return leaf(np.argsort(words[:count] << np.uint64(32) | words[count:], kind="stable"))


def rand_like(x: Any, *, dtype: object = None, device: Any = None) -> Tensor:
    """Uniform draws from [0, 1), of ``x``'s shape and dtype.

    Raises:
        DTypeError: the dtype is not floating.

    >>> import lucid
    >>> lucid.rand_like(lucid.ones(2, 3)).shape
    (2, 3)
    """
    require_cpu(device)
    x = as_tensor(x, "rand_like")
    return rand(x.shape, dtype=x.dtype if dtype is None else dtype)


def randn_like(x: Any, *, dtype: object = None, device: Any = None) -> Tensor:
    """Normal draws with mean 0 and variance 1, of ``x``'s shape and dtype.

    Raises:
        DTypeError: the dtype is not floating.

    >>> import lucid
    >>> lucid.randn_like(lucid.ones(2, 3)).shape
    (2, 3)
    """
    require_cpu(device)
    x = as_tensor(x, "randn_like")
    return randn(x.shape, dtype=x.dtype if dtype is None else dtype)


def randint_like(x: Any, low: int, high: int | None = None, *, dtype: object = None, device: Any = None) -> Tensor:
    """Integers from ``low`` up to, not including, ``high``, in ``x``'s shape and dtype.

    Raises:
        ArgumentError, ArgumentTypeError: as ``randint``.

    >>> import lucid
    >>> lucid.randint_like(lucid.ones(2), 3, 4)
    Tensor([3.0, 3.0])
    """
    x = as_tensor(x, "randint_like")
    wanted = dtype_of("randint_like", x.dtype if dtype is None else dtype)
    drawn = randint(low, high, x.shape, dtype=wanted if is_integer(wanted) else int64, device=device)
    return cast(drawn, wanted)


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Positions drawn with probabilities in proportion to the weights along the last dimension.

    Args:
        input: weights, not negative, ``(n,)`` or ``(rows, n)``.
        num_samples: how many positions, for each row.
        replacement: whether one can be drawn again.

    Raises:
        ShapeError: another rank.
        ArgumentError: more samples than positions without replacement.

    >>> import lucid
    >>> lucid.multinomial(lucid.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    Tensor([1, 1, 1])
    """
    op = "multinomial"
    weights, count = floating(as_tensor(input, op, "input")), int_of(op, "num_samples", num_samples)
    if weights.ndim not in (1, 2):
        fail(ShapeError(f"input has shape {weights.shape}, but it must be (n,) or (rows, n)", op=op))
    size = weights.shape[-1]
    if count < 1 or (count > size and not replacement):
        rule = "at least 1" if count < 1 else f"at most {size}, without replacement"
        fail(ArgumentError(f"num_samples={count} must be {rule}", op=op))
    # Of exponential waiting times at rates w, the shortest is that of a position with probability w / sum(w).
    rows = weights.shape[:-1]
    shape = (*rows, count, size) if replacement else (*rows, size)
    waits = -(1.0 - rand(shape, generator=generator)).log()
    if replacement:
        return (waits / weights.unsqueeze(-2)).argmin(-1)
    return (waits / weights).argsort(-1)[..., :count]
