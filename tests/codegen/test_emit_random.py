"""Random loop nests: the machine code and the interpreter agree to the last bit, and the text form loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid.codegen.interpret import interpret
from lucid.codegen.loops import Kernel
from lucid.codegen.target import Target
from lucid.codegen.text import parse_kernel, print_kernel
from lucid.codegen.verify import verify
from tests.codegen.nests import compile_kernel, kernels, run_compiled, same, sample_array

LEVELS = [level for level in ("baseline", "avx2", "avx512") if Target.host().supports(Target.of(level))]
_SETTINGS = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("level", LEVELS)
@_SETTINGS
@given(kernel=kernels(), seed=st.integers(0, 2**31))
def test_machine_code_equals_the_interpreter(level: str, kernel: Kernel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [sample_array(rng, buf) for buf in kernel.buffers]
    interpreted, compiled = [a.copy() for a in arrays], [a.copy() for a in arrays]
    interpret(kernel, interpreted)
    run_compiled(compile_kernel(kernel, Target.of(level)), compiled)
    for buf, x, y in zip(kernel.buffers, interpreted, compiled, strict=True):
        assert same(x, y), f"{buf.name} differs in\n{kernel}"


@_SETTINGS
@given(kernel=kernels())
def test_random_kernels_are_valid_and_their_text_is_exact(kernel: Kernel) -> None:
    verify(kernel)
    text = print_kernel(kernel)
    assert parse_kernel(text) == kernel
    assert print_kernel(parse_kernel(text)) == text
