"""LLVM text to machine code in this process, through llvmlite and ORC. Knows nothing of kernels, graphs or arrays.

Code is generated without any optimisation pass: the emitter's text already says what should run. The path is text,
object bytes, ORC; the bytes can be kept and linked again later. llvmlite is imported when the first module is compiled.
"""

from __future__ import annotations

import atexit
import ctypes
import itertools
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakSet

from lucid.codegen.target import Target
from lucid.errors import CodegenError

#: LLVM's global state is not thread-safe, and a fork must not copy it half-changed.
_LOCK = threading.Lock()
_library_numbers = itertools.count()
#: Libraries not yet unloaded.
_linked: WeakSet[Any] = WeakSet()
_PROTOTYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Object(NamedTuple):
    """Relocatable object code, good for a file, and the functions it defines for others."""

    code: bytes
    symbols: tuple[str, ...]


class CompiledModule:
    """Machine code in memory, alive as long as this object is.

    Args:
        objects: parts that may call each other.
        exported: the functions whose addresses may be asked for; all by default.
    """

    def __init__(self, objects: Sequence[Object], exported: Sequence[str] | None = None):
        self.symbols = tuple(exported) if exported is not None else tuple(s for o in objects for s in o.symbols)
        self._resource = _link(objects, self.symbols)

    def address(self, symbol: str) -> int:
        """Where a function of this module begins."""
        if symbol not in self.symbols:
            raise CodegenError(f"the module has no function {symbol!r}")
        address: int = self._resource[symbol]
        return address


def compile_object(llvm_text: str, target: Target, optimise: bool = True) -> Object:
    """Compile a module whose code may run on ``target``.

    Args:
        optimise: False for code that is not worth the time: instruction selection and register allocation at their
            simplest.

    Raises:
        CodegenError: LLVM refuses the text, or this process cannot run code for ``target``.
    """
    if not Target.host().supports(target):
        missing = sorted(set(target.features) - set(Target.host().features))
        raise CodegenError(f"this machine cannot run code for {target.triple} with {', '.join(missing)}")
    with _LOCK:
        module = _parse(llvm_text)
        symbols = [f.name for f in module.functions if not f.is_declaration and f.linkage.name == "external"]
        return Object(_machine(target, 2 if optimise else 0).emit_object(module), tuple(symbols))


def compile_module(llvm_text: str, target: Target) -> CompiledModule:
    """Compile a module, as ``compile_object``, and link it into this process."""
    return CompiledModule([compile_object(llvm_text, target)])


def assembly(llvm_text: str, target: Target) -> str:
    """The machine code of a module as text, for any target of this machine's architecture."""
    with _LOCK:
        text: str = _machine(target).emit_assembly(_parse(llvm_text))
    return text


def call(address: int, table: int) -> None:
    """Call ``void f(ptr)`` at an address."""
    function(address)(table)


@lru_cache(maxsize=1024)
def function(address: int) -> Callable[[int], None]:
    """``void f(ptr)`` at an address; it holds no memory of the module there, so it may outlive it."""
    return _PROTOTYPE(address)


@lru_cache(maxsize=1)
def _llvm() -> Any:
    """llvmlite's bindings, set up once for a process."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    # Loop strength reduction costs half of code generation and undoes the emitter's addressing.
    binding.set_option("lucid", "-disable-lsr")
    if sys.platform.startswith("linux"):
        with suppress(RuntimeError):  # another C library, whose mathematics is loaded already
            binding.load_library_permanently("libm.so.6")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
    return binding


def _before_fork() -> None:
    # llvmlite has a lock of its own, which others in the process may hold.
    _LOCK.acquire()
    _llvm().ffi.lib._lock.__enter__()


def _after_fork() -> None:
    _llvm().ffi.lib._lock.__exit__()
    _LOCK.release()


@lru_cache(maxsize=16)
def _machine(target: Target, level: int = 2) -> Any:
    llvm = _llvm()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.feature_string, opt=level, reloc="pic", codemodel="small"
    )


@lru_cache(maxsize=1)
def _linker() -> Any:
    return _llvm().create_lljit_compiler(_machine(Target.host()), suppress_errors=True)


def _parse(text: str) -> Any:
    llvm = _llvm()
    try:
        module = llvm.parse_assembly(text, llvm.create_context())
        module.verify()
    except RuntimeError as error:
        line = re.search(r":(\d+):\d+: error", str(error))
        near = f"\n  in: {text.splitlines()[int(line.group(1)) - 1].strip()}" if line else ""
        raise CodegenError(f"LLVM refused generated code: {error}{near}") from None
    return module


def _link(objects: Sequence[Object], exported: Sequence[str]) -> Any:
    with _LOCK:
        builder = _llvm().JITLibraryBuilder().add_current_process()
        for part in objects:
            builder.add_object_img(part.code)
        for symbol in exported:
            builder.export_symbol(symbol)
        try:
            resource = builder.link(_linker(), f"lucid{next(_library_numbers)}")
        except RuntimeError as error:
            raise CodegenError(f"LLVM could not link generated code: {error}") from None
        _linked.add(resource)
        return resource


def _abandon() -> None:
    """At exit objects die in any order, and a library that outlives its linker crashes: the process frees them all."""
    for resource in list(_linked):
        resource.detach()
    if _linker.cache_info().currsize:
        _linker().detach()


atexit.register(_abandon)
