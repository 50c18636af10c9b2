"""What an executable consists of, and its form on disk: object code, and the memory that it runs in.

The form is a length, a JSON header and the object code; the cache gives back only what is as it was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lucid.codegen.target import Target
from lucid.runtime.disk_cache import disk_cache
from lucid.runtime.fingerprint import text_key
from lucid.runtime.jit import Object, compile_object

if TYPE_CHECKING:
    from lucid.codegen.program import Program

#: Slots of the table of addresses that the code is called with: the arena, the static memory, the thread pool, the
#: function that shares work among its threads, and the first input. Outputs follow the inputs.
ARENA, STATIC, THREADS, PARALLEL, FIRST = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Binary:
    """Object code that defines ``run`` and ``prologue``, and the sizes of its memory in bytes."""

    object: Object
    arena: int
    static: int
    has_prologue: bool
    #: Output index to input index, for the outputs that are written straight over an input.
    in_place: dict[int, int]

    @staticmethod
    def of(program: Program, compiled: Object) -> Binary:
        """What ``compiled``, made from ``program``, needs to run."""
        return Binary(compiled, program.arena.size, program.static.size, bool(program.prologue), dict(program.in_place))

    @staticmethod
    def load(key: bytes) -> Binary | None:
        """What was stored under a key, by this process or an earlier one."""
        data = disk_cache().load(key)
        if data is None:
            return None
        compiled, facts = _unpacked(data)
        return Binary(compiled, facts["arena"], facts["static"], facts["has_prologue"], dict(facts["in_place"]))

    def store(self, key: bytes) -> None:
        facts = {
            "arena": self.arena,
            "static": self.static,
            "has_prologue": self.has_prologue,
            "in_place": list(self.in_place.items()),
        }
        disk_cache().store(key, _packed(self.object, facts))


def cached_object(llvm_text: str, target: Target) -> Object:
    """As ``compile_object``, by way of the on-disk cache."""
    key = text_key(llvm_text, target)
    data = None if key is None else disk_cache().load(key)
    if data is not None:
        return _unpacked(data)[0]
    compiled = compile_object(llvm_text, target)
    if key is not None:
        disk_cache().store(key, _packed(compiled, {}))
    return compiled


def _packed(compiled: Object, facts: Mapping[str, Any]) -> bytes:
    header = json.dumps({"symbols": compiled.symbols, **facts}).encode()
    return len(header).to_bytes(8, "little") + header + compiled.code


def _unpacked(data: bytes) -> tuple[Object, dict[str, Any]]:
    end = 8 + int.from_bytes(data[:8], "little")
    facts = json.loads(data[8:end])
    return Object(data[end:], tuple(facts.pop("symbols"))), facts
