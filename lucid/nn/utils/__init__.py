"""Beside layers: gradient clipping; layers without initial values, and sequences of unequal length in ``utils.rnn``."""

from lucid.nn.init import skip_init
from lucid.nn.utils import rnn
from lucid.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn", "skip_init"]
