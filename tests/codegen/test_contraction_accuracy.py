"""Every default path of a contraction within the published bound, over shapes and numbers found by hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmarks.accuracy import tables
from benchmarks.accuracy.contractions import ORDINARY, PATHS, UNEVEN, compiled, parts_of_bound
from lucid.codegen.target import Target

LEVELS = [t for t in ("avx512", "avx2") if Target.host().supports(Target.of(t))] or ["baseline"]


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_shapes(path: str, data: st.DataObject) -> None:
    draw_case, winograd = PATHS[path]
    case = draw_case(lambda low, high: data.draw(st.integers(low, high)))
    run, is_winograd = compiled(case, Target.of(data.draw(st.sampled_from(LEVELS))))
    assume(is_winograd == winograd)
    for kind in ORDINARY:
        assert parts_of_bound(case, run, kind)[0] <= 1, kind
    for kind in UNEVEN:  # Winograd's error follows the largest products near an element
        assert parts_of_bound(case, run, kind)[winograd] <= 1, kind


def test_every_path_takes_the_algorithm_it_is_named_for() -> None:
    for path, (draw_case, winograd) in PATHS.items():
        _, is_winograd = compiled(draw_case(lambda low, high: (low + high + 1) // 2), Target.host())
        assert is_winograd == winograd, path


def test_the_documented_table_keeps_the_bound() -> None:
    rows = tables.read(tables.DOCUMENT.read_text(), "contractions")
    assert [row[0] for row in rows] == list(PATHS)
    for path, ordinary, uneven, of_largest in rows:
        assert float(ordinary) <= 1, path
        assert float(uneven) <= 1 or PATHS[path][1], path
        assert float(of_largest) <= 1, path
