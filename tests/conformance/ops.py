"""Which ops are compared: PyTorch's name, Lucid's function, and the samples set aside, each with its reason."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import torch

import lucid
from lucid.nn import functional as F
from tests.conformance.samples import Pair, leaves, samples_of

#: Whether the tests walk through all samples, as the command does.
ALL_SAMPLES = os.environ.get("LUCID_ALL_SAMPLES", "") == "1"

#: Functions of tensors, by the names that PyTorch and Lucid share.
TENSOR_OPS = """
H T __getitem__ __radd__ __rand__ __rmatmul__ __rmod__ __rmul__ __ror__ __rpow__ __rsub__ __rxor__ allclose bool clone
contiguous double equal float int item long abs acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin
aminmax any arange argmax argmin argsort argwhere asin asinh atan atan2 atanh atleast_1d atleast_2d atleast_3d baddbmm
bincount bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor block_diag bmm
broadcast_tensors broadcast_to bucketize cartesian_prod cat cdist ceil chunk clamp clamp_max clamp_min column_stack
combinations copysign cos cosh count_nonzero cross cummax cummin cumprod cumsum deg2rad diag diag_embed diagflat
diagonal diagonal_scatter diff dist div dot dsplit dstack einsum eq erf erfc exp exp2 expand expand_as expm1 eye flatten
flip fliplr flipud float_power floor floor_divide fmax fmin fmod frac full full_like gather ge gt heaviside histc hsplit
hstack hypot index_add index_copy index_fill index_put index_reduce index_select inner isclose isfinite isin isinf isnan
isneginf isposinf kron kthvalue ldexp le lerp linalg.cholesky linalg.cond linalg.cross linalg.det linalg.eigvalsh
linalg.inv linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.multi_dot linalg.norm linalg.qr
linalg.slogdet linalg.solve linalg.svdvals linalg.vecdot linalg.vector_norm linspace log log10 log1p log2 log_softmax
logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not logical_or logical_xor logit logspace logsumexp lt mH
mT masked_fill masked_scatter masked_select matmul max maximum mean median meshgrid min minimum mm mode movedim msort
mul mv nan_to_num nanmean nanmedian nanquantile nansum narrow ne neg new_full new_ones new_zeros nonzero norm ones
ones_like outer permute positive pow prod put quantile rad2deg ravel reciprocal remainder renorm repeat
repeat_interleave reshape reshape_as roll rot90 round rsqrt rsub scalar_tensor scatter scatter_add scatter_reduce
searchsorted select select_scatter sgn sigmoid sign signbit sin sinc sinh slice_scatter softmax sort special.xlog1py
split sqrt square squeeze stack std std_mean sub sum t take take_along_dim tan tanh tensor_split tensordot tile topk
trace transpose tril tril_indices triu triu_indices true_divide trunc unbind unflatten unfold unique unique_consecutive
unsqueeze var var_mean vdot view view_as vsplit vstack where xlogy zeros zeros_like
""".split()  # noqa: SIM905

#: Functions of layers, by their names in ``nn.functional``.
LAYER_OPS = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
avg_pool1d avg_pool2d avg_pool3d channel_shuffle conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
embedding embedding_bag grid_sample interpolate max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d
pad pixel_shuffle pixel_unshuffle scaled_dot_product_attention unfold batch_norm bilinear binary_cross_entropy
binary_cross_entropy_with_logits celu cosine_embedding_loss cosine_similarity cross_entropy elu gaussian_nll_loss gelu
glu group_norm hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss huber_loss instance_norm kl_div l1_loss
layer_norm leaky_relu linear local_response_norm logsigmoid margin_ranking_loss mish mse_loss multi_margin_loss
multilabel_margin_loss multilabel_soft_margin_loss nll_loss normalize pairwise_distance pdist poisson_nll_loss prelu
relu relu6 rms_norm rrelu selu silu smooth_l1_loss soft_margin_loss softmin softplus softshrink softsign tanhshrink
threshold triplet_margin_loss
""".split()  # noqa: SIM905

NAMES = [*TENSOR_OPS, *(f"nn.functional.{n}" for n in LAYER_OPS)]

#: The function of Lucid that is meant, where it has another name, place, or order of arguments.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "einsum": lambda operands, equation: lucid.einsum(equation, *operands),
    "special.xlog1py": lucid.xlog1py,
    "where": lambda x, condition, other: x.where(condition, other),
    "nn.functional.embedding": lambda weight, input, **options: F.embedding(input, weight, **options),
    "nn.functional.embedding_bag": lambda weight, input, **options: F.embedding_bag(input, weight, **options),
}

#: Arguments of PyTorch's layers that are deprecated, or change nothing here.
DROPPED = {"inplace", "size_average", "reduce", "recompute_scale_factor"}


def function_of(name: str) -> Callable[..., Any]:
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if hasattr(lucid, name.split(".", 1)[0]):
        found = functools.reduce(getattr, name.split("."), lucid)
        if callable(found):  # ``lucid.double`` is a dtype, and the method what is meant
            return found  # type: ignore[no-any-return]  # some function
    attribute = getattr(lucid.Tensor, name)
    return attribute.fget if isinstance(attribute, property) else attribute


def compared(name: str, dtype: Any = torch.float64) -> list[Pair]:
    """The samples of an op that are compared with PyTorch's results."""
    return [(f, s) for f, s in cleaned(name, dtype) if not refusal(name, s) and not randomness(name, s)]


def some(names: list[str], first: int) -> list[str]:
    """Every eighth name, for tests that must be quick: tests of one kind begin at another name than the next."""
    return names if ALL_SAMPLES else names[first::8]


def spread(found: list[Any], count: int) -> list[Any]:
    """Up to ``count`` samples from first to last, for tests that must be quick."""
    return found if ALL_SAMPLES else found[:: -(-len(found) // count)] if found else []


def cleaned(name: str, dtype: Any = torch.float64) -> list[Pair]:
    """All samples of an op, without the arguments that are dropped."""
    found = samples_of(name, dtype)
    if name.startswith("nn."):
        for _, sample in found:
            sample.kwargs = {k: v for k, v in sample.kwargs.items() if k not in DROPPED}
    return found


def refusal(name: str, sample: Any) -> str:
    """Why Lucid turns a sample down with an error of its own; empty if it does not."""
    return ""


def randomness(name: str, sample: Any) -> bool:
    """Whether a result is drawn at random: the two libraries have generators of their own."""
    drawn = {"nn.functional.rrelu": "training", "nn.functional.scaled_dot_product_attention": "dropout_p"}
    return name in drawn and bool(sample.kwargs.get(drawn[name]))


#: Functions whose results are Python's numbers.
PLAIN = {"allclose", "equal", "item"}
#: Functions whose results have a size that depends on values.
DYNAMIC = {"argwhere", "bincount", "masked_select", "nonzero", "unique", "unique_consecutive"}
#: Functions for which that holds if places or counts come as tensors (or masks).
DYNAMIC_ARGUMENTS = {
    "__getitem__": (torch.bool,),
    "index_put": (torch.bool,),
    "narrow": (torch.bool, torch.int64),
    "repeat_interleave": (torch.bool, torch.int64),
    "tensor_split": (torch.bool, torch.int64),
}


def is_dynamic(name: str, sample: Any) -> bool:
    """Whether the size of a result depends on values, or it is one, so that it cannot be compiled."""
    kinds = DYNAMIC_ARGUMENTS.get(name, ())
    return name in DYNAMIC | PLAIN or any(t.dtype in kinds for t in leaves([sample.args, sample.kwargs], torch.Tensor))


#: Wrong uses of PyTorch's that have a meaning here: the op (all if empty), PyTorch's message, and that meaning.
MEANINGS = {
    ("", ""): "a Python number stands for a tensor",
    (
        "mean",
        "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. ",
    ): "the mean of integers is float32, as their quotient is",
    (
        "nn.functional.conv3d",
        "padding='same' is not supported for strided convolutions",
    ): "'same' with a stride gives `ceil(size / stride)` pixels",
    (
        "NLLLoss",
        "expected scalar type w+ but found w+",
    ): "weights of another dtype meet the scores in the dtype that promotion says",
    **{(f"BatchNorm{n}d", "eps must be positive"): "an `eps` of 0 adds nothing" for n in (1, 2, 3)},
}
