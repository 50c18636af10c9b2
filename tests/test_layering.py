"""House rules that a machine can check: imports point one way, and only ``lucid/ops`` knows ops by name or class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent / "lucid"

#: Modules and packages of ``lucid``, bottom up. A layer may import itself and what is below it.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors",
        "ir",
        "ops",
        "autodiff",
        "codegen",
        "runtime",
        "tensor changes default_dtype devices eager promotion printing methods inplace functions linalg grad_modes "
        "random capture plan backward autograd",
        "compiler tracing traced_function bindings signature surroundings partition compiled_call compiled_graph",
        "nn",
        "optim data io models",
        "utils",
        "checkpoint model_summary training",
        "__main__",
    )
)


class Import(NamedTuple):
    """``target`` is the part of lucid that is imported; ``line`` is the text of the statement's first line."""

    target: str
    line: str
    number: int
    in_function: bool


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    """The module or package directly below ``lucid`` that a file belongs to; empty for lucid itself."""
    relative = path.relative_to(ROOT)
    return "" if relative.name == "__init__.py" and len(relative.parts) == 1 else relative.parts[0].removesuffix(".py")


def layer_of(part: str) -> int:
    found = [k for k, parts in enumerate(LAYERS) if part in parts]
    assert len(found) == 1, f"lucid/{part} belongs to no layer: say in tests/test_layering.py which it is"
    return found[0]


def imports(source: str) -> Iterator[Import]:
    """What a file imports from lucid when it runs; what only the type checker sees is left out."""
    lines = source.splitlines()

    def visit(node: ast.AST, in_function: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for child in node.orelse:
                yield from visit(child, in_function)
            return
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "lucid" and rest:
                yield Import(rest.split(".")[0], lines[node.lineno - 1], node.lineno, in_function)
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return visit(ast.parse(source), False)


def upward_imports(part: str, source: str) -> list[str]:
    """Imports of higher layers; one inside a function is forgiven if its line says why."""
    return [
        f"line {found.number}: {found.line.strip()}"
        for found in imports(source)
        if layer_of(found.target) > layer_of(part) and not (found.in_function and "#" in found.line)
    ]


def knowledge_of_ops(source: str) -> list[str]:
    """Places that ask for an op's name, or for a class or an object of ``lucid.ops``."""
    tree = ast.parse(source)
    from_ops = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lucid.ops")
        for alias in node.names
    }

    def is_op_name(node: ast.AST) -> bool:
        """``op.name`` or ``x.op.name``."""
        if not (isinstance(node, ast.Attribute) and node.attr == "name"):
            return False
        owner = node.value
        return (isinstance(owner, ast.Name) and owner.id == "op") or (
            isinstance(owner, ast.Attribute) and owner.attr == "op"
        )

    def is_of_ops(node: ast.AST) -> bool:
        """A name imported from ``lucid.ops``, ``ops.relu``, or ``OPS["relu"]``."""
        if isinstance(node, ast.Name):
            return node.id in from_ops
        if isinstance(node, ast.Attribute):
            return "ops" in ast.unparse(node.value).split(".")
        return (
            isinstance(node, ast.Subscript)
            and ast.unparse(node.value) == "OPS"
            and isinstance(node.slice, ast.Constant)
        )

    bad = []
    for node in ast.walk(tree):
        asked: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            asked = [part for side in sides for part in ast.walk(side) if is_op_name(part)]
            asked += [part for side in sides for part in (side, *getattr(side, "elts", ())) if is_of_ops(part)]
        elif isinstance(node, ast.Match):
            asked = [part for part in ast.walk(node.subject) if is_op_name(part)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            asked = [part for part in ast.walk(node.args[1]) if is_of_ops(part)]
        elif isinstance(node, ast.Subscript) and is_op_name(node.slice) and ast.unparse(node.value) != "OPS":
            asked = [node]  # a table keyed by op names
        bad += [f"line {node.lineno}: {ast.unparse(part)}" for part in asked]
    return bad


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    if part:  # lucid/__init__.py imports everything
        assert upward_imports(part, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_ops_know_ops(path: Path) -> None:
    if part_of(path) != "ops":
        assert knowledge_of_ops(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


# --- the checks can fail ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "source", "allowed"),
    [
        ("ir", "from lucid.errors import IRError", True),
        ("ir", "from lucid.ir.graph import OPS", True),
        ("ir", "from lucid.ops.conv import conv2d", False),
        ("ir", "from lucid import ops", False),
        ("ir", "import lucid.ops", False),
        ("ops", "import lucid.tensor as t", False),
        ("ir", "if TYPE_CHECKING:\n    from lucid.tensor import Tensor", True),
        ("ir", "if TYPE_CHECKING:\n    pass\nelse:\n    from lucid.tensor import Tensor", False),
        ("ir", "def f():\n    import lucid.ops", False),
        ("ir", "def f():\n    import lucid.ops  # declared on first use", True),
        ("ir", "try:\n    import lucid.ops  # a comment does not help here\nexcept ImportError:\n    pass", False),
        ("nn", "from lucid.tensor import Tensor", True),
        ("tensor", "from lucid.nn import Module", False),
        ("codegen", "import numpy, json", True),
    ],
)
def test_the_layering_check(part: str, source: str, allowed: bool) -> None:
    assert (upward_imports(part, source) == []) == allowed


def test_a_new_module_must_be_given_a_layer() -> None:
    with pytest.raises(AssertionError, match="lucid/surprise belongs to no layer"):
        layer_of("surprise")


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ('node.op.name == "conv2d"', False),
        ('"conv2d" != op.name', False),
        ('node.op.name in ("add", "mul")', False),
        ('node.op.name.startswith("conv") is True', False),
        ('match node.op.name:\n    case "add":\n        pass', False),
        ("RULES[node.op.name]", False),
        ("OPS[node.op.name]", True),
        ("from lucid.ops.conv import Conv2d\nisinstance(op, Conv2d)", False),
        ("from lucid.ops.conv import Conv2d\nisinstance(op, (int, Conv2d))", False),
        ("from lucid import ops\nisinstance(op, ops.conv.Conv2d)", False),
        ("from lucid.ops import conv2d as c\nnode.op is c", False),
        ("from lucid import ops\nnode.op is ops.conv2d", False),
        ('node.op is OPS["conv2d"]', False),
        ('node.op in (OPS["add"], OPS["mul"])', False),
        ("node.op is input_op", True),
        ("node.op is OPS[pattern.op]", True),
        ('expr.op == "mod"', True),
        ('label = f"{node.op.name}: {node.type}"', True),
        ("isinstance(expr, Binary)", True),
        ('OPS["add"](a, b)', True),
    ],
)
def test_the_check_for_knowledge_of_ops(source: str, allowed: bool) -> None:
    assert (knowledge_of_ops(source) == []) == allowed
