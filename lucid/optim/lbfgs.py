"""L-BFGS (Liu & Nocedal, "On the limited memory BFGS method for large scale optimization", 1989)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError, StateError
from lucid.functions.arguments import fail, int_of
from lucid.functions.creation import zeros
from lucid.functions.movement import concat, reshape
from lucid.grad_modes import enable_grad, no_grad
from lucid.optim import saving
from lucid.optim.line_search import Point, strong_wolfe
from lucid.optim.optimizer import Group, Optimizer, require_number
from lucid.promotion import as_tensor
from lucid.tensor import Tensor


class LBFGS(Optimizer):
    """Quasi-Newton steps of all parameters as one vector, from the last changes of the gradient. For full batches.

    Each ``step(closure)`` evaluates the loss several times. It decides by values, so it cannot be compiled; the closure
    can.

    Args:
        params: tensors of one dtype; one group.
        lr: the length of a step, or the first that is tried by a line search.
        max_iter: most iterations in a step.
        max_eval: most evaluations in a step; ``max_iter * 5 // 4`` if None.
        tolerance_grad: stop once no element of the gradient is larger.
        tolerance_change: stop once the loss, and every parameter, changes by less.
        history_size: how many changes are remembered.
        line_search_fn: None, or 'strong_wolfe'.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of their rules; more than one group; another line search.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> lbfgs = optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     lbfgs.zero_grad()
    ...     loss = ((x - 2.0) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> lbfgs.step(closure)
    Tensor(26.0, requires_grad=True)
    >>> x.round().tolist()
    [2.0, 2.0]
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": int_of("LBFGS", "max_iter", max_iter) * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        #: What goes on from one step to the next, by PyTorch's names.
        self._kept: dict[str, Any] = {"func_evals": 0, "n_iter": 0}

    def check(self, group: Group) -> None:
        for name in ("lr", "tolerance_grad", "tolerance_change"):
            require_number(self.name, name, group[name])
        for name in ("max_iter", "max_eval", "history_size"):
            if int_of(self.name, name, group[name]) < 1:
                fail(ArgumentError(f"{name}={group[name]!r} must be at least 1", op=self.name))
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            fail(
                ArgumentError(
                    f"line_search_fn={group['line_search_fn']!r} must be None or 'strong_wolfe'", op=self.name
                )
            )

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add the only group.

        Raises:
            ArgumentError: there is one.
        """
        if self.param_groups:
            fail(ArgumentError("there is a group already, and all its parameters are one vector", op=self.name))
        super().add_param_group(group)

    # --- the vector ---
    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]  # type: ignore[no-any-return]  # a list of tensors

    def _gradient(self) -> Tensor:
        parts = [zeros(p.shape, dtype=p.dtype) if p.grad is None else p.grad.detach() for p in self._params]
        return concat([reshape(g, -1) for g in parts])

    def _move(self, origin: list[Tensor], direction: Tensor, length: float) -> None:
        """Put the parameters ``length`` steps from ``origin``."""
        begin = 0
        for p, x in zip(self._params, origin, strict=True):
            p.copy_(x + reshape(direction[begin : begin + p.size], p.shape) * length)
            begin += p.size

    # --- steps ---
    def _take_step(self, closure: Callable[[], Any] | None) -> Any:
        """Iterate until a tolerance or a limit is reached; returns the loss before.

        Args:
            closure: computes the loss and its gradients.

        Raises:
            ArgumentTypeError: no closure.
            TraceError: in a compiled function.
        """
        if not callable(closure):
            message = f"closure={closure!r} must be a function without arguments"
            fail(ArgumentTypeError(message, op=self.name, hint="it is called several times in a step"))
        with no_grad():
            return self._step(closure)

    def _step(self, closure: Callable[[], Any]) -> Any:
        group, kept = self.param_groups[0], self._kept
        evaluations = 0

        def evaluate() -> tuple[Any, Tensor]:
            nonlocal evaluations
            evaluations += 1
            kept["func_evals"] += 1
            with enable_grad():
                loss = closure()
            return loss, self._gradient()

        before, gradient = evaluate()
        loss = float(before)
        for iteration in range(1, group["max_iter"] + 1):
            if _largest(gradient) <= group["tolerance_grad"]:
                break
            kept["n_iter"] += 1
            direction = self._direction(gradient)
            kept["prev_flat_grad"], kept["prev_loss"] = gradient, loss
            length = group["lr"]
            if kept["n_iter"] == 1:
                length *= min(1.0, 1.0 / gradient.abs().sum().item())
            slope = (gradient * direction).sum().item()
            if slope > -group["tolerance_change"]:
                kept["t"] = length
                break
            origin = [p.detach() for p in self._params]
            if group["line_search_fn"] is None:
                self._move(origin, direction, length)
                if iteration < group["max_iter"]:  # the last gradient would not be used
                    loss_here, gradient = evaluate()
                    loss = float(loss_here)
            else:

                def point(at: float, origin: list[Tensor] = origin, direction: Tensor = direction) -> Point:
                    self._move(origin, direction, at)
                    value, slopes = evaluate()
                    return Point(at, float(value), slopes, (slopes * direction).sum().item())

                best, _ = strong_wolfe(point, Point(0.0, loss, gradient, slope), length, _largest(direction))
                self._move(origin, direction, best.at)
                loss, gradient, length = best.loss, best.gradient, best.at
            kept["t"] = length
            change = _largest(direction) * abs(length)
            if evaluations >= group["max_eval"] or change <= group["tolerance_change"]:
                break
            if abs(loss - kept["prev_loss"]) < group["tolerance_change"]:
                break
        return before

    def _direction(self, gradient: Tensor) -> Tensor:
        """Downwards: the gradient times minus the inverse Hessian that the remembered changes amount to."""
        kept = self._kept
        if kept["n_iter"] == 1:
            kept.update(d=-gradient, old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return kept["d"]  # type: ignore[no-any-return]  # a tensor
        turn, moved = gradient - kept["prev_flat_grad"], kept["d"] * kept["t"]
        product = (turn * moved).sum().item()
        if product > 1e-10:
            for name, value in (("old_dirs", turn), ("old_stps", moved), ("ro", 1.0 / product)):
                kept[name] = [*kept[name], value][-self.param_groups[0]["history_size"] :]
            kept["H_diag"] = product / (turn * turn).sum().item()
        history = list(zip(kept["old_dirs"], kept["old_stps"], kept["ro"], strict=True))
        parts = []
        d = -gradient
        for turn, moved, scale in reversed(history):
            parts.append((moved * d).sum().item() * scale)
            d = d - turn * parts[-1]
        d = d * kept["H_diag"]
        for (turn, moved, scale), part in zip(history, reversed(parts), strict=True):
            d = d + moved * (part - (turn * d).sum().item() * scale)
        kept["d"] = d
        return d  # type: ignore[no-any-return]  # a tensor

    # --- state ---
    def state_dict(self) -> dict[str, Any]:
        """Hyperparameters, and what goes on from one step to the next, under PyTorch's names."""
        return {**saving.state_dict(self), "state": {0: dict(self._kept)}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over hyperparameters and state; the state of parameters of as many elements."""
        given = dict(state_dict.get("state", {}).get(0, {"func_evals": 0, "n_iter": 0}))
        size = sum(p.size for p in self._params)

        def vector(name: str, value: Any) -> Tensor:
            found = as_tensor(value)
            if found.shape != (size,):
                fail(StateError(f"{name} has shape {found.shape}, not {(size,)}", op=f"{self.name}.load_state_dict"))
            return found.detach()

        for name in ("d", "prev_flat_grad"):
            if given.get(name) is not None:
                given[name] = vector(name, given[name])
        for name in ("old_dirs", "old_stps"):
            given[name] = [vector(name, v) for v in given.get(name) or ()]
        given["ro"] = [float(v) for v in given.get("ro") or ()]
        for name in ("t", "H_diag", "prev_loss"):
            if given.get(name) is not None:
                given[name] = float(given[name])
        given.pop("al", None)  # PyTorch's scratch
        super().load_state_dict({**state_dict, "state": {}})
        self._kept = given


def _largest(x: Tensor) -> float:
    """The largest absolute value; NaN if there is one, and 0 of nothing."""
    return float(x.abs().max().item()) if x.size else 0.0
