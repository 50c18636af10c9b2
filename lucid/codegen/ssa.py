"""LLVM text under construction: SSA names, open scopes, and where each instruction belongs. Knows nothing of kernels.

No optimiser runs after us, so the two things that matter happen as instructions are made. Every pure instruction is
*value numbered*: asked for twice, it is written once. And it is *hoisted*: it goes to the outermost open scope in which
its operands exist. A scope (the function, a loop body, what runs under a condition) keeps its own list of lines and
is spliced into its parent when it closes; so hoisting out of a loop is appending to a parent that is still open.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

ScopeKind = Literal["entry", "loop", "branch"]


@dataclass
class Phi:
    """A value that a loop carries round: the name it has in the body, and what it starts from."""

    name: str
    type: str
    init: str


@dataclass
class Scope:
    kind: ScopeKind
    label: str
    #: Label of the basic block that new lines go to.
    block: str
    lines: list[str] = field(default_factory=list)
    known: list[Hashable] = field(default_factory=list)
    phis: list[Phi] = field(default_factory=list)
    #: Phis that advance by a constant number of elements: (phi, element type, count).
    advances: list[tuple[Phi, str, int]] = field(default_factory=list)


class Builder:
    """The body of one function."""

    def __init__(self) -> None:
        self.scopes = [Scope("entry", "entry", "entry")]
        #: Index of the innermost open scope that runs under a condition: what may fault or is dear stays inside it.
        self.floor = 0
        #: Library functions called: their declarations.
        self.declarations: set[str] = set()
        self._depth: dict[str, int] = {}
        self._known: dict[Hashable, str] = {}
        self._count = 0

    @property
    def current(self) -> int:
        return len(self.scopes) - 1

    def depth(self, *operands: str) -> int:
        """Index of the outermost open scope in which all operands exist; literals and parameters exist everywhere."""
        get = self._depth.get
        return max([get(operand, 0) for operand in operands], default=0)

    def fresh(self, hint: str = "v") -> str:
        self._count += 1
        return f"%{hint}.{self._count}"

    # --- instructions -------------------------------------------------------------------------------------------------

    def pure(self, text: str, *operands: str) -> str:
        """The result of an instruction without effects: made once, outside every loop it does not depend on.

        It does not leave a condition: the condition may be what makes it valid, or worth computing.
        """
        found = self._known.get(text)
        if found is not None:
            return found
        return self._place(text, text, max(self.depth(*operands), self.floor))

    def free(self, text: str, *operands: str) -> str:
        """Like ``pure``, for what is cheap and can never fault (address arithmetic): it leaves conditions too."""
        found = self._known.get(text)
        if found is not None:
            return found
        return self._place(text, text, self.depth(*operands))

    def at(self, depth: int, text: str) -> str:
        """A pure instruction placed in a given open scope, once per scope."""
        key = (text, depth)
        found = self._known.get(key)
        return found if found is not None else self._place(key, text, depth)

    def here(self, text: str) -> str:
        """The result of an instruction that must happen now: a load from memory that changes."""
        name = self.fresh()
        self.scopes[-1].lines.append(f"  {name} = {text}")
        self._depth[name] = self.current
        return name

    def effect(self, text: str) -> None:
        self.scopes[-1].lines.append("  " + text)

    def _place(self, key: Hashable, text: str, depth: int) -> str:
        name = self.fresh()
        self.scopes[depth].lines.append(f"  {name} = {text}")
        self._depth[name] = depth
        self.remember(key, name, depth)
        return name

    def remember(self, key: Hashable, name: str, depth: int) -> None:
        """Note a result under a key until the scope at ``depth`` closes."""
        self._known[key] = name
        self.scopes[depth].known.append(key)

    def recall(self, key: Hashable) -> str | None:
        return self._known.get(key)

    # --- structure ----------------------------------------------------------------------------------------------------

    def open(self, kind: ScopeKind) -> int:
        """Open a scope inside the current one; returns its index."""
        self._count += 1
        label = f"{kind}.{self._count}"
        self.scopes.append(Scope(kind, label, label))
        if kind == "branch":
            self.floor = self.current
        return self.current

    def phi(self, depth: int, type: str, init: str, hint: str = "v") -> Phi:
        """A value carried by the loop at ``depth``, which starts from ``init``."""
        phi = Phi(self.fresh(hint), type, init)
        self.scopes[depth].phis.append(phi)
        self._depth[phi.name] = depth
        return phi

    def advance(self, depth: int, base: str, element: str, first: int | str, stride: int) -> str:
        """A pointer carried by the loop at ``depth``: ``base`` plus ``first`` elements, moving ``stride`` each turn."""
        key = ("advance", depth, base, element, first, stride)
        found = self._known.get(key)
        if found is not None:
            return found
        start = base if first == 0 else self.free(f"getelementptr {element}, ptr {base}, i64 {first}", base, str(first))
        phi = self.phi(depth, "ptr", start, "p")
        self.scopes[depth].advances.append((phi, element, stride))
        self.remember(key, phi.name, depth)
        return phi.name

    def close_loop(self, counter: Phi, step: int, end: str, latch: dict[str, str]) -> None:
        """Close the innermost scope, a loop whose first turn is known to happen: test at the bottom.

        ``latch`` gives the next value of each carried name, besides the counter and the pointers.
        """
        loop = self.scopes[-1]
        following = dict(latch)
        for phi, element, stride in loop.advances:
            following[phi.name] = name = self.fresh("p")
            loop.lines.append(f"  {name} = getelementptr {element}, ptr {phi.name}, i64 {stride}")
        following[counter.name] = advanced = self.fresh(counter.name[1:].split(".")[0])
        test = self.fresh()
        exit_label = f"after.{loop.label}"
        before = self._pop()
        before.lines.append(f"  br label %{loop.label}")
        before.lines.append(f"{loop.label}:")
        for phi in loop.phis:
            edges = f"[ {phi.init}, %{before.block} ], [ {following[phi.name]}, %{loop.block} ]"
            before.lines.append(f"  {phi.name} = phi {phi.type} {edges}")
        before.lines += loop.lines
        before.lines.append(f"  {advanced} = add i64 {counter.name}, {step}")
        before.lines.append(f"  {test} = icmp slt i64 {advanced}, {end}")
        before.lines.append(f"  br i1 {test}, label %{loop.label}, label %{exit_label}, !llvm.loop !0")
        before.lines.append(f"{exit_label}:")
        before.block = exit_label

    def close_branch(self, condition: str, merged: Sequence[tuple[str, str, str]], *, rare: bool = False) -> list[str]:
        """Close the innermost scope, which runs if ``condition`` holds.

        ``merged`` lists values that differ by path: (type, value if it ran, value if not). Returns their merged names.
        ``rare`` tells LLVM to keep registers for the other path.
        """
        branch = self.scopes[-1]
        before = self._pop()
        exit_label = f"after.{branch.label}"
        weights = ", !prof !2" if rare else ""
        before.lines.append(f"  br i1 {condition}, label %{branch.label}, label %{exit_label}{weights}")
        before.lines.append(f"{branch.label}:")
        before.lines += branch.lines
        before.lines.append(f"  br label %{exit_label}")
        before.lines.append(f"{exit_label}:")
        names = []
        for type, ran, skipped in merged:
            name = self.fresh()
            before.lines.append(f"  {name} = phi {type} [ {ran}, %{branch.block} ], [ {skipped}, %{before.block} ]")
            self._depth[name] = self.current
            names.append(name)
        before.block = exit_label
        return names

    def survive(self, name: str) -> None:
        """Say that a name made in a scope now closed is used on: it exists in the current scope."""
        if self._depth.get(name, 0) > self.current:
            self._depth[name] = self.current

    def _pop(self) -> Scope:
        """Forget the innermost scope's results; returns its parent."""
        closed = self.scopes.pop()
        for key in closed.known:
            del self._known[key]
        if closed.kind == "branch":
            self.floor = max(k for k, s in enumerate(self.scopes) if k == 0 or s.kind == "branch")
        return self.scopes[-1]
