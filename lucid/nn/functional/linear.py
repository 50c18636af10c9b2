"""Linear maps of the last dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid.errors import ShapeError
from lucid.functions.arguments import fail
from lucid.functions.linalg import matmul
from lucid.functions.movement import transpose
from lucid.nn.functional.arguments import one_dtype, with_bias
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor


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
