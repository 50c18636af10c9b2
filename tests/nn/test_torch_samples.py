"""Functional layers and losses on PyTorch's own sample inputs: values and gradients, eager and compiled."""

from __future__ import annotations

from typing import Any

import pytest

import lucid
from lucid.nn import functional as F

pytest.importorskip("torch")

from tests.tensor.test_torch_samples import check, samples_of, torch

NAMES = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
avg_pool1d avg_pool2d avg_pool3d channel_shuffle conv1d conv2d conv3d conv_transpose1d conv_transpose2d
conv_transpose3d embedding embedding_bag interpolate max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d
max_unpool3d pad pixel_shuffle pixel_unshuffle scaled_dot_product_attention unfold
batch_norm bilinear binary_cross_entropy binary_cross_entropy_with_logits celu cosine_embedding_loss cosine_similarity
cross_entropy elu gaussian_nll_loss gelu glu group_norm hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss
huber_loss instance_norm kl_div l1_loss layer_norm leaky_relu linear local_response_norm logsigmoid
margin_ranking_loss mish mse_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss
normalize pairwise_distance pdist poisson_nll_loss prelu relu relu6 rms_norm rrelu selu silu smooth_l1_loss
soft_margin_loss softmin softplus softshrink softsign tanhshrink threshold triplet_margin_loss
""".split()  # noqa: SIM905

#: Arguments of PyTorch that are deprecated, or change nothing here.
DROPPED = {"inplace", "size_average", "reduce", "recompute_scale_factor"}


def refused(name: str, sample: Any) -> bool:
    """Samples that Lucid refuses, and says why."""
    if name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss"):
        return sample.input.shape != sample.args[0].shape  # shapes that broadcast, which is usually a mistake
    if not sample.input.is_floating_point():
        return True
    numbers = [sample.kwargs.get(k, 0.0) for k in ("eps", "momentum")]
    if name.endswith("_norm") and (min(numbers) < 0 or any(isinstance(v, float) and v < 0 for v in sample.args)):
        return True  # a negative eps or momentum
    if name == "batch_norm" and sample.input.ndim < 2:
        return True  # without channels
    options = sample.kwargs
    if any(options.get(k) for k in ("max_norm", "scale_grad_by_freq", "sparse", "antialias")):
        return True
    if name == "interpolate" and sample.input.shape[0] == 0:
        return True
    drawn = "training" if name == "rrelu" else "dropout_p"
    return bool(sample.kwargs.get(drawn))  # random numbers of their own


def samples(name: str, dtype: Any = torch.float64) -> list[tuple[Any, Any]]:
    found = []
    for function, sample in samples_of(f"nn.functional.{name}", dtype):
        sample.kwargs = {k: v for k, v in sample.kwargs.items() if k not in DROPPED}
        if not refused(name, sample):
            found.append((function, sample))
    assert found
    return found


def function_of(name: str) -> Any:
    if name in ("embedding", "embedding_bag"):  # whose samples begin with the table
        return lambda weight, input, **options: getattr(F, name)(input, weight, **options)
    return getattr(F, name)


@pytest.mark.filterwarnings("ignore")  # PyTorch on reductions that it would rather have otherwise
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch(name: str) -> None:
    for theirs, sample in samples(name):
        check(name, function_of(name), theirs, sample)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch_in_single_precision(name: str) -> None:
    found = samples(name, torch.float32)
    for theirs, sample in found[:: -(-len(found) // 2)]:
        check(name, function_of(name), theirs, sample, 2e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_compiled_agrees_with_torch(name: str) -> None:
    """The first samples, as arguments of one compiled function."""
    compiled = lucid.compile(function_of(name))
    for theirs, sample in samples(name)[:4]:
        check(name, compiled, theirs, sample)
