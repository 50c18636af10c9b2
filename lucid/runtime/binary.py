"""What an executable consists of, and its form on disk: object code, and the memory that it runs in.

The form is a length, a JSON header and the object code; the cache gives back only what is as it was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lucid.codegen.target import Target
from lucid.runtime.disk_cache import disk_cache
from lucid.runtime.fingerprint import text_key
from lucid.runtime.jit import Object, compile_object

if TYPE_CHECKING:
    from lucid.codegen.program import Program

#: Slots of the table of addresses that the code is called with: the arena, the static memory, the threads' scratch
#: memory, the thread pool, the function that shares work among its threads, and the first input. Outputs follow the
#: inputs.
ARENA, STATIC, SCRATCH, THREADS, PARALLEL, FIRST = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Binary:
    """Objects that define ``run`` and ``prologue`` and all they call, and the sizes of their memory in bytes."""

    objects: tuple[Object, ...]
    arena: int
    static: int
    #: Of each thread.
    scratch: int
    has_prologue: bool
    #: Whether some kernel is shared by threads.
    parallel: bool
    #: Output index to input index, for the outputs that are written straight over an input.
    in_place: dict[int, int]

    @staticmethod
    def of(program: Program, objects: Sequence[Object], parallel: bool) -> Binary:
        """What ``objects``, compiled from ``program``, need to run."""
        return Binary(
            tuple(objects),
            program.arena.size,
            program.static.size,
            program.scratch,
            bool(program.prologue),
            parallel,
            dict(program.in_place),
        )

    @staticmethod
    def load(key: bytes) -> Binary | None:
        """What was stored under a key, by this process or an earlier one."""
        data = disk_cache().load(key)
        if data is None:
            return None
        objects, facts = _unpacked(data)
        sizes = facts["arena"], facts["static"], facts["scratch"]
        return Binary(objects, *sizes, facts["has_prologue"], facts["parallel"], dict(facts["in_place"]))

    def store(self, key: bytes) -> None:
        facts = {
            "arena": self.arena,
            "static": self.static,
            "scratch": self.scratch,
            "has_prologue": self.has_prologue,
            "parallel": self.parallel,
            "in_place": list(self.in_place.items()),
        }
        disk_cache().store(key, _packed(self.objects, facts))


def cached_object(llvm_text: str, target: Target) -> Object:
    """As ``compile_object``, by way of the on-disk cache."""
    key = text_key(llvm_text, target)
    data = None if key is None else disk_cache().load(key)
    if data is not None:
        return _unpacked(data)[0][0]
    compiled = compile_object(llvm_text, target)
    if key is not None:
        disk_cache().store(key, _packed([compiled], {}))
    return compiled


def _packed(objects: Sequence[Object], facts: Mapping[str, Any]) -> bytes:
    parts = [{"symbols": o.symbols, "size": len(o.code)} for o in objects]
    header = json.dumps({"objects": parts, **facts}).encode()
    return b"".join([len(header).to_bytes(8, "little"), header, *(o.code for o in objects)])


def _unpacked(data: bytes) -> tuple[tuple[Object, ...], dict[str, Any]]:
    at = 8 + int.from_bytes(data[:8], "little")
    facts = json.loads(data[8:at])
    objects = []
    for part in facts.pop("objects"):
        objects.append(Object(data[at : at + part["size"]], tuple(part["symbols"])))
        at += part["size"]
    return tuple(objects), facts
