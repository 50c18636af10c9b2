"""The thread pool: the same bits for any number of threads, whoever calls, and after a fork."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import lucid
from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.module import parallel_turns, split_parallel
from lucid.codegen.target import Target
from lucid.codegen.text import parse_kernel
from lucid.errors import ArgumentError, ArgumentTypeError, CodegenError
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import Executable, build
from lucid.runtime.jit import CompiledModule, compile_object
from lucid.runtime.threads import POOL, available_threads, get_num_threads, set_num_threads


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


@pytest.fixture(scope="module")
def training() -> tuple[Executable, list[np.ndarray]]:
    """A convolution, an activation, pooling, and all the gradients: kernels of every kind, large enough to share."""
    x, w, b, g = value(8, 16, 20, 21), value(32, 16, 3, 3), value(32), value(8, 32, 10, 10)
    sides = ((1, 1), (1, 1))
    y = ops.conv2d(x, w, stride=(1, 1), padding=sides, dilation=(1, 1), groups=1)
    y = ops.tanh(y + ops.reshape(b, shape=(1, 32, 1, 1)))
    z = ops.max_pool2d(y, kernel_size=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
    found = gradients([z], [x, w, b], [g])
    graph = Graph([x, w, b, g], [z, *(n for n in found if n is not None), ops.softmax(z * 2.0, axis=3)])
    rng = np.random.default_rng(0)
    return build(graph), [rng.standard_normal(n.shape, np.float32) for n in graph.inputs]


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_the_same_bits_for_any_number_of_threads(training: tuple[Executable, list[np.ndarray]], count: int) -> None:
    run, arrays = training
    assert any(".task" in line for line in run.text("llvm").splitlines())
    set_num_threads(1)
    alone = run(arrays)
    set_num_threads(count)
    for _ in range(20):
        for a, b in zip(alone, run(arrays), strict=True):
            np.testing.assert_array_equal(a, b)


def test_callers_at_the_same_time(training: tuple[Executable, list[np.ndarray]]) -> None:
    """One caller gets the pool, the other works alone; both are right."""
    run, arrays = training
    other = build(run.program.graph)
    set_num_threads(2)
    want = run(arrays)
    wrong: list[str] = []

    def work(executable: Executable) -> None:
        for _ in range(15):
            if not all(np.array_equal(a, b) for a, b in zip(want, executable(arrays), strict=True)):
                wrong.append("differs")

    callers = [threading.Thread(target=work, args=(e,)) for e in (run, other, run)]
    for c in callers:
        c.start()
    for c in callers:
        c.join(timeout=60)
    assert not any(c.is_alive() for c in callers)
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_pool_of_its_own(training: tuple[Executable, list[np.ndarray]]) -> None:
    run, arrays = training
    set_num_threads(2)
    want = run(arrays)
    child = os.fork()
    if child == 0:
        same = all(np.array_equal(a, b) for a, b in zip(want, run(arrays), strict=True))
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(run(arrays)[0], want[0])


def test_the_number_can_change_at_any_time(training: tuple[Executable, list[np.ndarray]]) -> None:
    run, arrays = training
    want = run(arrays)
    for count in (1, 2, 1, 3, 2):
        set_num_threads(count)
        assert get_num_threads() == count
        np.testing.assert_array_equal(run(arrays)[0], want[0])


def test_wrong_numbers_are_refused() -> None:
    for wrong in (0, -1):
        with pytest.raises(ArgumentError, match="at least 1"):
            set_num_threads(wrong)
    for wrong_type in (1.5, True, "2"):
        with pytest.raises(ArgumentTypeError, match="must be an int"):
            set_num_threads(wrong_type)  # type: ignore[arg-type]


def test_the_environment_limits_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    most = available_threads()
    assert 1 <= most <= (os.cpu_count() or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "none of your business")
    assert available_threads() == most


NESTED = """kernel nested(x: f32[12] in, y: f32[12] out) {
  for n in 0..2 {
    for i in 0..6 step 2 parallel { y[n * 6 + i] = x[n * 6 + i] }
  }
  y[11] = x[0]
}"""


def test_a_parallel_loop_is_found_inside_serial_ones() -> None:
    shared, rest, turns = split_parallel(parse_kernel(NESTED))
    assert turns == 3
    assert len(shared.body) == 1
    assert rest is not None
    assert len(rest.body) == 1


@pytest.mark.parametrize(
    "change",
    [(" parallel", ""), ("y[11] = x[0]", "let a = x[0] y[11] = a"), ("for i in", "y[n] = x[n] for i in")],
)
def test_a_loop_that_does_not_stand_apart_is_not_shared(change: tuple[str, str]) -> None:
    kernel = parse_kernel(NESTED.replace(*change))
    assert parallel_turns(kernel) == 0
    with pytest.raises(CodegenError, match="no parallel loop that stands apart"):
        split_parallel(kernel)


def test_threadpoolctl_knows_the_pool() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    compiled = lucid.compile(lambda x: x * 2)
    compiled(lucid.ones(4))  # the pool is there from the first compiled function on
    before = get_num_threads()
    set_num_threads(3)
    try:
        (found,) = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "lucid"]
        assert found["num_threads"] == 3
        with threadpoolctl.threadpool_limits(limits=1):
            assert get_num_threads() == 1
            np.testing.assert_array_equal(compiled(lucid.ones(4)).numpy(), 2)
        assert get_num_threads() == 3
    finally:
        set_num_threads(before)


_COUNTING = """target triple = "{triple}"

define void @count(ptr %counters, i64 %first, i64 %end, i64 %who) nounwind {{
  br label %turn
turn:
  %k = phi i64 [ %first, %0 ], [ %next, %turn ]
  %counter = getelementptr i64, ptr %counters, i64 %k
  %before = atomicrmw add ptr %counter, i64 1 monotonic
  %next = add i64 %k, 1
  %again = icmp slt i64 %next, %end
  br i1 %again, label %turn, label %out
out:
  ret void
}}

define void @tasks(ptr %parallel, ptr %pool, ptr %counters, i64 %many) nounwind {{
  br label %task
task:
  %k = phi i64 [ 0, %0 ], [ %next, %task ]
  %rest = urem i64 %k, 37
  %turns = add i64 %rest, 1
  call void %parallel(ptr %pool, ptr @count, ptr %counters, i64 %turns)
  %next = add i64 %k, 1
  %again = icmp slt i64 %next, %many
  br i1 %again, label %task, label %out
out:
  ret void
}}
"""


@pytest.mark.parametrize("count", [2, 3, 8])
def test_every_turn_of_many_short_tasks_is_done_once(count: int) -> None:
    """More threads than cores: workers come late, to tasks that are over, and to pieces that others took."""
    target = Target.host()
    module = CompiledModule([compile_object(_COUNTING.format(triple=target.triple), target)])
    tasks = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(module.address("tasks"))
    set_num_threads(count)
    parallel, pool = POOL.function(), POOL.take()
    counters = np.zeros(37, np.int64)
    rounds = 300
    try:
        tasks(parallel, pool, counters.ctypes.data, 37 * rounds)
    finally:
        POOL.give()
    np.testing.assert_array_equal(counters, rounds * np.arange(37, 0, -1))
