"""Options and fixtures of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

import lucid.ops  # noqa: F401  # registers every op
from tests.golden import Golden

#: Tests compile what they test: nothing comes from the disk, nor goes there, but where a test says so.
os.environ["LUCID_CACHE_DIR"] = "off"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden instead of comparing with it")


@pytest.fixture(scope="session", autouse=True)
def _guarded_memory() -> Iterator[None]:
    """With ``LUCID_GUARD=end`` or ``begin``, compiled code's memory ends or begins where no access is allowed."""
    from tests.guard import PLACE, guard

    with guard() if PLACE else nullcontext():
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """``golden("conv2d.graph", text)`` fails unless the text is what the golden file holds."""
    return Golden(update=request.config.getoption("--update-golden"))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Tests are named alike in every process: bytes may hold a time of day."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None
