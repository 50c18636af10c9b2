"""Follow a convolution, its bias, a ReLU and a pooling from Python down to machine code.

    python examples/inspect_ir.py

Every stage is text: print it, compare it with yesterday's, parse it back, run it.
"""

from __future__ import annotations

import numpy as np

import lucid
from lucid import nn


def show(title: str, text: str, lines: int = 20, columns: int = 118) -> None:
    rows = [row if len(row) <= columns else row[: columns - 4] + " ..." for row in text.rstrip().splitlines()]
    print(f"\n{f' {title} ':=^{columns}}\n")
    print("\n".join(rows[:lines]))
    if len(rows) > lines:
        print(f"... and {len(rows) - lines} lines more")


lucid.manual_seed(0)
model = nn.Sequential(nn.Conv2d(4, 16, kernel_size=3, padding="same"), nn.ReLU(), nn.MaxPool2d(2))
images = lucid.randn(4, 4, 8, 8)

# 1. An eager call computes at once, and records a graph. Each node knows its module and the line it comes from.
y = model(images)
graph = lucid.graph(y, inputs={"images": images})
show("the graph behind y", str(graph))

# 2. A graph is data: it can be run again, and its text parses back to an equal graph.
(again,) = lucid.evaluate(graph)
assert np.array_equal(again, y.numpy())
assert lucid.parse_graph(str(graph)) == graph

# 3. Differentiation turns a graph into a graph. The gradients of a convolution are convolutions.
show("its gradients", lucid.print_graph(lucid.differentiate(graph, graph.inputs), locations=False), lines=30)

# 4. Compiling starts from the same graph. Each pass says what it changed.
compiled = lucid.compile(model)
with lucid.no_grad():
    difference = (compiled(images) - y).abs().max().item()
show("passes", compiled.dump("passes"))

# 5. Fusion makes kernels of nodes, the strategy gives each a schedule, and lowering makes loops of both. Convolution,
#    bias and ReLU are one kernel, which keeps a tile of pixels and channels in registers while it multiplies.
kernels = compiled.dump("loops").split("\n\n")
show("kernels", "\n".join(kernel.splitlines()[0] for kernel in kernels))
show("the loops of the convolution", next(k for k in kernels if "conv2d" in k), lines=48)

# 6. The loops become LLVM's language, with explicit vectors, and that becomes instructions of this machine.
show("LLVM", compiled.dump("llvm"))
show("assembly", compiled.dump("asm"))

# 7. What was compiled, and why.
show("explain", compiled.explain())
print(f"\nlargest difference between compiled and eager: {difference:.1e}")
