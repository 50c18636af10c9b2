"""The errors a user can meet. Every one names the operation, the argument, its value, the rule, and what to do.

Internal invariants are checked with ``IRError`` and its kin; a user sees one of those only through a bug of ours.
"""

from __future__ import annotations


class LucidError(Exception):
    """Base of every error that Lucid raises on purpose.

    Args:
        message: what is wrong, with the argument, its value and the rule.
        op: the operation the user called, as they spell it (``"conv2d"``).
        hint: what usually causes this, or what to do about it.
        where: the user's line, ``"train.py:12"``; filled in by the layer that knows it.
    """

    def __init__(self, message: str, *, op: str | None = None, hint: str | None = None, where: str | None = None):
        super().__init__(message)
        self.message = message
        self.op = op
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        head = f"{self.op}: {self.message}" if self.op else self.message
        lines = [head]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        if self.where:
            lines.append(f"  at {self.where}")
        return "\n".join(lines)


class ShapeError(LucidError, ValueError):
    """Shapes, ranks or sizes that do not fit the operation."""


class DTypeError(LucidError, TypeError):
    """An element type the operation does not take."""


class ArgumentError(LucidError, ValueError):
    """A non-tensor argument (a stride, a padding string, an axis) out of its rule."""


class ArgumentTypeError(LucidError, TypeError):
    """An argument of the wrong Python type."""


class IndexRangeError(LucidError, IndexError):
    """An index outside the axis it points into."""


class MissingAttributeError(LucidError, AttributeError):
    """A module has no parameter, buffer, submodule or attribute of this name."""


class MissingKeyError(LucidError, KeyError):
    """A dictionary of modules has nothing under this key."""


class MissingForwardError(LucidError, NotImplementedError):
    """A module was called that does not say what it computes."""


class OutOfMemoryError(LucidError, MemoryError):
    """There is not enough memory for a result."""


class GradientError(LucidError, RuntimeError):
    """A backward pass that cannot be done: nothing requires a gradient, or the graph was freed."""


class TraceError(LucidError, RuntimeError):
    """Python code that asks a traced tensor for its value, or does what a compiled function cannot do."""


class CheckError(LucidError, AssertionError):
    """``LUCID_CHECK=1`` found a compiled value that differs from the interpreter's."""


class StateError(LucidError, ValueError):
    """A state dict or checkpoint file that does not fit the module, or cannot be read."""


class DataError(LucidError, OSError):
    """A data set that is not on this machine, or a file of one that cannot be read."""


class IRError(LucidError):
    """A graph or loop nest that breaks the rules of its IR."""


class ParseError(IRError, ValueError):
    """Text that is not a graph or a loop nest; the message gives line and column."""


class ScheduleError(LucidError, ValueError):
    """A schedule that is not legal for the kernel it was given."""


class CodegenError(LucidError):
    """The code generator or LLVM refused a kernel; a bug of Lucid's."""


class CacheWarning(UserWarning):
    """The on-disk cache, or an entry in it, is not used; the message says why. What is missing is compiled again."""
