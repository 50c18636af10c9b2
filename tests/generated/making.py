"""Small graphs in the making: a few operations each, of every kind, on awkward shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from lucid import ops
from lucid.errors import LucidError
from lucid.ir.graph import OPS, Node, input_node
from lucid.ir.types import DType, TensorType, bfloat16, bool_, float16, float32, float64, int32, int64, is_float, uint8
from tests.generated.draws import Draw, chance, choice

_SIZES = (3, 1, 2, 5, 4, 8, 17, 9)
#: Elements of the largest value.
LARGEST = 4000
_UNARY = ("neg", "abs", "relu", "sign")
_UNARY_FLOAT = ("floor", "ceil", "round", "sqrt")
_FUNCTIONS = ("exp", "tanh", "sigmoid", "log", "erf", "sin", "cos", "expm1", "log1p", "softmax", "log_softmax", "pow")
_BINARY = ("add", "sub", "mul", "maximum", "minimum")
_DTYPES = (float32, float32, float32, float32, float64, int32, int64, uint8, bool_, float16, bfloat16 or float16)


class Making:
    """A graph in the making."""

    def __init__(self, draw: Draw, picks: bool = True):
        """
        Args:
            picks: whether to read at positions that inputs hold, which must then be small enough: see ``bounds``.
        """
        self.draw = draw
        self.picks = picks
        self.inputs: list[Node] = []
        #: What numbers an input holds: any of its dtype, small ones, or positions up to a number.
        self.bounds: dict[Node, int | None] = {}
        #: Weights of convolutions: where one is not finite, gradients to padded images may differ near their edges.
        self.finite: set[Node] = set()
        self.nodes: list[Node] = []
        #: Values that round, on which nothing that jumps is done.
        self.rough: set[Node] = set()
        #: Whole numbers alone, so that sums are exact.
        self.whole = not chance(draw, 2)
        rank = choice(draw, (4, 4, 2, 3, 4, 2, 1, 0))
        for _ in range(draw.number(1, 2)):
            shape = [choice(draw, _SIZES) for _ in range(rank)]
            if rank and chance(draw, 12):
                shape[draw.number(0, rank - 1)] = 0
            while prod(shape) > LARGEST // 2:
                shape = [n - n // 3 for n in shape]
            self.nodes.append(self.input(shape, choice(draw, _DTYPES)))
        for _ in range(draw.number(2, 12)):
            self.step()

    # --- what there is ---

    def input(self, shape: Sequence[int], dtype: DType, bound: int | None = None) -> Node:
        node = input_node(TensorType(tuple(shape), dtype))
        self.inputs.append(node)
        self.bounds[node] = bound
        return node

    def any(self) -> Node:
        """A value, one of the last most often."""
        return choice(self.draw, self.nodes if chance(self.draw, 3) else self.nodes[-2:])

    def other(self, x: Node) -> Node:
        """An operand that broadcasts against ``x``: a value like it, a new one with some sizes 1, or a number."""
        alike = [n for n in self.nodes if n.dtype == x.dtype and _broadcasts(n.shape, x.shape)]
        kind = self.draw.number(0, 3)
        if kind <= 1:
            return choice(self.draw, alike)
        if kind == 2 and x.shape and x.dtype != bool_ and chance(self.draw, 6):
            return ops.iota(axis=self.axis(x), shape=x.shape, dtype=x.dtype)
        if kind == 2:
            return self.number(x.dtype, x.shape if chance(self.draw, 4) and x.type.size <= 30 else None)
        kept = [n if self.draw.number(0, 1) else 1 for n in x.shape]
        return self.input(kept[self.draw.number(0, len(kept)) :], x.dtype)

    def number(self, dtype: DType, shape: tuple[int, ...] | None = None) -> Node:
        """A constant: one number, or with a shape a number for every element."""
        options: tuple[float, ...] = (1, 2, 3, 0)
        if dtype == bool_:
            options = (False, True)
        elif is_float(dtype):
            options = (1.0, 2.0, 0.5, -1.0, 0.0, -0.0, 3.0) if self.whole else (0.3, -2.5, 1.0, -0.0, float("nan"))
        if shape is None:
            return ops.constant(value=choice(self.draw, options), shape=(), dtype=dtype)
        value = tuple(choice(self.draw, options) for _ in range(prod(shape)))
        return ops.constant(value=value, shape=shape, dtype=dtype)

    # --- one more node ---

    def step(self) -> None:
        x = self.any()
        moves: list[Callable[[Node], Node | None]] = [self.binary, self.unary, self.move, self.reduce, self.compare]
        moves += [self.binary, self.join, self.cast, self.choose, self.pick, self.move]
        if is_float(x.dtype):
            moves += [self.function, self.function, self.norm, self.product]
            if len(x.shape) == 4:
                moves += [self.window, self.window, self.window]
        try:
            y = choice(self.draw, moves)(x)
        except LucidError:  # it does not fit
            return
        if y is not None and y.type.size <= LARGEST:
            self.nodes.append(y)
            if any(n in self.rough for n in y.inputs) and is_float(y.dtype):
                self.rough.add(y)

    def binary(self, x: Node) -> Node:
        y = self.other(x)
        names = _BINARY if x.dtype != bool_ else ("bitwise_and", "bitwise_or", "bitwise_xor")
        if is_float(x.dtype):
            names = (*names, "div")
        elif x.dtype != bool_:
            if chance(self.draw, 8):
                shift = ops.constant(value=self.draw.number(0, 3), shape=(), dtype=x.dtype)
                return OPS[choice(self.draw, ("left_shift", "right_shift"))](x, shift)
            names = (*names, "floordiv", "mod", "bitwise_and", "bitwise_or", "bitwise_xor")
        name = choice(self.draw, names)
        a, b = (y, x) if chance(self.draw, 3) else (x, y)
        return OPS[name](a, b)

    def unary(self, x: Node) -> Node:
        if x.dtype == bool_:
            return ops.logical_not(x)
        if chance(self.draw, 6):
            return ops.clip(x, lo=choice(self.draw, (0, None)), hi=choice(self.draw, (2, None)))
        names = _UNARY + (_UNARY_FLOAT if is_float(x.dtype) else ())
        if x in self.rough:
            names = ("neg", "abs", "relu", "sqrt")
        return OPS[choice(self.draw, names)](x)

    def function(self, x: Node) -> Node | None:
        if self.whole and not chance(self.draw, 4):
            return self.unary(x)
        name = choice(self.draw, _FUNCTIONS)
        if name == "pow":
            y: Node = ops.pow(x, self.number(x.dtype))
            self.rough.add(y)
            return y
        attrs = {"axis": self.axis(x)} if name.endswith("softmax") else {}
        if attrs and not x.shape:
            return None
        y = OPS[name](x, **attrs)
        self.rough.add(y)
        return y

    def compare(self, x: Node) -> Node | None:
        if x in self.rough or x.dtype == bool_:
            return ops.isnan(x) if is_float(x.dtype) else None
        y = self.other(x)
        return None if y in self.rough else OPS[choice(self.draw, ("lt", "le", "eq", "ne"))](x, y)

    def cast(self, x: Node) -> Node | None:
        options = (
            (float32, float64, float16, bfloat16 or float16)
            if is_float(x.dtype)
            else (float32, int32, float64, int64, uint8, bool_)
        )
        return ops.cast(x, dtype=choice(self.draw, options))

    def choose(self, x: Node) -> Node:
        conditions = [n for n in self.nodes if n.dtype == bool_ and _broadcasts(n.shape, x.shape)]
        condition = choice(self.draw, conditions) if conditions else self.input(x.shape, bool_)
        return ops.where(condition, x, self.other(x))

    def axis(self, x: Node) -> int:
        return self.draw.number(0, max(len(x.shape) - 1, 0))

    def axes(self, x: Node) -> tuple[int, ...]:
        return tuple(d for d in range(len(x.shape)) if self.draw.number(0, 1))

    def move(self, x: Node) -> Node:
        rank = len(x.shape)
        kind = self.draw.number(0, 5)
        if kind == 0:
            perm = list(range(rank))
            for k in range(rank):
                swap = self.draw.number(k, rank - 1)
                perm[k], perm[swap] = perm[swap], perm[k]
            return ops.transpose(x, perm=tuple(perm))
        if kind == 1:
            shapes = [(x.type.size,), (1, *x.shape), (*x.shape, 1)]
            if rank > 1:
                shapes += [(x.shape[0] * x.shape[1], *x.shape[2:]), (*x.shape[:-2], x.shape[-2] * x.shape[-1])]
            if rank and x.shape[0] % 2 == 0:
                shapes.append((2, x.shape[0] // 2, *x.shape[1:]))
            return ops.reshape(x, shape=choice(self.draw, shapes))
        if kind == 2:
            grown = tuple(self.draw.number(1, 4) if n == 1 else n for n in x.shape)
            return ops.broadcast_to(x, shape=(self.draw.number(1, 3), *grown) if chance(self.draw, 2) else grown)
        if kind == 3:
            return ops.flip(x, axes=self.axes(x))
        if kind == 4:
            low, high, interior = (tuple(self.draw.number(0, 2) for _ in x.shape) for _ in range(3))
            if not chance(self.draw, 3):
                interior = (0,) * rank
            value = choice(self.draw, (0, 1))
            return ops.pad(x, low=low, high=high, interior=interior, value=bool(value) if x.dtype == bool_ else value)
        start = tuple(self.draw.number(0, n) for n in x.shape)
        stop = tuple(n - self.draw.number(0, n - a) for a, n in zip(start, x.shape, strict=True))
        return ops.slice(x, start=start, stop=stop, step=tuple(self.draw.number(1, 3) for _ in x.shape))

    def reduce(self, x: Node) -> Node | None:
        names = ("sum", "max", "min", "prod", "argmax", "argmin") if x.dtype != bool_ else ("max", "min")
        name = choice(self.draw, names)
        keepdims = self.draw.number(0, 1) == 1
        if x.type.size == 0 and name not in ("sum", "prod"):
            return None
        if name.startswith("arg"):
            axis = self.axis(x) if x.shape and not chance(self.draw, 4) else None
            return None if x in self.rough else OPS[name](x, axis=axis, keepdims=keepdims)
        y: Node = OPS[name](x, axes=self.axes(x), keepdims=keepdims)
        if is_float(x.dtype) and name in ("sum", "prod") and not self.whole:
            self.rough.add(y)
        return y

    def join(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        axis = self.axis(x)
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        fits = [n for n in self.nodes if n.dtype == x.dtype and len(n.shape) == len(x.shape)]
        fits = [n for n in fits if n.shape[:axis] == before and n.shape[axis + 1 :] == after]
        more = [choice(self.draw, fits) for _ in range(self.draw.number(1, 2))]
        return ops.concat(x, *more, axis=axis)

    def pick(self, x: Node) -> Node | None:
        if x.dtype in (int32, int64, uint8) and chance(self.draw, 4):
            return ops.one_hot(x, classes=self.draw.number(1, 5), dtype=choice(self.draw, (float32, int32, bool_)))
        if not x.shape:
            return None
        axis = self.axis(x)
        size = x.shape[axis]
        kind = self.draw.number(0, 3)
        if kind == 3:
            return None if x in self.rough else ops.rank(x, axis=axis, descending=self.draw.number(0, 1) == 1)
        if size == 0 or not self.picks:
            return None
        dtype = choice(self.draw, (int64, int32))
        if kind == 0:
            return ops.take(x, self.input(choice(self.draw, ((3,), (), (2, 2), (0,))), dtype, size), axis=axis)
        shape = tuple(self.draw.number(1, 5) if d == axis else n for d, n in enumerate(x.shape))
        if kind == 1 or x.dtype == bool_:
            return ops.take_along(x, self.input(shape, dtype, size), axis=axis)
        count = self.draw.number(1, 7)
        return ops.scatter_add(x, self.input((size,), dtype, count), axis=axis, size=count)

    def product(self, x: Node) -> Node | None:
        if len(x.shape) < 2:
            return None
        fits = [n for n in self.nodes if n.dtype == x.dtype and n.shape[:-2] == x.shape[:-2] and len(n.shape) >= 2]
        fits = [n for n in fits if n.shape[-2] == x.shape[-1]]
        if fits and chance(self.draw, 2):
            y = choice(self.draw, fits)
        else:
            y = self.input((*x.shape[:-2], x.shape[-1], choice(self.draw, (3, 1, 8, 17, 33))), x.dtype)
        return self.sums(ops.matmul(x, y))

    def sums(self, y: Node) -> Node:
        if not self.whole:
            self.rough.add(y)
        return y

    def norm(self, x: Node) -> Node:
        """Less the mean, over the deviation."""
        axes = self.axes(x)
        count = prod(x.shape[d] for d in axes)
        mean = ops.sum(x, axes=axes, keepdims=True) * (1.0 / max(count, 1))
        centred = x - mean
        spread = ops.sum(centred * centred, axes=axes, keepdims=True) * (1.0 / max(count, 1))
        y = centred / ops.sqrt(spread + 1.0)
        self.rough |= {mean, centred, spread, y}
        return y

    def window(self, x: Node) -> Node | None:
        _, c, _, _ = x.shape
        pair = self.draw.number
        kernel = choice(self.draw, ((3, 3), (1, 1), (2, 2), (pair(1, 4), pair(1, 4))))
        stride = choice(self.draw, ((1, 1), (1, 1), (2, 2), (pair(1, 3), pair(1, 3))))
        padding = choice(self.draw, (((0, 0), (0, 0)), ((1, 1), (1, 1)), ((pair(0, 1), 1), (0, pair(0, 1)))))
        dilation = choice(self.draw, ((1, 1), (1, 1), (2, 1), (2, 3)))
        kind = self.draw.number(0, 4)
        if kind == 3:
            return None if x in self.rough else ops.max_pool2d(
                x, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation
            )  # fmt: skip
        if kind == 4:
            count = self.draw.number(0, 1) == 1
            y = ops.avg_pool2d(x, kernel_size=kernel, stride=stride, padding=padding, count_include_pad=count)
            if kernel[0] * kernel[1] not in (1, 2, 4, 8):
                self.rough.add(y)
            return self.sums(y)
        groups = choice(self.draw, (1, 1, max(c, 1), 2 if c % 2 == 0 and c else 1))
        outputs = groups * choice(self.draw, (2, 1, 3, 8, 17) if groups == 1 else (1, 2))
        w = self.input((outputs, c // groups, *kernel), x.dtype)
        self.finite.add(w)
        return self.sums(ops.conv2d(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups))


def _broadcasts(shape: Sequence[int], other: Sequence[int]) -> bool:
    return all(1 in (a, b) or a == b for a, b in zip(reversed(shape), reversed(other), strict=False))
