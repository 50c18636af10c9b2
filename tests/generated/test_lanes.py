"""The quick lane: 5,000 convolutions and 2,000 graphs, the same ones every time. ``make test-deep`` runs other ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lucid.codegen.target import Target
from tests.generated import lanes
from tests.generated.draws import Choices, minimise

#: Tests, so that threads of pytest-xdist share them, and blocks of each.
PARTS = 50
BLOCKS = {"convolutions": 5000 // lanes.BATCH // PARTS, "graphs": 2000 // lanes.BATCH // PARTS}


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("part", range(PARTS))
def test_compiled_programs_nobody_thought_of(kind: str, part: int) -> None:
    blocks = range(part * BLOCKS[kind], (part + 1) * BLOCKS[kind])
    assert sum(lanes.block(kind, number) for number in blocks) == BLOCKS[kind] * lanes.BATCH


def test_a_failing_case_is_made_small() -> None:
    made = Choices(3)
    assert max(made.number(0, 99) for _ in range(30)) >= 40

    def fails(decisions: Sequence[int]) -> bool:
        again = Choices(0, decisions)
        return any(again.number(0, 99) >= 40 for _ in range(30))

    assert minimise(made.made, fails) == [40]


@pytest.mark.parametrize("kind", lanes.KINDS)
def test_a_wrong_result_is_found_and_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = lanes.Way._results

    def wrong(self: lanes.Way, *arguments: object) -> list[object]:
        results = original(self, *arguments)
        for k, result in enumerate(results):
            if result.size:
                results[k] = result.copy()
                flat = results[k].reshape(-1)
                flat[-1] = flat[-1] ^ True if flat.dtype == bool else 77
        return results

    monkeypatch.setattr(lanes.Way, "_results", wrong)
    monkeypatch.setattr(lanes, "way", lambda draw, small: lanes.Way(Target.host()))
    with pytest.raises(AssertionError, match=f"block 0 of {kind}, .*, case .*: decisions"):
        lanes.block(kind, 0)
