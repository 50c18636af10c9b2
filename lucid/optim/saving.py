"""State dicts of optimizers: parameters are numbered in the order of the groups, as in PyTorch, whose own are taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lucid.errors import ArgumentTypeError, LucidError, StateError
from lucid.functions.arguments import fail
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.optim.optimizer import Group, Optimizer
    from lucid.tensor import Tensor


#: What PyTorch's groups say of how it computes, which is of no effect on what.
_IMPLEMENTATION = frozenset(("foreach", "fused", "capturable", "differentiable"))


def state_dict(optimizer: Optimizer) -> dict[str, Any]:
    """``{"state": {number: {name: tensor}}, "param_groups": [hyperparameters and numbers]}``."""
    groups, state, number = [], {}, 0
    for group in optimizer.param_groups:
        numbers = []
        for p in group["params"]:
            if optimizer.state.get(p):
                state[number] = {name: t.detach() for name, t in optimizer.state[p].items()}
            numbers.append(number)
            number += 1
        groups.append({**{k: v for k, v in group.items() if k != "params"}, "params": numbers})
    return {"state": state, "param_groups": groups}


def load_state_dict(optimizer: Optimizer, given: Mapping[str, Any]) -> None:
    """What ``Optimizer.load_state_dict`` documents."""
    op = f"{optimizer.name}.load_state_dict"
    if not isinstance(given, Mapping) or not {"state", "param_groups"} <= given.keys():
        fail(ArgumentTypeError('state_dict must be a dictionary with "state" and "param_groups"', op=op))
    groups = _groups(optimizer, given["param_groups"], op)
    # A file may have turned the numbers into text.
    states = {int(number): state for number, state in given["state"].items()}
    problems: list[str] = []
    loaded: list[tuple[Tensor, Group, dict[str, Tensor]]] = []
    for own, new in zip(optimizer.param_groups, groups, strict=True):
        for p, number in zip(own["params"], new["params"], strict=True):
            values = _tensors(states.get(number, {}), number, problems)
            expected = optimizer.buffers(p, new) if values else {}
            for name, implied in optimizer.implied.items():
                if name in expected and name not in values:
                    values[name] = as_tensor(implied)
            for name in [*expected, *[n for n in values if n not in expected]]:
                if name not in values:
                    problems.append(f"state {number}: {name} is missing")
                elif name not in expected:
                    problems.append(f"state {number}: {name} is unexpected")
                elif values[name].shape != expected[name]:
                    problems.append(f"state {number}: {name} has shape {values[name].shape}, not {expected[name]}")
            loaded.append((p, own, values))
    if problems:
        fail(StateError("the state dict does not fit the optimizer\n  " + "\n  ".join(problems), op=op))
    for own, new in zip(optimizer.param_groups, groups, strict=True):
        own.update({k: v for k, v in new.items() if k != "params"})
    for p, own, values in loaded:
        # In place, tensor by tensor: compiled steps hold on to the state tensors they update.
        for name, tensor in optimizer._state_of(p, own).items():
            tensor.copy_(values.get(name, optimizer.start(name, own)))


def _groups(optimizer: Optimizer, given: Any, op: str) -> list[Group]:
    """The given groups, with this optimizer's defaults where they lack a hyperparameter."""
    own = [len(group["params"]) for group in optimizer.param_groups]
    sizes = [len(group["params"]) for group in given]
    if own != sizes:
        fail(StateError(f"groups of {sizes} parameters do not fit an optimizer with groups of {own}", op=op))
    groups = []
    for group in given:
        group = {key: value for key, value in group.items() if key not in _IMPLEMENTATION}
        for key, value in optimizer.fixed.items():
            if group.pop(key, value) != value:
                fail(StateError(f"{key} is {value} in {optimizer.name}, and not {not value}", op=op))
        unknown = [key for key in group if key not in {"params", *optimizer.defaults, *optimizer.scheduled}]
        if unknown:
            fail(StateError(f"{', '.join(unknown)} are not hyperparameters of {optimizer.name}", op=op))
        new = {**optimizer.defaults, **group}
        try:
            optimizer.check(new)
        except LucidError as error:
            fail(StateError(error.message, op=op))
        groups.append(new)
    return groups


def _tensors(state: Mapping[str, Any], number: int, problems: list[str]) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    for name, value in state.items():
        if value is None:  # what PyTorch keeps for a momentum of 0
            continue
        try:
            values[name] = as_tensor(value)
        except LucidError as error:
            problems.append(f"state {number}: {name}: {error.message}")
    return values
