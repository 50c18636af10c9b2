"""``CompiledModule``: a module that runs as machine code, and is otherwise the module it was made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lucid.compiler import CompiledFunction
from lucid.ir.location import enter_module, leave_module
from lucid.nn.module import Module


class CompiledModule(Module):
    """What ``lucid.compile`` makes of a module.

    Parameters, buffers, submodules, modes, attributes and state dict are the module's own, under the same names: it
    nests, trains with any optimizer, and is saved and loaded like the module. Hooks registered here run outside the
    machine code; the module's own are part of it.

    >>> import lucid
    >>> from lucid import nn
    >>> model = lucid.compile(nn.Linear(2, 3))
    >>> list(model.state_dict())
    ['weight', 'bias']
    """

    _module: Module

    def __init__(self, module: Module, *, tune: bool = False):
        super().__init__()
        shared = {
            home: module.__dict__[home] for home in ("_parameters", "_buffers", "_modules", "_computed", "_transient")
        }
        compiled = CompiledFunction(module, type(module).__name__, module.forward, tune=tune)
        self.__dict__.update(shared, _module=module, _compiled=compiled)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.compiled(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"]:
            return super().__call__(*args, **kwargs)
        before = enter_module(own["_called_as"])
        try:
            return own["_compiled"](*args, **kwargs)
        finally:
            leave_module(before)

    @property
    def compiled(self) -> CompiledFunction:
        """The machine code, one version per signature."""
        found: CompiledFunction = self.__dict__["_compiled"]
        return found

    def __lucid_compile__(self, *, tune: bool = False) -> CompiledModule:
        return self._module.__lucid_compile__(tune=True) if tune else self

    def explain(self, *, measure: bool = False) -> str:
        """As ``CompiledFunction.explain``."""
        return self.compiled.explain(measure=measure)

    def dump(self, stage: str, *, version: int = -1, part: str = "forward") -> str:
        """As ``CompiledFunction.dump``."""
        return self.compiled.dump(stage, version=version, part=part)

    @property
    def training(self) -> bool:
        """The module's mode."""
        return self._module.training

    @training.setter
    def training(self, value: bool) -> None:
        self._module.training = value

    def apply(self, function: Callable[[Module], object]) -> CompiledModule:
        """Call ``function`` with every module below and with the module itself."""
        self._module.apply(function)
        return self

    def _place(self, path: str, called_as: str) -> None:
        self.__dict__.update(_path=path, _called_as=called_as)
        self._module._place(path, "")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_module"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_module"], name)

    def __repr__(self) -> str:
        inner = repr(self._module).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {inner}\n)"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._module,)  # machine code is made again
