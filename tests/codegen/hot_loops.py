"""The loop of a kernel that does the work, in assembly."""

from __future__ import annotations

from collections.abc import Sequence

from lucid.codegen.asm import AsmStats, asm_stats, function, inner_loops
from lucid.codegen.loops import Kernel
from lucid.codegen.program import Step


def hot_loop(asm: str, kernels: Sequence[Kernel], step: Step) -> AsmStats:
    """Of a step's innermost loops the one with most multiply-adds, and of these with most instructions."""
    name = kernels[step.kernel].name
    body = function(asm, f"{name}.range") or function(asm, f"{name}.task") or function(asm, name)  # threads share some
    return max((asm_stats(loop) for loop in inner_loops(body)), key=lambda s: (s.fma, s.instructions))
