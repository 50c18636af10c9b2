"""Products and factors of matrices against NumPy: sizes beyond PyTorch's samples, compiled, and second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid.errors import ArgumentError

RNG = np.random.default_rng(8)
A = RNG.standard_normal((3, 12, 12))
B = RNG.standard_normal((3, 12, 2))
S = A @ A.swapaxes(-1, -2) + np.eye(12)

EQUATIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "ij,jk": ((2, 3), (3, 4)),
    "ij->ji": ((2, 3),),
    "ii": ((4, 4),),
    "ii->i": ((4, 4),),
    "iij->ji": ((3, 3, 2),),
    "ij,ij->": ((2, 3), (2, 3)),
    "i,j->ij": ((2,), (3,)),
    "bij,bjk->bik": ((4, 2, 3), (4, 3, 5)),
    "...ij,...jk->...ik": ((2, 1, 2, 3), (4, 3, 5)),
    "i...,j...->ij...": ((2, 3), (4, 3)),
    "...,...": ((3, 1), (4,)),
    "bqhd,bkhd->bhqk": ((2, 3, 2, 4), (2, 5, 2, 4)),
    "ab,bc,cd,de->ae": ((2, 3), (3, 4), (4, 2), (2, 3)),
    "ij,j,j->i": ((2, 3), (3,), (3,)),
    "ij,kl->": ((2, 3), (4, 1)),
    " i j , j -> i ": ((2, 3), (3,)),
    "ij,jk->ik": ((0, 3), (3, 4)),
    "ijk,kl->ijl": ((2, 3, 0), (0, 4)),
    "->": ((),),
    "Ab,bC->AC": ((2, 3), (3, 4)),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation: str, compiled: bool) -> None:
    arrays = [RNG.standard_normal(shape) for shape in EQUATIONS[equation]]

    def run(*tensors: lucid.Tensor) -> lucid.Tensor:
        return lucid.einsum(equation, *tensors)

    found = (lucid.compile(run) if compiled else run)(*map(lucid.tensor, arrays))
    np.testing.assert_allclose(found.numpy(), np.einsum(equation, *arrays), rtol=1e-10, atol=1e-12)


def test_einsum_of_lists_integers_and_mixed_dtypes() -> None:
    a, b = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(lucid.einsum(a, [0, 1], b, [1, 2], [2, 0]).numpy(), (a @ b).T)
    found = lucid.einsum("ij,jk", lucid.tensor(a), lucid.tensor(b, dtype=lucid.float32))
    assert found.dtype == lucid.float32
    np.testing.assert_array_equal(found.numpy(), a @ b)


FACTORS: dict[str, tuple[Any, Any, tuple[np.ndarray, ...]]] = {
    "solve": (lucid.linalg.solve, np.linalg.solve, (A, B)),
    "inv": (lucid.linalg.inv, np.linalg.inv, (A,)),
    "det": (lucid.linalg.det, np.linalg.det, (A,)),
    "cholesky": (lucid.linalg.cholesky, np.linalg.cholesky, (S,)),
    "q": (lambda a: lucid.linalg.qr(a)[0], lambda a: np.linalg.qr(a)[0], (A,)),
    "r": (lambda a: lucid.linalg.qr(a, "r")[1], lambda a: np.linalg.qr(a, "r"), (A,)),
    "complete": (lambda a: lucid.linalg.qr(a, "complete")[0], lambda a: np.linalg.qr(a, "complete")[0], (B,)),
    "multi_dot": (
        lambda a, b: lucid.linalg.multi_dot([a[0], a[1], b[0]]), lambda a, b: a[0] @ a[1] @ b[0], (A, B),
    ),
    "matrix_power": (lambda a: lucid.linalg.matrix_power(a, -2), lambda a: np.linalg.matrix_power(a, -2), (A,)),
}  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", FACTORS)
def test_factors(name: str, compiled: bool) -> None:
    ours, theirs, operands = FACTORS[name]
    small = [x[..., :6, : min(6, x.shape[-1])] for x in operands] if compiled else operands
    found = (lucid.compile(ours) if compiled else ours)(*[lucid.tensor(x) for x in small])
    np.testing.assert_allclose(found.numpy(), theirs(*small), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ["solve", "inv", "det", "cholesky", "r"])
def test_second_derivatives(name: str) -> None:
    function, _, operands = FACTORS[name]
    small = [x[0, :3, : min(3, x.shape[-1])] for x in operands]
    directions = [RNG.standard_normal(x.shape) for x in small]

    def slope(arrays: list[np.ndarray]) -> tuple[float, list[lucid.Tensor]]:
        leaves = [lucid.tensor(x, requires_grad=True) for x in arrays]
        first = lucid.grad((function(*leaves) ** 2).sum(), leaves, create_graph=True)
        along = sum((g * lucid.tensor(d)).sum() for g, d in zip(first, directions, strict=True))
        return along.item(), lucid.grad(along, leaves)

    h = 1e-5
    ahead, behind = ([x + s * h * d for x, d in zip(small, directions, strict=True)] for s in (1, -1))
    expected = (slope(ahead)[0] - slope(behind)[0]) / (2 * h)
    found = sum(float((g.numpy() * d).sum()) for g, d in zip(slope(small)[1], directions, strict=True))
    assert found == pytest.approx(expected, rel=1e-4)


def test_row_exchanges() -> None:
    swap = np.array([[0.0, 1.0], [2.0, 0.0]])
    assert lucid.linalg.det(lucid.tensor(swap)).item() == -2
    np.testing.assert_allclose(lucid.linalg.inv(lucid.tensor(swap)).numpy(), [[0, 0.5], [1, 0]])
    assert [t.item() for t in lucid.linalg.slogdet(lucid.tensor(swap))] == [-1.0, pytest.approx(np.log(2))]
    assert np.isnan(lucid.logdet(lucid.tensor(swap)).item())


def test_matrices_without_an_inverse() -> None:
    flat = lucid.tensor([[1.0, 2.0], [2.0, 4.0]])
    assert lucid.linalg.det(flat).item() == 0
    for use in (lucid.linalg.inv, lambda a: lucid.linalg.solve(a, a), lambda a: lucid.linalg.matrix_power(a, -1)):
        with pytest.raises(ArgumentError, match="singular"):
            use(flat)
    with pytest.raises(ArgumentError, match="positive definite"):
        lucid.linalg.cholesky(-flat)
    assert not np.isfinite(lucid.compile(lucid.linalg.inv)(flat).numpy()).all()
