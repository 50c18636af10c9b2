"""Recycled memory: never handed out while anybody can see it, and kept within bounds."""

from __future__ import annotations

import gc
from threading import Thread

import numpy as np
import pytest

import lucid
from lucid.runtime import buffers
from tests.guard import plain_memory

F32 = np.dtype(np.float32)
LARGE = (buffers.SMALLEST,)


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    gc.collect()
    buffers.release()


def test_memory_comes_back_when_the_array_dies() -> None:
    x = buffers.empty(LARGE, F32)
    where = x.ctypes.data
    assert buffers.kept() == 0
    del x
    assert buffers.kept() > 0
    assert buffers.empty(LARGE, F32).ctypes.data == where


@pytest.mark.parametrize("look", [lambda x: x[7:], lambda x: x.reshape(2, -1).T[1:], memoryview, lambda x: x[3:][4:]])
def test_memory_is_in_use_as_long_as_anything_can_see_it(look: object) -> None:
    x = buffers.empty(LARGE, F32)
    seen = look(x)  # type: ignore[operator]
    del x
    assert buffers.kept() == 0
    y = buffers.empty(LARGE, F32)
    assert not np.shares_memory(y, np.asarray(seen))
    del seen
    assert buffers.kept() > 0


def test_arrays_are_aligned_contiguous_and_writable() -> None:
    for shape in ((), (0, 5), (3,), (300, 301), (64, 64, 64)):
        for dtype in (np.dtype(np.float64), np.dtype(np.bool_), np.dtype(np.int32)):
            x = buffers.empty(shape, dtype)
            assert (x.shape, x.dtype) == (shape, dtype)
            assert x.flags.carray
            assert not buffers.is_view(x)
            if x.nbytes >= buffers.SMALLEST:
                assert x.ctypes.data % 64 == 0


def test_a_part_of_an_array_is_a_view() -> None:
    for x in (buffers.empty(LARGE, F32), np.empty(LARGE, F32)):
        assert buffers.is_view(x[1:])
        assert buffers.is_view(x.reshape(2, -1))


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "MOST_KEPT", 10 * 4 * buffers.SMALLEST)
    held = [buffers.empty(LARGE, F32) for _ in range(20)]
    held.clear()
    assert 0 < buffers.kept() <= buffers.MOST_KEPT
    buffers.release()
    assert buffers.kept() == 0


def test_sizes_of_the_past_do_not_keep_out_those_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "MOST_KEPT", 10 * 4 * buffers.SMALLEST)
    for k in range(40):  # every size once
        buffers.empty((buffers.SMALLEST + 1024 * k,), F32)
    x = buffers.empty((2 * buffers.SMALLEST,), F32)
    del x
    before = buffers.kept()
    assert before <= buffers.MOST_KEPT
    x = buffers.empty((2 * buffers.SMALLEST,), F32)
    assert buffers.kept() <= before - x.nbytes


def test_threads_never_share_memory() -> None:
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(200):
            x = buffers.empty(LARGE, F32)
            x.fill(k)
            if (x != k).any():
                wrong.append(k)

    threads = [Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_results_of_a_compiled_function_keep_their_values() -> None:
    double = lucid.compile(lambda x: x * 2.0)
    with lucid.no_grad():
        held = [double(lucid.full((200, 200), float(k))) for k in range(5)]
        views = [double(lucid.full((200, 200), float(k))).numpy()[3:] for k in range(5)]
        for k in range(5):
            double(lucid.full((200, 200), -1.0))
            assert (held[k].numpy() == 2.0 * k).all()
            assert (views[k] == 2.0 * k).all()


@plain_memory
def test_memory_is_reused_from_call_to_call() -> None:
    double = lucid.compile(lambda x: x * 2.0)
    x = lucid.ones((200, 200))
    with lucid.no_grad():
        places = {double(x).numpy().ctypes.data for _ in range(5)}
    assert len(places) == 1
