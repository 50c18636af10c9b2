"""The libraries that can be measured: which package each needs, and in what environment its process runs.

A module here offers ``variants(workload, threads) -> Variants``; only its own worker process imports it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec

#: What keeps glibc's allocator from giving memory back to the system and faulting it in again.
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**28)}


@dataclass(frozen=True)
class Library:
    """``module`` of this package, measured if ``packages`` are installed, in a process with ``environment``."""

    module: str
    packages: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        return all(find_spec(package) is not None for package in self.packages)

    @property
    def versions(self) -> str:
        return ", ".join(f"{p} {version('lucid-dl' if p == 'lucid' else p)}" for p in self.packages if p != "lucid")


LIBRARIES: dict[str, Library] = {
    "machine": Library("machine", ("lucid",)),
    "lucid": Library("with_lucid", ("lucid",)),
    "numpy": Library("with_numpy", ("numpy",)),
    "torch": Library("with_torch", ("torch",)),
    "torch-tuned": Library("with_torch", ("torch",), TUNED),
    "onnxruntime": Library("with_onnxruntime", ("onnxruntime", "onnx")),
    "openvino": Library("with_openvino", ("openvino", "onnx")),
    "jax": Library("with_jax", ("jax",)),
}

#: Not competitors: the ceilings, and Lucid itself.
OURS = ("machine", "lucid")


def is_tuned() -> bool:
    """Whether this process runs with ``TUNED``."""
    return all(os.environ.get(name) == value for name, value in TUNED.items())
