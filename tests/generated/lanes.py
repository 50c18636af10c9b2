"""Blocks of generated cases, by seed: compiled a batch at a time, each batch in a way of its own.

A block's number decides everything in it. What fails is tried alone, made as small as it goes, and named.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from lucid.errors import LucidError
from tests.generated.convolutions import convolution
from tests.generated.convolutions import piece as convolution_piece
from tests.generated.draws import Choices, Draw, minimise
from tests.generated.graphs import graph_piece
from tests.generated.pieces import Piece, Way, way

#: Cases compiled as one program.
BATCH = 10

Maker = Callable[[Draw], Piece]
KINDS: dict[str, Maker] = {
    "convolutions": lambda draw: convolution_piece(convolution(draw)),
    "graphs": graph_piece,
}


def block(kind: str, number: int) -> int:
    """Run a block of ``BATCH`` cases; how many they were.

    Raises:
        AssertionError: one went wrong; the message has the decisions that make it again, as few as were found.
    """
    seeds = [zlib.crc32(f"{kind} {number} {k}".encode()) for k in range(BATCH)]
    drawn = [Choices(seed) for seed in seeds]
    pieces = [KINDS[kind](d) for d in drawn]
    chosen = way(Choices(zlib.crc32(f"way of {kind} {number}".encode())), small=kind == "graphs")
    if complaint(chosen, pieces):
        raise AssertionError(_smallest(kind, number, chosen, drawn, pieces))
    return len(pieces)


def complaint(chosen: Way, pieces: Sequence[Piece]) -> str:
    """What is wrong with the pieces' results; nothing if they are right."""
    try:
        chosen.run(pieces)
    except (AssertionError, LucidError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _smallest(kind: str, number: int, chosen: Way, drawn: Sequence[Choices], pieces: Sequence[Piece]) -> str:
    """What to say about a block that fails."""
    make = KINDS[kind]

    def fails(decisions: Sequence[int]) -> bool:
        return bool(complaint(chosen, [make(Choices(0, decisions))]))

    head = f"block {number} of {kind}, {chosen}"
    for k, one in enumerate(pieces):
        if complaint(chosen, [one]):
            least = minimise(drawn[k].made, fails)
            said = complaint(chosen, [make(Choices(0, least))])
            return f"{head}, case {k}: decisions {least}\n{said}"
    return f"{head}: only all its cases together fail\n{complaint(chosen, pieces)}"
