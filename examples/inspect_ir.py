"""Follow a convolution, a bias and a ReLU from Python down to machine code.

    python examples/inspect_ir.py

Every stage is text: print it, compare it with yesterday's, parse it back, run it.
"""

from __future__ import annotations

import numpy as np

import lucid
from lucid import nn


def show(title: str, text: str, lines: int = 24) -> None:
    rows = text.rstrip().splitlines()
    print(f"\n{'=' * 8} {title} {'=' * (70 - len(title))}\n")
    print("\n".join(rows[:lines]))
    if len(rows) > lines:
        print(f"... and {len(rows) - lines} lines more")


lucid.manual_seed(0)
conv = nn.Conv2d(3, 16, kernel_size=3, padding="same")
images = lucid.randn(1, 3, 8, 8)

# 1. An eager call computes at once, and records a graph. Each node knows the line it comes from, and the module.
y = conv(images).relu()
graph = lucid.graph(y, inputs={"images": images})
show("the graph behind y", str(graph))

# 2. A graph is data: it runs on other inputs, and its text parses back to an equal graph.
(again,) = lucid.evaluate(graph)
assert np.array_equal(again, y.numpy())
assert lucid.parse_graph(str(graph)) == graph

# 3. Differentiation turns a graph into a graph. The gradients of a convolution are convolutions.
show("its gradient", lucid.print_graph(lucid.differentiate(graph, graph.inputs), locations=False))

# 4. Compiling goes through the same graph. Passes simplify it; each says what it changed.
compiled = lucid.compile(nn.Sequential(conv, nn.ReLU()))
with lucid.no_grad():
    error = abs(compiled(images) - y).max().item()
show("passes", compiled.dump("passes"))

# 5. Fusion makes kernels of nodes, the strategy gives each a schedule, and lowering makes loops of both. Convolution,
#    bias and ReLU are one kernel: a register tile of pixels times channels. Copies before it lay out its operands.
show("loop nests", compiled.dump("loops"), lines=60)

# 6. The loops become LLVM's language, with explicit vectors, and that becomes instructions of this machine.
show("LLVM", compiled.dump("llvm"))
assembly = compiled.dump("asm")
show("assembly", assembly)

# 7. What was compiled, and why.
show("explain", compiled.explain())
print(f"\nlargest difference between compiled and eager: {error:.1e}")
