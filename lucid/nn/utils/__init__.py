"""Beside layers: clipping of gradients, parameters as one vector, layers without initial values, unequal sequences."""

from lucid.nn.init import skip_init
from lucid.nn.utils import rnn
from lucid.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from lucid.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector", "rnn",
    "skip_init", "vector_to_parameters",
]  # fmt: skip
