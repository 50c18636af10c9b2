"""The interpreter's settings are changed while something is compiled, and put back."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from lucid.errors import ScheduleError
from lucid.ir.graph import Graph, input_node
from lucid.ir.types import TensorType, float32
from lucid.ops import exp
from lucid.runtime.executable import build
from lucid.runtime.pacing import compiling


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    interval, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(0.004)
    gc.enable()
    yield
    sys.setswitchinterval(interval)
    if not collects:
        gc.disable()


def settings() -> tuple[float, bool]:
    return round(sys.getswitchinterval(), 6), gc.isenabled()


def test_settings_change_until_the_last_compilation_is_done() -> None:
    with compiling():
        assert settings() == (0.0002, False)
        with compiling():
            pass
        assert settings() == (0.0002, False)
    assert settings() == (0.004, True)


def test_what_a_user_chose_stays_chosen() -> None:
    gc.disable()
    sys.setswitchinterval(0.000125)
    with compiling():
        assert settings() == (0.000125, False)
    assert settings() == (0.000125, False)
    gc.enable()


def test_compilations_in_several_threads_put_the_settings_back_once() -> None:
    inside, go_on = threading.Barrier(4), threading.Event()

    def work() -> None:
        with compiling():
            inside.wait(10)
            go_on.wait(10)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    assert settings() == (0.0002, False)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert settings() == (0.004, True)


def test_a_compilation_that_fails_puts_the_settings_back() -> None:
    x = input_node(TensorType((7,), float32))
    seen = []

    def override(spec: object, schedule: object) -> None:
        seen.append(settings())

    with pytest.raises(ScheduleError):
        build(Graph([x], [exp(x)]), override=override)  # type: ignore[arg-type]  # no schedule
    assert seen == [(0.0002, False)]
    assert settings() == (0.004, True)
    (result,) = build(Graph([x], [exp(x)]))([np.zeros(7, np.float32)])
    assert result.tolist() == [1.0] * 7
    assert settings() == (0.004, True)
