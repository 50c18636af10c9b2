"""Compiled functions of tensors: values, signatures, arguments and results of every kind."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import pytest

import lucid
from lucid import Tensor, nn
from lucid.errors import ArgumentError, ArgumentTypeError, ShapeError, TraceError

RNG = np.random.default_rng(5)


def randn(*shape: int) -> lucid.Tensor:
    return lucid.tensor(RNG.standard_normal(shape).astype(np.float32))


def same(a: lucid.Tensor, b: lucid.Tensor) -> None:
    assert a.type is b.type
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


class Runs:
    """Counts how often Python runs a function."""

    def __init__(self, function):
        self.function = function
        self.count = 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        return self.function(*args, **kwargs)


def test_a_function_is_traced_once_per_signature() -> None:
    runs = Runs(lambda x: (x.exp() + 1).sum(1))
    f = lucid.compile(runs)
    x = randn(3, 4)
    for _ in range(3):
        same(f(x), (x.exp() + 1).sum(1))
    assert runs.count == 1
    f(randn(2, 4))
    f(x.double())
    assert runs.count == 3
    f(x)
    assert runs.count == 3


def test_keyword_arguments_bind_by_name() -> None:
    @lucid.compile
    def f(a, b, *, scale=1.0):
        return (a - b) * scale

    a, b = randn(3), randn(3)
    same(f(a, b), a - b)
    same(f(b=a, a=b), b - a)
    same(f(a, b=b, scale=2.0), (a - b) * 2.0)
    same(f(scale=2.0, b=b, a=a), (a - b) * 2.0)
    assert len(f.versions) == 2
    with pytest.raises(ArgumentTypeError, match="missing"):
        f(a)
    with pytest.raises(ArgumentTypeError, match="unexpected"):
        f(a, b, colour="red")


def test_variadic_arguments() -> None:
    @lucid.compile
    def f(*tensors, **named):
        return sum(tensors) * named["factor"]

    a, b = randn(2), randn(2)
    same(f(a, b, factor=a), (a + b) * a)
    same(f(a, b, a, factor=a), (a + b + a) * a)


@pytest.mark.parametrize(
    "values",
    [
        (1, 2),
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("a", "b"),
        (None, 1),
        ((1, 2), (2, 1)),
        ([1], (1,)),
        (frozenset("a"), frozenset("b")),
    ],
    ids=repr,
)
def test_other_arguments_are_part_of_the_signature(values) -> None:
    runs = Runs(lambda x, v: x + 1 if v == values[0] and type(v) is type(values[0]) else x + 2)
    f = lucid.compile(runs)
    x = randn(2)
    for _ in range(2):
        f(x, values[0])
        f(x, values[1])
    assert runs.count == 2


def test_a_mode_string_changes_the_result() -> None:
    @lucid.compile
    def f(x, mode):
        return x.sum() if mode == "sum" else x.mean()

    x = randn(5)
    same(f(x, "sum"), x.sum())
    same(f(x, "mean"), x.mean())
    same(f(x, mode="sum"), x.sum())


def test_nan_arguments_find_their_version_again() -> None:
    f = lucid.compile(lambda x, v: x + v)
    for _ in range(2):
        assert f(lucid.ones(1), float("nan")).isnan()
    assert len(f.versions) == 1


@pytest.mark.parametrize(
    ("argument", "words"),
    [(np.ones(2), "NumPy array"), ({1, 2}, "hashable"), (bytearray(), "hashable")],
)
def test_arguments_that_cannot_be_signatures(argument, words) -> None:
    f = lucid.compile(lambda x, y: x)
    with pytest.raises(ArgumentTypeError, match=words) as caught:
        f(lucid.ones(1), argument)
    assert "argument y" in str(caught.value)
    assert "test_functions.py" in str(caught.value)


class Pair(NamedTuple):
    first: object
    second: object


def test_nested_arguments_and_results() -> None:
    @lucid.compile
    def f(batch, pair, options):
        x, (y, z) = batch
        return {"sum": x + y * options["k"], "rest": [Pair(z * 2, "text"), (None, 3)], "same": pair.first}

    x, y, z = randn(2), randn(2), randn(3)
    for _ in range(2):
        out = f([x, (y, z)], Pair(x, 1), {"k": 3})
        same(out["sum"], x + y * 3)
        assert isinstance(out["rest"][0], Pair)
        same(out["rest"][0].first, z * 2)
        assert out["rest"][0].second == "text"
        assert out["rest"][1] == (None, 3)
        assert out["same"] is x
    out["rest"].append(1)  # what the caller does to a result does not reach the next one
    assert len(f([x, (y, z)], Pair(x, 1), {"k": 3})["rest"]) == 2


def test_containers_of_another_length_are_another_signature() -> None:
    f = lucid.compile(sum)
    x = randn(2)
    same(f([x, x]), x + x)
    same(f([x, x, x]), x + x + x)
    same(f((x, x)), x + x)
    assert len(f.versions) == 3


def test_the_same_tensor_twice() -> None:
    f = lucid.compile(lambda a, b: a * 2 + b)
    x, y = randn(3), randn(3)
    same(f(x, x), x * 3)
    same(f(x, y), x * 2 + y)
    same(f(y, y), y * 3)


def test_results_of_every_kind() -> None:
    @lucid.compile
    def f(x):
        return x, x + 1, x.argmax(), x > 0, x.sum(), lucid.zeros(2), 7

    x = randn(4)
    for _ in range(2):
        out = f(x)
        assert out[0] is x
        same(out[1], x + 1)
        same(out[2], x.argmax())
        same(out[3], x > 0)
        same(out[4], x.sum())
        same(out[5], lucid.zeros(2))
        assert out[6] == 7


def test_results_do_not_share_memory_between_calls() -> None:
    f = lucid.compile(lambda x: (x.reshape(4), x.T, lucid.ones(3)))
    x = randn(2, 2)
    first = f(x)
    before = [t.numpy().copy() for t in first]
    second = f(x * 5)
    for t, kept, u in zip(first, before, second, strict=True):
        np.testing.assert_array_equal(t.numpy(), kept)
        assert not np.shares_memory(t._data, u._data)
        assert not np.shares_memory(t._data, x._data)


def test_one_result_twice() -> None:
    f = lucid.compile(lambda x: [x + 1] * 2)
    a, b = f(lucid.ones(2))
    assert a is b


def test_sizes_of_zero_and_no_dimensions() -> None:
    f = lucid.compile(lambda x: (x.sum(0), x * 2))
    for shape in ((0, 3), (3, 0)):
        x = lucid.zeros(shape)
        same(f(x)[0], x.sum(0))
        same(f(x)[1], x * 2)
    g = lucid.compile(lambda x: x * x)
    assert g(lucid.tensor(3.0)).item() == 9.0


def test_views_that_are_not_contiguous_are_fine() -> None:
    f = lucid.compile(lambda x: x + 1)
    x = randn(4, 6)
    same(f(x.T), x.T + 1)
    same(f(x[::2, ::-1]), x[::2, ::-1] + 1)


def test_python_values_that_the_function_can_reach_are_part_of_the_signature() -> None:
    factor = 2.0

    @lucid.compile
    def f(x):
        return x * factor + OFFSET

    global OFFSET
    OFFSET = 1
    x = randn(2)
    same(f(x), x * 2 + 1)
    factor = 3.0
    same(f(x), x * 3 + 1)
    OFFSET = 5
    same(f(x), x * 3 + 5)
    assert "reach by name" in f.explain()


OFFSET = 0


def test_tensors_from_outside_are_looked_up_at_every_call() -> None:
    w = lucid.ones(2)
    f = lucid.compile(lambda x: x * w)
    x = randn(2)
    same(f(x), x)
    w.copy_([5.0, 6.0])
    same(f(x), x * w)
    w.numpy()[0] = -1
    same(f(x), x * w)
    w.numpy()[1] = -2
    same(f(x), x * w)
    assert len(f.versions) == 1


def test_work_on_parameters_alone_is_done_again_when_they_change() -> None:
    w = randn(8, 8)
    f = lucid.compile(lambda x: x @ (w @ w).exp())
    x = randn(3, 8)
    same(f(x), x @ (w @ w).exp())
    array = w.numpy()
    for k in range(3):
        array[k, k] += 1  # memory that escaped may change without notice
        same(f(x), x @ (w @ w).exp())
    w.copy_(w * 0.5)
    same(f(x), x @ (w @ w).exp())
    view = w.detach()
    view.numpy()[:] = 0.25
    same(f(x), x @ (w @ w).exp())


def test_tensors_made_inside() -> None:
    @lucid.compile
    def f(x):
        table = lucid.tensor([1.0, 2.0, 3.0])
        count = lucid.tensor([1, 2]).tolist()[1]
        return x * table + lucid.arange(3) * count + lucid.ones(3) * np.array([1.0, 2.0, 3.0], np.float32)

    x = randn(3)
    for _ in range(2):
        same(f(x), f.__wrapped__(x))


def test_compiled_functions_call_each_other() -> None:
    runs = Runs(lambda x: x * 2)
    inner = lucid.compile(runs)
    outer = lucid.compile(lambda x: inner(x) + inner(x + 1))
    x = randn(2)
    same(outer(x), x * 4 + 2)
    same(outer(x), x * 4 + 2)
    assert runs.count == 2
    assert not inner.versions


def test_a_method_is_compiled_for_its_instance() -> None:
    class Scaler:
        def __init__(self, by):
            self.by = by

        @lucid.compile
        def scale(self, x):
            return x * self.by

    x = randn(2)
    a, b = Scaler(2.0), Scaler(3.0)
    same(a.scale(x), x * 2)
    same(b.scale(x), x * 3)
    same(a.scale(x), x * 2)


def test_updating_an_argument_or_a_captured_tensor() -> None:
    total = lucid.zeros(2)

    @lucid.compile
    def f(buffer, x):
        buffer.copy_(buffer + x)
        total.copy_(total + buffer * 2)
        return buffer * 1, total

    buffer, x = lucid.zeros(2), lucid.ones(2)
    for k in range(1, 4):
        out, same_total = f(buffer, x)
        assert out.tolist() == [k, k]
        assert buffer.tolist() == [k, k]
        assert same_total is total
    assert total.tolist() == [12, 12]


def test_a_value_that_goes_to_several_places_has_memory_in_each() -> None:
    first, second = lucid.zeros(2), lucid.zeros(2)

    @lucid.compile
    def f(x):
        y = x * 2
        first.copy_(y)
        second.copy_(y)
        first.grad = second.grad = y
        return y

    for k in range(1, 4):
        y = f(lucid.full((2,), float(k)))
        y.numpy()[:] = 50
        first.numpy()[:] += 1
        first.grad.numpy()[:] += 2
        assert (first.tolist(), second.tolist()) == ([2 * k + 1] * 2, [2 * k] * 2)
        assert (first.grad.tolist(), second.grad.tolist()) == ([2 * k + 2] * 2, [2 * k] * 2)


def test_threads() -> None:
    f = lucid.compile(lambda x: (x @ x).tanh().sum(0))
    inputs = [randn(16, 16) for _ in range(8)]
    wanted = [f.__wrapped__(x) for x in inputs]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(20):
            if not np.allclose(f(inputs[k])._data, wanted[k]._data, atol=1e-5):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert sum(v.calls for v in f.versions) == 160


def test_errors_name_the_users_line_and_leave_nothing_behind() -> None:
    @lucid.compile
    def f(x, y):
        return x + y

    with pytest.raises(ShapeError, match="broadcast") as caught:
        f(lucid.ones(2), lucid.ones(3))
    assert "test_functions.py" in str(caught.value)
    assert lucid.eager.mode.trace is None
    same(f(lucid.ones(2), lucid.ones(2)), lucid.full((2,), 2.0))


def test_an_exception_in_the_middle_changes_nothing() -> None:
    w = lucid.ones(2, requires_grad=True)

    @lucid.compile
    def f(x):
        w.copy_(w * 2)
        (w * x).sum().backward()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        f(lucid.ones(2))
    assert w.tolist() == [1.0, 1.0]
    assert w.grad is None
    assert (w * 2).tolist() == [2.0, 2.0]


def test_targets_that_cannot_be_compiled() -> None:
    with pytest.raises(ArgumentTypeError, match="int"):
        lucid.compile(3)
    with pytest.raises(ArgumentTypeError, match="class Runs"):
        lucid.compile(Runs)


def test_explain() -> None:
    @lucid.compile
    def area(x, k=2):
        return x * k

    assert area.explain().startswith("area: 0 versions, 0 calls")
    area(lucid.ones(2))
    area(lucid.ones(2))
    area(lucid.ones(3))
    area(lucid.ones(3), k=4)
    with lucid.no_grad():
        area(lucid.ones(3))
    text = area.explain()
    assert "area: 4 versions, 5 calls" in text
    assert "traced because: the first call" in text
    assert "traced because: x: f32[3] instead of f32[2]" in text
    assert "traced because: k: 4 instead of 2" in text
    assert "traced because: gradients: off instead of on" in text
    assert "[0] 2 calls" in text
    assert "area" in repr(area)


def test_dump_misuse() -> None:
    f = lucid.compile(lambda x: x * 2)
    with pytest.raises(ArgumentError, match="nothing is compiled"):
        f.dump("graph")
    f(lucid.ones(1))
    with pytest.raises(ArgumentError, match="stage='grph'"):
        f.dump("grph")
    with pytest.raises(ArgumentError, match="version=3"):
        f.dump("graph", version=3)
    with pytest.raises(ArgumentError, match="part='backward'"):
        f.dump("graph", part="backward")


def test_a_tensor_left_behind_says_so() -> None:
    kept = []

    @lucid.compile
    def f(x):
        kept.append(x + 1)
        return x

    f(lucid.ones(2))
    assert "in a trace" in repr(kept[0])
    with pytest.raises(TraceError, match="left behind"):
        kept[0].numpy()
    with pytest.raises(TraceError, match="left behind"):
        lucid.compile(lambda x: x + kept[0])(lucid.ones(2))
    with pytest.raises(TraceError, match="left behind"):
        kept[0] + 1


class TestRepeatedCalls:
    """What a call like the last one may skip, and what it must see all the same."""

    def test_another_shape_flag_or_mode_is_another_version(self) -> None:
        f = lucid.compile(lambda x, k=1: x * k)
        for _ in range(3):
            assert f(lucid.ones(3)).tolist() == [1, 1, 1]
            assert f(lucid.ones(2)).tolist() == [1, 1]
            assert f(lucid.ones(2), 3).tolist() == [3, 3]
            assert f(lucid.ones(2), k=2).tolist() == [2, 2]

    def test_the_same_tensor_twice_is_not_two(self) -> None:
        f = lucid.compile(lambda a, b: a + b)
        x, y = lucid.ones(3), lucid.zeros(3)
        for _ in range(3):
            assert f(x, y).tolist() == [1, 1, 1]
            assert f(x, x).tolist() == [2, 2, 2]

    def test_values_in_closures_are_looked_at(self) -> None:
        factor = 1.0
        f = lucid.compile(lambda x: x * factor)
        for factor in (1.0, 1.0, 2.0, 2.0, 3.0):  # read by the function
            assert f(lucid.ones(2)).tolist() == [factor, factor]

    def test_parameters_modes_and_attributes_are_looked_at(self) -> None:
        model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
        f = lucid.compile(model)
        x = lucid.ones(4, 2)
        model.eval()
        first = [f(x).tolist() for _ in range(3)]
        assert first[0] == first[2]
        with lucid.no_grad():
            model[0].weight.fill_(0.0)
        assert f(x).tolist() == [model[0].bias.tolist()] * 4
        with lucid.no_grad():
            model[0].bias.fill_(1.0)
        assert f(x).tolist() == [[1, 1]] * 4
        model.train()
        drawn = {str(f(x).tolist()) for _ in range(5)}
        assert len(drawn) > 1

    def test_modules_held_by_plain_objects_are_looked_at(self) -> None:
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)

        class Trainer:
            def __init__(self) -> None:
                self.model = first

            def step(self, x: lucid.Tensor) -> lucid.Tensor:
                return self.model(x)

        trainer = Trainer()
        f = lucid.compile(trainer.step)
        x = lucid.ones(3, 2)
        for model in (first, first, first, second, second, first):  # made before, so that no module changes
            trainer.model = model
            np.testing.assert_array_equal(f(x).numpy(), lucid.compile(model)(x).numpy())

    def test_gradients_are_recorded_when_they_are_asked_for(self) -> None:
        f = lucid.compile(lambda x: (x * x).sum())
        x = lucid.ones(3, requires_grad=True)
        for _ in range(2):
            with lucid.no_grad():
                assert not f(x).requires_grad
            f(x).backward()
        assert x.grad is not None
        assert x.grad.tolist() == [4, 4, 4]
        assert not f(lucid.ones(3)).requires_grad


def test_a_repeated_call_sees_what_its_names_stand_for() -> None:
    """The shortcut for repeated calls compares what names stand for, not what they stood for when it was made."""
    factor, other = 2.0, lucid.tensor([10.0])

    class Holder:
        scale = None

    holder = Holder()

    def f(x: Tensor) -> Tensor:
        return x * factor + (other if holder.scale is None else 0)

    compiled, x = lucid.compile(f), lucid.tensor([1.0])
    for _ in range(3):
        assert compiled(x).item() == 12
    factor = 3.0
    for _ in range(3):
        assert compiled(x).item() == 13
    factor = 2.0
    assert compiled(x).item() == 12


def test_repeated_calls_take_new_arrays_of_any_kind() -> None:
    """Addresses are found for read-only, empty and moved arrays alike."""
    double = lucid.compile(lambda x: x * 2)
    for k in range(4):
        array = np.full((3, 4), k, np.float32)
        array.flags.writeable = k % 2 == 0
        np.testing.assert_array_equal(double(lucid.from_numpy(array)).numpy(), array * 2)
        np.testing.assert_array_equal(double(lucid.from_numpy(array.T.copy().T)).numpy(), array * 2)
    assert double(lucid.zeros(0, 3)).shape == (0, 3)
    assert double(lucid.zeros(0, 3)).shape == (0, 3)


def test_products_of_products_without_elements() -> None:
    """Values without elements lie nowhere, whatever layouts the kernels around them want."""

    def run(a: lucid.Tensor, b: lucid.Tensor, c: lucid.Tensor) -> lucid.Tensor:
        return (((a @ b).reshape(a.shape[0], 5, 4) @ c.unsqueeze(-1)).squeeze(-1) + 1.0).sum()

    a, b, c = (lucid.zeros(*shape, requires_grad=True) for shape in ((0, 3), (3, 20), (0, 4)))
    total = lucid.compile(run)(a, b, c)
    total.backward()
    assert total.item() == 0.0
    assert b.grad is not None
    assert b.grad.shape == (3, 20)
    assert not b.grad.any().item()


def test_slices_as_arguments() -> None:
    part = lucid.compile(lambda x, key: x[key] * 2.0)
    x = lucid.arange(10.0)
    for key in (slice(1, 4), slice(None, None, 2), slice(1, 4), (slice(2, 3),)):
        np.testing.assert_array_equal(part(x, key).numpy(), x.numpy()[key] * 2)
    with pytest.raises(ArgumentTypeError, match="cannot be part of a signature"):
        part(x, slice(lucid.tensor(1), None))
