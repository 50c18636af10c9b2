from __future__ import annotations

import pytest

from lucid.codegen.target import Target, describe
from lucid.errors import ArgumentError
from lucid.ir.types import bool_, float32, float64


@pytest.mark.parametrize(
    ("level", "width", "registers", "fma"),
    [("baseline", 16, 16, False), ("avx2", 32, 16, True), ("avx512", 64, 32, True)],
)
def test_named_targets(level: str, width: int, registers: int, fma: bool) -> None:
    target = Target.of(level)
    assert (target.vector_bytes, target.vector_registers, target.has_fma) == (width, registers, fma)
    assert (target.lanes(float32), target.lanes(float64), target.lanes(bool_)) == (width // 4, width // 8, width)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"'sse9'(?s:.)*baseline, avx2, avx512"):
        Target.of("sse9")


def test_the_host_is_described_by_its_features_and_never_by_its_name() -> None:
    host = Target.host()
    assert host is Target.host()
    assert host.cpu in ("x86-64", "generic")
    assert list(host.features) == sorted(host.features)
    assert host.l1 >= 16 * 1024
    assert host.l2 >= host.l1


def test_what_runs_where() -> None:
    baseline, avx2, avx512 = (Target.of(level) for level in ("baseline", "avx2", "avx512"))
    assert avx512.supports(avx2)
    assert avx2.supports(baseline)
    assert not avx2.supports(avx512)
    assert not describe("aarch64-unknown-linux-gnu", ("neon",)).supports(baseline)


def test_half_of_avx512_is_treated_as_avx2() -> None:
    target = describe("x86_64-unknown-linux-gnu", ("avx2", "fma", "avx512f"))
    assert (target.vector_bytes, target.vector_registers) == (32, 16)


def test_arm_has_sixteen_byte_vectors() -> None:
    target = describe("aarch64-apple-darwin", ("neon",))
    assert (target.vector_bytes, target.vector_registers, target.cpu) == (16, 32, "generic")
    assert target.feature_string == "+neon"
