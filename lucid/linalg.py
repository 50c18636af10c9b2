"""Linear algebra, by the names of ``torch.linalg``: sizes, products, systems of equations, factors of matrices."""

from __future__ import annotations

from lucid.functions.factorisations import cholesky, det, inv, qr, slogdet, solve
from lucid.functions.linalg import matmul
from lucid.functions.norms import matrix_norm, vector_norm
from lucid.functions.norms import norm_of as norm
from lucid.functions.products import cross_of as cross
from lucid.functions.products import matrix_power, multi_dot, vecdot
from lucid.functions.spectra import cond, eigh, eigvalsh, matrix_rank, svd, svdvals

__all__ = [
    "cholesky", "cond", "cross", "det", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "norm", "qr", "slogdet", "solve", "svd", "svdvals", "vecdot", "vector_norm",
]  # fmt: skip
