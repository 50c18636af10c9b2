"""The table of rules that simplify graphs. Every rule preserves the value bit for bit: NaN, infinities and -0.0 too.

That is why ``x - 0`` is here and ``x + 0`` of floats is not: -0.0 + 0 is 0. Nothing here reassociates a sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lucid.ir.graph import Node
from lucid.ir.rewrite import Apply, Rule, Value, declare, literal
from lucid.ir.types import DType, Shape, bool_, is_float, is_integer, limits_of
from lucid.ops.leaf import constant
from lucid.ops.logic import where
from lucid.ops.movement import broadcast_to, flip, reshape, transpose
from lucid.ops.pool import max_pool2d, max_pool2d_input_grad
from lucid.ops.reduce import reduced_shape
from lucid.ops.slicing import concat, pad, slice_
from lucid.ops.unary import abs_, cast

x, a, b, c, d = map(Value, "xabcd")


def _x(node: Node, x: Node) -> Node:
    """``x``, repeated where the operand that goes away repeated it."""
    return x if x.type is node.type else broadcast_to(x, shape=node.shape)


def _floating(node: Node) -> Node | None:
    """So that 0 and 0.0 are one constant, not two."""
    value = node.attrs["value"]
    if isinstance(value, tuple | float) or not is_float(node.dtype) or abs(value) > 2**53:
        return None
    return constant(value=float(value), shape=node.shape, dtype=node.dtype)


def _x_of_integers(node: Node, x: Node) -> Node | None:
    return None if is_float(node.dtype) else _x(node, x)


def _same_type(node: Node, x: Node) -> Node | None:
    return x if x.type is node.type else None


def _ints(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(values)


# --- arithmetic -------------------------------------------------------------------------------------------------------


def _minus_x_of_integers(node: Node, x: Node) -> Node | None:
    return -_x(node, x) if is_integer(node.dtype) else None


def _one(node: Node, x: Node) -> Node:
    return constant(value=1.0 if is_float(node.dtype) else 1, shape=node.shape, dtype=node.dtype)


def _exact(node: Node, x: Node, c: Node) -> bool:
    """Powers of 1 and 2 are exact where one exponent serves a whole array; elsewhere NumPy rounds its own way."""
    return is_integer(node.dtype) or (c.type.size == 1 and len(c.shape) < len(x.shape))


def _square(node: Node, x: Node, c: Node) -> Node | None:
    return x * x if _exact(node, x, c) and x.type is node.type else None


def _itself(node: Node, x: Node, c: Node) -> Node | None:
    return _x(node, x) if _exact(node, x, c) else None


def _times_reciprocal(node: Node, x: Node, c: Node) -> Node | None:
    """Dividing by a power of two and multiplying by its reciprocal round the same real number."""
    value = c.attrs["value"]
    if isinstance(value, tuple) or value == 0 or not math.isfinite(value):
        return None
    mantissa, exponent = math.frexp(value)
    if abs(mantissa) != 0.5 or abs(exponent) > 120:  # both ends of float32 are farther away
        return None
    return x * constant(value=1.0 / value, shape=c.shape, dtype=c.dtype)


def _absolute(node: Node, x: Node) -> Node | None:
    return None if node.dtype.kind == "u" else abs_(x)


declare(
    Rule("whole number of a float dtype", (Apply("constant"),), _floating),
    Rule("x * 1", (x * 1, 1 * x), _x),
    Rule("x / 1", (x / 1,), _x),
    Rule("x - 0", (x - 0,), _x),
    Rule("x + -0.0", (x + -0.0, -0.0 + x), _x),
    Rule("x + 0 of integers", (x + 0, 0 + x), _x_of_integers),
    Rule("-0.0 - x", (-0.0 - x,), lambda node, x: -_x(node, x)),
    Rule("0 - x of integers", (0 - x,), _minus_x_of_integers),
    Rule("x * -1", (x * -1, -1 * x), lambda node, x: -_x(node, x)),
    Rule("x ** 1", (x ** Apply("constant", name="c", attrs={"value": 1}),), _itself),
    Rule("x ** 2", (x ** Apply("constant", name="c", attrs={"value": 2}),), _square),
    Rule("x ** 0", (x**0,), _one),
    Rule("x / power of two", (x / Apply("constant", name="c"),), _times_reciprocal),
    Rule("-(-x)", (Apply("neg", [-x]),), lambda node, x: x),
    Rule("a + -b", (a + -b, -b + a), lambda node, a, b: a - b),
    Rule("a - -b", (a - -b,), lambda node, a, b: a + b),
    Rule("abs(-x)", (abs(-x),), _absolute),
    Rule("abs(abs(x))", (abs(abs(x)),), lambda node, x: abs_(x)),
    Rule("relu(relu(x))", (Apply("relu", [Apply("relu", [x], name="a")]),), lambda node, x, a: a),
    Rule("maximum(x, x)", (Apply("maximum", [x, x]),), _x),
    Rule("minimum(x, x)", (Apply("minimum", [x, x]),), _x),
)

# --- logic ------------------------------------------------------------------------------------------------------------


def _chosen(node: Node, a: Node, b: Node, c: Node) -> Node | None:
    value = c.attrs["value"]
    return None if isinstance(value, tuple) else _x(node, a if value else b)


def _outer_choice(node: Node, a: Node, c: Node, d: Node) -> Node | None:
    return _same_type(node, where(c, a, d))


def _outer_refusal(node: Node, b: Node, c: Node, d: Node) -> Node | None:
    return _same_type(node, where(c, d, b))


declare(
    Rule("x & x", (x & x,), _x),
    Rule("x | x", (x | x,), _x),
    Rule("not not x", (~~x,), lambda node, x: x),
    Rule("bitwise_not twice", (Apply("bitwise_not", [Apply("bitwise_not", [x])]),), lambda node, x: x),
    Rule("where of a constant", (Apply("where", [Apply("constant", name="c"), a, b]),), _chosen),
    Rule("where(c, x, x)", (Apply("where", [c, x, x]),), lambda node, c, x: _x(node, x)),
    Rule("where(not c, a, b)", (Apply("where", [~c, a, b]),), lambda node, a, b, c: where(c, b, a)),
    Rule(
        "where(c, where(c, a, b), d)",
        (Apply("where", [c, Apply("where", [c, a, b]), d]),),
        lambda node, a, b, c, d: _outer_choice(node, a, c, d),
    ),
    Rule(
        "where(c, d, where(c, a, b))",
        (Apply("where", [c, d, Apply("where", [c, a, b])]),),
        lambda node, a, b, c, d: _outer_refusal(node, b, c, d),
    ),
    Rule("clip without bounds", (Apply("clip", [x], attrs={"lo": None, "hi": None}),), lambda node, x: x),
)

# --- casts ------------------------------------------------------------------------------------------------------------


def holds_exactly(wide: DType, narrow: DType) -> bool:
    """True if every value of ``narrow`` is a value of ``wide``."""
    if bool_ in (narrow, wide):
        return narrow == bool_
    if is_float(narrow):
        return wide == narrow or (is_float(wide) and wide.itemsize >= max(narrow.itemsize, 4))
    bits = 8 * narrow.itemsize - (narrow.kind == "i")
    if is_float(wide):
        return bits <= int(limits_of(wide).nmant) + 1
    return bits <= 8 * wide.itemsize - (wide.kind == "i") and (narrow.kind == "u" or wide.kind == "i")


def _one_cast(node: Node, x: Node, c: Node) -> Node | None:
    return cast(x, dtype=node.dtype) if holds_exactly(c.dtype, x.dtype) else None


declare(
    Rule("cast to the same dtype", (Apply("cast", [x]),), _same_type),
    Rule("cast of an exact cast", (Apply("cast", [Apply("cast", [x], name="c")]),), _one_cast),
)

# --- movement ---------------------------------------------------------------------------------------------------------


def _composed_transpose(node: Node, x: Node, c: Node) -> Node:
    inner = c.attrs["perm"]
    return transpose(x, perm=tuple(inner[k] for k in node.attrs["perm"]))


def _transpose_that_moves_nothing(node: Node, x: Node) -> Node | None:
    """A permutation that keeps the order of all axes longer than 1 keeps the order of the elements."""
    moved = [k for k in node.attrs["perm"] if x.shape[k] != 1]
    if moved != sorted(moved):
        return None
    return x if x.shape == node.shape else reshape(x, shape=node.shape)


def _broadcast_of_reshape(node: Node, x: Node, c: Node) -> Node | None:
    """Axes of size 1 put in front are what broadcasting puts there itself."""
    extra = len(c.shape) - len(x.shape)
    return broadcast_to(x, shape=node.shape) if extra >= 0 and c.shape == (1,) * extra + x.shape else None


def _flip_of_nothing(node: Node, x: Node) -> Node | None:
    return x if all(x.shape[k] <= 1 for k in node.attrs["axes"]) else None


def _flip_of_flip(node: Node, x: Node, c: Node) -> Node:
    once = set(node.attrs["axes"]) ^ set(c.attrs["axes"])
    return flip(x, axes=tuple(sorted(once)))


declare(
    Rule("reshape to the same shape", (Apply("reshape", [x]),), _same_type),
    Rule(
        "reshape of reshape",
        (Apply("reshape", [Apply("reshape", [x])]),),
        lambda node, x: reshape(x, shape=node.shape),
    ),
    Rule("transpose that moves nothing", (Apply("transpose", [x]),), _transpose_that_moves_nothing),
    Rule("transpose of transpose", (Apply("transpose", [Apply("transpose", [x], name="c")]),), _composed_transpose),
    Rule("broadcast to the same shape", (Apply("broadcast_to", [x]),), _same_type),
    Rule(
        "broadcast of broadcast",
        (Apply("broadcast_to", [Apply("broadcast_to", [x])]),),
        lambda node, x: broadcast_to(x, shape=node.shape),
    ),
    Rule("broadcast of reshape", (Apply("broadcast_to", [Apply("reshape", [x], name="c")]),), _broadcast_of_reshape),
    Rule("flip of nothing", (Apply("flip", [x]),), _flip_of_nothing),
    Rule("flip of flip", (Apply("flip", [Apply("flip", [x], name="c")]),), _flip_of_flip),
)

# --- slices, pads, concatenations -------------------------------------------------------------------------------------


def _slice(x: Node, start: Sequence[int], sizes: Shape, step: Sequence[int]) -> Node:
    """``sizes`` elements from ``start`` on, ``step`` apart."""
    begin = tuple(s if n else 0 for s, n in zip(start, sizes, strict=True))
    stop = tuple(s + (n - 1) * k + 1 if n else 0 for s, n, k in zip(begin, sizes, step, strict=True))
    return slice_(x, start=begin, stop=stop, step=_ints(step))


def _slice_of_slice(node: Node, x: Node, c: Node) -> Node:
    outer, inner = node.attrs, c.attrs
    start = [i + o * k for i, o, k in zip(inner["start"], outer["start"], inner["step"], strict=True)]
    step = [i * o for i, o in zip(inner["step"], outer["step"], strict=True)]
    return _slice(x, start, node.shape, step)


def _slice_of_pad(node: Node, x: Node, c: Node) -> Node | None:
    """A slice that sees only what was padded, and nothing of the padding."""
    start, step = node.attrs["start"], node.attrs["step"]
    low, gaps = c.attrs["low"], [k + 1 for k in c.attrs["interior"]]
    inside = []
    for first, k, n, begin, gap, size in zip(start, step, node.shape, low, gaps, x.shape, strict=True):
        at = first - begin
        last = at + (n - 1) * k
        if n == 0 or at % gap or (n > 1 and k % gap) or at < 0 or last > (size - 1) * gap:
            return None
        inside.append((at // gap, max(k // gap, 1)))
    return _slice(x, [at for at, _ in inside], node.shape, [k for _, k in inside])


def _slice_of_concat(node: Node, c: Node) -> Node | None:
    """A slice that stays inside one of the parts."""
    axis, start, step = c.attrs["axis"], node.attrs["start"], node.attrs["step"]
    first, last = start[axis], start[axis] + (node.shape[axis] - 1) * step[axis]
    begin = 0
    for part in c.inputs:
        end = begin + part.shape[axis]
        if begin <= first <= last < end:
            return _slice(part, (*start[:axis], first - begin, *start[axis + 1 :]), node.shape, step)
        begin = end
    return None


def _pad_of_pad(node: Node, x: Node, c: Node) -> Node | None:
    outer, inner = node.attrs, c.attrs
    same = repr(outer["value"]) == repr(inner["value"])
    if not same or any(outer["interior"]):
        return None
    low, high = (tuple(i + o for i, o in zip(inner[k], outer[k], strict=True)) for k in ("low", "high"))
    return pad(x, low=low, high=high, interior=inner["interior"], value=inner["value"])


def _concat_of_one(node: Node) -> Node | None:
    """Parts of size 0 contribute nothing."""
    axis = node.attrs["axis"]
    parts = [part for part in node.inputs if part.shape[axis]] or [node.inputs[0]]
    if len(parts) == len(node.inputs) and len(parts) > 1:
        return None
    return parts[0] if len(parts) == 1 else concat(*parts, axis=axis)


declare(
    Rule("slice of everything", (Apply("slice", [x]),), _same_type),
    Rule("slice of slice", (Apply("slice", [Apply("slice", [x], name="c")]),), _slice_of_slice),
    Rule("slice of pad", (Apply("slice", [Apply("pad", [x], name="c")]),), _slice_of_pad),
    Rule("slice of concat", (Apply("slice", [Apply("concat", name="c")]),), _slice_of_concat),
    Rule("pad by nothing", (Apply("pad", [x]),), _same_type),
    Rule("pad of pad", (Apply("pad", [Apply("pad", [x], name="c")]),), _pad_of_pad),
    Rule("concat of one", (Apply("concat"),), _concat_of_one),
)

# --- reductions -------------------------------------------------------------------------------------------------------


def _over_single_elements(node: Node, x: Node) -> Node | None:
    """Over axes of size 1, or none: the largest of one element is that element. A float's sum with 0 is not: -0.0."""
    return reshape(x, shape=node.shape) if all(x.shape[k] == 1 for k in node.attrs["axes"]) else None


def _sum_over_single_elements(node: Node, x: Node) -> Node | None:
    return None if is_float(node.dtype) else _over_single_elements(node, x)


def _keeps_dimensions(node: Node, x: Node, c: Node) -> Node | None:
    """A reduction reshaped to what the other ``keepdims`` gives."""
    axes, keepdims = c.attrs["axes"], not c.attrs["keepdims"]
    if node.shape != reduced_shape(x.shape, axes, keepdims):
        return None
    return c.op(x, axes=axes, keepdims=keepdims)


_REDUCTIONS = ("sum", "prod", "max", "min")

declare(
    Rule(
        "reduction of single elements",
        tuple(Apply(op, [x]) for op in ("prod", "max", "min")),
        _over_single_elements,
    ),
    Rule("sum of single integers", (Apply("sum", [x]),), _sum_over_single_elements),
    Rule(
        "reshape of a reduction",
        tuple(Apply("reshape", [Apply(op, [x], name="c")]) for op in _REDUCTIONS),
        _keeps_dimensions,
    ),
)

# --- pooling ----------------------------------------------------------------------------------------------------------


def _choice_among_maxima(node: Node, b: Node, c: Node, d: Node, x: Node) -> Node | None:
    """What a window chose is at most 0 where its maximum is, and nothing else of the image gets a cotangent: the
    gradient of relu before max pooling needs the maxima alone.
    """
    attrs = {k: v for k, v in c.attrs.items() if k != "input_size"}
    if d.attrs != attrs or x.type is not node.type:
        return None
    zero = constant(value=0.0, shape=(), dtype=node.dtype)
    return max_pool2d_input_grad(where(max_pool2d(x, **attrs) <= zero, zero, b), d, **c.attrs)


declare(
    Rule(
        "where(x <= 0, 0, gradient of max pooling x)",
        (
            Apply(
                "where",
                [
                    x <= 0,
                    literal(0),
                    Apply("max_pool2d_input_grad", [b, Apply("max_pool2d_index", [x], name="d")], name="c"),
                ],
            ),
        ),
        _choice_among_maxima,
    ),
)
