"""``lucid.summary``: a model's layers with their results' shapes, parameters, and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lucid.capture import graph
from lucid.codegen.fuse import factors
from lucid.eager import leaf
from lucid.errors import ArgumentTypeError
from lucid.functions.arguments import fail, is_several
from lucid.functions.creation import zeros
from lucid.grad_modes import enable_grad
from lucid.ir.expr import Operand, Reduce, axes
from lucid.ir.graph import Node
from lucid.ir.types import is_float
from lucid.nn.module import Module
from lucid.promotion import as_tensor
from lucid.tensor import Tensor


@dataclass(frozen=True)
class Row:
    """One module.

    Attributes:
        path: where it is in the model; empty for the model itself.
        kind: the name of its class.
        shapes: of its results, in the order they were computed.
        parameters: elements of its own parameters, not of its submodules'.
        multiply_adds: of its own operations.
    """

    path: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What ``lucid.summary`` found; ``str`` of it is the table.

    Attributes:
        rows: one for each module, in the order of the model.
        parameters, trainable: elements of all parameters, and of those that have gradients.
        multiply_adds: of convolutions and matrix products; each counts as two operations.
    """

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    multiply_adds: int

    def __str__(self) -> str:
        lines = [("layer", "result", "parameters", "multiply-adds")]
        for row in self.rows:
            depth = row.path.count(".") + 1 if row.path else 0
            name = f"{'  ' * depth}{row.kind}" + (f" ({row.path.rpartition('.')[2]})" if row.path else "")
            shown = " ".join(dict.fromkeys(map(str, row.shapes)))
            lines.append((name, shown, _thousands(row.parameters), _thousands(row.multiply_adds)))
        widths = [max(len(line[k]) for line in lines) for k in range(4)]
        text = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in lines
        ]
        rule = "-" * (sum(widths) + 6)
        totals = [
            f"parameters: {self.parameters:,} ({self.trainable:,} with gradients)",
            f"multiply-adds: {self.multiply_adds:,} ({2 * self.multiply_adds / 1e9:.3f} GFLOP)",
        ]
        return "\n".join([text[0], rule, *text[1:], rule, *totals])

    def __repr__(self) -> str:
        return f"Summary(parameters={self.parameters:,}, multiply_adds={self.multiply_adds:,})"


def _thousands(n: int) -> str:
    return f"{n:,}" if n else ""


def summary(model: Module, input: Any, verbose: bool = True) -> Summary:
    """Run a model once, in evaluation mode, and print what its layers make of the input.

    Args:
        model: any module.
        input: a tensor or an array; a tuple or list of them for several arguments; or a shape, a tuple of ints, for
            zeros of it.
        verbose: whether to print the table.

    Returns:
        The numbers, as data.

    Raises:
        ArgumentTypeError: no module, or no input.

    >>> import lucid
    >>> from lucid import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> result = lucid.summary(model, (1, 1, 8, 8))
    layer          result        parameters  multiply-adds
    ------------------------------------------------------
    Sequential     (1, 2)
      Conv2d (0)   (1, 4, 6, 6)          40          1,296
      ReLU (1)     (1, 4, 6, 6)
      Flatten (2)  (1, 144)
      Linear (3)   (1, 2)               290            288
    ------------------------------------------------------
    parameters: 330 (330 with gradients)
    multiply-adds: 1,584 (0.000 GFLOP)
    >>> result.multiply_adds
    1584
    """
    if not isinstance(model, Module):
        fail(ArgumentTypeError(f"model must be a Module, not {type(model).__name__}", op="summary"))
    if is_several(input) and input and all(type(n) is int for n in input):
        input = zeros(*input)
    arguments = [as_tensor(x, "summary", "input") for x in (input if is_several(input) else (input,))]
    # Gradients to the input make everything that is computed be recorded.
    arguments = [leaf(np.asarray(x.detach()), True) if is_float(x.dtype) else x for x in arguments]
    shapes: dict[str, list[tuple[int, ...]]] = {}
    named = dict(model.named_modules())
    paths: dict[int, str] = {id(m): path for path, m in reversed(named.items())}
    results: list[Tensor] = []

    def seen(module: Any, _: Any, output: Any) -> None:
        found = list(_tensors(output))
        shapes.setdefault(paths[id(module)], []).extend(t.shape for t in found)
        if module is model:
            results.extend(found)

    training = {path: m.training for path, m in named.items()}
    hooks = [m.register_forward_hook(seen) for m in named.values()]
    try:
        model.eval()
        with enable_grad():
            model(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
        for path, module in named.items():
            module.training = training[path]
    counts: dict[str, int] = {}
    for node in graph(*results).nodes if results else ():
        location = node.location
        path = _nearest(location.path if location else "", named)
        counts[path] = counts.get(path, 0) + multiply_adds(node)
    rows = tuple(
        [
            Row(
                path,
                type(m).__name__,
                tuple(shapes.get(path, ())),
                sum(p.size for p in m.parameters(recurse=False)),
                counts.get(path, 0),
            )
            for path, m in named.items()
        ]
    )
    parameters = list(model.parameters())
    total = sum(p.size for p in parameters)
    trainable = sum(p.size for p in parameters if p.requires_grad)
    result = Summary(rows, total, trainable, sum(counts.values()))
    if verbose:
        print(result)
    return result


def multiply_adds(node: Node) -> int:
    """Products that a node's op adds up; 0 for one that is no convolution or matrix product."""
    if not node.inputs:
        return 0
    expr = node.op.compute(axes("i", node.shape), *[Operand(x, x.type) for x in node.inputs], **node.attrs)
    if not isinstance(expr, Reduce) or factors(expr) is None:
        return 0
    return node.type.size * prod(a.extent for a in expr.axes)


def _nearest(path: str, named: dict[str, Module]) -> str:
    """The module that a path ends in or below."""
    while path not in named:
        path = path.rpartition(".")[0]
    return path


def _tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
