"""Gradients, by the names of ``torch.autograd``: asking for them, switching them off, and functions with one's own."""

from lucid.autograd import function
from lucid.autograd.function import Function
from lucid.backward import grad
from lucid.grad_modes import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["Function", "enable_grad", "function", "grad", "inference_mode", "no_grad", "set_grad_enabled"]
