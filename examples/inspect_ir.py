"""Follow a convolution, its bias, a ReLU and a pooling from Python down to machine code.

    python examples/inspect_ir.py

Every stage is text: print it, compare it with yesterday's, parse it back, run it.
"""

from __future__ import annotations

import re

import numpy as np

import lucid
from lucid import nn
from lucid.ir.passes.pipeline import DEFAULT

#: What a multiplication of vectors is called in LLVM's language and in the assembly of x86-64 and Arm.
MULTIPLICATION = re.compile("fma|fmul|mulps|fmla")


def show(title: str, text: str, lines: int = 20, columns: int = 118) -> None:
    rows = [row if len(row) <= columns else row[: columns - 4] + " ..." for row in text.rstrip().splitlines()]
    print(f"\n{f' {title} ':=^{columns}}\n")
    print("\n".join(rows[:lines]))
    if len(rows) > lines:
        print(f"... and {len(rows) - lines} lines more")


def hot_loop(code: str, function: str, before: int) -> str:
    """The code of a function from shortly before its first multiplication."""
    rows = code[code.index(function) :].splitlines()
    first = next(k for k, row in enumerate(rows) if MULTIPLICATION.search(row))
    return "\n".join(rows[max(first - before, 0) :])


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
gradients = lucid.differentiate(graph, graph.inputs)
show("its gradients", lucid.print_graph(gradients, locations=False), lines=30)

# 4. Passes map a graph to an equal graph. Each has a name, and whoever asks is told what it did.
done: list[str] = []
smaller = DEFAULT(gradients, lambda name, a, b, _: done.append(f"{name:<9} {len(a.nodes):3} nodes -> {len(b.nodes)}"))
show("passes over the gradients", "\n".join(done) + "\n\n" + lucid.print_graph(smaller, locations=False), lines=30)

# 5. Compiling goes on from there. Fusion makes kernels of nodes, the strategy gives each a schedule, and lowering makes
#    loops of both. Convolution, bias and ReLU are one kernel, which keeps a tile of pixels and channels in registers
#    while it multiplies.
compiled = lucid.compile(model)
with lucid.no_grad():
    difference = (compiled(images) - y).abs().max().item()
kernels = compiled.dump("loops").split("\n\n")
convolution = next(kernel for kernel in kernels if "conv2d" in kernel)
show("kernels", "\n".join(kernel.splitlines()[0] for kernel in kernels))
show("the loops of the convolution", convolution, lines=48)

# 6. The loops become LLVM's language, with explicit vectors, and that becomes instructions of this machine.
name = convolution.split("(")[0].removeprefix("kernel ")
show("its innermost loop in LLVM", hot_loop(compiled.dump("llvm"), f"@{name}(", before=15), lines=30)
show("its innermost loop in assembly", hot_loop(compiled.dump("asm"), f"\n{name}:", before=5), lines=44)

# 7. What was compiled, and why.
show("explain", compiled.explain())
print(f"\nlargest difference between compiled and eager: {difference:.1e}")
