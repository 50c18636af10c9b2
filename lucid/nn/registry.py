"""What a module holds: parameters, buffers and submodules, registered by being assigned as attributes.

Knows where in the tree a module is, and one thing of compilation: while a function is traced, assigning a buffer
updates it in place, so that the trace sees it. Nothing here is about calling a module.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from lucid.changes import Watched, touch
from lucid.eager import located_error, mode
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, MissingAttributeError, TraceError
from lucid.functions.arguments import fail
from lucid.nn.parameter import Parameter
from lucid.tensor import Tensor


class Computed(Protocol):
    """An attribute that is computed from what its module holds, whenever it is asked for."""

    def value(self, module: Any) -> Tensor:
        """What the attribute is now."""

    def assign(self, module: Any, value: Any) -> None:
        """Give the module what makes the attribute ``value``, or raise."""


class Registry:
    """The attributes of a ``Module``."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _computed: dict[str, Computed]
    #: Buffers that a state dict leaves out.
    _transient: set[str]
    #: Buffers that stay as they are if a state dict lacks them: older ones do.
    _optional: ClassVar[frozenset[str]] = frozenset()
    #: Path from the outermost module: what parameters are called in graphs.
    _path: str
    #: Path from the nearest module around this one that has a ``forward``: what a call adds to the module path.
    _called_as: str

    def __init__(self) -> None:
        # Watched, and every assignment counted: compiled functions ask whether anything changed.
        self.__dict__.update(
            _parameters=Watched(), _buffers=Watched(), _modules=Watched(), _computed=Watched(), _transient=set(),
            _path="", _called_as="",
        )  # fmt: skip

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter; None keeps the name for one that is absent.

        Raises:
            ArgumentTypeError: not a Parameter.
            ArgumentError: a name with a dot, an empty one, or one already used by something else.
        """
        if parameter is not None and not isinstance(parameter, Parameter):
            fail(
                ArgumentTypeError(
                    f"{name!r} must be a Parameter or None, not {type(parameter).__name__}",
                    op="register_parameter",
                    hint="wrap it: nn.Parameter(tensor)",
                )
            )
        self._claim("register_parameter", name, self._parameters)
        self._parameters[name] = parameter
        if parameter is not None:
            parameter.name = join(self._path, name)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but not learned; a state dict leaves it out if not ``persistent``.

        Raises:
            ArgumentTypeError: not a tensor.
            ArgumentError: a name with a dot, an empty one, or one already used by something else.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            fail(
                ArgumentTypeError(
                    f"{name!r} must be a Tensor or None, not {type(tensor).__name__}", op="register_buffer"
                )
            )
        self._claim("register_buffer", name, self._buffers)
        self._buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)
        if tensor is not None:
            tensor.name = join(self._path, name)

    def add_module(self, name: str, module: Registry | None) -> None:
        """Add a submodule under ``name``.

        Raises:
            ArgumentTypeError: not a Module.
            ArgumentError: a name with a dot, an empty one, one already used by something else, or a module that
                contains this one.
        """
        if module is not None and not isinstance(module, Registry):
            fail(ArgumentTypeError(f"{name!r} must be a Module or None, not {type(module).__name__}", op="add_module"))
        self._claim("add_module", name, self._modules)
        if module is not None:
            module._require_init(f"be added as {name!r}")
            if module._reaches(self):
                fail(
                    ArgumentError(f"{name!r} cannot be a module that contains the one it is added to", op="add_module")
                )
        self._modules[name] = module
        if module is not None:
            self._place_child(name, module)

    register_module = add_module

    def _claim(self, op: str, name: str, home: Mapping[str, object]) -> None:
        """Check that ``name`` may be registered in ``home``."""
        self._require_init(f"register {name!r}")
        if not isinstance(name, str):
            fail(ArgumentTypeError(f"name={name!r} must be a string, not {type(name).__name__}", op=op))
        if not name or "." in name:
            fail(ArgumentError(f"name={name!r} must not be empty or contain a dot", op=op))
        if name not in home and (
            name in self.__dict__ or name in self._tensors_and_modules() or hasattr(type(self), name)
        ):
            fail(ArgumentError(f"name={name!r} is already an attribute of {type(self).__name__}", op=op))

    def _tensors_and_modules(self) -> set[str]:
        return {*self._parameters, *self._buffers, *self._modules, *self._computed}

    def _require_init(self, action: str) -> None:
        if "_modules" not in self.__dict__:
            fail(
                MissingAttributeError(
                    f"{type(self).__name__} cannot {action} before Module.__init__ has run",
                    op="Module",
                    hint="call super().__init__() first in its __init__",
                )
            )

    def _place(self, path: str, called_as: str) -> None:
        """Tell this module and all below where they are."""
        self.__dict__.update(_path=path, _called_as=called_as)
        for name, tensor in itertools.chain(self._parameters.items(), self._buffers.items()):
            if tensor is not None:
                tensor.name = join(path, name)
        for name, child in self._modules.items():
            if child is not None:
                self._place_child(name, child)

    def _place_child(self, name: str, child: Registry) -> None:
        child._place(join(self._path, name), name if self._is_called() else join(self._called_as, name))

    def _is_called(self) -> bool:
        """Whether this module has a ``forward`` that calls its children; a list of modules has none."""
        raise NotImplementedError

    def _reaches(self, target: Registry) -> bool:
        """Whether ``target`` is this module or below it."""
        return self is target or any(m is not None and m._reaches(target) for m in self._modules.values())

    # --- attributes ---
    def __getattr__(self, name: str) -> Any:
        for home in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(home)
            if found is not None and name in found:
                return found[name]
        computed = self.__dict__.get("_computed")
        if computed and name in computed:
            return computed[name].value(self)
        raise self._unknown(name)

    def _unknown(self, name: str) -> LucidError:
        if name.startswith("__"):  # copy and pickle ask for these all the time
            return MissingAttributeError(f"{type(self).__name__} has no attribute {name!r}")
        self._require_init(f"be asked for {name!r}")
        near = [n for n in difflib.get_close_matches(name, dir(self), n=3) if n != name]
        return located_error(
            MissingAttributeError(
                f"{type(self).__name__} has no attribute, parameter, buffer or submodule {name!r}",
                hint=f"did you mean {' or '.join(map(repr, near))}?" if near else None,
            )
        )

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if name in attributes.get("_computed", ()):
            self._computed[name].assign(self, value)
        elif isinstance(value, Parameter | Registry):
            self._require_init(f"take {name!r}")
            others = self._modules if isinstance(value, Parameter) else self._parameters
            for home in (attributes, self._buffers, others):
                home.pop(name, None)
            self._transient.discard(name)
            if isinstance(value, Parameter):
                self.register_parameter(name, value)
            else:
                self.add_module(name, value)
        elif "_modules" not in attributes:
            object.__setattr__(self, name, value)
        elif name in self._buffers and (value is None or isinstance(value, Tensor)):
            self._set_buffer(name, value)
        elif value is None and name in self._parameters:
            self._parameters[name] = None
        elif value is None and name in self._modules:
            self._modules[name] = None
        else:
            for home, kind in ((self._parameters, "Parameter"), (self._buffers, "Tensor"), (self._modules, "Module")):
                if name in home:
                    fail(
                        ArgumentTypeError(
                            f"{type(self).__name__}.{name} must be a {kind} or None, not {type(value).__name__}",
                            op="Module",
                            hint=f"del module.{name} first, to use the name for something else",
                        )
                    )
            object.__setattr__(self, name, value)
            touch()

    def _set_buffer(self, name: str, value: Tensor | None) -> None:
        before = self._buffers[name]
        if mode.trace is not None and value is not None:
            if before is None or before.type is not value.type or value.requires_grad:
                was = "was None before" if before is None else f"is {value.type} instead of {before.type}"
                fail(
                    TraceError(
                        f"buffer {name!r} of {type(self).__name__} is given a value that "
                        f"{'requires a gradient' if value.requires_grad else was}",
                        op="compile",
                        hint="in a compiled function a buffer keeps its shape and dtype, and takes detached values",
                    )
                )
            before.copy_(value)
            return
        self._buffers[name] = value
        if value is not None:
            value.name = join(self._path, name)

    def __delattr__(self, name: str) -> None:
        for home in ("_parameters", "_buffers", "_modules", "_computed"):
            if name in self.__dict__.get(home, ()):
                del self.__dict__[home][name]
                self._transient.discard(name)
                return
        if name not in self.__dict__:
            raise self._unknown(name)
        object.__delattr__(self, name)
        touch()

    def __dir__(self) -> list[str]:
        own = self.__dict__
        found = {*dir(type(self)), *own}
        for home in ("_parameters", "_buffers", "_modules", "_computed"):
            found.update(own.get(home, ()))
        return sorted(found)


def join(path: str, name: str) -> str:
    """A dotted path."""
    return f"{path}.{name}" if path else name
