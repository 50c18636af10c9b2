"""Switching the recording of gradients off and on: ``no_grad``, ``enable_grad``, ``set_grad_enabled``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from lucid.eager import mode

F = TypeVar("F", bound=Callable[..., Any])


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require a gradient give such tensors, in this thread.

    >>> import lucid
    >>> lucid.is_grad_enabled()
    True
    """
    return mode.grad


class _Recording:
    """Record gradients or not, as a context manager or a decorator, in this thread."""

    def __init__(self, enabled: bool):
        self.enabled = bool(enabled)
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.grad)
        mode.grad = self.enabled

    def __exit__(self, *exc: object) -> None:
        mode.grad = self._before.pop()

    def __call__(self, function: F) -> F:
        enabled = self.enabled

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _Recording(enabled):
                return function(*args, **kwargs)

        return cast(F, wrapped)


class set_grad_enabled(_Recording):
    """Record gradients from here on, or not, in this thread; as a context manager or a decorator, only inside.

    >>> import lucid
    >>> x = lucid.ones(2, requires_grad=True)
    >>> with set_grad_enabled(False):
    ...     print((x * 2).requires_grad)
    False
    """

    def __init__(self, enabled: bool):
        super().__init__(enabled)
        self._outside = mode.grad
        mode.grad = self.enabled

    def __enter__(self) -> None:
        mode.grad = self.enabled

    def __exit__(self, *exc: object) -> None:
        mode.grad = self._outside

    def __call__(self, function: F) -> F:
        mode.grad = self._outside
        return super().__call__(function)


def no_grad(function: Callable[..., Any] | None = None) -> Any:
    """Results need no gradient inside: ``with no_grad():``, or ``@no_grad()`` or ``@no_grad`` on a function.

    >>> import lucid
    >>> x = lucid.ones(2, requires_grad=True)
    >>> with no_grad():
    ...     print((x * 2).requires_grad)
    False
    """
    return _Recording(False) if function is None else _Recording(False)(function)


def inference_mode(mode: Any = True) -> Any:
    """``no_grad`` by another name: ``with inference_mode():``, or a decorator; ``inference_mode(False)`` does nothing.

    >>> import lucid
    >>> x = lucid.ones(2, requires_grad=True)
    >>> with inference_mode():
    ...     print((x * 2).requires_grad)
    False
    """
    if callable(mode):
        return no_grad(mode)
    return _Recording(False) if mode else _Recording(is_grad_enabled())


def enable_grad(function: Callable[..., Any] | None = None) -> Any:
    """Results need gradients again inside, where ``no_grad`` holds around.

    >>> import lucid
    >>> x = lucid.ones(2, requires_grad=True)
    >>> with no_grad(), enable_grad():
    ...     print((x * 2).requires_grad)
    True
    """
    return _Recording(True) if function is None else _Recording(True)(function)
