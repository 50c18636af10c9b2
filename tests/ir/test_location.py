"""The location of nodes: the user's line, the one prescribed, or none."""

from __future__ import annotations

from lucid.ir.location import Location, here, located, resolve


def test_here_is_the_line_of_the_caller() -> None:
    found = resolve(here())
    assert found is not None
    assert found.file == __file__


def test_a_prescribed_location_holds_inside_and_none_is_one() -> None:
    given = Location("model.py", 7)
    with located(given):
        assert here() == given
        with located(None):
            assert here() is None
        assert here() == given
    assert here() is not None
