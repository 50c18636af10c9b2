"""Beside layers: clipping of gradients, parameters as one vector or computed from others, unequal sequences."""

from lucid.nn.init import skip_init
from lucid.nn.utils import parametrizations, parametrize, rnn
from lucid.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from lucid.nn.utils.older_norms import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
from lucid.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector",
    "parametrizations", "parametrize", "remove_spectral_norm", "remove_weight_norm", "rnn", "skip_init",
    "spectral_norm", "vector_to_parameters", "weight_norm",
]  # fmt: skip
