"""Parameters that are computed from others: ``module.weight`` becomes a function of what is learned instead.

The functions of one parameter are a ``ParametrizationList`` below ``module.parametrizations``, which holds the
originals too. The attribute is computed anew whenever it is asked for, eagerly as in a compiled function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, LucidError, MissingAttributeError, ShapeError
from lucid.functions.arguments import fail
from lucid.grad_modes import no_grad
from lucid.nn.containers import ModuleDict, ModuleList
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.tensor import Tensor

__all__ = [
    "ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "type_before_parametrizations",
]  # fmt: skip


class ParametrizationList(ModuleList):
    """The functions that one parameter or buffer is computed by, one after the other, and what they start from.

    Made by ``register_parametrization``; called without arguments, it gives the value.

    Args:
        modules: the functions; ``right_inverse`` of each, where it has one, gives what it starts from.
        original: the parameter or buffer that is replaced.
        unsafe: whether a function may change the dtype or the shape.

    Attributes:
        original: what is learned; ``original0``, ``original1``, ... if the first function takes several tensors.

    Raises:
        ArgumentTypeError: a function, or the right inverse of one, gives no tensors.
        ShapeError, DTypeError: the result is not of the original's type.

    >>> import lucid
    >>> from lucid import nn
    >>> rule = nn.utils.parametrize.ParametrizationList([nn.ReLU()], nn.Parameter([-1.0, 2.0]))
    >>> rule().detach(), rule.original
    (Tensor([0.0, 2.0]), Tensor([-1.0, 2.0], requires_grad=True))
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False):
        super().__init__(modules)
        self.unsafe = unsafe
        given, learned, wanted = original.type, isinstance(original, Parameter), original.requires_grad
        with no_grad():
            start = self._inverted(original)
        self.is_tensor = isinstance(start, Tensor)
        parts: list[Any] = [start] if self.is_tensor else list(start)
        self.ntensors = len(parts)
        for name, part in zip(self._names(), parts, strict=True):
            if not isinstance(part, Tensor):
                fail(ArgumentTypeError(f"right_inverse gave {type(part).__name__}, not tensors", op=_REGISTER))
            if self.is_tensor and part.type is given:
                if part is not original:
                    with no_grad():
                        original.copy_(part)
                part = original  # an optimizer that has it goes on with it
            elif learned:
                part = Parameter(part.detach(), wanted)
            self._hold(name, part.detach() if part.requires_grad and not learned else part)
        if not unsafe:
            with no_grad():
                _require_type(self(), given, "the parametrization gave")

    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{k}" for k in range(self.ntensors)]

    def _hold(self, name: str, tensor: Tensor) -> None:
        if isinstance(tensor, Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_buffer(name, tensor)

    def _inverted(self, value: Any) -> Any:
        """What the functions have to start from to give ``value``."""
        for module in reversed(list(self)):
            try:
                inverse = module.right_inverse
            except MissingAttributeError:  # taken for the identity, as PyTorch does
                continue
            value = inverse(value)
        return value

    def forward(self) -> Tensor:
        """The value, computed from the originals."""
        first, *others = list(self)
        value = first(*[getattr(self, name) for name in self._names()])
        for module in others:
            value = module(value)
        return value  # type: ignore[no-any-return]  # a tensor

    def right_inverse(self, value: Tensor) -> None:
        """Give the originals the values that make the result ``value``.

        Raises:
            ArgumentError: the inverse gives another number of tensors than there are originals.
        """
        with no_grad():
            start = self._inverted(value)
            parts = [start] if isinstance(start, Tensor) else list(start)
            if len(parts) != self.ntensors:
                message = f"right_inverse gave {len(parts)} tensors for {self.ntensors} originals"
                fail(ArgumentError(message, op="right_inverse"))
            for name, part in zip(self._names(), parts, strict=True):
                getattr(self, name).copy_(part)


_REGISTER = "register_parametrization"


class _Parametrized:
    """The attribute that a list of parametrizations computes."""

    def __init__(self, name: str):
        self._name = name

    def value(self, module: Module) -> Tensor:
        return module.parametrizations[self._name]()  # type: ignore[no-any-return]  # a tensor

    def assign(self, module: Module, value: Any) -> None:
        if not isinstance(value, Tensor):
            fail(ArgumentTypeError(f"{self._name} must be a Tensor, not {type(value).__name__}", op="Module"))
        module.parametrizations[self._name].right_inverse(value)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer of ``module`` by ``parametrization`` from here on; returns ``module``.

    What is learned is then ``module.parametrizations.<name>.original``, which starts as
    ``parametrization.right_inverse(value)``, or as the value itself if there is no such method. If that gives several
    tensors, they are ``original0``, ``original1``, ..., and all are passed to ``parametrization``. Assigning to the
    attribute assigns to the originals. A further parametrization takes what the ones before it give.

    Args:
        module: the layer.
        tensor_name: of its parameter or buffer.
        parametrization: a module, from a tensor to one of the same shape and dtype.
        unsafe: whether shape and dtype may change.

    Raises:
        ArgumentTypeError: not modules, or no tensor comes out.
        ArgumentError: no parameter or buffer of this name.
        ShapeError, DTypeError: a result of another shape or dtype, unless ``unsafe``.

    >>> import lucid
    >>> from lucid import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all()), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    for argument, value in (("module", module), ("parametrization", parametrization)):
        if not isinstance(value, Module):
            fail(ArgumentTypeError(f"{argument} must be a Module, not {type(value).__name__}", op=_REGISTER))
    if is_parametrized(module, tensor_name):
        rules = module.parametrizations[tensor_name]
        with no_grad():
            before = getattr(module, tensor_name)
            if not unsafe:
                _require_type(parametrization(before), before.type, "the parametrization gave")
        rules.append(parametrization)
        rules.unsafe = rules.unsafe or unsafe
        return module
    original: Tensor | None = module._parameters.get(tensor_name)
    if original is None:
        original = module._buffers.get(tensor_name)
    if original is None:
        message = f"{type(module).__name__} has no parameter or buffer {tensor_name!r}"
        fail(ArgumentError(message, op=_REGISTER, hint=_held(module)))
    rules = ParametrizationList([parametrization], original, unsafe)
    delattr(module, tensor_name)
    if "parametrizations" not in module._modules:
        module.add_module("parametrizations", ModuleDict())
    module.parametrizations[tensor_name] = rules
    rules.train(module.training)
    module._computed[tensor_name] = _Parametrized(tensor_name)
    return module


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Hold a parameter itself again; returns ``module``.

    Args:
        module: the layer.
        tensor_name: of the parameter or buffer.
        leave_parametrized: whether it keeps its computed value; otherwise it is the original again.

    Raises:
        ArgumentError: it is not parametrized; several originals cannot be one parameter again.

    >>> import lucid
    >>> from lucid import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> list(nn.utils.parametrize.remove_parametrizations(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    op = "remove_parametrizations"
    if not is_parametrized(module, tensor_name):
        fail(ArgumentError(f"{tensor_name!r} of {type(module).__name__} is not parametrized", op=op))
    rules: ParametrizationList = module.parametrizations[tensor_name]
    if not leave_parametrized and not rules.is_tensor:
        message = f"leave_parametrized=False: {tensor_name!r} is computed from {rules.ntensors} tensors"
        fail(ArgumentError(message, op=op, hint="only what starts from one tensor can go back to it"))
    held: Tensor = getattr(rules, rules._names()[0])
    learned = isinstance(held, Parameter)
    if leave_parametrized:
        with no_grad():
            value = rules()
            if rules.is_tensor and value.type is held.type:
                held.copy_(value)
            else:
                held = Parameter(value, held.requires_grad) if learned else value
    del module._computed[tensor_name]
    del module.parametrizations[tensor_name]
    if not len(module.parametrizations):
        del module.parametrizations
    if learned:
        module.register_parameter(tensor_name, held)  # type: ignore[arg-type]  # a Parameter
    else:
        module.register_buffer(tensor_name, held)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a parameter or buffer of ``module`` is parametrized; any, if no name is given.

    >>> from lucid import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> parametrize = nn.utils.parametrize
    >>> parametrize.is_parametrized(layer, "weight"), parametrize.is_parametrized(layer, "bias")
    (True, False)
    """
    names = [name for name, rule in module._computed.items() if isinstance(rule, _Parametrized)]
    return bool(names) if tensor_name is None else tensor_name in names


def type_before_parametrizations(module: Module) -> type:
    """The module's class, which parametrizations leave as it is.

    >>> from lucid import nn
    >>> nn.utils.parametrize.type_before_parametrizations(nn.ReLU()).__name__
    'ReLU'
    """
    return type(module)


def _require_type(found: Any, wanted: Any, what: str) -> None:
    if not isinstance(found, Tensor):
        fail(ArgumentTypeError(f"{what} {type(found).__name__}, not a tensor", op=_REGISTER))
    if found.type is not wanted:
        error: type[LucidError] = ShapeError if found.shape != wanted.shape else DTypeError
        fail(error(f"{what} {found.type} instead of {wanted}", op=_REGISTER, hint="unsafe=True allows it"))


def _held(module: Module) -> str:
    names = [name for name, t in [*module._parameters.items(), *module._buffers.items()] if t is not None]
    return f"it has {', '.join(names) or 'none'}"
