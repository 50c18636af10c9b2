"""``Optimizer``: groups of parameters, their hyperparameters, and tensors that carry an update rule's state.

A rule says which state tensors it needs and how one parameter moves; the rest is here. State and parameters are
updated in place with ``copy_``, and hyperparameters are read through ``live_scalar``: so a whole training step can be
compiled, and still follows a learning rate that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from lucid.eager import leaf, live_scalar, mode
from lucid.errors import ArgumentError, ArgumentTypeError, GradientError, TraceError
from lucid.functions.arguments import fail
from lucid.grad_modes import enable_grad, no_grad
from lucid.ir.types import DType
from lucid.nn.module import clear_grad, register_hook
from lucid.nn.registry import join
from lucid.optim import saving
from lucid.optim.moving import Moving, Programs
from lucid.tensor import HookHandle, Tensor

#: The parameters of one group under ``"params"``, and its hyperparameters by name.
Group: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, Tensor]


class Optimizer:
    """Base of all optimizers.

    Args:
        params: tensors, or dictionaries with ``"params"`` and hyperparameters that overrule the defaults.
        defaults: hyperparameters of groups that do not give their own.

    Attributes:
        param_groups: one dictionary per group; assign to its entries to change hyperparameters.
        state: the state tensors of each parameter, by name.

    Raises:
        ArgumentError: no parameters, a parameter given twice, or a hyperparameter out of its rule.
        ArgumentTypeError: something that is not a tensor, or an unknown hyperparameter.
        GradientError: a tensor that is the result of an operation.

    A rule is one class, and works in compiled steps too:

    >>> import lucid
    >>> class SignSGD(Optimizer):
    ...     scalars = {"lr": lambda group: group["lr"]}
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...     def update(self, p, grad, state, group, live):
    ...         p.copy_(p - live["lr"] * lucid.sign(grad))
    >>> x = lucid.tensor([2.0], requires_grad=True)
    >>> (x * x).backward()
    >>> SignSGD([x], lr=0.5).step()
    >>> x
    Tensor([1.5], requires_grad=True)
    """

    #: Numbers that the rule computes with, as functions of a group.
    scalars: ClassVar[Mapping[str, Callable[[Group], float]]] = {}
    #: What schedulers keep in a group beside its hyperparameters.
    scheduled: ClassVar[frozenset[str]] = frozenset(("initial_lr",))
    #: Those of ``scalars`` that are computed with in double precision, whatever the type of the parameters.
    precise: ClassVar[frozenset[str]] = frozenset()
    #: Hyperparameters of which the rule only asks whether they are zero or not, to leave work out.
    switches: ClassVar[tuple[str, ...]] = ()

    #: Flags of PyTorch's groups that have one value here.
    fixed: ClassVar[Mapping[str, bool]] = {}

    #: State tensors that PyTorch does not keep, and what they come to once a step has been made.
    implied: ClassVar[Mapping[str, float]] = {}

    def __init__(self, params: Iterable[Tensor] | Iterable[Group], defaults: Mapping[str, Any]):
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        self._before_step: dict[int, Callable[..., object]] = {}
        self._after_step: dict[int, Callable[..., object]] = {}
        self._programs = Programs(self, self._update_all)
        self.check({"params": [], **self.defaults})
        if isinstance(params, Tensor | Mapping | str) or not isinstance(params, Iterable):
            fail(
                ArgumentTypeError(
                    f"params must be a sequence of tensors or of groups, not one {type(params).__name__}",
                    op=self.name,
                    hint="pass model.parameters(), or a list",
                )
            )
        given: list[Any] = list(params)
        if not given:
            fail(ArgumentError("params is empty: there is nothing to optimize", op=self.name))
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def name(self) -> str:
        return type(self).__name__

    # --- what a rule says ---
    def check(self, group: Group) -> None:
        """Raise if a hyperparameter is out of its rule."""

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the state tensors of ``p``."""
        return {}

    def start(self, name: str, group: Group) -> float:
        """The number that the state tensor ``name`` is filled with before the first step."""
        return 0.0

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        """Move ``p``. ``live`` holds ``scalars``; everything else in ``group`` is fixed once compiled."""
        raise NotImplementedError

    # --- groups ---
    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with hyperparameters of their own.

        Raises:
            As the constructor does.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            fail(ArgumentTypeError('a parameter group must be a dictionary with "params"', op=self.name))
        unknown = [key for key in group if key not in {"params", *self.defaults, *self.scheduled}]
        if unknown:
            known = ", ".join(self.defaults)
            message = f"unknown hyperparameters in a group: {', '.join(map(str, unknown))}"
            fail(ArgumentTypeError(message, op=self.name, hint=f"{self.name} knows {known}"))
        params = [group["params"]] if isinstance(group["params"], Tensor) else group["params"]
        if not isinstance(params, Iterable):
            fail(ArgumentTypeError(f"params of a group must be tensors, not {type(params).__name__}", op=self.name))
        params = list(params)
        seen = {id(p) for g in self.param_groups for p in g["params"]}
        for k, p in enumerate(params):
            if not isinstance(p, Tensor):
                fail(ArgumentTypeError(f"params[{k}] must be a Tensor, not {type(p).__name__}", op=self.name))
            if not p.is_leaf:
                fail(
                    GradientError(
                        f"params[{k}] of shape {p.shape} is the result of an operation, not a leaf: "
                        "it cannot be optimized",
                        op=self.name,
                        hint="optimize the tensors it was computed from, or x.detach().requires_grad_()",
                    )
                )
            if id(p) in seen:
                fail(ArgumentError(f"params[{k}] of shape {p.shape} is given twice", op=self.name))
            seen.add(id(p))
        if not params:
            fail(ArgumentError("params of a group is empty: there is nothing to optimize", op=self.name))
        new = {**self.defaults, **group, "params": params}
        self.check(new)
        self.param_groups.append(new)
        for p in params:
            if p.requires_grad:  # now rather than at the first step, which may be one that is being traced
                self._state_of(p, new)

    def _state_of(self, p: Tensor, group: Group) -> State:
        state = self.state.setdefault(p, {})
        for name, shape in self.buffers(p, group).items():
            if name not in state:
                state[name] = leaf(np.full(shape, self.start(name, group), p.dtype))
                state[name].name = join(p.name or "", name)  # what graphs call it
        return state

    # --- steps ---
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient.

        Args:
            closure: computes the loss and its gradients first; what it returns is returned.
        """
        args = () if closure is None else (closure,)
        for hook in tuple(self._before_step.values()):
            hook(self, args, {})
        loss = self._take_step(closure)
        for hook in tuple(self._after_step.values()):
            hook(self, args, {})
        return loss

    def _take_step(self, closure: Callable[[], Any] | None) -> Any:
        """A step without its hooks."""
        loss = None
        if closure is not None:
            if not callable(closure):
                fail(ArgumentTypeError(f"closure={closure!r} must be a function without arguments", op=self.name))
            with enable_grad():
                loss = closure()
        with no_grad():
            moving = [
                Moving(k, p) for k, group in enumerate(self.param_groups) for p in group["params"] if p.grad is not None
            ]
            for k, p in moving:
                self._state_of(p, self.param_groups[k])
            if mode.trace is None and self._programs.pay(moving):
                self._programs(moving)
            else:
                self._update_all(moving)
        return loss

    def _update_all(self, moving: Sequence[Moving]) -> None:
        """Update these parameters and their state."""
        live: dict[tuple[int, DType], _Live] = {}
        for k, p in moving:
            if (k, p.dtype) not in live:
                live[k, p.dtype] = _Live(self, k, p.dtype)
            grad: Any = p.grad
            self.update(p, grad.detach(), self.state[p], self.param_groups[k], live[k, p.dtype])

    def __getstate__(self) -> dict[str, Any]:
        """Without machine code."""
        return {name: value for name, value in self.__dict__.items() if name != "_programs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _programs=Programs(self, self._update_all))

    def register_step_pre_hook(self, hook: Callable[[Any, tuple[Any, ...], dict[str, Any]], object]) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; in a compiled one, while it is traced."""
        return register_hook(self._before_step, hook)

    def register_step_post_hook(self, hook: Callable[[Any, tuple[Any, ...], dict[str, Any]], object]) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step; in a compiled one, while it is traced."""
        return register_hook(self._after_step, hook)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                clear_grad(p, set_to_none)

    # --- state ---
    def state_dict(self) -> dict[str, Any]:
        """Hyperparameters and state, parameters numbered in order; later steps do not change it."""
        return saving.state_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over hyperparameters and state of an optimizer with the same groups.

        Raises:
            StateError: groups, names or shapes do not fit; the message lists what, and nothing was changed.
        """
        saving.load_state_dict(self, state_dict)

    def __repr__(self) -> str:
        groups = []
        for k, group in enumerate(self.param_groups):
            rows = [f"    {key}: {value}" for key, value in group.items() if key != "params"]
            groups.append("\n".join([f"  group {k}: {len(group['params'])} parameters", *rows]))
        return f"{self.name}(\n" + "\n".join(groups) + "\n)"


class _Live(dict[str, Any]):
    """The scalars of one group in one step, each made when it is first asked for.

    In a compiled step each is read again at every call, and refuses to go on if a switch has been turned since.
    """

    def __init__(self, optimizer: Optimizer, index: int, dtype: DType):
        super().__init__()
        self._optimizer = optimizer
        self._group = optimizer.param_groups[index]
        self._index = index
        self._dtype = dtype
        self._traced = self._switches()

    def _switches(self) -> tuple[Any, ...]:
        groups = len(self._optimizer.param_groups)
        return (groups, *[bool(self._group[name]) for name in self._optimizer.switches])

    def __missing__(self, name: str) -> Any:
        scalar = self._optimizer.scalars[name]

        def read() -> float:
            if self._switches() != self._traced:
                self._refuse()
            return float(scalar(self._group))

        dtype = np.dtype(np.float64) if name in self._optimizer.precise else self._dtype
        value = self[name] = live_scalar(read, dtype)
        return value

    def _refuse(self) -> None:
        names = ("the number of groups", *self._optimizer.switches)
        turned = [n for n, a, b in zip(names, self._switches(), self._traced, strict=True) if a != b]
        fail(
            TraceError(
                f"{', '.join(turned)} of group {self._index} changed between zero and not, or on and off, after this "
                "training step was compiled, which left the work for it in or out",
                op=self._optimizer.name,
                hint="compile the step again; values that do not change between zero and not may change freely",
            )
        )


def require_number(op: str, argument: str, value: Any, *, below: float = float("inf")) -> None:
    """Raise unless ``value`` is a number from 0 up to, not including, ``below``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        fail(ArgumentTypeError(f"{argument}={value!r} must be a number, not {type(value).__name__}", op=op))
    if not 0 <= value < below:
        rule = "be finite and not negative" if below == float("inf") else f"lie in 0 .. {below:g}, {below:g} excluded"
        fail(ArgumentError(f"{argument}={value!r} must {rule}", op=op))


def require_flags(op: str, group: Group, names: Sequence[str]) -> None:
    """Raise unless these hyperparameters are True or False."""
    for name in names:
        if not isinstance(group[name], bool):
            fail(ArgumentTypeError(f"{name}={group[name]!r} must be True or False", op=op))


def require_betas(op: str, group: Group) -> None:
    """Raise unless ``betas`` are two numbers from 0 up to, not including, 1."""
    betas = group["betas"]
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        fail(ArgumentTypeError(f"betas={betas!r} must be two numbers", op=op))
    for k, beta in enumerate(betas):
        require_number(op, f"betas[{k}]", beta, below=1.0)
