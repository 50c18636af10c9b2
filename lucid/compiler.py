"""``lucid.compile``: a function or module traced, differentiated, optimised, built, and run again without Python.

A compiled function keeps one machine-code version per signature (``lucid.signature``) and makes a new one when none
fits. ``explain`` says what there is and why. Nothing ever falls back to eager execution.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

from lucid import changes
from lucid.bindings import State
from lucid.compiled_graph import STAGES, CompiledGraph
from lucid.default_dtype import get_default_dtype
from lucid.eager import DEAD, Recorded, live_scalar, mode
from lucid.errors import ArgumentError, ArgumentTypeError, TraceError
from lucid.functions.arguments import fail
from lucid.runtime.orders import order_of
from lucid.signature import PLAIN, Arguments, bind, put
from lucid.surroundings import ModuleState, Surroundings, described
from lucid.traced_function import TracedFunction, finish
from lucid.tracing import FunctionTrace

if TYPE_CHECKING:
    from lucid.nn.compiled import CompiledModule

__all__ = ["CompiledFunction", "compile", "live_scalar"]


class Version(NamedTuple):
    """One trace, and what it was made for."""

    traced: TracedFunction
    description: dict[str, str]
    reason: str


class _Repeat:
    """A call like the last one: tensors of the same kinds in the same surroundings run the same version.

    Recognised without binding arguments or building a key, which cost more than a small kernel.
    """

    def __init__(self, traced: TracedFunction, arguments: Arguments, seen: tuple[Any, ...]):
        self.traced = traced
        self.count = changes.latest
        self.grad = mode.grad
        self.seen = seen
        self.kinds = [
            (t._record.call.type, t._record.state != 0, t.is_leaf, order_of(t._data)) for t in arguments.tensors
        ]

    def fits(self, args: tuple[Any, ...], surroundings: Surroundings) -> bool:
        """Whether the version serves a call with these positional arguments."""
        if self.count != changes.latest or self.grad is not mode.grad or len(args) != len(self.kinds):
            return False
        for tensor, (type, live, is_leaf, order) in zip(args, self.kinds, strict=True):
            if not isinstance(tensor, Recorded):
                return False
            record = tensor._record
            if record.call.type is not type or (record.state != DEAD) is not live:
                return False
            if live and (record.owner is not None) is not is_leaf:
                return False
            if not (tensor._data.flags.c_contiguous and order is None) and order_of(tensor._data) != order:
                return False
        if len(args) > 1 and len({id(a) for a in args}) < len(args):
            return False
        return surroundings.still(self.seen)


class CompiledFunction:
    """What ``lucid.compile`` makes of a function. Call it as the function."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        parameters_of: Callable[..., Any] | None = None,
        *,
        tune: bool = False,
    ):
        self._function = function
        self._tune = tune
        self._name = name
        try:
            self._signature = inspect.signature(function if parameters_of is None else parameters_of)
        except ValueError:  # some functions written in C
            fail(ArgumentTypeError(f"{name} does not say which arguments it takes", op="compile"))
        self._surroundings = Surroundings(parameters_of or function)
        self._versions: dict[Any, list[Version]] = {}
        self._all: list[Version] = []
        self._lock = threading.RLock()
        self._state: ModuleState | None = None
        self._repeat: _Repeat | None = None
        self.__wrapped__ = function
        self.__name__ = name
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the machine code for these arguments, after tracing and building it if there is none yet.

        Raises:
            TraceError: the function asks for the value of a tensor, or does what a compiled function cannot do.
            ArgumentTypeError: an argument that cannot be part of a signature.
        """
        if mode.trace is not None:  # part of a larger function that is being compiled
            return self._function(*args, **kwargs)
        repeat = self._repeat
        if repeat is not None and not kwargs and repeat.fits(args, self._surroundings):
            return repeat.traced(args)
        arguments, tree = bind(self._signature, self._name, args, kwargs)
        roots, values = self._surroundings.look()
        state = self._state_of([*roots, *arguments.modules])
        key = (tuple(arguments.leaves), mode.grad, get_default_dtype(), tuple(values), state.key)
        misfits: list[str] = []
        for version in self._versions.get(key, ()):
            misfit = version.traced.misfit(arguments.tensors)
            if misfit is None:
                plain = not kwargs and len(arguments.leaves) == len(args) == len(arguments.tensors)
                seen = self._surroundings.seen()
                if plain and seen is not None and not state.mutable and not version.traced.guards:
                    self._repeat = _Repeat(version.traced, arguments, seen)
                return version.traced(arguments.tensors)
            misfits.append(misfit)
        with self._lock:
            version = self._trace(arguments, tree, state.modules, misfits)
            self._versions.setdefault(key, []).append(version)
            self._all.append(version)
        return version.traced(arguments.tensors)

    def _state_of(self, roots: list[Any]) -> ModuleState:
        state = self._state
        if state is None or not state.holds_for(roots):
            state = self._state = ModuleState(roots)
        return state

    def __get__(self, instance: Any, owner: type | None = None) -> CompiledFunction:
        """As a method: compiled for each instance on its own."""
        if instance is None:
            return self
        bound = CompiledFunction(self._function.__get__(instance, owner), self._name, tune=self._tune)
        instance.__dict__[self._function.__name__] = bound
        return bound

    def _trace(self, arguments: Arguments, tree: Any, modules: list[Any], misfits: list[str]) -> Version:
        places: dict[int, State] = {}
        for module in modules:
            own = [(k, v) for k, v in module.__dict__.items() if isinstance(v, Recorded)]
            for attribute, tensor in (
                *module.named_parameters(recurse=False),
                *module.named_buffers(recurse=False),
                *own,
            ):
                name = tensor.name or attribute
                places.setdefault(id(tensor), State(name, module, attribute, tensor))
        description = described(arguments, modules)
        reason = self._reason(description, misfits)
        before = [dict(m.__dict__) for m in modules]
        trace = FunctionTrace(arguments.tensors, arguments.names, places)
        with trace:
            args, kwargs = put(tree, trace.placeholders)
            traced = finish(trace, self._function(*args, **kwargs), f"{self._name}.{len(self._all)}")
        for module, was in zip(modules, before, strict=True):
            _require_unchanged(module, was)
        for part in traced.parts().values():
            part.tune = self._tune
        return Version(traced, description, reason)

    def _reason(self, description: dict[str, str], misfits: list[str]) -> str:
        """Why a new trace is needed, told by the version that comes nearest."""
        if misfits:
            return misfits[-1]
        if not self._all:
            return "the first call"

        def differences(version: Version) -> list[str]:
            names = [*description, *(n for n in version.description if n not in description)]
            return [
                f"{n}: {description.get(n, 'absent')} instead of {version.description.get(n, 'absent')}"
                for n in names
                if description.get(n) != version.description.get(n)
            ]

        nearest = min((differences(v) for v in self._all), key=len)
        return "; ".join(nearest) or "something the function can reach by name changed"

    # --- looking inside ---
    def explain(self, *, measure: bool = False) -> str:
        """Every version: what it was made for, why, how often it ran, how long it took to make.

        Args:
            measure: run the kernels of each version one after the other, on one thread and on copies of the last
                arguments, and show for each its schedule, how fast it ran, how fast its schedule should be, and which
                part that is of the machine's measured peak: of multiply-adds or of memory's speed, whichever binds.
                A convolution by Winograd's algorithm counts as the sums it stands for, and can exceed the peak.

        >>> import lucid
        >>> f = lucid.compile(lambda x: x * 2)
        >>> _ = f(lucid.ones(3)), f(lucid.ones(3))
        >>> print(f.explain().splitlines()[0])
        <lambda>: 1 version, 2 calls
        """
        calls = sum(v.traced.calls for v in self._all)
        lines = [f"{self._name}: {len(self._all)} version{'s' * (len(self._all) != 1)}, {calls} calls"]
        for k, version in enumerate(self._all):
            traced = version.traced
            lines.append(f"  [{k}] {traced.calls} calls, {_origin(traced)}; traced because: {version.reason}")
            lines += [f"      {name}: {value}" for name, value in version.description.items() if " (" not in name]
            for name, part in traced.parts().items() if measure else ():
                lines += [f"      {name}:", *(f"        {row}" for row in part.profile())]
        return "\n".join(lines)

    def dump(self, stage: str, *, version: int = -1, part: str = "forward") -> str:
        """The text of one stage: "graph", "passes", "loops", "llvm" or "asm".

        Args:
            stage: how far down.
            version: which of the versions that ``explain`` lists; the latest by default.
            part: "forward", or "backward" where gradients flow through the function.

        Raises:
            ArgumentError: no such stage, version or part, or nothing was compiled yet.
        """
        return self._part(version, part).text(self._stage(stage))

    def _stage(self, stage: str) -> str:
        if stage not in STAGES:
            fail(ArgumentError(f"stage={stage!r} must be one of {', '.join(STAGES)}", op="dump"))
        return stage

    def _part(self, version: int, part: str) -> CompiledGraph:
        if not self._all:
            fail(ArgumentError("nothing is compiled yet", op="dump", hint="call the function first"))
        if not -len(self._all) <= version < len(self._all):
            fail(ArgumentError(f"version={version} is out of range: there are {len(self._all)}", op="dump"))
        parts = self._all[version].traced.parts()
        if part not in parts:
            fail(ArgumentError(f"part={part!r} must be one of {', '.join(parts)}", op="dump"))
        return parts[part]

    @property
    def versions(self) -> list[TracedFunction]:
        """The traces made so far, in order."""
        return [v.traced for v in self._all]

    def __repr__(self) -> str:
        return f"<compiled {self._name}: {len(self._all)} versions>"


def _origin(traced: TracedFunction) -> str:
    """How long it took to get a version's machine code, and whether it was compiled or came from the disk."""
    parts = [part.seconds for part in traced.parts().values()]
    loaded = [seconds["load"] for seconds in parts if "load" in seconds]
    built = [sum(seconds.values()) for seconds in parts if seconds and "load" not in seconds]
    ways = [f"built in {sum(built):.3f} s"] if built or not loaded else []
    ways += [f"loaded from the on-disk cache in {sum(loaded):.3f} s"] if loaded else []
    return ", ".join(ways)


def _require_unchanged(module: Any, before: dict[str, Any]) -> None:
    """Refuse state that a trace changed, or holds, in Python attributes: later calls would not change it."""
    from lucid.tensor import Tensor

    for name, value in module.__dict__.items():
        was = before.get(name, value)
        kind = type(module).__name__
        if isinstance(value, Tensor) and value._data is None:
            module.__dict__[name] = before.get(name)
            fail(
                TraceError(
                    f"{kind}.{name} was assigned a tensor while it was compiled, which has no values outside",
                    op="compile",
                    hint="return the tensor, or register a buffer and update it with copy_",
                )
            )
        if was.__class__ in PLAIN and was is not None and value != was:
            module.__dict__[name] = was
            fail(
                TraceError(
                    f"{kind}.{name} changed from {was!r} to {value!r} while it was compiled: "
                    "Python state changes only when a function is traced, not at every call",
                    op="compile",
                    hint="make it a tensor: register a buffer and update it with copy_",
                )
            )


class _Compilable(Protocol):
    """An ``nn.Module``, as this layer knows it."""

    def __lucid_compile__(self, *, tune: bool = False) -> CompiledModule: ...


@overload
def compile(target: _Compilable, *, tune: bool = False) -> CompiledModule: ...
@overload
def compile(target: Callable[..., Any], *, tune: bool = False) -> CompiledFunction: ...
@overload
def compile(*, tune: bool = False) -> Callable[[Callable[..., Any]], CompiledFunction]: ...
def compile(target: Any = None, *, tune: bool = False) -> Any:
    """Compile a module or a function of tensors to machine code.

    The first call with a new signature (tensor types, other arguments, modes) traces the Python code once and builds
    it; later calls run the machine code. Parameters and buffers are looked up at every call. A function may contain a
    whole training step: forward, ``loss.backward()`` and ``optimizer.step()``.

    Args:
        target: an ``nn.Module``, which gives a module that runs compiled; or a function, also as a decorator.
        tune: try a handful of schedules for every kernel that takes some time and keep the fastest. The first call
            takes several times as long; the winners are remembered on disk. Sums may be added up in another order.

    Raises:
        ArgumentTypeError: neither a module nor a function.

    >>> import lucid
    >>> @lucid.compile
    ... def double(x):
    ...     return x * 2
    >>> double(lucid.tensor([1.0, 2.0]))
    Tensor([2.0, 4.0])
    """
    if target is None:
        return partial(compile, tune=tune)
    as_module = getattr(target, "__lucid_compile__", None)
    if as_module is not None and not isinstance(target, type):
        return as_module(tune=tune)
    if isinstance(target, type) or not callable(target):
        given = target.__name__ if isinstance(target, type) else type(target).__name__
        fail(
            ArgumentTypeError(
                f"target must be a module or a function, not {'the class ' * isinstance(target, type)}{given}",
                op="compile",
                hint="pass an instance: lucid.compile(Model())" if isinstance(target, type) else None,
            )
        )
    return CompiledFunction(target, getattr(target, "__name__", type(target).__name__), tune=tune)
