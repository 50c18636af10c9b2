"""Weights of a given norm: by their length and direction, or by their largest singular value."""

from __future__ import annotations

from typing import Any

from lucid.errors import ArgumentError
from lucid.functions.arguments import axis_of, fail, int_of, number_of
from lucid.functions.norms import vector_norm
from lucid.functions.products import mv
from lucid.functions.products import vdot as dot
from lucid.grad_modes import no_grad
from lucid.nn import functional as F
from lucid.nn.arguments import positive
from lucid.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from lucid.nn.module import Module
from lucid.nn.utils.parametrize import register_parametrization
from lucid.random import randn
from lucid.tensor import Tensor

__all__ = ["spectral_norm", "weight_norm"]


def norm_except(weight: Tensor, dim: int | None) -> Tensor:
    """Norms over all dimensions but one, which keep their places; one number for None and, as in PyTorch, for -1."""
    if dim is None or dim == -1:
        return vector_norm(weight)
    kept = axis_of("weight_norm", dim, weight.ndim, "dim")
    return vector_norm(weight, 2, tuple(k for k in range(weight.ndim) if k != kept), keepdim=True)


class _WeightNorm(Module):
    """A weight by its lengths and its direction."""

    def __init__(self, dim: int | None):
        super().__init__()
        self.dim = dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight by its lengths and its direction, ``g * v / |v|``: Salimans & Kingma, arXiv:1602.07868.

    ``module.parametrizations.<name>`` holds g as ``original0`` and v as ``original1``. Returns ``module``.

    Args:
        module: the layer.
        name: of its weight.
        dim: the dimension along which lengths differ; None for one length alone.

    Raises:
        ArgumentError, ArgumentTypeError: no such parameter or dimension; not a module.

    >>> from lucid import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> layer.parametrizations.weight.original0.shape
    (3, 1)
    """
    return register_parametrization(
        module, name, _WeightNorm(None if dim is None else int_of("weight_norm", "dim", dim))
    )


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """One row for each place along ``dim``."""
    rows = weight.movedim(dim, 0) if dim else weight
    return rows.reshape(rows.shape[0], -1)


def iterated(matrix: Tensor, u: Tensor, v: Tensor, times: int, eps: float) -> tuple[Tensor, Tensor]:
    """The vectors after steps of the power method, on the way to those of the largest singular value."""
    with no_grad():
        for _ in range(times):
            u = F.normalize(mv(matrix, v), dim=0, eps=eps)
            v = F.normalize(mv(matrix.T, u), dim=0, eps=eps)
    return u.detach(), v.detach()


def sigma(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The singular value that belongs to these vectors."""
    return dot(u, mv(matrix, v))


def start(size: int, like: Tensor, eps: float) -> Tensor:
    """A random direction."""
    return F.normalize(randn(size, dtype=like.dtype), dim=0, eps=eps)


def row_dim(op: str, module: Module, weight: Tensor, dim: int | None) -> int:
    """The dimension of outputs: the first but for transposed convolutions."""
    if dim is None:
        return int(isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d))
    return axis_of(op, dim, weight.ndim, "dim")


class _SpectralNorm(Module):
    """A weight divided by its largest singular value."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float):
        super().__init__()
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps
        if weight.ndim > 1:
            with no_grad():
                matrix = as_matrix(weight, dim)
                u, v = (start(n, matrix, eps) for n in matrix.shape)
                u, v = iterated(matrix, u, v, 15, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:  # a vector's largest singular value is its length
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            u, v = iterated(matrix, self._u, self._v, self.n_power_iterations, self.eps)
            self._u.copy_(u)
            self._v.copy_(v)
        return weight / sigma(matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value  # the weight may have any size: only its direction counts

    def extra_repr(self) -> str:
        return f"n_power_iterations={self.n_power_iterations}, dim={self.dim}, eps={self.eps}"


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, that of a matrix with a row for each output: Miyato et al.,
    arXiv:1802.05957.

    The value is followed by the power method, some steps each time that the weight is asked for in training; it starts
    after 15 steps. ``module.parametrizations.<name>`` holds what is learned as ``original``, and the vectors as buffers
    ``0._u`` and ``0._v``. Returns ``module``.

    Args:
        module: the layer.
        name: of its weight.
        n_power_iterations: steps in training.
        eps: the least length that a vector is divided by.
        dim: the dimension of outputs; None is 0, or 1 in transposed convolutions.

    Raises:
        ArgumentError, ArgumentTypeError: no such parameter or dimension; fewer than 1 steps; not a module.

    >>> import lucid
    >>> from lucid import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)).eval()
    >>> 0.8 < lucid.linalg.matrix_norm(layer.weight, 2).item() < 1.2
    True
    """
    op = "spectral_norm"
    steps = positive(op, "n_power_iterations", n_power_iterations)
    least = float(number_of(op, "eps", eps, 0))
    weight = tensor_named(op, module, name)
    return register_parametrization(module, name, _SpectralNorm(weight, steps, row_dim(op, module, weight, dim), least))


def tensor_named(op: str, module: Any, name: str) -> Tensor:
    """The tensor that is to be normalised."""
    found = getattr(module, name, None)
    if not isinstance(module, Module) or not isinstance(found, Tensor) or not found.ndim:
        message = f"{type(module).__name__} has no parameter {name!r} with dimensions"
        fail(ArgumentError(message, op=op))
    return found
