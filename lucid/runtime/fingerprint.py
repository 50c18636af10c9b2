"""Keys of the on-disk cache: equal for two compilations if and only if they would make the same machine code.

A key covers the graph's structure, how it is to be compiled, the CPU, the versions of LLVM and NumPy, and every line of
the generator. Names and source locations are not part of it. What cannot be described has no key, and is not cached.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Mapping
from functools import lru_cache
from math import isnan
from pathlib import Path

import numpy as np

from lucid import ir
from lucid.codegen.target import Target
from lucid.errors import IRError
from lucid.ir.graph import Call, Graph, Node, Op
from lucid.ir.passes.pipeline import DEFAULT, Pipeline
from lucid.ir.text import print_value
from lucid.runtime.orders import C_ORDER, Orders

#: Packages of ``lucid`` whose source decides what machine code a graph becomes.
GENERATOR = ("ir", "ops", "codegen", "runtime")
_ROOT = Path(ir.__file__).parent.parent


def graph_key(
    graph: Graph,
    target: Target,
    passes: Pipeline | None = None,
    parameters: Collection[Node] = (),
    in_place: Mapping[int, int] | None = None,
    orders: Orders = C_ORDER,
    tune: bool = False,
) -> bytes | None:
    """The key of what ``build`` makes from these arguments; None if they have none."""
    generator = _generator()
    if generator is None or passes not in (None, DEFAULT):
        return None
    number: dict[Node, int] = {}
    calls: dict[Call, str] = {}
    lines = []
    try:
        for k, node in enumerate(graph.nodes):
            number[node] = k
            call = node.call
            text = calls.get(call)
            if text is None:
                text = calls[call] = _described(call)
            lines.append(f"{text}{[number[x] for x in node.inputs]}")
    except _NoKeyError:
        return None
    options = (
        len(graph.inputs),
        [number[n] for n in graph.outputs],
        sorted(number[n] for n in parameters),
        sorted((in_place or {}).items()),
        sorted(orders.inputs.items()),
        sorted(orders.outputs.items()),
        passes is not None,
        target,
        tune,
    )
    return _digest(generator, repr(options), *lines)


def text_key(text: str, target: Target) -> bytes | None:
    """The key of the object code of an LLVM module."""
    generator = _generator()
    return None if generator is None else _digest(generator, repr(target), text)


class _NoKeyError(Exception):
    """Something that cannot be told from others by a text."""


def _described(call: Call) -> str:
    if not _is_ours(call.op):
        raise _NoKeyError
    try:
        attrs = ", ".join(f"{name}={_exact(value)}" for name, value in call.attrs.items())
    except IRError:
        raise _NoKeyError from None
    return f"{call.op.name} {{{attrs}}} {call.type} "


def _exact(value: object) -> str:
    """An attribute's text; a NaN by its bits, which ``print_value`` drops."""
    if isinstance(value, float) and isnan(value):
        return struct.pack("<d", value).hex()
    if isinstance(value, tuple):
        return f"({' '.join(map(_exact, value))})"
    return print_value(value)


@lru_cache(maxsize=1024)
def _is_ours(op: Op) -> bool:
    """Whether every class an op's meaning comes from is part of the hashed source."""
    return all(c is object or c.__module__.startswith(("lucid.ops.", "lucid.ir.")) for c in type(op).__mro__)


@lru_cache(maxsize=1)
def _generator() -> bytes | None:
    """A digest of everything but the graph: the generator's source, and the libraries it relies on.

    None if the source on disk need not be what this process runs.
    """
    import llvmlite
    from llvmlite import binding

    digest = hashlib.sha256(repr((llvmlite.__version__, binding.llvm_version_info, np.__version__)).encode())
    files = sorted(path for package in GENERATOR for path in (_ROOT / package).rglob("*.py"))
    for path in files:
        content = path.read_bytes()
        # The time of change of the inode: unlike that of the content it cannot be set back by who installs a file.
        if path.stat().st_ctime >= ir.IMPORTED_AT:
            return None
        digest.update(f"\0{path.relative_to(_ROOT).as_posix()} {len(content)}\0".encode())
        digest.update(content)
    return digest.digest() if files else None


def _digest(*parts: str | bytes) -> bytes:
    whole = b"\n".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(whole).digest()
