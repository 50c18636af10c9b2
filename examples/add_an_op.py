"""Add an operation: one class says everything that is true of it, and the rest of Lucid follows.

    python examples/add_an_op.py

The operation is "snake", x + sin(a x)^2 / a, an activation with which a small net learns periodic functions (Ziyin,
Hartwig, Ueda: "Neural networks fail to learn periodic functions and how to fix it", arXiv:2006.08195).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

import lucid
from lucid import nn, optim
from lucid.eager import apply
from lucid.ir.expr import Axis, Expr, Operand, unary
from lucid.ir.graph import OPS, Array, Node, Op, Sample
from lucid.ir.types import TensorType
from lucid.ops.common import require_float


class Snake(Op):
    """``x + sin(frequency * x)**2 / frequency``, element by element."""

    name = "snake"

    def infer(self, x: TensorType, *, frequency: float) -> TensorType:
        """The type of the result, or the user's error."""
        require_float(self.name, x=x)
        return x

    def evaluate(self, x: Array, *, frequency: float) -> Array:
        """What it means, in NumPy: what eager calls run, and what everything else is tested against."""
        return np.asarray(x + np.sin(frequency * x) ** 2 / frequency, x.dtype)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        """The gradient: other operations on graph nodes, so that it can be differentiated again."""
        (x,) = node.inputs
        return (g * (1 + OPS["sin"](x * (2 * node.attrs["frequency"]))),)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, frequency: float) -> Expr:
        """One element of the result: all that is needed to fuse it and to generate vector code."""
        element = x.load(out)
        wave = unary("sin", element * frequency)
        return element + wave * wave / frequency

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        """Arguments to test with. An operation in ``lucid/ops`` gets its tests from these, and needs no others."""
        yield Sample.of(rng.standard_normal(17).astype(np.float32), frequency=1.5)


snake_op = Snake()


def snake(x: lucid.Tensor, frequency: float = 3.0) -> lucid.Tensor:
    return apply(snake_op, x, frequency=float(frequency))


# 1. It computes, and so do its first and second derivatives.
x = lucid.tensor([0.0, 0.5, 1.0], requires_grad=True)
(slope,) = lucid.grad(snake(x).sum(), [x], create_graph=True)
(curvature,) = lucid.grad(slope.sum(), [x])
print("snake     ", snake(x).numpy())
print("slope     ", slope.numpy(), " expected", 1 + np.sin(6 * x.numpy()))
print("curvature ", curvature.numpy(), " expected", 6 * np.cos(6 * x.numpy()))


# 2. It trains, as a part of a net like any other, in a whole training step that is compiled.
class Waves(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(1, width), nn.Linear(width, width))
        self.out = nn.Linear(width, 1)

    def forward(self, t: lucid.Tensor) -> lucid.Tensor:
        for layer in self.hidden:
            t = snake(layer(t))
        return self.out(t)


lucid.manual_seed(0)
model = Waves()
optimizer = optim.AdamW(model.parameters(), lr=1e-3)
seen = lucid.linspace(-4.0, 4.0, 256).reshape(-1, 1)
target = lucid.sin(3.0 * seen) + 0.5 * seen


@lucid.compile
def step(inputs: lucid.Tensor, wanted: lucid.Tensor) -> lucid.Tensor:
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(inputs), wanted)
    loss.backward()
    optimizer.step()
    return loss


print()
for k in range(1001):
    loss = step(seen, target)
    if k % 250 == 0:
        print(f"step {k:4}  loss {loss.item():.6f}")

# 3. It is fused with its neighbours and vectorised, like every other operation.
compiled = lucid.compile(model)
with lucid.no_grad():
    t = lucid.linspace(-4.0, 4.0, 1000).reshape(-1, 1)
    error = compiled(t) - (lucid.sin(3.0 * t) + 0.5 * t)
print(f"\nlargest error, between the points seen too: {error.abs().max().item():.3f}")
print("\nkernels that hold a snake:")
for line in compiled.dump("loops").splitlines():
    if line.startswith("kernel") and "snake" in line:
        print(" ", line)
