"""Facts about assembly text, the same on any machine: tests count instructions where they would otherwise time them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LABEL = re.compile(r"^([.\w$\"]+):")
_VECTOR = re.compile(r"%[xyz]mm\d+")
_STACK = re.compile(r"-?\d*\(%rsp\)")


@dataclass(frozen=True)
class AsmStats:
    """Counts over some assembly lines.

    ``fma``: fused multiply-adds on vectors; ``fma_broadcast``: those with an embedded broadcast memory operand;
    ``vector_spills`` and ``scalar_spills``: stores of vector and general registers to the stack; ``reloads``: reads of
    vectors from it; ``calls``; ``instructions``: everything.
    """

    instructions: int
    fma: int
    fma_broadcast: int
    vector_spills: int
    reloads: int
    scalar_spills: int
    calls: int


def asm_stats(text: str) -> AsmStats:
    """Counts over x86-64 assembly in AT&T syntax, as LLVM prints it."""
    count = dict.fromkeys(AsmStats.__dataclass_fields__, 0)
    for line in _instructions(text):
        name, _, operands = line.partition("\t")
        count["instructions"] += 1
        if name.startswith(("vfmadd", "vfnmadd", "vfmsub")) and name.endswith(("ps", "pd")):
            count["fma"] += 1
            count["fma_broadcast"] += "{1to" in operands
        if name.startswith("call"):
            count["calls"] += 1
        if not _STACK.search(operands) or name.startswith("lea"):
            continue
        to_memory = _STACK.search(operands.rsplit(",", 1)[-1]) is not None
        if _VECTOR.search(operands):
            count["vector_spills" if to_memory else "reloads"] += 1
        elif to_memory and name.startswith("mov") and "%" in operands.split(",")[0]:
            count["scalar_spills"] += 1
    return AsmStats(**count)


def function(text: str, symbol: str) -> str:
    """The lines of one function."""
    found = re.search(rf'^"?{re.escape(symbol)}"?:\n(.*?)^\.Lfunc_end', text, re.M | re.S)
    return found.group(1) if found else ""


def inner_loops(text: str) -> list[str]:
    """The bodies of the innermost loops: from a label to the backward jump to it, with no other such inside."""
    lines = text.splitlines()
    labels = {m.group(1): k for k, line in enumerate(lines) if (m := _LABEL.match(line))}
    spans = []
    for k, line in enumerate(lines):
        jump = re.match(r"\s+j\w+\s+(\.L\w+)", line)
        if jump and labels.get(jump.group(1), k) < k:
            spans.append((labels[jump.group(1)], k))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return ["\n".join(lines[first : last + 1]) for first, last in inner]


def _instructions(text: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(".") and not _LABEL.match(line)]
