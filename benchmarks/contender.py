"""What a library offers for a workload: ways to compute it, each built when its turn comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Contender(NamedTuple):
    """``call`` is what is timed, from arguments as a user holds them to results; ``read`` makes arrays of what it gave.

    ``amount`` is the operations or bytes of one call, where the contender is a ceiling. ``built`` is the seconds that
    compiling or loading the finished model took, where that is not part of the first call.
    """

    call: Callable[[], Any]
    read: Callable[[Any], Sequence[np.ndarray]]
    amount: float = 0.0
    built: float = 0.0


#: Variants of one library by name: each is built, compiled if need be, in isolation from the others.
Variants = dict[str, Callable[[], Contender]]
