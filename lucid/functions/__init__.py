"""Every function of tensors, grouped by kind: ``lucid.exp``, ``lucid.sum``, ``lucid.reshape``, ...

All are compositions of the ops of ``lucid.ops`` through ``lucid.eager.apply``; most are also methods of ``Tensor``.
What takes a tensor takes a number or an array too; what holds no numbers is an ``ArgumentTypeError``, everywhere.
"""

from lucid.functions import (
    arranging,
    assigning,
    constructors,
    creation,
    diagonals,
    dtypes,
    elementwise,
    factorisations,
    gathering,
    indexing,
    linalg,
    memory,
    movement,
    norms,
    ordering,
    products,
    reductions,
    scans,
)
from lucid.functions.arranging import *  # noqa: F403  # what __all__ names
from lucid.functions.assigning import *  # noqa: F403  # what __all__ names
from lucid.functions.constructors import *  # noqa: F403  # what __all__ names
from lucid.functions.creation import *  # noqa: F403  # what __all__ names
from lucid.functions.diagonals import *  # noqa: F403  # what __all__ names
from lucid.functions.dtypes import *  # noqa: F403  # what __all__ names
from lucid.functions.elementwise import *  # noqa: F403  # what __all__ names
from lucid.functions.factorisations import *  # noqa: F403  # what __all__ names
from lucid.functions.gathering import *  # noqa: F403  # what __all__ names
from lucid.functions.indexing import *  # noqa: F403  # what __all__ names
from lucid.functions.linalg import *  # noqa: F403  # what __all__ names
from lucid.functions.memory import *  # noqa: F403  # what __all__ names
from lucid.functions.movement import *  # noqa: F403  # what __all__ names
from lucid.functions.norms import *  # noqa: F403  # what __all__ names
from lucid.functions.ordering import *  # noqa: F403  # what __all__ names
from lucid.functions.products import *  # noqa: F403  # what __all__ names
from lucid.functions.reductions import *  # noqa: F403  # what __all__ names
from lucid.functions.scans import *  # noqa: F403  # what __all__ names

__all__: list[str] = []
__all__ += arranging.__all__
__all__ += assigning.__all__
__all__ += constructors.__all__
__all__ += creation.__all__
__all__ += diagonals.__all__
__all__ += dtypes.__all__
__all__ += elementwise.__all__
__all__ += factorisations.__all__
__all__ += gathering.__all__
__all__ += indexing.__all__
__all__ += linalg.__all__
__all__ += memory.__all__
__all__ += movement.__all__
__all__ += norms.__all__
__all__ += ordering.__all__
__all__ += products.__all__
__all__ += reductions.__all__
__all__ += scans.__all__
