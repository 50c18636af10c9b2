"""Random valid loop nests, arrays for them, and a way to run machine code on arrays."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from lucid.codegen.emit import emit_kernel
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Buffer,
    Convert,
    Fma,
    For,
    Gather,
    If,
    Iota,
    Kernel,
    Let,
    Lit,
    Prefetch,
    Read,
    Reg,
    Reinterpret,
    Scatter,
    Sel,
    Set,
    Shuffle,
    Splat,
    Stmt,
    Un,
    Value,
    Var,
    VType,
    Write,
    add,
    integer,
    scale,
)
from lucid.codegen.module import emit_module
from lucid.codegen.target import Target
from lucid.ir.types import SHORT_NAMES, bool_, float32, float64, int8, int32, int64, is_float, uint32, uint64
from lucid.runtime.jit import CompiledModule, compile_module

SIZE = 40
DTYPES = (float32, float64, int8, int32, int64, uint32, uint64, bool_)
_UNARY = {"f": ("neg", "abs", "sign", "floor", "ceil", "round", "sqrt"), "i": ("neg", "abs", "sign", "not"),
          "u": ("neg", "sign", "not"), "b": ("not",)}  # fmt: skip
_BINARY = {
    "f": ("add", "sub", "mul", "div", "floordiv", "mod", "min", "max"),
    "i": ("add", "sub", "mul", "floordiv", "mod", "pow", "min", "max", "and", "or", "xor", "shl", "shr"),
    "b": ("and", "or", "xor", "add", "mul", "min", "max"),
}
_BINARY["u"] = _BINARY["i"]
_SPECIAL = {"f": (0.0, -0.0, 1.0, -2.5, float("inf"), float("nan"), 3e9, 0.1), "b": (True, False)}


def compile_kernel(kernel: Kernel, target: Target, **options: bool) -> CompiledModule:
    return compile_module(emit_module([emit_kernel(kernel, target, symbol="kernel", **options)], target), target)


def run_compiled(module: CompiledModule, arrays: list[np.ndarray], *extra: int) -> None:
    """Call the module's ``kernel`` on flat arrays, in place."""
    kinds = [ctypes.c_void_p] * len(arrays) + [ctypes.c_int64] * len(extra)
    function = ctypes.CFUNCTYPE(None, *kinds)(module.address("kernel"))
    function(*(a.ctypes.data for a in arrays), *extra)


def sample_array(rng: np.random.Generator, buffer: Buffer) -> np.ndarray:
    """Values of a dtype, many of them awkward."""
    dtype = buffer.dtype
    if dtype == bool_:
        return rng.random(buffer.size) < 0.5
    if is_float(dtype):
        values = rng.standard_normal(buffer.size) * 10.0 ** rng.integers(-3, 4, buffer.size)
        special = rng.choice([0.0, -0.0, 1.0, -1.0, 2.5, -3.5, np.inf, -np.inf, np.nan, 1e-40, 3e38], buffer.size)
        return np.where(rng.random(buffer.size) < 0.3, special, values).astype(dtype)
    bounds = np.iinfo(dtype)
    wild = rng.integers(bounds.min, bounds.max, buffer.size, dtype, endpoint=True)
    tame = rng.integers(0 if dtype.kind == "u" else -9, 10, buffer.size).astype(dtype)
    special = rng.choice(np.array([0, 1, bounds.max, bounds.min], dtype), buffer.size)
    return np.select([rng.random(buffer.size) < 0.6, rng.random(buffer.size) < 0.5], [tame, wild], special)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bit for bit, except that one NaN is as good as another."""
    if is_float(a.dtype):
        a, b = np.where(np.isnan(a), np.nan, a).astype(a.dtype), np.where(np.isnan(b), np.nan, b).astype(b.dtype)
    return a.tobytes() == b.tobytes()


def parts(value: Value) -> list[Value]:
    return [value, *(p for child in value.children() for p in parts(child))]


@dataclass
class _Nest:
    """Draws the parts of a kernel; everything it makes is valid by construction."""

    draw: st.DrawFn
    lanes: int
    inputs: list[Buffer]
    outputs: list[Buffer]
    count: int = 0
    scope: list[Var] = field(default_factory=list)
    registers: list[Var] = field(default_factory=list)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    made: list[tuple[Value, set[str]]] = field(default_factory=list)  # with the names they use

    def choose(self, options):
        return self.draw(st.sampled_from(list(options)))

    def small(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def fresh(self, prefix: str, t: VType) -> Var:
        self.count += 1
        return Var(f"{prefix}{self.count}", t)

    def vtype(self) -> VType:
        return VType(self.choose(DTYPES), self.choose((1, self.lanes)))

    # --- values ---

    def leaf(self, t: VType) -> Value:
        kind = t.dtype.kind
        options = ["literal"]
        options += ["name"] * 2 * any(v.type == t for v in self.scope)
        options += ["read"] * 2 * any(b.dtype == t.dtype for b in [*self.inputs, *self.outputs])
        options += ["splat"] * (t.lanes > 1)
        match self.choose(options):
            case "name":
                return self.choose(v for v in self.scope if v.type == t)
            case "read":
                buffer = self.choose(b for b in [*self.inputs, *self.outputs] if b.dtype == t.dtype)
                return Read(buffer, self.offset(t.lanes), t.lanes, self.maybe_mask(t.lanes))
            case "splat":
                return Splat(self.leaf(VType(t.dtype)), t.lanes)
        value = self.choose(_SPECIAL[kind]) if kind in _SPECIAL else self.small(0 if kind == "u" else -3, 70)
        return Lit(value, t)

    def value(self, t: VType, depth: int = 3) -> Value:
        names = {v.name for v in self.scope}
        again = [v for v, used in self.made if v.type == t and used <= names]
        if again and self.choose((True, False)):  # equal values in several places are where sharing can go wrong
            return self.choose(again)
        value = self.new_value(t, depth)
        self.made.append((value, {v.name for v in parts(value) if isinstance(v, Var)}))
        return value

    def new_value(self, t: VType, depth: int) -> Value:
        if depth == 0:
            return self.leaf(t)
        kind = t.dtype.kind
        options = ["leaf", "unary", "binary", "binary", "select", "convert"]
        options += ["compare", "isnan"] if kind == "b" else []
        options += ["fma"] if kind == "f" else []
        options += ["bits"] if t.dtype in (float32, float64, int32, uint32, int64) else []
        options += ["across"] if t.lanes == 1 else ["gather", "shuffle"]
        options += ["iota"] if t == VType(int64, self.lanes) else []
        down = depth - 1
        match self.choose(options):
            case "unary":
                return Un(self.choose(_UNARY[kind]), self.value(t, down))
            case "binary":
                return Bin(self.choose(_BINARY[kind]), self.value(t, down), self.value(t, down))
            case "select":
                return Sel(self.value(VType(bool_, t.lanes), down), self.value(t, down), self.value(t, down))
            case "convert":
                return Convert(self.value(VType(self.choose(DTYPES), t.lanes), down), t.dtype)
            case "compare":
                inner = VType(self.choose(DTYPES), t.lanes)
                return Bin(self.choose(("lt", "le", "eq", "ne")), self.value(inner, down), self.value(inner, down))
            case "isnan":
                return Un("isnan", self.value(VType(float32, t.lanes), down))
            case "fma":
                return Fma(self.value(t, down), self.value(t, down), self.value(t, down))
            case "bits":  # not from floats: which NaN it is would show
                source = {4: (int32, uint32), 8: (int64, uint64)}[t.dtype.itemsize]
                return Reinterpret(self.value(VType(self.choose(source), t.lanes), down), t.dtype)
            case "across":
                kinds = ("sum", "prod", "max", "min")
                return Across(self.choose(kinds), self.value(VType(t.dtype, self.choose((2, 4, 8))), down))
            case "gather":
                buffer = self.choose(b for b in [*self.inputs, *self.outputs])
                read = Gather(buffer, self.places(t.lanes), self.maybe_mask(t.lanes))
                return read if buffer.dtype == t.dtype else Convert(read, t.dtype)
            case "shuffle":
                part = VType(t.dtype, self.choose((2, 4, 8)))
                picks = [self.choose(range(2 * part.lanes)) for _ in range(t.lanes)]
                return Shuffle(self.value(part, down), self.value(part, down), picks)
            case "iota":
                return Iota(t.lanes)
        return self.leaf(t)

    def maybe_mask(self, lanes: int) -> Value | None:
        return self.value(VType(bool_, lanes), 1) if self.choose((False, False, True)) else None

    def offset(self, lanes: int) -> Value:
        """A position from which ``lanes`` elements lie inside every buffer."""
        room = SIZE - lanes
        if self.choose((True, True, False)):
            total, low, high = integer(0), 0, 0
            for var in (v for v in self.scope if v.name in self.ranges):
                factor = self.choose((-3, -1, 0, 1, 2, 8))
                ends = [factor * e for e in self.ranges[var.name]]
                if high - low + max(ends) - min(ends) <= room:
                    total, low, high = add(total, scale(var, factor)), low + min(ends), high + max(ends)
            return add(total, integer(self.small(-low, room - high)))
        return Bin("mod", self.value(INDEX, 2), integer(room + 1))

    def places(self, lanes: int) -> Value:
        """Vector positions inside every buffer, some of them equal."""
        return Bin("mod", self.value(VType(int64, lanes), 1), Lit(SIZE, VType(int64, lanes)))

    # --- statements ---

    def statement(self, depth: int) -> Stmt:
        options = ["let", "reg", "write", "write", "scatter", "prefetch"]
        options += ["set"] * 3 if self.registers else []
        options += ["for"] * 3 + ["if"] if depth else []
        match self.choose(options):
            case "let":
                var = self.fresh("t", self.vtype())
                value = self.value(var.type)
                self.scope.append(var)
                return Let(var, value)
            case "reg":
                return self.register(self.vtype())
            case "set":
                var = self.choose(self.registers)
                return Set(var, self.value(var.type))
            case "scatter":
                buffer = self.choose(self.outputs)
                value = self.value(VType(buffer.dtype, self.lanes), 1)
                return Scatter(buffer, self.places(self.lanes), value, self.maybe_mask(self.lanes))
            case "prefetch":
                return Prefetch(self.choose([*self.inputs, *self.outputs]), add(self.offset(1), integer(SIZE)))
            case "for":
                return self.loop(depth)
            case "if":
                return If(self.value(VType(bool_), 2), self.block(depth - 1))
        buffer = self.choose(self.outputs)
        lanes = self.choose((1, self.lanes))
        return Write(buffer, self.offset(lanes), self.value(VType(buffer.dtype, lanes)), self.maybe_mask(lanes))

    def register(self, t: VType) -> Reg:
        var, value = self.fresh("r", t), self.value(t, 1)
        self.scope.append(var)
        self.registers.append(var)
        return Reg(var, value)

    def loop(self, depth: int) -> For:
        var, step, turns, first = self.fresh("i", INDEX), self.choose((1, 1, 2, 3)), self.small(0, 3), self.small(-2, 2)
        lo: Value = integer(first)
        hi: Value = integer(first + turns * step - (self.small(0, step - 1) if turns else 0))
        if self.choose((False, False, True)):  # a number of turns that only the data know
            hi = add(lo, Bin("mod", self.value(INDEX, 1), integer(turns * step + 1)))
        self.scope.append(var)
        self.ranges[var.name] = (first, first + max(turns - 1, 0) * step)
        body = self.block(depth - 1, var)
        self.scope.remove(var)
        return For(var, lo, hi, step, body)

    def block(self, depth: int, *own: Var) -> tuple[Stmt, ...]:
        scope, registers = list(self.scope), list(self.registers)
        body = tuple(self.statement(depth) for _ in range(self.small(1, 4)))
        self.scope, self.registers = scope, registers
        return body


@st.composite
def kernels(draw: st.DrawFn, max_depth: int = 3) -> Kernel:
    """Small kernels with every kind of statement and value, free of functions that are only nearly exact."""
    dtypes = draw(st.lists(st.sampled_from(DTYPES), min_size=2, max_size=4))
    inputs = [Buffer(f"x{k}_{SHORT_NAMES[d]}", d, SIZE, "in") for k, d in enumerate(dtypes)]
    dtypes = draw(st.lists(st.sampled_from(DTYPES), min_size=1, max_size=3))
    outputs = [Buffer(f"y{k}_{SHORT_NAMES[d]}", d, SIZE, "inout") for k, d in enumerate(dtypes)]
    nest = _Nest(draw, draw(st.sampled_from((2, 4, 8, 16))), inputs, outputs)
    body: list[Stmt] = [nest.register(VType(outputs[0].dtype, lanes)) for lanes in (1, nest.lanes)]
    body += [nest.statement(max_depth) for _ in range(nest.small(1, 4))]
    for var in (*nest.registers[:2], *nest.scope[-2:]):  # show what was computed
        buffer = nest.choose(outputs)
        value: Value = Bin(nest.choose(_BINARY[var.type.dtype.kind]), var, var)
        value = value if var.type.dtype == buffer.dtype else Convert(value, buffer.dtype)
        body.append(Write(buffer, nest.offset(var.type.lanes), value))
    return Kernel("random", (*inputs, *outputs), tuple(body))
