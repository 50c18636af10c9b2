"""``weight_norm`` and ``spectral_norm`` as they were before parametrizations: what is learned lies beside the weight.

The weight is computed whenever it is asked for, so it never lags behind what it is computed from.
"""

from __future__ import annotations

from typing import Any

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.grad_modes import no_grad
from lucid.nn.arguments import positive
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.utils.parametrizations import (
    as_matrix,
    iterated,
    norm_except,
    row_dim,
    sigma,
    start,
    tensor_named,
)
from lucid.tensor import Tensor

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _Older:
    """A weight that is computed from tensors named after it."""

    #: What the tensors' names end in.
    ends: tuple[str, ...]

    def __init__(self, name: str):
        self.name = name

    def value(self, module: Module) -> Tensor:
        raise NotImplementedError

    def assign(self, module: Module, value: Any) -> None:
        names = " and ".join(self.name + end for end in self.ends)
        message = f"{self.name} of {type(module).__name__} cannot be set: it is computed from {names}"
        fail(ArgumentError(message, op="Module"))

    def remove(self, module: Module, value: Tensor) -> None:
        """Hold the weight itself again."""
        learned = any(getattr(module, self.name + end).requires_grad for end in self.ends)
        del module._computed[self.name]
        for end in self.ends:
            delattr(module, self.name + end)
        module.register_parameter(self.name, Parameter(value.detach(), learned))


class _Lengths(_Older):
    ends = ("_g", "_v")

    def __init__(self, name: str, dim: int | None):
        super().__init__(name)
        self.dim = dim

    def value(self, module: Module) -> Tensor:
        g, v = (getattr(module, self.name + end) for end in self.ends)
        return v * (g / norm_except(v, self.dim))  # type: ignore[no-any-return]  # a tensor


class _Spectral(_Older):
    ends = ("_orig", "_u", "_v")

    def __init__(self, name: str, steps: int, dim: int, eps: float):
        super().__init__(name)
        self.steps, self.dim, self.eps = steps, dim, eps

    def value(self, module: Module) -> Tensor:
        return self.divided(module, self.steps if module.training else 0)

    def divided(self, module: Module, steps: int) -> Tensor:
        """The weight divided by its largest singular value, after steps of the power method."""
        weight, before_u, before_v = (getattr(module, self.name + end) for end in self.ends)
        matrix = as_matrix(weight, self.dim)
        if steps:
            v, u = iterated(matrix.T, before_v, before_u, steps, self.eps)  # v is the first to move here
            before_u.copy_(u)
            before_v.copy_(v)
        return weight / sigma(matrix, before_u, before_v)  # type: ignore[no-any-return]  # a tensor


def _replaced(op: str, module: Module, name: str) -> Tensor:
    """The parameter ``name``, taken out of the module."""
    weight = tensor_named(op, module, name)
    if name not in module._parameters:
        fail(ArgumentError(f"{name!r} of {type(module).__name__} is not a parameter: it is computed already", op=op))
    delattr(module, name)
    return weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight by its lengths ``<name>_g`` and its direction ``<name>_v``: Salimans & Kingma, arXiv:1602.07868.

    ``nn.utils.parametrizations.weight_norm`` is newer. Returns ``module``.

    Args:
        module: the layer.
        name: of its weight.
        dim: the dimension along which lengths differ; None for one length alone.

    Raises:
        ArgumentError, ArgumentTypeError: no such parameter or dimension.

    >>> from lucid import nn
    >>> list(nn.utils.weight_norm(nn.Linear(2, 3)).state_dict())
    ['bias', 'weight_g', 'weight_v']
    """
    kept = None if dim is None else int_of("weight_norm", "dim", dim)
    with no_grad():
        g = norm_except(tensor_named("weight_norm", module, name), kept)
    weight = _replaced("weight_norm", module, name)
    module.register_parameter(f"{name}_g", Parameter(g, weight.requires_grad))
    module.register_parameter(f"{name}_v", Parameter(weight.detach(), weight.requires_grad))
    module._computed[name] = _Lengths(name, kept)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Hold a weight itself again, with the value that it has; returns ``module``.

    Raises:
        ArgumentError: ``weight_norm`` was not applied.

    >>> from lucid import nn
    >>> layer = nn.utils.weight_norm(nn.Linear(2, 3))
    >>> list(nn.utils.remove_weight_norm(layer).state_dict())
    ['bias', 'weight']
    """
    rule = module._computed.get(name)
    if not isinstance(rule, _Lengths):
        fail(ArgumentError(f"{name!r} of {type(module).__name__} has no weight norm", op="remove_weight_norm"))
    with no_grad():
        value = rule.value(module)
    rule.remove(module, value)
    return module


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight ``<name>_orig`` by its largest singular value: Miyato et al., arXiv:1802.05957.

    The value is followed by the power method on buffers ``<name>_u`` and ``<name>_v``, some steps each time that the
    weight is asked for in training. ``nn.utils.parametrizations.spectral_norm`` is newer. Returns ``module``.

    Args:
        module: the layer.
        name: of its weight.
        n_power_iterations: steps in training.
        eps: the least length that a vector is divided by.
        dim: the dimension of outputs; None is 0, or 1 in transposed convolutions.

    Raises:
        ArgumentError, ArgumentTypeError: no such parameter or dimension; fewer than 1 steps.

    >>> from lucid import nn
    >>> list(nn.utils.spectral_norm(nn.Linear(2, 3)).state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    op = "spectral_norm"
    steps = positive(op, "n_power_iterations", n_power_iterations)
    least = float(number_of(op, "eps", eps, 0))
    rows = row_dim(op, module, tensor_named(op, module, name), dim)
    weight = _replaced(op, module, name)
    with no_grad():
        matrix = as_matrix(weight, rows)
        u, v = (start(n, matrix, least) for n in matrix.shape)
    module.register_parameter(f"{name}_orig", weight)  # type: ignore[arg-type]  # a Parameter
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module._computed[name] = _Spectral(name, steps, rows, least)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Hold a weight itself again, with the value that it has; returns ``module``.

    Raises:
        ArgumentError: ``spectral_norm`` was not applied.

    >>> from lucid import nn
    >>> layer = nn.utils.spectral_norm(nn.Linear(2, 3))
    >>> list(nn.utils.remove_spectral_norm(layer).state_dict())
    ['bias', 'weight']
    """
    rule = module._computed.get(name)
    if not isinstance(rule, _Spectral):
        fail(ArgumentError(f"{name!r} of {type(module).__name__} has no spectral norm", op="remove_spectral_norm"))
    with no_grad():
        value = rule.divided(module, 0)
    rule.remove(module, value)
    return module
