"""A small ``nn`` for libraries that have none: torch's layer classes over the functions of any library.

``Layers(functions)`` stands where ``torch.nn`` stands in ``models.build``; ``functions`` computes (JAX) or records
(``symbols``). State is a dict of values by the names torch's ``state_dict`` gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Protocol


class Functions(Protocol):
    """What a library must offer; values are its own, with ``+``, ``reshape``, ``mean(axes)`` and ``shape``."""

    def conv2d(self, x: Any, w: Any, b: Any, stride: int, padding: int, dilation: int, groups: int) -> Any: ...
    def linear(self, x: Any, w: Any, b: Any) -> Any: ...
    def relu(self, x: Any) -> Any: ...
    def relu6(self, x: Any) -> Any: ...
    def max_pool2d(self, x: Any, kernel: int, stride: int, padding: int) -> Any: ...
    def batch_norm(self, x: Any, state: Mapping[str, Any], training: bool) -> tuple[Any, Mapping[str, Any]]:
        """The result, and the new running statistics."""
        ...


class Module:
    """Parameters and buffers in ``state``, submodules in attributes."""

    def __init__(self) -> None:
        #: Shapes until ``load`` puts values there.
        self.state: dict[str, Any] = {}
        self.training = False

    def children(self) -> Iterator[tuple[str, Module]]:
        return ((name, part) for name, part in vars(self).items() if isinstance(part, Module))

    def named_state(self, prefix: str = "") -> dict[str, Any]:
        own = {prefix + name: value for name, value in self.state.items()}
        for name, part in self.children():
            own |= part.named_state(f"{prefix}{name}.")
        return own

    def load(self, values: Mapping[str, Any], prefix: str = "") -> None:
        self.state = {name: values[prefix + name] for name in self.state}
        for name, part in self.children():
            part.load(values, f"{prefix}{name}.")

    def train(self, training: bool = True) -> None:
        self.training = training
        for _, part in self.children():
            part.train(training)

    def forward(self, x: Any) -> Any:
        raise NotImplementedError

    def __call__(self, x: Any) -> Any:
        return self.forward(x)


class Sequential(Module):
    def __init__(self, *layers: Module):
        super().__init__()
        self.layers = layers

    def children(self) -> Iterator[tuple[str, Module]]:
        return ((str(k), layer) for k, layer in enumerate(self.layers))

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class Conv2d(Module):
    def __init__(
        self,
        functions: Functions,
        before: int,
        after: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        rows, columns = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        self.state = {"weight": (after, before // groups, rows, columns), **({"bias": (after,)} if bias else {})}
        self.compute = partial(functions.conv2d, stride=stride, padding=padding, dilation=dilation, groups=groups)

    def forward(self, x: Any) -> Any:
        return self.compute(x, self.state["weight"], self.state.get("bias"))


class Linear(Module):
    def __init__(self, functions: Functions, before: int, after: int):
        super().__init__()
        self.state = {"weight": (after, before), "bias": (after,)}
        self.compute = functions.linear

    def forward(self, x: Any) -> Any:
        return self.compute(x, self.state["weight"], self.state["bias"])


class BatchNorm2d(Module):
    def __init__(self, functions: Functions, channels: int):
        super().__init__()
        self.state = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))
        self.compute = functions.batch_norm

    def forward(self, x: Any) -> Any:
        y, changed = self.compute(x, self.state, self.training)
        self.state |= changed
        return y


class MaxPool2d(Module):
    def __init__(self, functions: Functions, kernel: int, stride: int | None = None, padding: int = 0):
        super().__init__()
        self.compute = partial(functions.max_pool2d, kernel=kernel, stride=stride or kernel, padding=padding)

    def forward(self, x: Any) -> Any:
        return self.compute(x)


class Function(Module):
    """A layer without state."""

    def __init__(self, compute: Any):
        super().__init__()
        self.compute = compute

    def forward(self, x: Any) -> Any:
        return self.compute(x)


class Flatten(Module):
    def forward(self, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)


class Layers:
    """Torch's ``nn``, as far as the models need it."""

    def __init__(self, functions: Functions):
        self.Module = Module
        self.Sequential = Sequential
        self.Flatten = Flatten
        self.Conv2d = partial(Conv2d, functions)
        self.Linear = partial(Linear, functions)
        self.BatchNorm2d = partial(BatchNorm2d, functions)
        self.MaxPool2d = partial(MaxPool2d, functions)
        self.ReLU = partial(Function, functions.relu)
        self.ReLU6 = partial(Function, functions.relu6)
