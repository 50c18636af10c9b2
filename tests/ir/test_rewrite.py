"""The rewrite engine: patterns, order, the fixpoint, its observer, and what it refuses."""

from __future__ import annotations

import pytest

from lucid.errors import IRError
from lucid.ir.graph import OPS, Graph, Node, input_node
from lucid.ir.location import Location
from lucid.ir.rewrite import RULES, Apply, Rule, Value, declare, literal, rewrite
from lucid.ir.text import print_graph
from lucid.ir.types import TensorType, float32
from tests.ir.graphs import graph_of

x, y = Value("x"), Value("y")
TWICE_NEG = Rule("-(-x)", (Apply("neg", [-x]),), lambda node, x: x)


def body(graph: Graph) -> list[str]:
    return [line.strip() for line in print_graph(graph, locations=False).splitlines()[1:-1]]


def matches(pattern: Apply, inputs: str, text: str) -> dict[str, Node] | None:
    found: dict[str, Node] = {}
    return found if pattern.match(graph_of(inputs, text).outputs[0], found) else None


def test_patterns_read_like_values() -> None:
    assert repr(x * 2 + -y) == "add(mul(x, constant(){value=2}), neg(y))"
    assert repr(1 - x) == "sub(constant(){value=1}, x)"
    assert repr(x > y) == "lt(y, x)"
    assert repr(x >= 0) == "le(constant(){value=0}, x)"
    assert repr(Apply("concat")) == "concat(...)"


def test_a_name_in_two_places_is_one_node() -> None:
    assert matches(x * x, "%a: f32[2], %b: f32[2]", "%0 = mul(%a, %a) : f32[2] return %0") is not None
    assert matches(x * x, "%a: f32[2], %b: f32[2]", "%0 = mul(%a, %b) : f32[2] return %0") is None


def test_literals_tell_zeros_apart() -> None:
    def constant(value: str, shape: str = "(2,)") -> str:
        return f"%0 = constant() {{value={value}, shape={shape}, dtype=f32}} : f32[2] return %0"

    assert matches(literal(0), "", constant("0.0")) is not None
    assert matches(literal(0), "", constant("0")) is not None
    assert matches(literal(0), "", constant("-0.0")) is None
    assert matches(literal(-0.0), "", constant("-0.0")) is not None
    assert matches(literal(1), "", constant("(1.0, 1.0)")) is None
    assert matches(literal(float("nan")), "", constant("nan")) is not None


def test_inputs_before_users_until_nothing_applies() -> None:
    graph = graph_of("%x: f32[2]", " ".join(f"%{k} = neg(%{'x' if k == 0 else k - 1}) : f32[2]" for k in range(7))
                     + " return %6")  # fmt: skip
    assert body(rewrite(graph, [TWICE_NEG])) == ["%0 = neg(%x) : f32[2]", "return %0"]


def test_new_nodes_are_rewritten_too() -> None:
    """The replacement's own inputs may match: exp(x) -> -(-(x)) -> x."""
    expand = Rule("expand", (Apply("exp", [x]),), lambda node, x: OPS["neg"](-x))
    graph = graph_of("%x: f32[2]", "%0 = exp(%x) : f32[2] return %0")
    assert body(rewrite(graph, [expand, TWICE_NEG])) == ["return %x"]


def test_the_observer_sees_what_fired() -> None:
    seen: list[tuple[str, str, str]] = []
    graph = graph_of("%x: f32[2]", "%0 = neg(%x) : f32[2] %1 = neg(%0) : f32[2] return %1")
    rewrite(graph, [TWICE_NEG], lambda rule, before, after: seen.append((rule.name, str(before.op), str(after.op))))
    assert seen == [("-(-x)", "neg", "input")]


def test_nothing_to_do_gives_the_same_graph() -> None:
    graph = graph_of("%x: f32[2]", "%0 = neg(%x) : f32[2] return %0")
    assert rewrite(graph, [TWICE_NEG]) is graph


def test_shared_nodes_stay_shared_and_untouched_ones_the_same() -> None:
    graph = graph_of(
        "%x: f32[2]",
        "%0 = exp(%x) : f32[2] %1 = neg(%0) : f32[2] %2 = neg(%1) : f32[2] %3 = add(%2, %0) : f32[2] return %3",
    )
    after = rewrite(graph, [TWICE_NEG])
    (total,) = after.outputs
    assert total.inputs[0] is total.inputs[1]
    assert total.inputs[0] is graph.outputs[0].inputs[1]


def test_a_replacement_is_located_where_the_node_was() -> None:
    node = Node(OPS["exp"](input_node(TensorType((2,), float32))).call, (input_node(TensorType((2,), float32)),))
    placed = Node(node.call, node.inputs, Location("train.py", 7, "model.act"))
    rule = Rule("exp to tanh", (Apply("exp", [x]),), lambda node, x: OPS["tanh"](x))
    after = rewrite(Graph(node.inputs, [placed]), [rule])
    assert after.outputs[0].location == Location("train.py", 7, "model.act")


def test_rules_that_never_end() -> None:
    forth = Rule("forth", (Apply("exp", [x]),), lambda node, x: OPS["tanh"](x))
    back = Rule("back", (Apply("tanh", [x]),), lambda node, x: OPS["exp"](x))
    graph = graph_of("%x: f32[2]", "%0 = exp(%x) : f32[2] return %0")
    with pytest.raises(IRError, match="do not come to an end"):
        rewrite(graph, [forth, back])


def test_a_replacement_made_from_what_it_replaces() -> None:
    rule = Rule("swallow", (Apply("exp", [x]),), lambda node, x: -node)
    graph = graph_of("%x: f32[2]", "%0 = exp(%x) : f32[2] return %0")
    with pytest.raises(IRError, match="made from it"):
        rewrite(graph, [rule])


def test_a_rule_that_changes_the_type() -> None:
    rule = Rule("shrink", (Apply("exp", [x]),), lambda node, x: OPS["sum"](x, axes=(0,), keepdims=False))
    graph = graph_of("%x: f32[2]", "%0 = exp(%x) : f32[2] return %0")
    with pytest.raises(IRError, match=r"'shrink' replaced a f32\[2\] by a f32\[\]"):
        rewrite(graph, [rule])


def test_a_rule_for_every_node_is_refused() -> None:
    with pytest.raises(IRError, match="matches every node"):
        Rule("everything", (x,), lambda node, x: x)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(IRError, match="already declared"):
        declare(Rule("x * 1", (x * 1,), lambda node, x: x))
    declare(RULES["x * 1"])  # the same one again is no harm
