"""Random numbers: the published test vectors, the same bits from both forms of each formula, and the distributions."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from lucid import ops
from lucid.ir.expr import Operand, axes, show
from lucid.ir.graph import OPS, Array, Sample
from lucid.ir.types import DType, float32, float64, type_of
from lucid.ops.normal import ON_ARRAYS, inverse_normal, log
from lucid.ops.random import philox_block
from tests.ops.reference import run_compute

KEY = np.array([0x243F6A88, 0x85A308D3, 7, 0], np.uint32)


# Random123's kat_vectors for philox4x32-10: counter, key, result.
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_known_answers(counter: str, key: str, words: str) -> None:
    def lanes(text: str) -> list[Array]:
        return [np.array([int(w, 16)], np.uint32) for w in text.split()]

    assert philox_block(ON_ARRAYS, lanes(counter), lanes(key)) == lanes(words)


def test_philox_lays_words_out_by_block() -> None:
    zeros = ops.philox.evaluate(np.zeros(4, np.uint32), shape=(8,))
    assert [hex(w) for w in zeros[:4]] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    one = [np.array([w], np.uint32) for w in (1, 0, KEY[2], KEY[3])]
    block = philox_block(ON_ARRAYS, one, [KEY[0:1], KEY[1:2]])
    np.testing.assert_array_equal(ops.philox.evaluate(KEY, shape=(2, 4))[1], np.concatenate(block))


def test_every_word_of_the_key_matters() -> None:
    first = ops.philox.evaluate(KEY, shape=(64,))
    for k in range(4):
        other = KEY.copy()
        other[k] += 1
        assert (ops.philox.evaluate(other, shape=(64,)) != first).mean() > 0.95


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("name", ["random_uniform", "random_normal"])
def test_both_forms_give_the_same_bits(name: str, dtype: DType) -> None:
    op = OPS[name]
    sample = Sample.of(KEY, shape=(13, 401), dtype=dtype)
    words = np.dtype(f"u{dtype.itemsize}")
    computed, evaluated = run_compute(op, sample), op.evaluate(KEY, **sample.attrs)
    np.testing.assert_array_equal(computed.view(words), evaluated.view(words))


def test_the_text_of_a_long_formula_stays_short() -> None:
    """What occurs often is written once: the formula has hundreds of parts, and millions of paths through them."""
    out = axes("i", (5,))
    formula = ops.random_normal.compute(out, Operand("key", type_of(KEY)), shape=(5,), dtype=float64)
    assert len(show(formula)) < 20_000


def assert_distributed(values: Array, cumulative: Array) -> None:
    """Kolmogorov-Smirnov at the 0.1 % level; ``cumulative`` is the distribution at the sorted values."""
    n = values.size
    steps = np.arange(n + 1) / n
    distance = max(np.abs(cumulative - steps[1:]).max(), np.abs(cumulative - steps[:-1]).max())
    assert distance < 1.95 / math.sqrt(n)


@pytest.mark.parametrize("dtype", [float32, float64])
def test_uniform(dtype: DType) -> None:
    u = ops.random_uniform.evaluate(KEY, shape=(200_000,), dtype=dtype)
    assert u.min() >= 0
    assert u.max() < 1
    step = 2.0**-24 if dtype == float32 else 2.0**-53
    scaled = u.astype(np.float64) / step
    np.testing.assert_array_equal(scaled, np.floor(scaled))
    assert len(np.unique(scaled % 2)) == 2, "the last bit never changes"
    ordered = np.sort(u).astype(np.float64)
    assert_distributed(ordered, ordered)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.01


@pytest.mark.parametrize("dtype", [float32, float64])
def test_normal(dtype: DType) -> None:
    z = ops.random_normal.evaluate(KEY, shape=(200_000,), dtype=dtype).astype(np.float64)
    n = z.size
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 4 * math.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * math.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / n)
    for sigmas in (1, 2, 3, 4):
        expected = math.erfc(sigmas / math.sqrt(2)) * n
        assert abs((np.abs(z) > sigmas).sum() - expected) < 4 * math.sqrt(expected)
    ordered = np.sort(z)
    assert_distributed(ordered, np.array([NormalDist().cdf(v) for v in ordered]))
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.01


@pytest.mark.parametrize(("dtype", "bits", "tolerance"), [(float32, 33, 4e-7), (float64, 54, 1e-15)])
def test_inverse_normal_is_accurate(dtype: DType, bits: int, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    tail = np.concatenate([2.0 ** -rng.uniform(1, bits, 3000), [2.0**-bits]]).astype(dtype)
    z = inverse_normal(ON_ARRAYS, tail, (0.5 - tail.astype(np.float64)).astype(dtype), dtype)
    expected = np.array([-NormalDist().inv_cdf(float(p)) for p in tail])
    # Near the centre a probability says little about z: there the difference counts, further out the ratio.
    np.testing.assert_allclose(z, expected, rtol=tolerance, atol=tolerance)
    assert expected.max() > (6.3 if dtype == float32 else 8.2)


@pytest.mark.parametrize("dtype", [float32, float64])
def test_logarithm_is_within_an_ulp(dtype: DType) -> None:
    x = (2.0 ** np.random.default_rng(0).uniform(-100, 0, 5000)).astype(dtype)
    exact = np.log(x.astype(np.longdouble))
    found = log(ON_ARRAYS, x, dtype)
    assert (np.abs(found - exact) <= np.spacing(np.abs(found))).all()
