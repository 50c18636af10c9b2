"""What is written beside a result."""

from __future__ import annotations

import numpy as np
import pytest

from lucid import ops
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, input_node
from lucid.ir.types import TensorType, int32, int64
from lucid.runtime.executable import build

WIDE = Target.of("avx512")


@pytest.mark.skipif(not Target.host().supports(WIDE), reason="needs AVX-512")
def test_a_narrowed_last_element_writes_no_more_than_itself() -> None:
    """LLVM stored the whole lane that a masked vector of one truncated element came from: eight bytes for four."""
    x = input_node(TensorType((9,), int64))
    run = build(Graph([x], [ops.cast(x, dtype=int32)]), target=WIDE)
    memory = np.full(16, -1, np.int32)
    run._makers = [(lambda: memory[:9], slot) for _, slot in run._makers]
    run([np.arange(9)])
    np.testing.assert_array_equal(memory, [*range(9), *[-1] * 7])
