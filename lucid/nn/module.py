"""``Module``: a function with parameters. Registration, traversal, modes, hooks, calling and printing.

State dicts are read and written in ``lucid.nn.state``. Knows nothing of particular layers, nor of compilation beyond
one thing: while a compiled function is traced, assigning a buffer updates it in place, so that the trace sees it.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from lucid.eager import located_error, mode
from lucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    LucidError,
    MissingAttributeError,
    MissingForwardError,
    TraceError,
)
from lucid.functions.arguments import fail
from lucid.functions.creation import zeros_like
from lucid.ir.location import enter_module, leave_module
from lucid.nn import state
from lucid.nn.parameter import Parameter
from lucid.tensor import HookHandle, Tensor

M = TypeVar("M", bound="Module")

_hook_keys = itertools.count()


class Module:
    """Base of all layers and models.

    A subclass calls ``super().__init__()``, assigns parameters and submodules as attributes, and defines ``forward``.
    Calling the module runs its hooks and ``forward``.

    Attributes:
        training: True in training, False in evaluation; ``train()`` and ``eval()`` set it for all submodules.

    >>> import lucid
    >>> from lucid import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(lucid.tensor([3.0]))
    Tensor([6.0], requires_grad=True)
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    #: Buffers that a state dict leaves out.
    _transient: set[str]
    _forward_hooks: dict[int, Callable[..., Any]]
    _forward_pre_hooks: dict[int, Callable[..., Any]]
    #: Path from the outermost module: what parameters are called in graphs.
    _path: str
    #: Path from the nearest module around this one that has a ``forward``: what a call adds to the module path.
    _called_as: str

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _transient=set(),
            _forward_hooks={},
            _forward_pre_hooks={},
            _path="",
            _called_as="",
        )

    def _not_implemented(self, *args: Any, **kwargs: Any) -> NoReturn:
        fail(MissingForwardError(f"{type(self).__name__} cannot be called: it defines no forward", op="Module"))

    #: What the module computes; every subclass that is called defines it.
    forward: Callable[..., Any] = _not_implemented

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = enter_module(self._called_as)
        try:
            if not self._forward_pre_hooks and not self._forward_hooks:
                return self.forward(*args, **kwargs)
            for hook in tuple(self._forward_pre_hooks.values()):
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
            output = self.forward(*args, **kwargs)
            for hook in tuple(self._forward_hooks.values()):
                changed = hook(self, args, output)
                if changed is not None:
                    output = changed
            return output
        finally:
            leave_module(before)

    # --- registration ---
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
            parameter.name = _join(self._path, name)

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
            tensor.name = _join(self._path, name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under ``name``.

        Raises:
            ArgumentTypeError: not a Module.
            ArgumentError: a name with a dot, an empty one, one already used by something else, or a module that
                contains this one.
        """
        if module is not None and not isinstance(module, Module):
            fail(ArgumentTypeError(f"{name!r} must be a Module or None, not {type(module).__name__}", op="add_module"))
        self._claim("add_module", name, self._modules)
        if module is not None:
            module._require_init(f"be added as {name!r}")
            if any(m is self for m in module.modules()):
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
        return {*self._parameters, *self._buffers, *self._modules}

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
                tensor.name = _join(path, name)
        for name, child in self._modules.items():
            if child is not None:
                self._place_child(name, child)

    def _place_child(self, name: str, child: Module) -> None:
        called = type(self).forward is not Module.forward
        child._place(_join(self._path, name), name if called else _join(self._called_as, name))

    # --- attributes ---
    def __getattr__(self, name: str) -> Any:
        for home in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(home)
            if found is not None and name in found:
                return found[name]
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
        if isinstance(value, Parameter | Module):
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
            value.name = _join(self._path, name)

    def __delattr__(self, name: str) -> None:
        for home in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(home, ()):
                del self.__dict__[home][name]
                self._transient.discard(name)
                return
        if name not in self.__dict__:
            raise self._unknown(name)
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        own = self.__dict__
        found = {*dir(type(self)), *own}
        for home in ("_parameters", "_buffers", "_modules"):
            found.update(own.get(home, ()))
        return sorted(found)

    # --- traversal ---
    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below, each once, with their paths."""
        return self._named_modules(prefix, set())

    def _named_modules(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child._named_modules(_join(prefix, name), seen)

    def modules(self) -> Iterator[Module]:
        """This module and all below, each once."""
        return (m for _, m in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The submodules directly below, each once, with their names."""
        seen: set[int] = set()
        for name, child in self._modules.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def children(self) -> Iterator[Module]:
        """The submodules directly below, each once."""
        return (m for _, m in self.named_children())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters, each once, with their paths; only this module's own if not ``recurse``."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; what an optimizer takes."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers, each once, with their paths; only this module's own if not ``recurse``."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def _named(self, home: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, tensor in getattr(module, home).items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield _join(path, name), tensor

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; ``""`` is this one.

        Raises:
            MissingAttributeError: nothing is there, or not a module.
        """
        module = self
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                near = difflib.get_close_matches(name, module._modules, n=3)
                fail(
                    MissingAttributeError(
                        f"target={target!r}: {type(module).__name__} has no submodule {name!r}",
                        op="get_submodule",
                        hint=f"it has {', '.join(near or module._modules) or 'none'}",
                    )
                )
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path.

        Raises:
            MissingAttributeError: nothing is there, or not a parameter.
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module._parameters.get(name)
        if found is None:
            fail(
                MissingAttributeError(
                    f"target={target!r}: {type(module).__name__} has no parameter {name!r}",
                    op="get_parameter",
                    hint=f"it has {', '.join(module._parameters) or 'none'}",
                )
            )
        return found

    # --- state ---
    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The values of all parameters and persistent buffers by path; see ``lucid.nn.state``."""
        return state.state_dict(self, prefix)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> state.LoadResult:
        """Take over the values of a state dict, all or none.

        Args:
            state_dict: tensors or arrays by path.
            strict: whether missing and unexpected keys are errors; otherwise they are only reported.

        Raises:
            StateError: keys, shapes or dtypes do not fit; the message lists every one, and nothing was changed.
        """
        return state.load_state_dict(self, state_dict, strict)

    # --- modes ---
    def train(self: M, mode: bool = True) -> M:
        """Put this module and all below in training mode."""
        if not isinstance(mode, bool):
            fail(ArgumentTypeError(f"mode={mode!r} must be a bool", op="train"))
        self.training = mode
        for child in self.children():
            child.train(mode)  # not a loop over all modules: a child may overrule this, to stay frozen
        return self

    def eval(self: M) -> M:
        """Put this module and all below in evaluation mode."""
        return self.train(False)

    def apply(self: M, function: Callable[[Module], object]) -> M:
        """Call ``function`` with every module below, then with this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to zeros."""
        for p in self.parameters():
            clear_grad(p, set_to_none)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Want gradients of all parameters, or of none."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    # --- hooks ---
    def register_forward_pre_hook(self, hook: Callable[[Any, tuple[Any, ...]], Any]) -> HookHandle:
        """Call ``hook(module, args)`` before ``forward``; what it returns, if anything, replaces the arguments."""
        return _register(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> HookHandle:
        """Call ``hook(module, args, output)`` after ``forward``; what it returns, if anything, replaces the output."""
        return _register(self._forward_hooks, hook)

    def __lucid_compile__(self) -> Module:
        """What ``lucid.compile(module)`` gives."""
        from lucid.nn.compiled import CompiledModule  # a subclass of this class

        return CompiledModule(self)

    # --- printing ---
    def extra_repr(self) -> str:
        """What to print between the brackets of this module's own line."""
        return ""

    def __repr__(self) -> str:
        name = type(self).__name__
        if "_modules" not in self.__dict__:
            return f"{name}(<not initialised>)"
        extra = self.extra_repr()
        if not self._modules:
            return f"{name}({extra})"
        lines = [extra] if extra else []
        lines += [f"({key}): {child!r}" for key, child in self._modules.items()]
        return f"{name}(\n  " + "\n".join(lines).replace("\n", "\n  ") + "\n)"


def clear_grad(tensor: Tensor, set_to_none: bool) -> None:
    """Forget a gradient, or set it to zeros if there is one."""
    if set_to_none:
        tensor.grad = None  # without looking, so that a compiled step does not depend on what was there
    elif tensor.grad is not None:
        tensor.grad = zeros_like(tensor)


def _register(hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> HookHandle:
    key = next(_hook_keys)
    hooks[key] = hook
    return HookHandle(hooks, key)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
