"""Maps of the last dimension: linear, and bilinear in two inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid.errors import ShapeError
from lucid.functions.arguments import fail
from lucid.functions.linalg import matmul
from lucid.functions.movement import reshape, transpose
from lucid.nn.functional.arguments import one_dtype, with_bias
from lucid.promotion import as_tensor, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor


@rounded_once
def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input @ weight.T + bias``: input ``(..., in)``, weight ``(out, in)``, bias ``(out,)``, all of one dtype.

    Raises:
        ShapeError: the sizes do not fit.
        DTypeError: more than one dtype.

    >>> import lucid
    >>> linear(lucid.tensor([[1.0, 2.0]]), lucid.tensor([[3.0, 4.0]]), lucid.tensor([0.5]))
    Tensor([[11.5]])
    """
    input, weight = as_tensor(input, "linear", "input"), as_tensor(weight, "linear", "weight")
    one_dtype("linear", input=input, weight=weight)
    if weight.ndim != 2:
        fail(ShapeError(f"weight has shape {weight.shape}, but it must be (out_features, in_features)", op="linear"))
    if input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        fail(
            ShapeError(
                f"input has shape {input.shape}, but its last size must be in_features={weight.shape[1]}",
                op="linear",
                hint="flatten images first: x.flatten(1)" if input.ndim > 2 else None,
            )
        )
    return with_bias("linear", matmul(input, transpose(weight)), bias, weight.shape[0], -1)


@rounded_once
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input1 @ weight[k] @ input2 + bias[k]`` for each output ``k``.

    Args:
        input1: ``(..., in1)``.
        input2: ``(..., in2)``, of the same leading dimensions.
        weight: ``(out, in1, in2)``.
        bias: ``(out,)``.

    Raises:
        ShapeError: the sizes do not fit.
        DTypeError: more than one dtype.

    >>> import lucid
    >>> bilinear(lucid.tensor([1.0, 2.0]), lucid.tensor([3.0]), lucid.tensor([[[1.0], [10.0]]]))
    Tensor([63.0])
    """
    op = "bilinear"
    a, b, w = as_tensor(input1, op, "input1"), as_tensor(input2, op, "input2"), as_tensor(weight, op, "weight")
    one_dtype(op, input1=a, input2=b, weight=w)
    if w.ndim != 3:
        fail(
            ShapeError(f"weight has shape {w.shape}, but it must be (out_features, in1_features, in2_features)", op=op)
        )
    outputs, *sizes = w.shape
    for name, x, size in (("input1", a, sizes[0]), ("input2", b, sizes[1])):
        if x.ndim == 0 or x.shape[-1] != size:
            fail(ShapeError(f"{name} has shape {x.shape}, but its last size must be {size}, as weight's", op=op))
    if a.shape[:-1] != b.shape[:-1]:
        fail(ShapeError(f"input1 {a.shape} and input2 {b.shape} must agree in all dimensions but the last", op=op))
    by_first = reshape(w.permute(1, 0, 2), (sizes[0], outputs * sizes[1]))
    rows = reshape(matmul(a, by_first), (*a.shape[:-1], outputs, sizes[1]))
    return with_bias(op, matmul(rows, b.unsqueeze(-1)).squeeze(-1), bias, outputs, -1)
