"""Arithmetic on index expressions: affine forms, ranges, and the simplification both of them allow.

Everything rests on three exact facts. Integer sums and products wrap around consistently, so collecting terms is always
right. ``floordiv`` and ``mod`` by a constant may be split only where nothing wraps, so they ask for a range first. An
axis runs over its extent, so most ranges are known; what is read from memory has only its dtype's. Knows no loops.
"""

from __future__ import annotations

from math import gcd
from typing import TypeAlias

import numpy as np

from lucid.ir.expr import (
    COMPARE,
    Axis,
    Binary,
    Cast,
    Const,
    Expr,
    Load,
    Select,
    Unary,
    const,
    index,
    walk,
)
from lucid.ir.types import DType, bool_, int64, uint64

Bounds: TypeAlias = tuple[int, int] | None

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_ANY = (_SMALLEST, _LARGEST)


def _wrap(value: int) -> int:
    """``value`` as int64 arithmetic has it."""
    if _SMALLEST <= value <= _LARGEST:
        return value
    return (value - _SMALLEST) % 2**64 + _SMALLEST


class Affine:
    """``sum(factor * atom) + constant``; an atom is an axis or an expression that is not itself affine.

    Treat as immutable. Terms are in the order they were met, which ``expr`` keeps; equality does not see it.
    """

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[Expr, int], constant: int):
        self.terms = terms
        self.constant = constant

    def __add__(self, other: Affine) -> Affine:
        terms = dict(self.terms)
        for atom, factor in other.terms.items():
            total = _wrap(terms.get(atom, 0) + factor)
            if total:
                terms[atom] = total
            else:
                del terms[atom]
        return Affine(terms, _wrap(self.constant + other.constant))

    def __mul__(self, factor: int) -> Affine:
        if factor == 1:
            return self
        terms = {atom: _wrap(f * factor) for atom, f in self.terms.items()}
        return Affine({atom: f for atom, f in terms.items() if f}, _wrap(self.constant * factor))

    def __sub__(self, other: Affine) -> Affine:
        return self + other * -1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Affine) and self.terms == other.terms and self.constant == other.constant

    __hash__ = None  # type: ignore[assignment]  # holds a dictionary

    def __repr__(self) -> str:
        return f"Affine({self.expr()})"

    def expr(self) -> Expr:
        """The expression it stands for."""
        total: Expr | None = None
        for atom, factor in self.terms.items():
            if total is None:
                total = atom * factor
            elif factor < 0:
                total = total - atom * -factor
            else:
                total = total + atom * factor
        if total is None:
            return index(self.constant)
        return total + self.constant if self.constant >= 0 else total - -self.constant


def affine(expr: Expr) -> Affine:
    """The affine form of an ``int64`` expression, simplified on the way: its atoms are in simplest form.

    >>> i, j = Axis("i", 4), Axis("j", 8)
    >>> affine((i * 8 + j) // 8 * 3 + 1)
    Affine(((i * 3) + 1))
    """
    return _analysis(expr)[0]


def bounds(expr: Expr) -> Bounds:
    """The least and the greatest value of an ``int64`` expression over all positions.

    None if an end is not known: what is loaded from an ``int64`` tensor may be anything.

    >>> bounds(Axis("i", 4) * 2 - 1)
    (-1, 5)
    """
    return _analysis(expr)[1]


def _analysis(expr: Expr) -> tuple[Affine, Bounds]:
    found = _analysed.get(expr)
    if found is None:
        simplifier = _Simplifier()
        form = simplifier.form(expr)
        known = simplifier.range(form)
        found = form, known if known and known[0] > -(2**62) and known[1] < 2**62 else None
        if all(isinstance(x, Axis | Const | Binary) for x in walk(expr)):  # a load would keep its source alive
            if len(_analysed) >= 8192:  # forgetting one costs a repeated analysis, nothing else
                _analysed.clear()
            _analysed[expr] = found
    return found


_analysed: dict[Expr, tuple[Affine, Bounds]] = {}


def simplify(root: Expr) -> Expr:
    """An expression equal to ``root`` at every position, with its integer arithmetic in simplest form.

    Works inside any expression: indices of loads, conditions that the ranges decide, fills that are never read.

    >>> i, j = Axis("i", 4), Axis("j", 8)
    >>> simplify((i * 8 + j) % 8)
    j
    """
    return _Simplifier().simplify(root)


#: The name for whole value expressions; the rules are the same ones.
simplify_expr = simplify


class _Simplifier:
    """One walk's memory: forms of ``int64`` expressions, ranges of atoms, results by the identity of the original."""

    def __init__(self) -> None:
        self.forms: dict[int, Affine] = {}
        self.results: dict[int, Expr] = {}
        self.ranges: dict[Expr, tuple[int, int]] = {}
        self.names: dict[Expr, str] = {}
        self.kept: list[Expr] = []  # identities are keys: what they belong to must stay alive

    def simplify(self, root: Expr) -> Expr:
        self._run(root)
        return self._result(root)

    def form(self, root: Expr) -> Affine:
        self._run(root)
        return self.forms[id(root)]

    def range(self, form: Affine) -> Bounds:
        """The range of a form; None where the sum may wrap around."""
        lo = hi = form.constant
        for atom, factor in form.terms.items():
            a, b = self.ranges[atom]
            if factor < 0:
                a, b = b, a
            lo += factor * a
            hi += factor * b
        return (lo, hi) if lo >= _SMALLEST and hi <= _LARGEST else None

    # --- the walk ---

    def _run(self, root: Expr) -> None:
        if id(root) in self.results or id(root) in self.forms:
            return
        self.kept.append(root)
        for expr in walk(root):
            if id(expr) in self.results or id(expr) in self.forms:
                continue
            if expr.dtype == int64:
                self.forms[id(expr)] = self._integer(expr)
            else:
                self.results[id(expr)] = self._other(expr)

    def _result(self, expr: Expr) -> Expr:
        """What became of an original expression; sums are only put together where something asks for them."""
        found = self.results.get(id(expr))
        if found is None:
            found = self.forms[id(expr)].expr()
            if found == expr:
                found = expr
            self.results[id(expr)] = found
        return found

    def _rebuilt(self, expr: Expr) -> Expr:
        old = expr.children()
        new = [self._result(c) for c in old]
        return expr if all(a is b for a, b in zip(new, old, strict=True)) else expr.rebuild(new)

    def _atom(self, expr: Expr, known: tuple[int, int]) -> Affine:
        if isinstance(expr, Const):
            return Affine({}, int(expr.value))
        self.ranges.setdefault(expr, known)
        return Affine({expr: 1}, 0)

    def _integer(self, expr: Expr) -> Affine:
        if isinstance(expr, Axis):
            return self._atom(expr, (0, max(expr.extent - 1, 0)))
        if isinstance(expr, Const):
            return Affine({}, int(expr.value))
        if isinstance(expr, Binary):
            return self._binary(expr, self.forms[id(expr.a)], self.forms[id(expr.b)])
        if isinstance(expr, Unary) and expr.op == "neg":
            return self.forms[id(expr.x)] * -1
        new = self._select(expr) if isinstance(expr, Select) else self._rebuilt(expr)
        if isinstance(expr, Select) and not isinstance(new, Select):
            self._run(new)
            return self.forms[id(new)]
        return self._atom(new, self._range_of(expr) or _ANY)

    def _binary(self, expr: Binary, a: Affine, b: Affine) -> Affine:
        op = expr.op
        if op == "add":
            return self._merge(a + b)
        if op == "sub":
            return self._merge(a - b)
        if op == "mul" and not (a.terms and b.terms):
            return a * b.constant if a.terms else b * a.constant
        if op in ("floordiv", "mod") and not b.terms and b.constant > 0:
            return self._divide(a, b.constant) if op == "floordiv" else self._remainder(a, b.constant)
        (a_lo, a_hi), (b_lo, b_hi) = self.range(a) or _ANY, self.range(b) or _ANY
        known = _ANY
        if op in ("min", "max"):
            less = self._decide("le", a, b)
            if less is not None:
                return a if less is (op == "min") else b
            pick = min if op == "min" else max
            known = (pick(a_lo, b_lo), pick(a_hi, b_hi))
        elif op == "mul":
            corners = [x * y for x in (a_lo, a_hi) for y in (b_lo, b_hi)]
            if min(corners) >= _SMALLEST and max(corners) <= _LARGEST:
                known = (min(corners), max(corners))
        return self._atom(self._rebuilt(expr), known)

    def _other(self, expr: Expr) -> Expr:
        """Everything that is not ``int64``."""
        if isinstance(expr, Binary):
            if expr.op in COMPARE and expr.a.dtype == int64:
                known = self._decide(expr.op, self.forms[id(expr.a)], self.forms[id(expr.b)])
                if known is not None:
                    return Const(known, bool_)
            elif expr.dtype == bool_ and expr.op in ("and", "or"):
                return self._logical(expr)
        elif isinstance(expr, Select):
            return self._select(expr)
        elif isinstance(expr, Load) and expr.fill is not None:
            return self._padded(expr)
        elif isinstance(expr, Unary) and expr.op == "not":
            x = self._result(expr.x)
            if isinstance(x, Const) and x.dtype == bool_:
                return Const(not x.value, bool_)
        return self._rebuilt(expr)

    def _logical(self, expr: Binary) -> Expr:
        a, b = self._result(expr.a), self._result(expr.b)
        for x, y in ((a, b), (b, a)):
            if isinstance(x, Const):
                return y if bool(x.value) == (expr.op == "and") else x
        return a if a == b else self._rebuilt(expr)

    def _select(self, expr: Select) -> Expr:
        condition, a, b = self._result(expr.condition), self._result(expr.a), self._result(expr.b)
        if isinstance(condition, Const):
            return a if condition.value else b
        return a if a == b else self._rebuilt(expr)

    def _padded(self, load: Load) -> Expr:
        """A fill that is never read is dropped; a load that never meets its source is its fill."""
        inside = True
        for position, size in zip(load.index, load.type.shape, strict=True):
            known = self.range(self.forms[id(position)])
            if known is None or known[0] < 0 or known[1] >= size:
                inside = False
            if known is not None and (known[1] < 0 or known[0] >= size) and load.fill is not None:
                return const(load.fill, load.dtype)
        new = [self._result(i) for i in load.index]
        return Load(load.source, load.type, new) if inside else self._rebuilt(load)

    # --- ranges of what is not affine ---

    def _range_of(self, expr: Expr) -> Bounds:
        """The range of an original expression whose children are done; None for floats and wide unsigned integers."""
        if id(expr) in self.forms:
            return self.range(self.forms[id(expr)]) or _ANY
        limits = _dtype_range(expr.dtype)
        if isinstance(expr, Cast):
            known = self._range_of(expr.x)
            if known and limits and limits[0] <= known[0] and known[1] <= limits[1]:
                return known
        elif isinstance(expr, Select) and expr.dtype == int64:
            (a_lo, a_hi), (b_lo, b_hi) = self._range_of(expr.a) or _ANY, self._range_of(expr.b) or _ANY
            return (min(a_lo, b_lo), max(a_hi, b_hi))
        return limits

    def _decide(self, op: str, a: Affine, b: Affine) -> bool | None:
        """What a comparison gives at every position, if that is the same everywhere."""
        gap = a - b
        if not gap.terms and gap.constant == 0:
            return op in ("le", "eq")
        known = self.range(gap)
        if known is None or self.range(a) is None or self.range(b) is None:
            return None
        lo, hi = known
        if op in ("lt", "le"):
            if hi < 0 or (op == "le" and hi == 0):
                return True
            return False if lo > 0 or (op == "lt" and lo == 0) else None
        if lo == hi == 0:
            return op == "eq"
        apart = lo > 0 or hi < 0 or (bool(gap.terms) and gap.constant % gcd(*gap.terms.values()) != 0)
        return op == "ne" if apart else None

    # --- division by a constant ---

    def _divide(self, a: Affine, n: int) -> Affine:
        """``a // n``: multiples of ``n`` come out; of the rest only what can carry over stays."""
        if n == 1:
            return a
        rest = _reduced(a, n)
        known = self.range(rest) if self.range(a) else None
        if known is None:
            return self._atom(self._divided("floordiv", a, n), (_SMALLEST // n, _LARGEST // n))
        lo, hi = known
        whole = Affine({atom: (f - rest.terms.get(atom, 0)) // n for atom, f in a.terms.items() if abs(f) >= n}, 0)
        if lo // n == hi // n:
            return self._merge(whole + Affine({}, lo // n))
        for g in _common_factors(rest, n):
            divided, carry, _ = self._split(rest, g)
            if carry is not None:
                # (g*d + c + s) // n with 0 <= s < g is (d + c//g) // (n//g)
                return self._merge(whole + self._divide(divided + Affine({}, carry), n // g))
        quotient, constant = divmod(rest.constant, n)
        rest = Affine(rest.terms, constant)
        for atom, factor in rest.terms.items():
            if factor == 1 and isinstance(atom, Binary) and atom.op == "floordiv" and isinstance(atom.b, Const):
                m = int(atom.b.value)  # (r + x//m) // n is (r*m + x) // (n*m): one division less
                inner = (rest - Affine({atom: 1}, 0)) * m + self.form(atom.a)
                if self.range(inner) is not None and n * m <= _LARGEST:
                    return self._merge(whole + Affine({}, quotient) + self._divide(inner, n * m))
        lo, hi = lo - quotient * n, hi - quotient * n
        last = self._atom(self._divided("floordiv", rest, n), (lo // n, hi // n))
        return self._merge(whole + last + Affine({}, quotient))

    def _remainder(self, a: Affine, n: int) -> Affine:
        """``a % n``: multiples of ``n`` vanish; what stays below ``n`` anyway comes out."""
        if n == 1:
            return Affine({}, 0)
        rest = _reduced(a, n)
        rest = Affine(rest.terms, a.constant % n)
        known = self.range(rest) if self.range(a) else None
        if known is None:
            return self._atom(self._divided("mod", a, n), (0, n - 1))
        lo, hi = known
        if lo // n == hi // n:
            return rest - Affine({}, lo // n * n)
        for g in _common_factors(rest, n):
            divided, carry, small = self._split(rest, g)
            if carry is not None:
                # (g*d + c + s) % n with 0 <= s < g is g * ((d + c//g) % (n//g)) + s
                high = self._remainder(divided + Affine({}, carry), n // g)
                return self._merge(high * g + small - Affine({}, carry * g))
        opened = self._open_remainders(rest, n)
        if opened is not None:
            return self._remainder(opened, n)
        return self._atom(self._divided("mod", rest, n), (0, n - 1))

    def _divided(self, op: str, form: Affine, n: int) -> Expr:
        """``form // n`` or ``form % n`` as it stands, terms in alphabetical order: equal ones must be found equal."""
        for atom in form.terms:
            if atom not in self.names:
                self.names[atom] = " ".join(map(_label, walk(atom)))
        terms = dict(sorted(form.terms.items(), key=lambda term: self.names[term[0]]))
        return Binary(op, Affine(terms, form.constant).expr(), index(n))

    def _split(self, form: Affine, g: int) -> tuple[Affine, int | None, Affine]:
        """``form`` as ``g*divided + small``, and ``small // g`` if that is the same everywhere."""
        divided = Affine({atom: f // g for atom, f in form.terms.items() if f % g == 0}, 0)
        small = Affine({atom: f for atom, f in form.terms.items() if f % g}, form.constant)
        known = self.range(small)
        if known is None or known[0] // g != known[1] // g:
            return divided, None, small
        return divided, known[0] // g, small

    def _open_remainders(self, form: Affine, n: int) -> Affine | None:
        """The same modulo ``n``, with ``x`` for each inner ``x % m`` where ``n`` divides ``m`` times its factor."""
        opened = form
        for atom, factor in form.terms.items():
            if not (isinstance(atom, Binary) and atom.op == "mod" and isinstance(atom.b, Const)):
                continue
            if factor * int(atom.b.value) % n == 0:
                opened = opened - Affine({atom: factor}, 0) + self.form(atom.a) * factor
        return opened if opened is not form and self.range(opened) is not None else None

    def _merge(self, form: Affine) -> Affine:
        """Undo a split: ``(x // n) * n + x % n`` is ``x``, wherever that leaves fewer divisions."""
        divisions = _divisions(form)
        if len(divisions) < 2:
            return form
        for atom in divisions:
            if atom.op != "mod" or not isinstance(atom.b, Const):
                continue
            n, factor = int(atom.b.value), form.terms[atom]
            x = self.form(atom.a)
            merged = form - Affine({atom: factor}, 0) + (x - self._divide(x, n) * n) * factor
            if len(_divisions(merged)) < len(divisions):
                return self._merge(merged)
        return form


def _reduced(form: Affine, n: int) -> Affine:
    """``form`` with the multiples of ``n`` taken out of its factors."""
    terms = {atom: f % n if f > 0 else -(-f % n) for atom, f in form.terms.items()}
    return Affine({atom: f for atom, f in terms.items() if f}, form.constant)


def _divisions(form: Affine) -> list[Binary]:
    return [atom for atom in form.terms if isinstance(atom, Binary) and atom.op in ("floordiv", "mod")]


def _common_factors(form: Affine, n: int) -> list[int]:
    """What ``n`` shares with the factors of the terms, largest first."""
    return sorted({gcd(f, n) for f in form.terms.values()} - {1, n}, reverse=True)


def _label(expr: Expr) -> str:
    """What to sort an expression by; nothing but the order of terms hangs on it."""
    if isinstance(expr, Axis):
        return expr.name
    if isinstance(expr, Const):
        return str(expr.value)
    return expr.op if isinstance(expr, Binary | Unary) else type(expr).__name__


def _dtype_range(dtype: DType) -> Bounds:
    """All values of an integer dtype that ``int64`` can hold."""
    if dtype == bool_:
        return (0, 1)
    if dtype.kind in "iu" and dtype != uint64:
        info = np.iinfo(dtype)
        return (int(info.min), int(info.max))
    return None
