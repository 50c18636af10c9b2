"""Singular values and eigenvalues: factors multiply back, are orthonormal, and have PyTorch's derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid.errors import ArgumentError, DTypeError, ShapeError


def matrices(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(n)
    full = rng.standard_normal((n, n))
    kinds = [full, np.eye(n), np.zeros((n, n)), np.ones((n, n)), np.vander(np.linspace(0.1, 1, n))]
    kinds += [np.diag(10.0 ** -np.arange(n)), full[:, :1] @ full[:1], full @ np.diag(2.0 ** -np.arange(n))]
    return [*kinds, rng.standard_normal((n + 3, n)), rng.standard_normal((n, n + 2))]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 14])
def test_factors_multiply_back_and_are_orthonormal(n: int, dtype: str) -> None:
    """Within some roundings of the largest element, zeros, equal and tiny singular values included."""
    for a in (m.astype(dtype) for m in matrices(n)):
        tolerance = 8 * (n + 4) * np.finfo(dtype).eps
        bound = tolerance * max(float(np.abs(a).max()), 1e-30) * n
        U, S, Vh = (t.numpy() for t in lucid.linalg.svd(lucid.tensor(a)))
        k = min(a.shape)
        np.testing.assert_allclose((U[:, :k] * S) @ Vh[:k], a, rtol=0, atol=bound)
        np.testing.assert_allclose(S, np.linalg.svd(a.astype(np.float64), compute_uv=False), rtol=0, atol=bound)
        for q in (U.T, Vh):
            np.testing.assert_allclose(q @ q.T, np.eye(len(q)), rtol=0, atol=tolerance)
        x = a[:k, :k] + a[:k, :k].T
        values, vectors = (t.numpy() for t in lucid.linalg.eigh(lucid.tensor(x)))
        np.testing.assert_allclose((vectors * values) @ vectors.T, x, rtol=0, atol=2 * bound)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(x.astype(np.float64)), rtol=0, atol=2 * bound)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 2)])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_derivatives_of_factors_are_those_of_torch(shape: tuple[int, ...], compiled: bool) -> None:
    """Of sums that do not depend on the signs of vectors, to the second order."""
    torch = pytest.importorskip("torch")
    a = np.random.default_rng(0).standard_normal(shape)
    wish = np.random.default_rng(1).standard_normal((*shape[:-2], shape[-1], shape[-1]))

    def singular(x: Any, linalg: Any, constant: Any) -> Any:
        U, S, Vh = linalg.svd(x, full_matrices=False)
        return (S**3).sum() + (U**4).sum() + (U[..., :1] * Vh[..., :1, :1] * constant(wish)[..., :1, :1]).sum()

    def eigen(x: Any, linalg: Any, constant: Any) -> Any:
        values, vectors = linalg.eigh(x.mT @ x + constant(wish) + constant(wish).mT)
        return (values**3).sum() + (vectors**4).sum()

    for function in (singular, eigen):
        theirs = torch.tensor(a, requires_grad=True)
        (first,) = torch.autograd.grad(function(theirs, torch.linalg, torch.tensor), theirs, create_graph=True)
        (second,) = torch.autograd.grad((first * first).sum(), theirs)
        ours = lucid.tensor(a, requires_grad=True)

        def run(x: lucid.Tensor, function: Any = function) -> tuple[lucid.Tensor, lucid.Tensor]:
            (slope,) = lucid.grad(function(x, lucid.linalg, lucid.tensor), x, create_graph=True)
            (curve,) = lucid.grad((slope * slope).sum(), x)
            return slope, curve

        slope, curve = (lucid.compile(run) if compiled else run)(ours)
        np.testing.assert_allclose(slope.detach().numpy(), first.numpy(force=True), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(curve.detach().numpy(), second.numpy(force=True), rtol=1e-6, atol=1e-8)


def test_singular_values_that_are_equal_or_zero_have_gradients() -> None:
    for a in (np.eye(3), np.ones((3, 3)), np.diag([2.0, 2.0, 1.0])):
        x = lucid.tensor(a, requires_grad=True)
        lucid.linalg.matrix_norm(x, "nuc").backward()
        assert np.isfinite(x.grad.numpy()).all()
    x = lucid.tensor(np.diag([3.0, 3.0]), requires_grad=True)
    lucid.linalg.svdvals(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.eye(2), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: lucid.linalg.svd(lucid.ones(3)), ShapeError),
        (lambda: lucid.linalg.svdvals(lucid.ones(2, 2, dtype="int64")), DTypeError),
        (lambda: lucid.linalg.eigh(lucid.ones(2, 3)), ShapeError),
        (lambda: lucid.linalg.eigvalsh(lucid.ones(2, 2), UPLO="M"), ArgumentError),
        (lambda: lucid.linalg.matrix_norm(lucid.ones(2, 2), "nuclear"), ArgumentError),
        (lambda: lucid.linalg.matrix_rank(lucid.ones(2, 2), rtol=-1.0), ArgumentError),
        (lambda: lucid.linalg.cond(lucid.ones(2, 3), 1), ShapeError),
    ],
)
def test_wrong_uses(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()
