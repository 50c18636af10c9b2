"""Methods that end in an underscore, and operators such as ``+=``: the tensor takes a function's result as its value.

What that means is said once, by ``take_value``. No memory is written over: whatever was computed from the tensor
before, its views included, keeps the old value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from lucid import random
from lucid.eager import Recorded, mode
from lucid.errors import DTypeError, GradientError, LucidError, ShapeError
from lucid.functions import assigning, diagonals, elementwise, gathering, scans
from lucid.functions.arguments import fail
from lucid.promotion import cast, rank_of

if TYPE_CHECKING:
    from lucid.tensor import Tensor

P = ParamSpec("P")


def take_value(op: str, target: Any, new: Tensor) -> None:
    """Give ``target`` the value ``new``, cast to its dtype.

    A leaf that needs no gradient stays a leaf with new values, unless ``new`` carries a gradient: then the tensor
    becomes that result, and gradients flow through it. So does the result of an operation.

    Raises:
        GradientError: ``target`` is a leaf that requires a gradient, and gradients are being recorded; or it is the
            result of an operation on such leaves, and they are not.
        ShapeError: ``new`` has another shape.
        DTypeError: ``new`` is floating and ``target`` is not, or ``new`` is no bool and ``target`` is.
    """
    if target.is_leaf and target.requires_grad and mode.grad:
        fail(
            GradientError(
                "a leaf that requires a gradient cannot be changed in place while gradients are recorded",
                op=op,
                hint="change it inside lucid.no_grad(), or compute a new tensor",
            )
        )
    if not target.is_leaf and not mode.grad:
        fail(
            GradientError(
                "the result of an operation cannot be changed in place while gradients are not recorded: its own "
                "gradient would be wrong",
                op=op,
                hint="change x.detach(), or change it outside lucid.no_grad()",
            )
        )
    if new.shape != target.shape:
        fail(ShapeError(f"the result has shape {new.shape}, but the tensor has shape {target.shape}", op=op))
    if rank_of(new.dtype) > rank_of(target.dtype):
        fail(
            DTypeError(
                f"the result has dtype {new.dtype.name}, which does not become {target.dtype.name} in place",
                op=op,
                hint="compute a new tensor instead",
            )
        )
    if new is not target:
        target._become(cast(new, target.dtype))


def in_place(function: Callable[Concatenate[Any, P], Any]) -> Callable[Concatenate[Any, P], Any]:
    """The method that gives a tensor the value of ``function`` of it, and returns the tensor."""
    name = function.__name__ + "_"

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            new = function(self, *args, **kwargs)
        except LucidError as error:
            error.op = name  # what was called
            raise
        take_value(name, self, new)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"""``{function.__name__}``, with the result as this tensor's new value, cast to its dtype.

        Raises:
            GradientError: a leaf that requires a gradient, while gradients are recorded; or the result of an operation
                on such leaves, while they are not.
            ShapeError, DTypeError: the result has another shape, or is floating where this tensor is not.
            As ``{function.__name__}`` does.
        """
    return method


class InPlace(Recorded):
    """Functions whose result becomes the value of their first operand."""

    def uniform_(self, from_: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Any:
        """Uniform draws from ``from_`` to ``to`` as this tensor's new value.

        >>> import lucid
        >>> bool((lucid.empty(99).uniform_(2, 3) >= 2).all())
        True
        """
        take_value("uniform_", self, random.uniform(from_, to, self.shape, dtype=self.dtype, generator=generator))
        return self

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
        """Normal draws as this tensor's new value.

        >>> import lucid
        >>> lucid.empty(2).normal_(5, 0)
        Tensor([5.0, 5.0])
        """
        take_value("normal_", self, random.normal(mean, std, self.shape, dtype=self.dtype, generator=generator))
        return self

    def bernoulli_(self, p: float = 0.5, *, generator: Any = None) -> Any:
        """1 with probability ``p``, else 0, as this tensor's new value.

        >>> import lucid
        >>> lucid.empty(2).bernoulli_(1)
        Tensor([1.0, 1.0])
        """
        take_value("bernoulli_", self, cast(random.bernoulli(p, self.shape, generator=generator), self.dtype))
        return self

    def random_(self, from_: int, to: int | None = None, *, generator: Any = None) -> Any:
        """Integers from ``from_`` up to, not including, ``to``, as this tensor's new value; ``random_(n)`` from 0.

        >>> import lucid
        >>> lucid.empty(2).random_(3, 4)
        Tensor([3.0, 3.0])
        """
        take_value("random_", self, cast(random.randint(from_, to, self.shape, generator=generator), self.dtype))
        return self

    abs_ = in_place(elementwise.abs)
    absolute_ = in_place(elementwise.absolute)
    neg_ = in_place(elementwise.neg)
    negative_ = in_place(elementwise.negative)
    sign_ = in_place(elementwise.sign)
    sgn_ = in_place(elementwise.sgn)
    copysign_ = in_place(elementwise.copysign)

    exp_ = in_place(elementwise.exp)
    exp2_ = in_place(elementwise.exp2)
    expm1_ = in_place(elementwise.expm1)
    log_ = in_place(elementwise.log)
    log2_ = in_place(elementwise.log2)
    log10_ = in_place(elementwise.log10)
    log1p_ = in_place(elementwise.log1p)
    logit_ = in_place(elementwise.logit)
    sigmoid_ = in_place(elementwise.sigmoid)
    erf_ = in_place(elementwise.erf)
    erfc_ = in_place(elementwise.erfc)
    xlogy_ = in_place(elementwise.xlogy)

    sqrt_ = in_place(elementwise.sqrt)
    rsqrt_ = in_place(elementwise.rsqrt)
    square_ = in_place(elementwise.square)
    reciprocal_ = in_place(elementwise.reciprocal)
    pow_ = in_place(elementwise.pow)
    float_power_ = in_place(elementwise.float_power)
    ldexp_ = in_place(elementwise.ldexp)

    sin_ = in_place(elementwise.sin)
    cos_ = in_place(elementwise.cos)
    tan_ = in_place(elementwise.tan)
    asin_ = in_place(elementwise.asin)
    acos_ = in_place(elementwise.acos)
    atan_ = in_place(elementwise.atan)
    atan2_ = in_place(elementwise.atan2)
    sinc_ = in_place(elementwise.sinc)
    deg2rad_ = in_place(elementwise.deg2rad)
    rad2deg_ = in_place(elementwise.rad2deg)
    hypot_ = in_place(elementwise.hypot)

    sinh_ = in_place(elementwise.sinh)
    cosh_ = in_place(elementwise.cosh)
    tanh_ = in_place(elementwise.tanh)
    asinh_ = in_place(elementwise.asinh)
    acosh_ = in_place(elementwise.acosh)
    atanh_ = in_place(elementwise.atanh)

    floor_ = in_place(elementwise.floor)
    ceil_ = in_place(elementwise.ceil)
    round_ = in_place(elementwise.round)
    trunc_ = in_place(elementwise.trunc)
    fix_ = in_place(elementwise.fix)
    frac_ = in_place(elementwise.frac)

    add_ = in_place(elementwise.add)
    sub_ = in_place(elementwise.sub)
    subtract_ = in_place(elementwise.subtract)
    mul_ = in_place(elementwise.mul)
    multiply_ = in_place(elementwise.multiply)
    div_ = in_place(elementwise.div)
    divide_ = in_place(elementwise.divide)
    true_divide_ = in_place(elementwise.true_divide)
    floor_divide_ = in_place(elementwise.floor_divide)
    remainder_ = in_place(elementwise.remainder)
    fmod_ = in_place(elementwise.fmod)
    lerp_ = in_place(elementwise.lerp)
    addcmul_ = in_place(elementwise.addcmul)
    addcdiv_ = in_place(elementwise.addcdiv)

    nan_to_num_ = in_place(elementwise.nan_to_num)

    logical_not_ = in_place(elementwise.logical_not)
    logical_and_ = in_place(elementwise.logical_and)
    logical_or_ = in_place(elementwise.logical_or)
    logical_xor_ = in_place(elementwise.logical_xor)

    bitwise_not_ = in_place(elementwise.bitwise_not)
    bitwise_and_ = in_place(elementwise.bitwise_and)
    bitwise_or_ = in_place(elementwise.bitwise_or)
    bitwise_xor_ = in_place(elementwise.bitwise_xor)
    bitwise_left_shift_ = in_place(elementwise.bitwise_left_shift)
    bitwise_right_shift_ = in_place(elementwise.bitwise_right_shift)

    clip_ = in_place(elementwise.clip)
    clamp_ = in_place(elementwise.clamp)
    clamp_min_ = in_place(elementwise.clamp_min)
    clamp_max_ = in_place(elementwise.clamp_max)
    relu_ = in_place(elementwise.relu)

    tril_ = in_place(diagonals.tril)
    triu_ = in_place(diagonals.triu)
    cumsum_ = in_place(scans.cumsum)
    cumprod_ = in_place(scans.cumprod)

    scatter_ = in_place(gathering.scatter)
    scatter_add_ = in_place(gathering.scatter_add)
    scatter_reduce_ = in_place(gathering.scatter_reduce)
    index_add_ = in_place(gathering.index_add)
    index_copy_ = in_place(gathering.index_copy)
    index_fill_ = in_place(gathering.index_fill)
    index_reduce_ = in_place(gathering.index_reduce)
    index_put_ = in_place(assigning.index_put)
    put_ = in_place(assigning.put)
    masked_fill_ = in_place(assigning.masked_fill)
    masked_scatter_ = in_place(assigning.masked_scatter)

    #: ``x += y`` and its like, as in NumPy and PyTorch: every name of the tensor sees the new value.
    __iadd__ = add_
    __isub__ = sub_
    __imul__ = mul_
    __itruediv__ = div_
    __ifloordiv__ = floor_divide_
    __imod__ = remainder_
    __ipow__ = pow_
    __iand__ = bitwise_and_
    __ior__ = bitwise_or_
    __ixor__ = bitwise_xor_
    __ilshift__ = bitwise_left_shift_
    __irshift__ = bitwise_right_shift_
