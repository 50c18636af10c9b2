"""A model as a list of plain steps with shapes, from running it on symbols: to count operations and to write ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from benchmarks.layers import Layers, Module

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Symbol:
    """A value that is only a name and a shape."""

    name: str
    shape: Shape
    tape: Tape

    def __add__(self, other: Symbol) -> Symbol:
        return self.tape.step("add", [self, other], self.shape)

    def reshape(self, rows: int, rest: int) -> Symbol:
        if rest != -1:
            raise ValueError("only x.reshape(rows, -1) is understood")
        return self.tape.step("flatten", [self], (rows, prod(self.shape) // rows))

    def mean(self, axes: tuple[int, ...]) -> Symbol:
        kept = tuple(size for axis, size in enumerate(self.shape) if axis not in axes)
        return self.tape.step("mean", [self], kept, axes=axes)


@dataclass(frozen=True)
class Step:
    """``result = kind(*inputs, **attributes)``."""

    kind: str
    inputs: tuple[Symbol, ...]
    attributes: Mapping[str, Any]
    result: Symbol

    @property
    def flops(self) -> float:
        """Twice the multiply-adds of a convolution or a product; everything else is not counted."""
        return (
            2.0 * prod(self.result.shape) * prod(self.inputs[1].shape[1:]) if self.kind in ("conv", "linear") else 0.0
        )


@dataclass
class Tape:
    """``Functions`` that record."""

    steps: list[Step] = field(default_factory=list)

    def step(self, kind: str, inputs: Sequence[Symbol], shape: Shape, **attributes: Any) -> Symbol:
        result = Symbol(f"v{len(self.steps)}", shape, self)
        self.steps.append(Step(kind, tuple(inputs), attributes, result))
        return result

    def conv2d(
        self, x: Symbol, w: Symbol, b: Symbol | None, stride: int, padding: int, dilation: int, groups: int
    ) -> Symbol:
        sides = [
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel in zip(x.shape[2:], w.shape[2:], strict=True)
        ]
        attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        shape = (x.shape[0], w.shape[0], *sides)
        return self.step("conv", [x, w] if b is None else [x, w, b], shape, **attributes)

    def linear(self, x: Symbol, w: Symbol, b: Symbol) -> Symbol:
        return self.step("linear", [x, w, b], (x.shape[0], w.shape[0]))

    def relu(self, x: Symbol) -> Symbol:
        return self.step("relu", [x], x.shape)

    def relu6(self, x: Symbol) -> Symbol:
        return self.step("relu6", [x], x.shape)

    def max_pool2d(self, x: Symbol, kernel: int, stride: int, padding: int) -> Symbol:
        sides = [(size + 2 * padding - kernel) // stride + 1 for size in x.shape[2:]]
        return self.step("max_pool", [x], (*x.shape[:2], *sides), kernel=kernel, stride=stride, padding=padding)

    def batch_norm(self, x: Symbol, state: Mapping[str, Symbol], training: bool) -> tuple[Symbol, Mapping[str, Symbol]]:
        if training:
            raise ValueError("only inference is recorded")
        names = ("weight", "bias", "running_mean", "running_var")
        return self.step("batch_norm", [x, *(state[name] for name in names)], x.shape), {}


def record(make: Callable[[Any], Module], input_shape: Shape) -> tuple[list[Step], dict[str, Shape], Symbol]:
    """Steps, the shapes of the state, and the output of the model ``make(nn)`` on an input called ``x``."""
    tape = Tape()
    model = make(Layers(tape))
    shapes = model.named_state()
    model.load({name: Symbol(name, shape, tape) for name, shape in shapes.items()})
    return tape.steps, shapes, model(Symbol("x", input_shape, tape))
