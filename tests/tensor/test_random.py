"""Random tensors: seeds, streams, ranges and moments."""

from __future__ import annotations

import numpy as np
import pytest

import lucid
from lucid import ops
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, TraceError
from lucid.random import Generator, default_generator, normal, uniform


def draws() -> list[lucid.Tensor]:
    return [
        lucid.rand(5), lucid.randn(5), lucid.randint(0, 9, (5,)), lucid.randperm(5), lucid.bernoulli(0.5, (5,)),
        uniform(-1, 1, (5,)), normal(1, 2, (5,)),
    ]  # fmt: skip


def test_a_seed_gives_the_same_draws_and_draws_differ() -> None:
    lucid.manual_seed(7)
    first, second = draws(), draws()
    lucid.manual_seed(7)
    for a, b in zip(first, draws(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
    lucid.manual_seed(8)
    assert (lucid.rand(5) != first[0]).any()


def test_the_key_is_seed_and_stream() -> None:
    generator = Generator((3 << 32) + 5)
    assert [generator.next_key().tolist() for _ in range(2)] == [[5, 3, 0, 0], [5, 3, 1, 0]]
    generator.state = (1, 2**32)
    assert generator.next_key().tolist() == [1, 0, 0, 1]
    lucid.manual_seed(5)
    key = np.array([5, 0, 0, 0], np.uint32)
    wanted = ops.random_uniform.evaluate(key, shape=(3,), dtype=lucid.float32)
    np.testing.assert_array_equal(lucid.rand(3).numpy(), wanted)


def test_the_state_can_be_put_back() -> None:
    lucid.manual_seed(1)
    lucid.rand(2)
    state = default_generator.state
    a = lucid.rand(4)
    default_generator.state = state
    assert (a == lucid.rand(4)).all()


def test_distributions() -> None:
    lucid.manual_seed(0)
    u = lucid.rand(100_000)
    assert 0 <= u.min().item() < u.max().item() < 1
    assert abs(u.mean().item() - 0.5) < 0.01
    n = normal(2.0, 3.0, (100_000,))
    assert abs(n.mean().item() - 2) < 0.05
    assert abs(n.std().item() - 3) < 0.05
    r = uniform(-2, 4, (100_000,))
    assert -2 <= r.min().item() < -1.99
    assert 3.99 < r.max().item() < 4
    assert abs(lucid.bernoulli(0.3, (100_000,)).mean().item() - 0.3) < 0.01
    assert lucid.bernoulli(lucid.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]
    i = lucid.randint(-3, 3, (100_000,)).numpy()
    np.testing.assert_allclose(np.bincount(i + 3) / i.size, 1 / 6, atol=0.01)
    assert sorted(lucid.randperm(1000).tolist()) == list(range(1000))
    assert lucid.randperm(1000).tolist() != list(range(1000))


def test_types_and_shapes() -> None:
    assert lucid.randn(2, 3, dtype=lucid.float64).dtype == lucid.float64
    assert lucid.rand((2, 3)).shape == (2, 3)
    assert lucid.randn(2, requires_grad=True).requires_grad
    assert lucid.randint(5, shape=(2,), dtype=lucid.uint8).dtype == lucid.uint8
    assert lucid.randint(5).shape == ()
    assert lucid.randn_like(lucid.zeros(2, 2)).shape == (2, 2)
    assert lucid.rand_like(lucid.zeros(2, dtype=lucid.float64)).dtype == lucid.float64
    lucid.rand(3).numpy()[0] = 1  # created tensors own their memory


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: lucid.rand(2, dtype=lucid.int32), DTypeError, "int32"),
        (lambda: lucid.randn(-1), ArgumentError, "-1"),
        (lambda: normal(0, -1, (2,)), ArgumentError, "std=-1"),
        (lambda: lucid.randint(3, 3), ArgumentError, "high=3"),
        (lambda: lucid.randint(0, 2**33), ArgumentError, "range"),
        (lambda: lucid.randint(0, 3, dtype=lucid.float32), DTypeError, "float32"),
        (lambda: lucid.randperm(-1), ArgumentError, "n=-1"),
        (lambda: lucid.manual_seed("x"), ArgumentTypeError, "seed"),
    ],
)
def test_refusals_use_no_key(make, error, words) -> None:
    state = default_generator.state
    with pytest.raises(error, match=words):
        make()
    assert default_generator.state == state


def test_generators_of_ones_own() -> None:
    first = lucid.rand(3, generator=lucid.Generator("cpu").manual_seed(4))
    state = lucid.get_rng_state()
    generator = lucid.Generator(4)
    assert lucid.rand(3, generator=generator).tolist() == first.tolist()
    assert lucid.rand(3, generator=generator).tolist() != first.tolist()
    assert sorted(lucid.randperm(5, generator=generator).tolist()) == [0, 1, 2, 3, 4]
    assert lucid.get_rng_state().tolist() == state.tolist()  # Lucid's own was not touched
    drawn = lucid.randn(2)
    lucid.set_rng_state(state)
    assert lucid.randn(2).tolist() == drawn.tolist()
    with pytest.raises(TraceError, match="own generator alone"):
        lucid.compile(lambda x: x + lucid.rand(3, generator=generator))(first)


def test_draws_in_place() -> None:
    x = lucid.zeros(4000)
    assert abs(x.normal_(2.0, 0.5).mean().item() - 2) < 0.05
    assert x.uniform_(-1, 3).min().item() >= -1
    assert set(x.bernoulli_(0.3).tolist()) == {0, 1}
    assert set(x.random_(3).tolist()) == {0, 1, 2}


def test_multinomial() -> None:
    lucid.manual_seed(0)
    weights = lucid.tensor([1.0, 0.0, 3.0])
    drawn = lucid.multinomial(weights, 4000, replacement=True).numpy()
    assert abs((drawn == 2).mean() - 0.75) < 0.03
    assert not (drawn == 1).any()
    rows = lucid.multinomial(lucid.rand(50, 6) + 0.1, 6)
    assert lucid.sort(rows, 1)[0].tolist() == [[0, 1, 2, 3, 4, 5]] * 50
    with pytest.raises(ArgumentError, match="at most 3"):
        lucid.multinomial(weights, 4)
