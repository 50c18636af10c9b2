"""How a tensor looks: ``Tensor([[1.0, 2.0], ...], requires_grad=True)``.

The rules. A float is the shortest text that reads back to the same number at its dtype. Up to two dimensions, rows
stand under one another. From three on, the outer bracket opens a line, each item is a block of its own, indented by
four; a leading axis of size 1 shares its bracket's line. Above 1000 elements, only the first and last three along each
axis are shown. The dtype is named unless it is the default one, int64 or bool. ``set_printoptions`` changes digits and
limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lucid.default_dtype import get_default_dtype
from lucid.eager import located_error
from lucid.errors import ArgumentError
from lucid.ir.graph import Array
from lucid.ir.types import bool_, int64, is_float


@dataclass(frozen=True)
class _Options:
    #: Digits after the point; None for as many as a number has.
    precision: int | None = None
    threshold: float = 1000
    edgeitems: int = 3
    #: Characters of a line, at which rows are broken; None for no limit.
    linewidth: int | None = None
    #: Whether floats have exponents; None if they are large or small, or differ much.
    sci_mode: bool | None = None


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2, linewidth=80),
    "full": _Options(threshold=float("inf")),
}
_options = _PROFILES["default"]


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are printed from here on. What is None stays as it is, but for ``sci_mode``.

    Args:
        precision: digits after the point of floats; as many as a number has, before it is set.
        threshold: how many elements a tensor may have to be shown whole; ``float("inf")`` for any.
        edgeitems: elements shown at each end of an axis of larger ones.
        linewidth: characters of a line, at which rows are broken; rows are never broken, before it is set.
        profile: 'default', 'short' (2 digits, 2 at each end, lines of 80) or 'full' (nothing is left out), before the
            others are applied.
        sci_mode: whether floats have exponents; None for those whose size asks for it.

    Raises:
        ArgumentError: a number that is too small or not an int, or an unknown profile.

    >>> import lucid
    >>> lucid.set_printoptions(precision=3, sci_mode=False)
    >>> lucid.tensor([1 / 3, 1e-5])
    Tensor([0.333, 0.000])
    >>> lucid.set_printoptions(profile="default")
    >>> lucid.tensor([1 / 3, 1e-5])
    Tensor([0.33333334, 1e-05])
    """
    global _options

    def refuse(argument: str, value: Any, rule: str) -> None:
        error = ArgumentError(f"{argument}={value!r} must be {rule}", op="set_printoptions")
        raise located_error(error) from None

    if profile is not None and profile not in _PROFILES:
        refuse("profile", profile, "'default', 'short' or 'full'")
    given = {"precision": precision, "edgeitems": edgeitems, "linewidth": linewidth}
    for argument, value in given.items():
        least = 0 if argument == "precision" else 1
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            refuse(argument, value, f"an int of at least {least}")
    if threshold is not None and (not isinstance(threshold, int | float) or not threshold >= 0):
        refuse("threshold", threshold, "a number of at least 0")
    if sci_mode is not None and not isinstance(sci_mode, bool):
        refuse("sci_mode", sci_mode, "True, False or None")
    base = _options if profile is None else _PROFILES[profile]
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if threshold is not None:
        changed["threshold"] = threshold
    _options = replace(base, **changed, sci_mode=sci_mode)


def _items(array: Array, elide: bool) -> list[Array | None]:
    """Sub-arrays along the first axis; None stands for those left out."""
    n, edge = len(array), _options.edgeitems
    if not elide or n <= 2 * edge:
        return [array[k] for k in range(n)]
    return [*(array[k] for k in range(edge)), None, *(array[k] for k in range(n - edge, n))]


def _shown(array: Array, elide: bool) -> list[Any]:
    """The elements that are shown."""
    if array.ndim == 0:
        return [array[()]]
    return [x for item in _items(array, elide) if item is not None for x in _shown(item, elide)]


def _shortest(value: Any) -> str:
    """The shortest text, which NumPy knows of its own types alone."""
    if value.dtype.kind != "V" or not np.isfinite(value):
        return str(value)
    return str(float(_digits(value, "g", range(1, 6))))


def _digits(value: Any, style: str, counts: range) -> str:
    """A bfloat16 with no more digits than it takes to read it back."""
    texts = (f"{float(value):.{digits}{style}}" for digits in counts)
    return next(t for t in texts if value.dtype.type(float(t)) == value)


def _shortest_with_exponent(value: Any) -> str:
    if not np.isfinite(value):
        return str(value)
    if value.dtype.kind == "V":
        return _digits(value, "e", range(5))
    return np.format_float_scientific(value, trim="0")


def _shortest_without_exponent(value: Any) -> str:
    if not np.isfinite(value):
        return str(value)
    return np.format_float_positional(float(_shortest(value)) if value.dtype.kind == "V" else value, trim="0")


def _needs_exponents(values: list[Any]) -> bool:
    """Whether floats are large or small, or differ much: PyTorch's rule."""
    sizes = [abs(float(v)) for v in values if np.isfinite(v) and v != 0]
    return bool(sizes) and (max(sizes) / min(sizes) > 1000 or max(sizes) > 1e8 or min(sizes) < 1e-4)


def _number_text(array: Array, elide: bool) -> Callable[[Any], str]:
    """What writes the numbers of an array."""
    precision, sci_mode = _options.precision, _options.sci_mode
    if not is_float(array.dtype):
        return str
    if precision is not None:
        style = "e" if (_needs_exponents(_shown(array, elide)) if sci_mode is None else sci_mode) else "f"
        return lambda value: f"{float(value):.{precision}{style}}"
    if sci_mode is None:
        return _shortest
    return _shortest_with_exponent if sci_mode else _shortest_without_exponent


def _block(array: Array, indent: int, elide: bool, text: Callable[[Any], str]) -> str:
    """Nested brackets, every row below the first aligned ``indent`` columns in."""
    if array.ndim == 0:
        return text(array[()])
    inner = ["..." if x is None else _block(x, indent + 1, elide, text) for x in _items(array, elide)]
    between = ",\n" + " " * (indent + 1)
    return f"[{_row(inner, indent + 1, between) if array.ndim == 1 else between.join(inner)}]"


def _row(texts: list[str], indent: int, between: str) -> str:
    """Numbers on one line, or on as many as ``linewidth`` makes of it."""
    if _options.linewidth is None:
        return ", ".join(texts)
    room, lines = _options.linewidth - indent, [""]
    for text in texts:
        if lines[-1] and len(lines[-1]) + 2 + len(text) + 1 > room:
            lines.append(text)
        else:
            lines[-1] += f", {text}" if lines[-1] else text
    return between.join(lines)


def _tall(array: Array, elide: bool, text: Callable[[Any], str]) -> str:
    """Three dimensions and more: brackets on lines of their own around indented blocks."""
    opened = 1
    while array.shape[0] == 1 and array.ndim > 3:
        array = array[0]
        opened += 1
    items = _items(array, elide)
    blocks = ["..." if x is None else _block(x, 4, elide, text) for x in items]
    return "[" * opened + "\n    " + ",\n    ".join(blocks) + "\n" + "]" * opened


def show_array(array: Array) -> str:
    """The nested brackets alone."""
    if not array.size:
        return "[]"
    elide = array.size > _options.threshold
    text = _number_text(array, elide)
    return _tall(array, elide, text) if array.ndim >= 3 else _block(array, len("Tensor("), elide, text)


def show_tensor(array: Array, requires_grad: bool) -> str:
    """``Tensor(...)`` with what cannot be read off the brackets."""
    parts = [show_array(array)]
    if not array.size and array.shape != (0,):
        parts.append(f"shape={array.shape}")
    if array.dtype not in (get_default_dtype(), int64, bool_):
        parts.append(f"dtype={array.dtype.name}")
    if requires_grad:
        parts.append("requires_grad=True")
    return f"Tensor({', '.join(parts)})"
