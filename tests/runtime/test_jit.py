from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import warnings
import weakref

import numpy as np
import pytest

from lucid.codegen.emit import emit_kernel
from lucid.codegen.module import Call, emit_entry, emit_module
from lucid.codegen.target import Target, describe
from lucid.codegen.text import parse_kernel
from lucid.errors import CodegenError
from lucid.runtime.jit import CompiledModule, Object, assembly, call, compile_module, compile_object


def module_text(body: str, target: Target | None = None) -> str:
    """A module whose ``run`` works on two arrays of four floats, ``x`` and ``y``."""
    target = target or Target.host()
    kernel = parse_kernel(f"kernel f(x: f32[4] in, y: f32[4] out) {{ {body} }}")
    return emit_module([emit_kernel(kernel, target, symbol="f"), emit_entry("run", [Call("f", [0, 1])])], target)


def run(module: CompiledModule) -> list[float]:
    x, y = np.array([1, 2, 3, 4], np.float32), np.zeros(4, np.float32)
    table = np.array([x.ctypes.data, y.ctypes.data], np.uintp)
    call(module.address("run"), table.ctypes.data)
    values: list[float] = y.tolist()
    return values


def test_code_runs() -> None:
    module = compile_module(module_text("y[0] = x[0]:f32x4 * 2.0:f32x4"), Target.host())
    assert run(module) == [2, 4, 6, 8]
    assert set(module.symbols) == {"f", "run"}
    assert module.address("f") != module.address("run")


def test_library_functions_are_found() -> None:
    body = "for i in 0..4 { y[i] = cos(0.0:f32) + f32(erf(f64(x[i])) - erf(f64(x[i]))) + tan(0.0:f32) }"
    assert run(compile_module(module_text(body), Target.host())) == [1, 1, 1, 1]


def test_an_unknown_function_is_refused() -> None:
    module = compile_module(module_text(""), Target.host())
    with pytest.raises(CodegenError, match="no function 'g'"):
        module.address("g")


def test_text_that_llvm_refuses_shows_the_line() -> None:
    with pytest.raises(CodegenError, match=r"in: %a = frob i32 1"):
        compile_module("define void @f() {\n  %a = frob i32 1\n  ret void\n}\n", Target.host())
    with pytest.raises(CodegenError, match="LLVM refused"):  # well formed, but not valid
        compile_module("define i32 @f() {\n  ret i32 %a\nb:\n  %a = add i32 1, 1\n  ret i32 %a\n}\n", Target.host())


def test_a_symbol_that_nothing_defines_cannot_be_linked(capfd: pytest.CaptureFixture[str]) -> None:
    body = "  call void @lucid_no_such_function()\n  ret void\n"
    with pytest.raises(CodegenError, match="could not link"):
        compile_module(f"declare void @lucid_no_such_function()\ndefine void @f() {{\n{body}}}\n", Target.host())
    assert capfd.readouterr().err == ""


def test_code_for_another_machine_is_refused() -> None:
    target = describe(Target.host().triple, (*Target.host().features, "frobnication"))
    with pytest.raises(CodegenError, match=r"cannot run code .* with frobnication"):
        compile_module(module_text("", target), target)


def test_assembly_is_text_of_the_same_code() -> None:
    text = module_text("y[0] = x[0]")
    assert "f:" in assembly(text, Target.host())
    assert assembly(text, Target.host()) == assembly(text, Target.host())


def test_object_code_links_again() -> None:
    compiled = compile_object(module_text("y[0] = x[3]"), Target.host())
    first, again = CompiledModule([compiled]), CompiledModule([Object(bytes(bytearray(compiled.code)), ("f", "run"))])
    assert again.address("run") != first.address("run")
    assert run(again) == run(first) == [4, 0, 0, 0]


def test_parts_call_each_other_and_only_what_is_exported_is_known() -> None:
    kernel = parse_kernel("kernel f(x: f32[4] in, y: f32[4] out) { y[0] = x[2] }")
    target = Target.host()
    texts = [
        emit_module([emit_kernel(kernel, target, symbol="f")], target),
        emit_module([emit_entry("run", [Call("f", [0, 1])])], target),
    ]
    assert "declare void @f(ptr, ptr)" in texts[1]
    module = CompiledModule([compile_object(text, target) for text in texts], ["run"])
    assert run(module) == [3, 0, 0, 0]
    with pytest.raises(CodegenError, match="no function 'f'"):
        module.address("f")


def test_modules_with_equal_symbols_live_side_by_side() -> None:
    one, two = (compile_module(module_text(f"y[0] = {v}.0:f32"), Target.host()) for v in (1, 2))
    assert (run(one)[0], run(two)[0]) == (1, 2)


def test_memory_goes_with_the_module() -> None:
    module = compile_module(module_text(""), Target.host())
    resource = weakref.ref(module._resource)
    del module
    gc.collect()
    assert resource() is None


def test_large_code_and_constants() -> None:
    body = " ".join(f"y[{k % 4}] = sin(x[{k % 4}] * {k}.5:f32) + {k}.25:f32" for k in range(2000))
    x = np.array([1, 2, 3, 4], np.float32)
    expected = [np.sin(x[k % 4] * np.float32(k + 0.5)) + k + 0.25 for k in range(1996, 2000)]
    np.testing.assert_allclose(run(compile_module(module_text(body), Target.host())), expected, rtol=1e-6)


def test_threads_compile_at_the_same_time() -> None:
    results: dict[int, float] = {}

    def work(k: int) -> None:
        for _ in range(3):
            results[k] = run(compile_module(module_text(f"y[0] = {k}.0:f32"), Target.host()))[0]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: float(k) for k in range(6)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_can_compile_while_its_parent_does() -> None:
    module = compile_module(module_text("y[0] = 5.0:f32"), Target.host())
    stop = threading.Event()

    def keep_compiling() -> None:
        while not stop.is_set():
            compile_module(module_text("y[0] = x[1]"), Target.host())

    thread = threading.Thread(target=keep_compiling)
    thread.start()
    try:
        for _ in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads: what is tested here
                child = os.fork()
            if child == 0:
                fresh = compile_module(module_text("y[0] = x[2]"), Target.host())
                os._exit(0 if run(module)[0] == 5 and run(fresh)[0] == 3 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()


def test_an_interpreter_that_ends_with_modules_alive_ends_well() -> None:
    script = (
        f"import sys; sys.path[:0] = [{os.getcwd()!r}]\n"
        "from tests.runtime.test_jit import *\n"
        "modules = [compile_module(module_text('y[0] = x[1]'), Target.host()) for _ in range(3)]\n"
        "sys.modules['kept'] = modules[0]; modules.append(modules)\n"
        "assert run(modules[1])[0] == 2\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_importing_the_module_does_not_load_llvm() -> None:
    script = "import sys, lucid.runtime.jit; sys.exit('llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_addresses_are_plain_integers() -> None:
    module = compile_module(module_text(""), Target.host())
    address = module.address("run")
    assert isinstance(address, int)
    assert ctypes.cast(address, ctypes.c_void_p).value == address
