"""A graph on its way to machine code: passes, executable, and a text for every stage.

``LUCID_DUMP`` names the stages to write (graph, passes, loops, llvm, asm), ``LUCID_DUMP_DIR`` where to;
``LUCID_CHECK=1`` compares every run with the interpreter. Knows neither tensors nor signatures.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lucid.errors import ArgumentError, CheckError
from lucid.ir.graph import Array, Graph, Node
from lucid.ir.interpreter import evaluate
from lucid.ir.passes.pipeline import DEFAULT
from lucid.ir.types import is_float, limits_of
from lucid.runtime.orders import C_ORDER, Orders

if TYPE_CHECKING:
    from lucid.runtime.executable import Executable

STAGES = ("graph", "passes", "loops", "llvm", "asm")
_SUFFIX = {"graph": "graph.txt", "passes": "passes.txt", "loops": "loops.txt", "llvm": "ll", "asm": "s"}
#: How far a compiled float may lie from the interpreter's, as a part of the largest value around it.
_TOLERANCE = {2: 4e-2, 4: 1e-4, 8: 1e-10}
#: And how many times as far as the interpreter itself moves when its inputs move by a rounding error.
_SLACK = 64


class CompiledGraph:
    """One graph, built when it is first run.

    Args:
        graph: what to compute.
        name: what dumps and errors call it, ``"LeNet.0.forward"``.
        parameters: inputs that change seldom: work that depends on them alone is done again only when they change.
        in_place: output index to index of the input it is written over.
        orders: inputs and outputs that do not lie in C order.
    """

    def __init__(
        self,
        graph: Graph,
        name: str,
        parameters: Collection[Node] = (),
        in_place: Mapping[int, int] | None = None,
        orders: Orders = C_ORDER,
    ):
        self.in_place = dict(in_place or {})
        self.orders = orders
        self.source = graph
        self.name = name
        self.parameters = parameters
        #: Seconds per part of the work done so far.
        self.seconds: dict[str, float] = {}
        #: Whether schedules are chosen by measurement; to be said before the first run.
        self.tune = False
        self._checked = os.environ.get("LUCID_CHECK", "0") not in ("", "0")
        self._executable: Executable | None = None

    @property
    def executable(self) -> Executable:
        """The machine code."""
        if self._executable is None:
            from lucid.runtime.executable import build

            built = build(
                self.source,
                passes=DEFAULT,
                parameters=self.parameters,
                in_place=self.in_place,
                orders=self.orders,
                tune=self.tune,
                name=self.name,
            )
            self._executable = built
            self.seconds.update(built.seconds)
            self._dump()
        return self._executable

    @property
    def ready(self) -> Executable | None:
        """The machine code, if there is some and every run of it is as good as a call of this."""
        return None if self._checked else self._executable

    def _passes(self) -> str:
        """The graph after each pass that changed it."""
        texts: list[str] = []

        def observe(name: str, before: Graph, after: Graph, seconds: float) -> None:
            change = "no change" if before is after or before == after else f"{len(before)} -> {len(after)} nodes"
            texts.append(f"--- {name}: {change}")
            if change != "no change":
                texts.append(str(after))

        DEFAULT(self.source, observe)
        return "\n".join(texts)

    def __call__(self, arrays: Sequence[Array], refresh: bool = True, mark: int | None = None) -> list[Array]:
        """Run on one array per input; ``refresh=False`` promises that no parameter changed since the last run.

        ``mark`` is as for ``Executable``.
        """
        if not self._checked:
            return (self._executable or self.executable)(arrays, refresh=refresh, mark=mark)
        before = [a.copy() for a in arrays] if self.in_place else arrays
        results = self.executable(arrays, refresh=refresh)
        self._check(before, results)
        return results

    # --- texts ---
    def text(self, stage: str) -> str:
        """The graph as traced, the passes and what each changed, the loop nests, the LLVM IR, or the assembly.

        Raises:
            ArgumentError: no stage has this name.
        """
        if stage not in STAGES:
            raise ArgumentError(f"stage={stage!r} must be one of {', '.join(STAGES)}", op="dump")
        if stage == "graph":
            return str(self.source)
        return self._passes() if stage == "passes" else self.executable.text(stage)

    def profile(self) -> list[str]:
        """A table of its kernels, run one after the other on one thread; see ``lucid.runtime.profile``."""
        from lucid.runtime.profile import profile, report

        return report(profile(self.executable, self.executable.samples()))

    def _dump(self) -> None:
        wanted = [s.strip() for s in os.environ.get("LUCID_DUMP", "").split(",") if s.strip()]
        if not wanted:
            return
        folder = Path(os.environ.get("LUCID_DUMP_DIR", "lucid_dumps"))
        folder.mkdir(parents=True, exist_ok=True)
        for stage in STAGES if wanted == ["all"] else wanted:
            if stage not in STAGES:
                raise ArgumentError(f"LUCID_DUMP names {stage!r}, but the stages are {', '.join(STAGES)}", op="compile")
            (folder / f"{self.name}.{_SUFFIX[stage]}").write_text(self.text(stage) + "\n")

    # --- checking ---
    def _check(self, arrays: Sequence[Array], results: Sequence[Array]) -> None:
        """Raise unless the interpreter agrees.

        Raises:
            CheckError: names the first node whose compiled value differs.
        """
        wanted = evaluate(self.source, arrays)
        if all(differs(a, b) is None for a, b in zip(results, wanted, strict=True)):
            return
        nearby = evaluate(self.source, nudged(arrays))
        for name, ours, theirs, near in zip(self.source.output_names, results, wanted, nearby, strict=True):
            difference = differs(ours, theirs, near)
            if difference is not None:
                raise CheckError(
                    f"{self.name}: output {name} differs from the interpreter: {difference}\n{self._first(arrays)}",
                    op="LUCID_CHECK",
                    hint="this is a bug of Lucid's code generator; LUCID_DUMP=graph,loops shows what was compiled",
                )

    def _first(self, arrays: Sequence[Array]) -> str:
        """The first node, in the order of the graph, that differs when it is compiled as an output of its own."""
        from lucid.runtime.executable import build

        values: dict[Node, Array] = {}
        nearby: dict[Node, Array] = {}
        evaluate(self.source, arrays, values.__setitem__)
        evaluate(self.source, nudged(arrays), nearby.__setitem__)
        for node in self.source.nodes[len(self.source.inputs) :]:
            graph = Graph(self.source.inputs, [node], self.source.input_names)
            (ours,) = build(DEFAULT(graph))(arrays)
            difference = differs(ours, values[node], nearby[node])
            if difference is not None:
                place = f" at {node.location}" if node.location is not None else ""
                return f"first different node: {node.op.name} {node.type}{place}: {difference}"
        return "no single node differs when it is compiled up to there: it is the fusion of several that goes wrong"


def nudged(arrays: Sequence[Array]) -> list[Array]:
    """The arrays with every float moved by a few rounding errors."""
    rng = np.random.default_rng(0)

    def nudge(array: Array) -> Array:
        if not is_float(array.dtype):
            return array
        by = 1 + 4 * float(limits_of(array.dtype).eps) * rng.choice([-1.0, 1.0], array.shape)
        with np.errstate(all="ignore"):
            return np.asarray(array * by, array.dtype)

    return [nudge(a) for a in arrays]


def differs(ours: Array, theirs: Array, nearby: Array | None = None) -> str | None:
    """What is different between a compiled array and the interpreter's, beyond rounding; None if nothing is.

    ``nearby`` is the interpreter's array for inputs moved by rounding errors. Where results are what is left when large
    numbers cancel, or a choice between nearly equal ones, it moves much, and so may the compiled array.
    """
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return f"{ours.dtype.name}{list(ours.shape)} instead of {theirs.dtype.name}{list(theirs.shape)}"
    with np.errstate(all="ignore"):
        if not is_float(ours.dtype):
            wrong = np.asarray((ours != theirs) & (True if nearby is None else nearby == theirs))
        else:
            wrong = _wrong_floats(ours, theirs, nearby)
    if not wrong.any():
        return None
    at = tuple(int(k) for k in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {wrong.size} elements, first at {list(at)}: {ours[at]} instead of {theirs[at]}"


def _wrong_floats(ours: Array, theirs: Array, nearby: Array | None) -> Array:
    finite = np.isfinite(theirs)
    scale = float(np.abs(theirs[finite]).max()) if finite.any() else 0.0
    allowed = _TOLERANCE[ours.dtype.itemsize] * scale + 1e-30
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if nearby is not None:
        moved = np.abs(nearby - theirs)
        allowed += _SLACK * float(moved[np.isfinite(moved)].max(initial=0.0))
        same |= np.isfinite(nearby) != finite  # at the edge of overflow
    return np.asarray(~np.where(finite, np.abs(ours - theirs) <= allowed, same))
