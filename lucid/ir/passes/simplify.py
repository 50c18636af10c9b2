"""Simplification: the declared table of rules, applied until none applies."""

from __future__ import annotations

from dataclasses import dataclass

from lucid.ir.graph import Graph
from lucid.ir.rewrite import RULES, Observer, Rule, rewrite


@dataclass(frozen=True)
class Simplify:
    """Applies ``rules``, by default every declared one; ``observer`` sees each rule that fires."""

    rules: tuple[Rule, ...] | None = None
    observer: Observer | None = None
    name: str = "simplify"

    def __call__(self, graph: Graph) -> Graph:
        return rewrite(graph, RULES.values() if self.rules is None else self.rules, self.observer)
