"""Every function of tensors, grouped by kind: ``lucid.exp``, ``lucid.sum``, ``lucid.reshape``, ...

All are compositions of the ops of ``lucid.ops`` through ``lucid.eager.apply``; most are also methods of ``Tensor``.
"""

from lucid.functions import creation, elementwise, indexing, linalg, memory, movement, reductions
from lucid.functions.creation import *  # noqa: F403
from lucid.functions.elementwise import *  # noqa: F403
from lucid.functions.indexing import *  # noqa: F403
from lucid.functions.linalg import *  # noqa: F403
from lucid.functions.memory import *  # noqa: F403
from lucid.functions.movement import *  # noqa: F403
from lucid.functions.reductions import *  # noqa: F403

__all__: list[str] = []
__all__ += creation.__all__
__all__ += elementwise.__all__
__all__ += indexing.__all__
__all__ += linalg.__all__
__all__ += memory.__all__
__all__ += movement.__all__
__all__ += reductions.__all__
