"""``Module``: a function with parameters. Calling, traversal, modes, hooks and printing.

What it holds, and how, is in ``lucid.nn.registry``; state dicts are read and written in ``lucid.nn.state``. Knows
nothing of particular layers.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from lucid.changes import Watched
from lucid.devices import wanted_dtype
from lucid.errors import ArgumentTypeError, DTypeError, MissingAttributeError, MissingForwardError
from lucid.functions.arguments import fail
from lucid.functions.creation import zeros_like
from lucid.grad_modes import no_grad
from lucid.ir.location import enter_module, leave_module
from lucid.ir.types import is_float
from lucid.nn import state
from lucid.nn.backward_hooks import BackwardCall
from lucid.nn.parameter import Parameter
from lucid.nn.registry import Registry, join
from lucid.tensor import HookHandle, Tensor

if TYPE_CHECKING:
    from lucid.nn.compiled import CompiledModule

M = TypeVar("M", bound="Module")

_hook_keys = itertools.count()


class Module(Registry):
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
    _forward_hooks: dict[int, Callable[..., Any]]
    _forward_pre_hooks: dict[int, Callable[..., Any]]
    _backward_hooks: dict[int, Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        hooks = {name: Watched[int, Any]() for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")}
        self.__dict__.update(hooks, training=True)

    def _not_implemented(self, *args: Any, **kwargs: Any) -> NoReturn:
        fail(MissingForwardError(f"{type(self).__name__} cannot be called: it defines no forward", op="Module"))

    #: What the module computes; every subclass that is called defines it.
    forward: Callable[..., Any] = _not_implemented

    def _is_called(self) -> bool:
        return type(self).forward is not Module.forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = enter_module(self._called_as)
        try:
            if not self._forward_pre_hooks and not self._forward_hooks and not self._backward_hooks:
                return self.forward(*args, **kwargs)
            for hook in tuple(self._forward_pre_hooks.values()):
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
            backward = BackwardCall(self, tuple(self._backward_hooks.values())) if self._backward_hooks else None
            output = self.forward(*(args if backward is None else backward.entered(args)), **kwargs)
            if backward is not None:
                output = backward.left(output)
            for hook in tuple(self._forward_hooks.values()):
                changed = hook(self, args, output)
                if changed is not None:
                    output = changed
            return output
        finally:
            leave_module(before)

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
                yield from child._named_modules(join(prefix, name), seen)

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
                    yield join(path, name), tensor

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

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path.

        Raises:
            MissingAttributeError: nothing is there, or not a buffer.
        """
        return self._found("buffer", "_buffers", target)  # type: ignore[no-any-return]  # a Tensor

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path.

        Raises:
            MissingAttributeError: nothing is there, or not a parameter.
        """
        return self._found("parameter", "_parameters", target)  # type: ignore[no-any-return]  # a Parameter

    def _found(self, kind: str, home: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        tensors = getattr(module, home)
        found = tensors.get(name)
        if found is None:
            message = f"target={target!r}: {type(module).__name__} has no {kind} {name!r}"
            fail(MissingAttributeError(message, op=f"get_{kind}", hint=f"it has {', '.join(tensors) or 'none'}"))
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

    # --- dtypes ---
    def _convert(self: M, convert: Callable[[Tensor], Tensor]) -> M:
        """Give every parameter, its gradient and every buffer the values that ``convert`` makes of it."""
        with no_grad():
            for tensor in itertools.chain(self.parameters(), self.buffers()):
                grad = tensor.grad
                new = convert(tensor.detach())
                if new.type is not tensor.type:
                    tensor.grad = None
                    tensor.data = new
                    tensor.grad = None if grad is None else convert(grad)
        return self

    def _cast(self: M, dtype: object) -> M:
        return self._convert(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def to(self: M, *args: Any, dtype: object = None, device: Any = None, **options: Any) -> M:
        """Floating parameters and buffers in another dtype, or in that of a tensor; ``to(device)`` changes nothing.

        Raises:
            DTypeError: a dtype that is not floating.
            ArgumentError: another device than the CPU.

        >>> from lucid import nn
        >>> nn.Linear(2, 3).to("cpu", dtype="float64").weight.dtype
        dtype('float64')
        """
        unknown = options.keys() - {"non_blocking", "memory_format"}
        if unknown:
            fail(ArgumentTypeError(f"unknown arguments: {', '.join(sorted(unknown))}", op="to"))
        wanted = wanted_dtype(args, dtype, device)
        if wanted is None:
            return self
        if not is_float(wanted):
            message = f"dtype={wanted.name} must be floating: parameters and buffers of other dtypes keep theirs"
            fail(DTypeError(message, op="to"))
        return self._cast(wanted)

    def float(self: M) -> M:
        """Floating parameters and buffers as float32."""
        return self._cast("float32")

    def double(self: M) -> M:
        """Floating parameters and buffers as float64."""
        return self._cast("float64")

    def half(self: M) -> M:
        """Floating parameters and buffers as float16."""
        return self._cast("float16")

    def bfloat16(self: M) -> M:
        """Floating parameters and buffers as bfloat16."""
        return self._cast("bfloat16")

    def cpu(self: M) -> M:
        """The module itself: there is one device."""
        return self

    # --- hooks ---
    def register_forward_pre_hook(self, hook: Callable[[Any, tuple[Any, ...]], Any]) -> HookHandle:
        """Call ``hook(module, args)`` before ``forward``; what it returns, if anything, replaces the arguments."""
        return register_hook(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> HookHandle:
        """Call ``hook(module, args, output)`` after ``forward``; what it returns, if anything, replaces the output."""
        return register_hook(self._forward_hooks, hook)

    def register_full_backward_hook(self, hook: Callable[[Any, tuple[Any, ...], tuple[Any, ...]], Any]) -> HookHandle:
        """Call ``hook(module, grad_input, grad_output)`` in each backward through a call of this module.

        The gradients are tuples, with None where none is required; keyword arguments do not count. What the hook
        returns, if anything, replaces the gradient of the input, if there is one alone.
        """
        return register_hook(self._backward_hooks, hook)

    def __lucid_compile__(self, *, tune: bool = False) -> CompiledModule:
        """What ``lucid.compile(module, tune=tune)`` gives."""
        from lucid.nn.compiled import CompiledModule  # a subclass of this class

        return CompiledModule(self, tune=tune)

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


def register_hook(hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> HookHandle:
    """Add a function to those that are called."""
    if not callable(hook):
        fail(ArgumentTypeError(f"hook={hook!r} must be a function", op="register_hook"))
    key = next(_hook_keys)
    hooks[key] = hook
    return HookHandle(hooks, key)
