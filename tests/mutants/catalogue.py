"""All seeded bugs, by area."""

from __future__ import annotations

from tests.mutants.in_codegen import CODEGEN
from tests.mutants.in_library import LIBRARY
from tests.mutants.in_runtime import RUNTIME

AREAS = {"The code generator": CODEGEN, "Graphs, gradients and running": RUNTIME, "Operations and library": LIBRARY}
MUTANTS = tuple(m for area in AREAS.values() for m in area)
