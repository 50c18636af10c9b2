"""The dtype of what is made without one: of Python floats, of layers, and of integers that meet fractions."""

from __future__ import annotations

from types import SimpleNamespace

from lucid import changes
from lucid.eager import located_error, mode
from lucid.errors import DTypeError, TraceError
from lucid.ir.types import DType, as_dtype, float32, is_float

_default = SimpleNamespace(dtype=float32)


def get_default_dtype() -> DType:
    """The dtype that tensors of Python floats have.

    >>> import lucid
    >>> lucid.get_default_dtype()
    dtype('float32')
    """
    return _default.dtype  # type: ignore[no-any-return]  # a DType: set_default_dtype sees to it


def set_default_dtype(d: object) -> None:
    """Make this the dtype of everything that is made of Python floats, or without a dtype: tensors, layers, draws.

    Integers and bools become it where they meet fractions. Compiled functions are compiled anew for another default.

    Args:
        d: a floating dtype.

    Raises:
        DTypeError: a dtype that is not floating.
        TraceError: inside a compiled function.

    >>> import lucid
    >>> lucid.set_default_dtype(lucid.float64)
    >>> lucid.tensor([0.1]).dtype, lucid.nn.Linear(2, 3).weight.dtype
    (dtype('float64'), dtype('float64'))
    >>> lucid.set_default_dtype(lucid.float32)
    """
    op = "set_default_dtype"
    try:
        wanted = as_dtype(d)
        if not is_float(wanted):
            raise DTypeError(f"d={wanted.name} must be floating")
        if mode.trace is not None:
            hint = "set it before calling, or name dtypes inside"
            raise TraceError("the default dtype cannot be changed in a compiled function", hint=hint)
    except (DTypeError, TraceError) as error:
        error.op = op
        raise located_error(error) from None
    if wanted != _default.dtype:
        _default.dtype = wanted
        changes.touch()
