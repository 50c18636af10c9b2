"""Where each input of a compiled function comes from. A binding is a place that every call looks at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.errors import IRError
from lucid.ir.graph import Array
from lucid.ir.types import DType
from lucid.random import default_generator

if TYPE_CHECKING:
    from lucid.tensor import Tensor


class Binding:
    """A place. ``tensor`` finds what is there now, ``array`` its value."""

    def __init__(self, name: str):
        self.name = name

    def tensor(self, arguments: Sequence[Tensor]) -> Tensor:
        raise IRError(f"{self.name} is not a tensor")

    def array(self, arguments: Sequence[Tensor]) -> Array:
        return self.tensor(arguments)._data  # type: ignore[no-any-return]  # an ndarray outside of traces


class Argument(Binding):
    """A tensor among the call's arguments."""

    def __init__(self, name: str, index: int):
        super().__init__(name)
        self.index = index

    def tensor(self, arguments: Sequence[Tensor]) -> Tensor:
        return arguments[self.index]


class Captured(Binding):
    """A tensor that the code found outside: in a closure, a global, an attribute."""

    def __init__(self, name: str, captured: Tensor):
        super().__init__(name)
        self.captured = captured

    def tensor(self, arguments: Sequence[Tensor]) -> Tensor:
        return self.captured


class State(Captured):
    """A parameter or buffer of a module: looked up by attribute, so that replacing it is seen."""

    def __init__(self, name: str, module: Any, attribute: str, captured: Tensor):
        super().__init__(name, captured)
        self.module = module
        self.attribute = attribute

    def found(self) -> Any:
        """What the module holds there now; None if nothing."""
        return getattr(self.module, self.attribute, None)


class Gradient(Binding):
    """The ``grad`` of the tensor at another place."""

    def __init__(self, name: str, of: Binding):
        super().__init__(name)
        self.of = of

    def tensor(self, arguments: Sequence[Tensor]) -> Tensor:
        found = self.of.tensor(arguments)._grad
        if found is None:
            raise IRError(f"{self.name} is None")  # a guard has looked before
        return found


class Key(Binding):
    """The random generator's next key."""

    def array(self, arguments: Sequence[Tensor]) -> Array:
        return default_generator.next_key()


class Scalar(Binding):
    """A Python number that is read at every call."""

    def __init__(self, name: str, read: Callable[[], float], dtype: DType):
        super().__init__(name)
        self.read = read
        self.dtype = dtype

    def array(self, arguments: Sequence[Tensor]) -> Array:
        return np.array(self.read(), self.dtype)
