"""Linear algebra: ``lucid.linalg``."""

from __future__ import annotations

from lucid.functions.norms import vector_norm

__all__ = ["vector_norm"]
