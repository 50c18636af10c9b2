"""Products of matrices and of tensors in general: ``einsum`` and the many names of its special cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from lucid.functions.arguments import axis_of, fail, int_of, ints_of, is_several, named, number_of
from lucid.functions.arranging import broadcast_shapes, broadcast_tensors, roll
from lucid.functions.creation import eye
from lucid.functions.diagonals import diagonal
from lucid.functions.linalg import matmul
from lucid.functions.movement import broadcast_to, reshape
from lucid.functions.norms import vector_norm
from lucid.functions.reductions import sum
from lucid.promotion import as_tensor, binary, cast, common_dtype, together

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cdist", "chain_matmul", "cross", "einsum", "ger", "inner",
    "kron", "matrix_power", "mm", "mv", "tensordot", "vdot",
    "vecdot",
]  # fmt: skip


# --- einsum ---

Labels = tuple[Any, ...]  # letters, and ints for the dimensions of an ellipsis, counted from the right


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products, written as Einstein did: ``einsum("ij,jk->ik", a, b)`` is a matrix product.

    A letter names a dimension of each operand; those that are not in the output are summed over. Repeated in one
    operand, it takes the diagonal. ``...`` stands for dimensions that broadcast. Without ``->`` the output has the
    letters that occur once, in alphabetical order, after the dimensions of ``...``.

    Raises:
        ArgumentError: an equation that does not fit the operands.
        ShapeError: one letter for several sizes, none of them 1.

    >>> import lucid
    >>> lucid.einsum("ij,j->i", lucid.tensor([[1.0, 2.0], [3.0, 4.0]]), lucid.tensor([1.0, 1.0]))
    Tensor([3.0, 7.0])
    """
    if not isinstance(equation, str):
        equation, operands = _from_sublists((equation, *operands))
    elif len(operands) == 1 and is_several(operands[0]):
        operands = tuple(operands[0])
    parts = [as_tensor(x, "einsum", f"operands[{k}]") for k, x in enumerate(operands)]
    inputs, output = _parsed(equation, parts)
    common = parts[0].dtype
    for x in parts[1:]:
        common = common_dtype(common, x.dtype)
    work = [_without_repeats(cast(x, common), labels) for x, labels in zip(parts, inputs, strict=True)]
    sizes = _sizes(work)
    x, labels = work[0]
    for k in range(1, len(work)):
        later = {label for _, other in work[k + 1 :] for label in other} | set(output)
        x, labels = _contracted((x, labels), work[k], later, sizes)
    x, labels = _summed(x, labels, set(output))
    missing = [label for label in output if label not in labels]
    if missing:
        fail(ArgumentError(f"equation={equation!r} has {missing[0]!r} in the output alone", op="einsum"))
    return apply(ops.transpose, x, perm=tuple([labels.index(label) for label in output]))


def _from_sublists(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """PyTorch's other form, ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, as an equation."""

    def text(labels: Any) -> str:
        if not is_several(labels):
            fail(ArgumentTypeError("an equation is needed, or operands each followed by a list of ints", op="einsum"))
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        return "".join("..." if k is Ellipsis else letters[int_of("einsum", "label", k)] for k in labels)

    pairs = len(given) // 2
    equation = ",".join(text(given[2 * k + 1]) for k in range(pairs))
    if len(given) % 2:
        equation += "->" + text(given[-1])
    return equation, given[: 2 * pairs : 2]


def _parsed(equation: str, operands: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of each operand's dimensions, and of the output's."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands) or not operands:
        fail(ArgumentError(f"equation={equation!r} has {len(terms)} terms for {len(operands)} operands", op="einsum"))
    inputs: list[Labels] = []
    for k, (term, x) in enumerate(zip(terms, operands, strict=True)):
        _check_term(equation, term)
        before, dots, after = term.partition("...")
        extra = x.ndim - len(before) - len(after)
        if extra < 0 or (extra and not dots):
            fail(
                ArgumentError(
                    f"equation={equation!r}: {term!r} does not fit operand {k} of shape {x.shape}", op="einsum"
                )
            )
        inputs.append((*before, *range(-extra, 0), *after))
    widest = max((sum_of(isinstance(label, int) for label in labels) for labels in inputs), default=0)
    ellipsis = tuple(range(-widest, 0))
    if not arrow:
        letters = [label for labels in inputs for label in labels if isinstance(label, str)]
        return inputs, (*ellipsis, *sorted(label for label in set(letters) if letters.count(label) == 1))
    _check_term(equation, right)
    before, dots, after = right.partition("...")
    output = (*before, *(ellipsis if dots else ()), *after)
    if len(set(output)) < len(output):
        fail(ArgumentError(f"equation={equation!r} has a letter twice in the output", op="einsum"))
    return inputs, output


def sum_of(flags: Any) -> int:
    """How many hold: the built-in ``sum`` is a function of tensors here."""
    return len([True for flag in flags if flag])


def _check_term(equation: str, term: str) -> None:
    letters = term.replace("...", "", 1)
    if letters and not (letters.isascii() and letters.isalpha()):
        fail(ArgumentError(f"equation={equation!r} holds {term!r}: letters and one '...' are allowed", op="einsum"))


def _without_repeats(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """An operand whose labels are all different: of those that repeat, the diagonal."""
    while len(set(labels)) < len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        if x.shape[first] != x.shape[second]:
            fail(ShapeError(f"{label!r} stands for sizes {x.shape[first]} and {x.shape[second]}", op="einsum"))
        x = diagonal(x, 0, first, second)
        labels = (*[name for k, name in enumerate(labels) if k not in (first, second)], label)
    return x, labels


def _sizes(work: Sequence[tuple[Tensor, Labels]]) -> dict[Any, int]:
    sizes: dict[Any, int] = {}
    for x, labels in work:
        for label, n in zip(labels, x.shape, strict=True):
            if sizes.setdefault(label, n) == 1:
                sizes[label] = n
            elif n not in (1, sizes[label]):
                fail(ShapeError(f"{label!r} stands for sizes {sizes[label]} and {n}", op="einsum"))
    return sizes


def _summed(x: Tensor, labels: Labels, keep: set[Any]) -> tuple[Tensor, Labels]:
    axes = tuple([k for k, label in enumerate(labels) if label not in keep])
    if not axes:
        return x, labels
    return apply(ops.sum, x, axes=axes, keepdims=False), tuple([label for label in labels if label in keep])


def _contracted(
    a: tuple[Tensor, Labels], b: tuple[Tensor, Labels], later: set[Any], sizes: dict[Any, int]
) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over what nothing later needs: one batched matrix product."""
    x, p = _summed(*a, later | set(b[1]))
    y, q = _summed(*b, later | set(p))
    both = [label for label in p if label in q]
    batch, inner = [s for s in both if s in later], [s for s in both if s not in later]
    rows, columns = [s for s in p if s not in both], [s for s in q if s not in both]

    def arranged(t: Tensor, labels: Labels, *groups: list[Any]) -> Tensor:
        order = [label for group in groups for label in group]
        t = apply(ops.transpose, t, perm=tuple([labels.index(label) for label in order]))
        t = broadcast_to(t, tuple([sizes[label] for label in order]))
        return reshape(t, tuple([math.prod([sizes[label] for label in group]) for group in groups]))

    kept = (*batch, *rows, *columns)
    shape = tuple([sizes[label] for label in kept])
    if not inner:
        left, right = arranged(x, p, batch, rows, []), arranged(y, q, batch, [], columns)
        return reshape(binary("mul", left, right), shape), kept
    return reshape(matmul(arranged(x, p, batch, rows, inner), arranged(y, q, batch, inner, columns)), shape), kept


# --- its special cases ---


def tensordot(a: Any, b: Any, dims: Any = 2) -> Tensor:
    """The sum of products over the last ``dims`` dimensions of ``a`` and the first of ``b``, or over two lists of them.

    Raises:
        ArgumentError: not equally many dimensions.
        ShapeError: their sizes differ.

    >>> import lucid
    >>> lucid.tensordot(lucid.ones(2, 3), lucid.ones(3, 4), 1).shape
    (2, 4)
    """
    x, y = together(a, b, "tensordot")
    if is_several(dims):
        if len(dims) != 2:
            fail(ArgumentError(f"dims={dims} must be an int or two lists of dimensions", op="tensordot"))
        first, second = (ints_of("tensordot", "dims", d) for d in dims)
    else:
        count = int_of("tensordot", "dims", dims)
        if not 0 <= count <= min(x.ndim, y.ndim):
            fail(ArgumentError(f"dims={count} must lie in 0 .. {min(x.ndim, y.ndim)}", op="tensordot"))
        first, second = tuple(range(x.ndim - count, x.ndim)), tuple(range(count))
    first = tuple([axis_of("tensordot", k, x.ndim, "dims") for k in first])
    second = tuple([axis_of("tensordot", k, y.ndim, "dims") for k in second])
    if len(first) != len(second):
        fail(ArgumentError(f"dims={dims} must be equally many dimensions of both", op="tensordot"))
    free = [k for k in range(x.ndim) if k not in first], [k for k in range(y.ndim) if k not in second]
    sizes = []
    for j, k in zip(first, second, strict=True):
        n, m = x.shape[j], y.shape[k]
        if n != m and 1 not in (n, m):
            fail(ShapeError(f"shapes {x.shape} and {y.shape} do not fit along dims={dims}", op="tensordot"))
        sizes.append(m if n == 1 else n)
    x = broadcast_to(x, tuple([sizes[first.index(k)] if k in first else n for k, n in enumerate(x.shape)]))
    y = broadcast_to(y, tuple([sizes[second.index(k)] if k in second else n for k, n in enumerate(y.shape)]))
    size = math.prod(sizes)
    left = reshape(apply(ops.transpose, x, perm=(*free[0], *first)), (math.prod(x.shape[k] for k in free[0]), size))
    right = reshape(apply(ops.transpose, y, perm=(*second, *free[1])), (size, math.prod(y.shape[k] for k in free[1])))
    return reshape(matmul(left, right), (*[x.shape[k] for k in free[0]], *[y.shape[k] for k in free[1]]))


def inner(input: Any, other: Any) -> Tensor:
    """The sums of products along the last dimension of both; a number multiplies.

    Raises:
        ShapeError: the last sizes are not equal.

    >>> import lucid
    >>> lucid.inner(lucid.tensor([[1, 2], [3, 4]]), lucid.tensor([10, 1]))
    Tensor([12, 34])
    """
    a, b = together(input, other, "inner")
    if a.ndim == 0 or b.ndim == 0:
        return binary("mul", a, b)
    return tensordot(a, b, ([-1], [-1]))


def vdot(input: Any, other: Any) -> Tensor:
    """The product of two vectors.

    Raises:
        ShapeError: not two vectors of one length.

    >>> import lucid
    >>> lucid.vdot(lucid.tensor([1, 2]), lucid.tensor([3, 4]))
    Tensor(11)
    """
    a, b = together(input, other, "vdot")
    _ranks("vdot", input=(a, 1), other=(b, 1))
    return matmul(a, b)


def ger(input: Any, vec2: Any) -> Tensor:
    """Every element of one vector times every element of another: ``outer``.

    Raises:
        ShapeError: not vectors.

    >>> import lucid
    >>> lucid.ger(lucid.tensor([1, 2]), lucid.tensor([3, 4]))
    Tensor([[3, 4],
            [6, 8]])
    """
    from lucid.functions.linalg import outer

    return outer(input, vec2)


def kron(input: Any, other: Any) -> Tensor:
    """The Kronecker product: every element of ``input`` times the whole of ``other``.

    >>> import lucid
    >>> lucid.kron(lucid.eye(2), lucid.tensor([[1.0, 2.0]])).tolist()
    [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0]]
    """
    a, b = together(input, other, "kron")
    ndim = max(a.ndim, b.ndim)
    first, second = (1,) * (ndim - a.ndim) + a.shape, (1,) * (ndim - b.ndim) + b.shape
    left = reshape(a, tuple([n for size in first for n in (size, 1)]))
    right = reshape(b, tuple([n for size in second for n in (1, size)]))
    return reshape(binary("mul", left, right), tuple([n * m for n, m in zip(first, second, strict=True)]))


def _ranks(op: str, **operands: tuple[Tensor, int]) -> None:
    for name, (x, rank) in operands.items():
        if x.ndim != rank:
            fail(ShapeError(f"{name} has shape {x.shape}, but it must have {rank} dimensions", op=op))


def _product(op: str, first: str, a: Any, m: int, second: str, b: Any, n: int) -> Tensor:
    """The matrix product of operands that must have ``m`` and ``n`` dimensions."""
    x, y = together(a, b, op)
    _ranks(op, **{first: (x, m), second: (y, n)})
    if m == 3 and x.shape[0] != y.shape[0]:
        fail(ShapeError(f"{first} has {x.shape[0]} matrices and {second} has {y.shape[0]}", op=op))
    return matmul(x, y)


def mm(input: Any, mat2: Any) -> Tensor:
    """The product of two matrices.

    Raises:
        ShapeError: not matrices, or their sizes do not fit.

    >>> import lucid
    >>> lucid.mm(lucid.tensor([[1, 2], [3, 4]]), lucid.tensor([[1, 0], [0, 2]]))
    Tensor([[1, 4],
            [3, 8]])
    """
    return _product("mm", "input", input, 2, "mat2", mat2, 2)


def bmm(input: Any, mat2: Any) -> Tensor:
    """The products of two stacks of matrices, ``(b, m, k)`` and ``(b, k, n)``.

    Raises:
        ShapeError: not stacks of matrices, or their sizes do not fit.

    >>> import lucid
    >>> lucid.bmm(lucid.ones(5, 2, 3), lucid.ones(5, 3, 4)).shape
    (5, 2, 4)
    """
    return _product("bmm", "input", input, 3, "mat2", mat2, 3)


def mv(input: Any, vec: Any) -> Tensor:
    """The product of a matrix and a vector.

    Raises:
        ShapeError: no matrix or no vector, or their sizes do not fit.

    >>> import lucid
    >>> lucid.mv(lucid.tensor([[1, 2], [3, 4]]), lucid.tensor([1, 10]))
    Tensor([21, 43])
    """
    return _product("mv", "input", input, 2, "vec", vec, 1)


def _plus(op: str, input: Any, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * input + alpha * product``; with ``beta`` 0, whatever ``input`` holds is ignored."""
    product = product if alpha == 1 else product * alpha
    x = as_tensor(input, op)
    if beta == 0:
        return broadcast_to(product, broadcast_shapes(product.shape, x.shape))
    return binary("add", x if beta == 1 else x * beta, product)


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``.

    Raises:
        ShapeError: not matrices, or their sizes do not fit.

    >>> import lucid
    >>> lucid.addmm(lucid.ones(2, 2), lucid.eye(2), lucid.tensor([[1.0, 2.0], [3.0, 4.0]]), beta=10)
    Tensor([[11.0, 12.0],
            [13.0, 14.0]])
    """
    return _plus("addmm", input, _product("addmm", "mat1", mat1, 2, "mat2", mat2, 2), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``.

    Raises:
        ShapeError: no matrix or no vector, or their sizes do not fit.

    >>> import lucid
    >>> lucid.addmv(lucid.ones(2), lucid.tensor([[1.0, 2.0], [3.0, 4.0]]), lucid.ones(2), alpha=10)
    Tensor([31.0, 71.0])
    """
    return _plus("addmv", input, _product("addmv", "mat", mat, 2, "vec", vec, 1), beta, alpha)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``.

    Raises:
        ShapeError: not vectors, or a shape that does not broadcast to theirs.

    >>> import lucid
    >>> lucid.addr(lucid.zeros(2, 2), lucid.tensor([1.0, 2.0]), lucid.tensor([3.0, 4.0]))
    Tensor([[3.0, 4.0],
            [6.0, 8.0]])
    """
    return _plus("addr", input, ger(vec1, vec2), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)``, stack by stack.

    Raises:
        ShapeError: not stacks of matrices, or their sizes do not fit.

    >>> import lucid
    >>> lucid.baddbmm(lucid.zeros(5, 2, 4), lucid.ones(5, 2, 3), lucid.ones(5, 3, 4)).shape
    (5, 2, 4)
    """
    return _plus("baddbmm", input, _product("baddbmm", "batch1", batch1, 3, "batch2", batch2, 3), beta, alpha)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * sum(batch1 @ batch2)``, the products summed over the stack.

    Raises:
        ShapeError: not stacks of matrices, or their sizes do not fit.

    >>> import lucid
    >>> lucid.addbmm(lucid.zeros(2, 2), lucid.ones(5, 2, 3), lucid.ones(5, 3, 2))
    Tensor([[15.0, 15.0],
            [15.0, 15.0]])
    """
    product = sum(_product("addbmm", "batch1", batch1, 3, "batch2", batch2, 3), 0)
    return _plus("addbmm", input, product, beta, alpha)


def multi_dot(tensors: Sequence[Any]) -> Tensor:
    """The product of several matrices, in the order that takes the fewest multiplications.

    The first and the last may be vectors.

    Raises:
        ArgumentError: fewer than two.
        ShapeError: they do not fit.

    >>> import lucid
    >>> lucid.linalg.multi_dot([lucid.ones(2, 9), lucid.ones(9, 9), lucid.ones(9)])
    Tensor([81.0, 81.0])
    """
    parts = [as_tensor(t, "multi_dot", f"tensors[{k}]") for k, t in enumerate(tensors)]
    if len(parts) < 2:
        fail(ArgumentError(f"tensors holds {len(parts)}: there must be at least two", op="multi_dot"))
    row, column = parts[0].ndim == 1, parts[-1].ndim == 1
    parts[0] = reshape(parts[0], (1, -1)) if row else parts[0]
    parts[-1] = reshape(parts[-1], (-1, 1)) if column else parts[-1]
    for k, x in enumerate(parts):
        _ranks("multi_dot", **{f"tensors[{k}]": (x, 2)})
    sizes = [parts[0].shape[0], *[x.shape[1] for x in parts]]
    # Least cost of each product of neighbours, and where to split it (Cormen et al., Introduction to Algorithms).
    best: dict[tuple[int, int], tuple[int, int]] = {(k, k): (0, k) for k in range(len(parts))}
    for length in range(1, len(parts)):
        for i in range(len(parts) - length):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        return parts[i] if i == j else matmul(product(i, best[i, j][1]), product(best[i, j][1] + 1, j))

    result = product(0, len(parts) - 1)
    shape = (() if row else result.shape[:1]) + (() if column else result.shape[1:])
    return reshape(result, shape)


def chain_matmul(*matrices: Any) -> Tensor:
    """The product of several matrices, in the order that takes the fewest multiplications; of one, itself.

    Raises:
        ShapeError: not matrices, or their sizes do not fit.

    >>> import lucid
    >>> lucid.chain_matmul(lucid.ones(2, 9), lucid.ones(9, 9), lucid.ones(9, 1))
    Tensor([[81.0],
            [81.0]])
    """
    return as_tensor(matrices[0], "chain_matmul") if len(matrices) == 1 else multi_dot(matrices)


def matrix_power(input: Any, n: int) -> Tensor:
    """Square matrices multiplied by themselves ``n`` times; a negative ``n`` takes the inverse.

    Raises:
        ShapeError: the matrices are not square.
        ArgumentTypeError: ``n`` is not an int.

    >>> import lucid
    >>> lucid.matrix_power(lucid.tensor([[1, 1], [0, 1]]), 5)
    Tensor([[1, 5],
            [0, 1]])
    """
    x = as_tensor(input, "matrix_power")
    power = int_of("matrix_power", "n", n)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        fail(ShapeError(f"input has shape {x.shape}, but its last two sizes must be equal", op="matrix_power"))
    if power == 0:
        return broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape)
    if power < 0:
        from lucid.functions.factorisations import inv

        x, power = inv(x), -power
    result = None
    while power:
        if power & 1:
            result = x if result is None else matmul(result, x)
        power >>= 1
        x = matmul(x, x) if power else x
    assert result is not None
    return result


def cross(input: Any, other: Any, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three along ``dim``; None is the first dimension of size 3.

    Raises:
        ShapeError: there is no such dimension, or its size is not 3.

    >>> import lucid
    >>> lucid.cross(lucid.tensor([1, 0, 0]), lucid.tensor([0, 1, 0]))
    Tensor([0, 0, 1])
    """
    given = together(input, other, "cross")
    with named("cross"):
        a, b = broadcast_tensors(*given)
    shape = a.shape
    if dim is None:
        dim = shape.index(3) if 3 in shape else -1
    axis = axis_of("cross", dim, len(shape), "dim")
    for x in given:
        own = axis - len(shape) + x.ndim
        if own < 0 or x.shape[own] != 3:
            size = f"size {x.shape[own]}" if own >= 0 else "no such dimension"
            fail(ShapeError(f"dim {axis} of {shape}: shape {x.shape} has {size} there, but it must be 3", op="cross"))
    return roll(a, -1, axis) * roll(b, -2, axis) - roll(a, -2, axis) * roll(b, -1, axis)


def cross_of(input: Any, other: Any, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of three along ``dim``, by default the last.

    Raises:
        ShapeError: not equally many dimensions, or not of size 3 along ``dim``.

    >>> import lucid
    >>> lucid.linalg.cross(lucid.tensor([1, 0, 0]), lucid.tensor([0, 1, 0]))
    Tensor([0, 0, 1])
    """
    a, b = together(input, other, "cross")
    if a.ndim != b.ndim:
        fail(ShapeError(f"input has shape {a.shape} and other {b.shape}: as many dimensions are needed", op="cross"))
    return cross(a, b, dim)


def vecdot(x: Any, y: Any, *, dim: int = -1) -> Tensor:
    """The sums of products along ``dim``; the other dimensions broadcast.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.vecdot(lucid.tensor([[1, 2], [3, 4]]), lucid.tensor([1, 10]))
    Tensor([21, 43])
    """
    return sum(binary("mul", *together(x, y, "vecdot")), dim=dim)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The ``p``-norm distances of all rows of ``x1`` ``(..., n, k)`` from all of ``x2`` ``(..., m, k)``.

    Args:
        compute_mode: of no effect: distances are always computed from differences.

    Raises:
        ShapeError: no rows, or rows of different lengths.
        ArgumentError: ``p`` is negative.

    >>> import lucid
    >>> lucid.cdist(lucid.tensor([[0.0, 0.0]]), lucid.tensor([[3.0, 4.0], [0.0, 1.0]]))
    Tensor([[5.0, 1.0]])
    """
    a, b = together(x1, x2, "cdist")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        fail(ShapeError(f"x1 has shape {a.shape} and x2 {b.shape}: both need rows of one length", op="cdist"))
    number_of("cdist", "p", p, 0)
    rows = reshape(a, (*a.shape[:-1], 1, a.shape[-1]))
    columns = reshape(b, (*b.shape[:-2], 1, *b.shape[-2:]))
    if a.shape[-1] == 0:
        return sum(rows - columns, -1)
    return vector_norm(rows - columns, p, -1)
