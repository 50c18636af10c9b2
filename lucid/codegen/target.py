"""What the CPU can do: vector width, registers, caches, instruction-set features. Knows nothing of kernels.

A target is described by its features, never by the name of its CPU: virtual machines misreport names, and the same
description must give the same code. ``Target.of`` names three descriptions that tests and tuning use on any x86-64.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from pathlib import Path

from lucid.errors import ArgumentError
from lucid.ir.types import DType

_AVX2 = tuple("avx avx2 bmi bmi2 crc32 f16c fma lzcnt movbe popcnt sse3 sse4.1 sse4.2 ssse3 xsave".split())  # noqa: SIM905
_AVX512 = (*_AVX2, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
#: Present on a host, of no use to our code, and different enough between hosts to spoil a cache key.
_IRRELEVANT = ("amx", "kl", "sgx", "pku", "shstk", "uintr", "widekl", "enqcmd", "rtm", "tsxldtrk", "waitpkg", "64bit")
_LEVELS: dict[str, tuple[str, ...]] = {"baseline": (), "avx2": _AVX2, "avx512": _AVX512}


@dataclass(frozen=True)
class Target:
    """One kind of CPU.

    ``features`` are LLVM's names of what is present, sorted. Sizes are bytes; ``l1`` and ``l2`` are one core's data
    caches. ``has_fma`` says that a fused multiply-add is one instruction (without it, it is a slow library call).

    >>> from lucid.ir.types import float32
    >>> Target.of("avx2").lanes(float32)
    8
    """

    triple: str
    features: tuple[str, ...]
    vector_bytes: int
    vector_registers: int
    has_fma: bool
    l1: int = 32 * 1024
    l2: int = 1024 * 1024
    #: What the cores share.
    l3: int = 32 * 1024 * 1024
    #: Threads that kernels are cut up for. It never decides in which order an element is computed.
    threads: int = 4
    #: Whether Winograd's algorithm may run 3 x 3 convolutions: ``LUCID_WINOGRAD=0`` says no.
    winograd: bool = True

    @staticmethod
    def host() -> Target:
        """The machine this process runs on."""
        return _host()

    @staticmethod
    def of(level: str) -> Target:
        """A named x86-64 description: ``"baseline"`` (SSE2), ``"avx2"`` (with FMA) or ``"avx512"``.

        Raises:
            ArgumentError: another name.
        """
        if level not in _LEVELS:
            raise ArgumentError(f"target={level!r} is not known", hint=f"use one of {', '.join(_LEVELS)}")
        return describe("x86_64-unknown-linux-gnu", _LEVELS[level])

    def lanes(self, dtype: DType) -> int:
        """Elements of ``dtype`` in one vector register; 1 if vectors are no longer than that."""
        return max(1, self.vector_bytes // dtype.itemsize)

    @property
    def scales(self) -> bool:
        """Whether multiplying a vector by powers of two, each rounded once, is one instruction."""
        return "avx512vl" in self.features

    @property
    def has_float16(self) -> bool:
        """Whether float16 and float32 are converted into each other by one instruction."""
        return "f16c" in self.features or not self.triple.startswith("x86_64")

    @property
    def cpu(self) -> str:
        """LLVM's CPU name: the family's oldest member, to which ``features`` add."""
        return "x86-64" if self.triple.startswith("x86_64") else "generic"

    @property
    def feature_string(self) -> str:
        return ",".join(f"+{name}" for name in self.features)

    def supports(self, other: Target) -> bool:
        """Whether code made for ``other`` runs here."""
        return self.triple.split("-")[0] == other.triple.split("-")[0] and set(other.features) <= set(self.features)


def describe(triple: str, features: tuple[str, ...], l1: int = 32 * 1024, l2: int = 1024 * 1024) -> Target:
    """The target with these features: register file and vector width follow from them."""
    have = frozenset(features)
    ordered = tuple(sorted(have))
    if not triple.startswith("x86_64"):
        return Target(triple, ordered, vector_bytes=16, vector_registers=32, has_fma=True, l1=l1, l2=l2)
    # Without the byte/word, doubleword and vector-length parts (Knights Landing) 512-bit code is not worth having.
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= have:
        return Target(triple, ordered, vector_bytes=64, vector_registers=32, has_fma=True, l1=l1, l2=l2)
    width = 32 if "avx2" in have else 16
    return Target(triple, ordered, vector_bytes=width, vector_registers=16, has_fma="fma" in have, l1=l1, l2=l2)


@lru_cache(maxsize=1)
def _host() -> Target:
    from llvmlite import binding as llvm

    present = [name for name, on in llvm.get_host_cpu_features().items() if on and not name.startswith(_IRRELEVANT)]
    caches = _cache("index0", 32 * 1024), _cache("index2", 2**20)
    found = describe(llvm.get_process_triple(), tuple(present), *caches)
    return replace(
        found,
        l3=_cache("index3", 32 * 2**20),
        threads=available_threads(),
        winograd=os.environ.get("LUCID_WINOGRAD", "1") != "0",
    )


def available_threads() -> int:
    """Cores this process may use: its affinity, its cgroup's quota, and ``OMP_NUM_THREADS``, whichever is least."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            count = min(count, max(1, ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no cgroup, or one of another kind: no limit known
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(count, int(asked)) if asked.isdigit() and int(asked) > 0 else count


def _cache(index: str, default: int) -> int:
    """Size of one of the first core's caches as Linux reports it, or a common size elsewhere."""
    if platform.system() != "Linux":
        return default
    try:
        text = Path(f"/sys/devices/system/cpu/cpu0/cache/{index}/size").read_text().strip()
        return int(text.rstrip("K")) * 1024
    except (OSError, ValueError):
        return default
