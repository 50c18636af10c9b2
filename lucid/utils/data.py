"""``lucid.data`` by PyTorch's name."""

from lucid.data import *  # noqa: F403  # what __all__ names
from lucid.data import __all__  # noqa: F401
