"""What a graph's values must be: to the bit where that is promised, within a bound where sums or functions round.

Values that are exact are computed by each op's own NumPy meaning. A sum of exact numbers is exact itself if they are
whole, or multiples of 1/256, and small. All else is computed in float64, and again with every value moved by as much as
its operation may err: how far results then differ is how far compiled ones may be off. Where a decision hangs on a
value that may be off (a comparison of two that are close), nothing is said about what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np

from lucid.ir.graph import Array, Graph, Node
from lucid.ir.types import is_float, is_half

#: Sums and products of many: exact on small whole numbers only, and the sign of a zero among them is open.
_SUMS = {
    *("sum", "prod", "matmul", "conv2d", "conv2d_input_grad", "conv2d_weight_grad", "squared_deviations"),
    *("avg_pool2d", "avg_pool2d_input_grad", "max_pool2d_input_grad", "scatter_add", "scatter_along"),
}
#: Functions that round more than once.
_FUNCTIONS = {
    *("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "erfc", "sin", "cos", "sinh", "cosh", "pow"),
    *("asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2", "softmax", "log_softmax"),
}
#: Those that jump: nothing can be said about them on values that may be off, but for comparisons of distant ones.
_JUMPS = {
    *("floor", "ceil", "round", "sign", "cast", "floordiv", "mod"),
    *("argmax", "argmin", "rank", "max_pool2d_index", "one_hot", "logical_not"),
}
_COMPARISONS = {"lt", "le", "eq", "ne"}
#: The larger of two zeros of unlike signs is either.
_EXTREMES = {"maximum", "minimum", "max", "min", "clip", "relu", "max_pool2d", "max_pool2d_take"}
#: Those that tell zeros of unlike signs apart.
_SIGNED = {"div", "atan2", "pow", "floordiv", "mod"}
#: How often a value is moved, and how many times the largest difference seen is allowed.
_MOVES, _SLACK = 3, 8.0
#: Above, float32 may overflow in one order and not in another.
_LARGE = 1e30


@dataclass
class Meaning:
    """A value and what is known of it."""

    #: In the node's own dtype if exact, else in float64.
    value: Array
    #: The same computed with errors; empty if exact.
    moved: tuple[Array, ...] = ()
    #: How far off the node's own operation may be.
    error: Array | float = 0.0
    #: False where nothing is said.
    known: bool = True
    #: A zero may have the other sign.
    loose: bool = False

    def tolerance(self, eps: float) -> Array:
        """How far off a result may be; infinite where even its kind is open."""
        with np.errstate(all="ignore"):
            off = np.max([np.abs(m - self.value) for m in self.moved], axis=0)
        settled = np.isfinite(self.value) & np.isfinite(off)
        alike = np.all([_kinds(m) == _kinds(self.value) for m in self.moved], axis=0)
        return np.where(settled, _SLACK * (off + self.error + eps * np.abs(np.where(settled, self.value, 0))),
                        np.where(alike, 0.0, np.inf))  # fmt: skip


def _kinds(x: Array) -> Array:
    """Finite, NaN, and the two infinities, told apart."""
    return np.where(np.isnan(x), 2.0, np.where(np.isinf(x), np.copysign(1.0, x), 0.0))


def meanings(graph: Graph, arrays: Sequence[Array], seed: int) -> dict[Node, Meaning]:
    """What every node must be on these arrays."""
    rng = np.random.default_rng(seed)
    found = {x: Meaning(a) for x, a in zip(graph.inputs, arrays, strict=True)}
    with np.errstate(all="ignore"):
        for node in graph.nodes[len(graph.inputs) :]:
            found[node] = _meaning(node, [found[x] for x in node.inputs], rng)
    return found


def _meaning(node: Node, inputs: Sequence[Meaning], rng: np.random.Generator) -> Meaning:
    name = node.op.name
    exact = not any(m.moved for m in inputs)
    loose = any(m.loose for m in inputs) or name in _EXTREMES or name in _SUMS
    known = all(m.known for m in inputs)
    if name in _SIGNED and any(m.loose and not np.all(m.value) for m in inputs):
        known = False
    values = [m.value for m in inputs]
    rounds = is_float(node.dtype) and (name in _SUMS or name in _FUNCTIONS)
    if exact and not rounds:
        return Meaning(_run(node, values), known=known, loose=loose and is_float(node.dtype))
    wide = [_wide(v) for v in values]
    if exact and name in _SUMS and _is_dyadic(node, wide):
        return Meaning(_run(node, values), known=known, loose=True)
    if not is_float(node.dtype) or name in _JUMPS:
        if name in _COMPARISONS and all(m.known for m in inputs):
            known = bool(_apart(node, inputs).all())
        elif name in _JUMPS or name in _COMPARISONS:
            known = False
        return Meaning(_run(node, [_narrow(v, x) for v, x in zip(values, node.inputs, strict=True)]), known=known)
    value = _wide(_evaluate(node, wide))
    passed = [_magnitude(node, wide)] if name == "prod" else []  # it may overflow on the way to a zero
    largest = max((np.abs(v[np.isfinite(v)]).max(initial=0) for v in (*wide, value, *passed)), default=0)
    known = known and largest < _LARGE
    error = _error(node, wide, value)
    moved = tuple(
        _moved(_evaluate(node, [_wide(m.moved[k] if m.moved else m.value) for m in inputs]), error, rng)
        for k in range(_MOVES)
    )
    return Meaning(value, moved, error, known, True)


def _run(node: Node, values: Sequence[Array]) -> Array:
    return np.asarray(_evaluate(node, values)).astype(node.dtype, copy=False)


def _evaluate(node: Node, values: Sequence[Array]) -> Array:
    return np.asarray(node.op.evaluate(*values, **node.attrs))


def _wide(x: Array) -> Array:
    return np.asarray(x, np.float64) if is_float(np.asarray(x).dtype) else np.asarray(x)


def _narrow(x: Array, node: Node) -> Array:
    return x.astype(node.dtype, copy=False)


def _moved(value: Array, error: Array, rng: np.random.Generator) -> Array:
    value = _wide(value)
    return value + rng.choice([-1.0, 1.0], value.shape) * rng.uniform(0.5, 1.0, value.shape) * error


def _magnitude(node: Node, wide: Sequence[Array]) -> Array:
    """The sum of the sizes of what is added; of what is multiplied, the most that some of it may come to."""
    sizes = [np.where(np.isfinite(v), np.abs(v), 0) if is_float(v.dtype) else v for v in wide]
    if node.op.name == "prod":
        sizes = [np.maximum(v, 1) for v in sizes]
    if node.op.name == "squared_deviations":
        largest = max((float(v.max(initial=0)) for v in sizes), default=0.0)
        return np.full(node.shape, 4 * largest**2 * max(v.size for v in sizes))
    return _wide(_evaluate(node, sizes))


def _is_dyadic(node: Node, wide: Sequence[Array]) -> bool:
    """Whether all that is added, and all sums of it, are whole numbers that float32 holds with room to spare for
    Winograd's transforms; or such multiples of 1/256.
    """
    if node.op.name == "squared_deviations":
        return False
    result = _wide(_evaluate(node, wide))
    all_values = [v[np.isfinite(v)] for v in (*wide, result) if is_float(v.dtype)]
    largest = _magnitude(node, wide).max(initial=0)
    return any(
        largest * grain < 2**17 and all(np.array_equal(np.rint(v * grain), v * grain) for v in all_values)
        for grain in (1, 256)
    )


def _error(node: Node, wide: Sequence[Array], value: Array) -> Array:
    """How far off one operation may be on exact operands."""
    eps = float(np.finfo(node.dtype).eps)
    tiny = float(np.finfo(node.dtype).tiny)
    size = np.where(np.isfinite(value), np.abs(value), 0)
    name = node.op.name
    if name in _SUMS:
        count = max(1, max((v.size for v in wide), default=1) // max(1, prod(node.shape)) if name == "sum" else
                    max((v.size for v in wide), default=1))  # fmt: skip
        return (4 + 2 * sqrt(count)) * 1.5 * eps * _magnitude(node, wide) + tiny
    if name in ("softmax", "log_softmax"):
        largest = max((float(np.abs(v[np.isfinite(v)]).max(initial=0)) for v in wide), default=0.0)
        return 16 * eps * (size * (1 + min(largest, 100.0)) + (largest if name == "log_softmax" else 0.0)) + tiny
    return (4 if name in _FUNCTIONS else 0.5) * eps * size + tiny


def _apart(node: Node, inputs: Sequence[Meaning]) -> Array:
    """Where two values are so far apart, or so equal, that a comparison of them is safe."""
    a, b = (_wide(m.value) for m in inputs)
    errors: list[Any] = [
        m.tolerance(float(np.finfo(x.dtype).eps)) if m.moved else 0.0 for m, x in zip(inputs, node.inputs, strict=True)
    ]
    unclear = np.isnan(a) | np.isnan(b)
    gap = np.abs(np.where(unclear, 0, a) - np.where(unclear, 0, b))
    return np.where(unclear, np.isfinite(errors[0] + errors[1]), ~(gap <= errors[0] + errors[1]))


def assert_meant(got: Array, node: Node, meant: Meaning) -> None:
    """Raise an ``AssertionError`` unless the result is what the node means."""
    assert got.shape == node.shape
    assert got.dtype == node.dtype
    if not meant.known:
        return
    if not meant.moved:
        wanted = meant.value
        if is_half(node.dtype):  # NumPy does not know that bfloat16 has NaN
            got, wanted = got.astype(np.float32), wanted.astype(np.float32)
        np.testing.assert_array_equal(got, wanted)
        if is_float(node.dtype) and not meant.loose:
            zero = wanted == 0
            np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(wanted[zero]), err_msg="sign of zero")
        return
    tolerance = meant.tolerance(float(np.finfo(node.dtype).eps))
    with np.errstate(all="ignore"):
        right = (np.abs(_wide(got) - meant.value) <= tolerance) | (tolerance == np.inf)
    right |= (tolerance == 0) & (_kinds(_wide(got)) == _kinds(meant.value)) & ~np.isfinite(meant.value)
    if not right.all():
        at = tuple(int(i) for i in np.argwhere(~right)[0])
        raise AssertionError(
            f"{node.op.name} is {got[at]!r} at {list(at)}, not {meant.value[at]!r} give or take {tolerance[at]!r}; "
            f"{np.count_nonzero(~right)} of {right.size} elements are off"
        )
