"""``lucid.utils.data`` is ``lucid.data``, where programs for PyTorch look for it."""

from lucid.utils import data

__all__ = ["data"]
