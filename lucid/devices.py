"""The one device there is, under the names by which programs written for several ask for it.

``lucid.cuda`` and ``lucid.backends`` say that there is no other, so that such programs take their path for the CPU.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail
from lucid.ir.types import DType, as_dtype

#: Devices that programs ask for by name.
_OTHERS = frozenset(("cuda", "mps", "xpu", "hip", "xla", "mtia", "meta", "privateuseone", "npu"))


class device:
    """The CPU.

    Args:
        type: "cpu", or a device.
        index: None or 0.

    Raises:
        ArgumentError: another device.
        ArgumentTypeError: neither a name nor a device.

    >>> device("cpu")
    device(type='cpu')
    """

    type = "cpu"

    def __init__(self, type: Any = "cpu", index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index
        if not isinstance(type, str):
            fail(ArgumentTypeError(f"device={type!r} must be a name or a device", op="device"))
        name, _, number = type.partition(":")
        if number and index is None and number.isdigit():
            index = int(number)
        if name != "cpu" or index not in (None, 0):
            wanted = f"{name}:{index}" if index is not None and not number else type
            message = f"device={wanted!r} is not there: Lucid computes on the CPU"
            fail(ArgumentError(message, op="device", hint="lucid.cuda.is_available() says so beforehand"))
        #: None, or 0 if it was given.
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and self.index == other.index

    def __hash__(self) -> int:
        return hash(("cpu", self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type='cpu'{'' if self.index is None else f', index={self.index}'})"


def require_cpu(given: Any) -> None:
    """Accept ``device=`` where a tensor is made: None, or the CPU.

    Raises:
        ArgumentError, ArgumentTypeError: as ``device``.
    """
    if given is not None:
        device(given)


def is_device(given: Any) -> bool:
    """True for a device, and for a string that names one, there or not, rather than a dtype."""
    return isinstance(given, device) or (isinstance(given, str) and given.partition(":")[0] in {"cpu", *_OTHERS})


def wanted_dtype(args: tuple[Any, ...], dtype: object, device: Any) -> DType | None:
    """The dtype that the arguments of ``to`` ask for, which may be a dtype, the CPU, both, or a tensor; None if none.

    Raises:
        ArgumentError, ArgumentTypeError, DTypeError: another device, or no dtype.
    """
    require_cpu(device)
    for given in args:
        if hasattr(given, "_record"):
            dtype = given.dtype
        elif is_device(given):
            require_cpu(given)
        elif given is not None and not isinstance(given, bool):  # a bool is PyTorch's non_blocking, or copy
            dtype = given
    return None if dtype is None else as_dtype(dtype)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """There is no other device to do this with."""


#: As ``torch.cuda`` is where there is no such device.
cuda = SimpleNamespace(
    is_available=lambda: False, device_count=lambda: 0, is_initialized=lambda: False, manual_seed=_nothing,
    manual_seed_all=_nothing, empty_cache=_nothing, synchronize=_nothing,
)  # fmt: skip

#: Settings that scripts make for other devices: they can be assigned, and change nothing.
backends = SimpleNamespace(
    cudnn=SimpleNamespace(benchmark=False, deterministic=True, enabled=False, is_available=lambda: False),
    cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False), is_built=lambda: False),
    mps=SimpleNamespace(is_available=lambda: False, is_built=lambda: False),
)
