"""``Tensor``: an ndarray, the record that made it, and what belongs to the tensor rather than to a function of it.

Data in and out, gradients, leaves and their updates. The mathematics is in ``lucid.functions``, offered here as
methods; running a backward pass is in ``lucid.backward``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from sys import getrefcount
from typing import Any, NoReturn

import numpy as np

from lucid import changes
from lucid.backward import backward
from lucid.devices import device
from lucid.eager import DEAD, LIVE, leaf_record, left_behind, mode, set_result_class, tensor_of
from lucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    LucidError,
    ShapeError,
    TraceError,
)
from lucid.functions.arguments import axis_of, fail, named
from lucid.ir.graph import Array
from lucid.ir.types import TensorType, is_float, type_of
from lucid.methods import Methods
from lucid.printing import show_tensor
from lucid.promotion import array_of
from lucid.runtime.buffers import is_view


class Tensor(Methods):
    """An n-dimensional array that remembers how it was computed.

    Args:
        data: a number, nested lists of numbers, a NumPy array, or another tensor. It is copied.
        requires_grad: whether ``backward`` should compute this tensor's gradient.
        dtype: element type; by default the default dtype for Python floats, int64 for ints, and an array's own dtype.

    Raises:
        ShapeError: nested lists of unequal lengths.
        DTypeError: an unsupported element type, or ``requires_grad`` for one that is not floating.
        ArgumentTypeError: data that is not numbers.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2.0, 4.0])
    """

    #: A name for graphs and error messages; parameters get one from their module.
    name: str | None = None
    _grad: Tensor | None = None
    _version: int = 0
    #: True once the memory was handed out as a writable array: it may change without notice.
    _escaped: bool = False
    #: The leaf whose memory this one shares.
    _base: Tensor | None = None
    #: The leaf that takes over what is done to this tensor in place: its ``data``.
    _origin: Tensor | None = None
    #: True if the memory belongs to the result of an operation.
    _shared: bool = False
    #: True if a compiled function asks to be told of new values.
    _watched: bool = False
    #: Serial number of the trace during which this tensor was made from Python data; 0 if none.
    _born_in: int = 0

    def __init__(self, data: Any, requires_grad: bool = False, dtype: object = None):
        try:
            array = array_of(data, dtype, "Tensor")
        except LucidError as error:
            fail(error)
        self._data = array
        self._record = leaf_record(self, type_of(array), False)
        if mode.trace is not None:
            self._born_in = mode.trace.serial
        if requires_grad is not False:
            self.requires_grad_(requires_grad)

    # --- gradients ---
    @property
    def requires_grad(self) -> bool:
        """True if a backward from here, or from a result of this, reaches a leaf whose gradient is wanted.

        >>> import lucid
        >>> x = lucid.ones(2, requires_grad=True)
        >>> x.requires_grad, (x * 2).requires_grad, x.detach().requires_grad
        (True, True, False)
        """
        return self._record.state != 0

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Want this leaf's gradient, or no longer. Graphs recorded before are not changed.

        Raises:
            DTypeError: the dtype is not floating.
            GradientError: this is the result of an operation, not a leaf.
            ArgumentTypeError: ``requires_grad`` is not True or False.

        >>> import lucid
        >>> lucid.ones(2).requires_grad_()
        Tensor([1.0, 1.0], requires_grad=True)
        """
        if not isinstance(requires_grad, bool | np.bool_):
            message = f"requires_grad={requires_grad!r} must be True or False, not {type(requires_grad).__name__}"
            fail(ArgumentTypeError(message, op="requires_grad_"))
        if bool(requires_grad) == self.requires_grad:
            return self
        if requires_grad and not is_float(self.dtype):
            fail(
                DTypeError(
                    f"a tensor of dtype {self.dtype.name} cannot require a gradient: only floating dtypes can",
                    op="requires_grad_",
                    hint="convert it with .astype(lucid.float32)",
                )
            )
        if not self.is_leaf:
            fail(
                GradientError(
                    "only a leaf's requires_grad can be changed, and this tensor is the result of an operation",
                    op="requires_grad_",
                    hint="x.detach() gives a leaf with the same values",
                )
            )
        if mode.trace is not None:
            mode.trace.require_grad(self, bool(requires_grad))
            return self
        changes.touch()
        self._shared |= self._record.owner is None
        self._renew(bool(requires_grad))
        return self

    @property
    def is_leaf(self) -> bool:
        """True if no operation that needs a gradient made this tensor: its own gradient can be accumulated.

        >>> import lucid
        >>> x = lucid.ones(2, requires_grad=True)
        >>> x.is_leaf, (x * 2).is_leaf
        (True, False)
        """
        return self._record.state == 0 or self._record.owner is not None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` has accumulated, or None.

        Raises:
            ArgumentTypeError, ShapeError: what is assigned is neither None nor a tensor of this shape and dtype.

        >>> import lucid
        >>> x = lucid.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        Tensor([2.0, 4.0])
        """
        return self._grad if mode.trace is None else mode.trace.read_grad(self)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                fail(ArgumentTypeError(f"grad must be a Tensor or None, not {type(value).__name__}", op="grad"))
            if value.type is not self.type:
                fail(ShapeError(f"grad is {value.type}, but the tensor is {self.type}", op="grad"))
        if mode.trace is None:
            self._grad = value
        else:
            mode.trace.write_grad(self, value)

    def backward(
        self, gradient: Any = None, retain_graph: bool = False, inputs: Any = None, create_graph: bool = False
    ) -> None:
        """Compute the gradients of this tensor and add them to the ``grad`` of the leaves behind it.

        Args:
            gradient: the cotangent of this tensor; ones if not given, whatever its shape.
            retain_graph: keep the values that a second backward through the same graph needs.
            inputs: only these leaves get a gradient.
            create_graph: record the gradients too, so that they can be differentiated.

        Raises:
            GradientError: nothing requires a gradient, or a backward has already freed the graph.
            ShapeError, DTypeError: ``gradient`` does not fit.

        >>> import lucid
        >>> x = lucid.tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * 3
        >>> y.backward(lucid.tensor([1.0, 10.0]))
        >>> x.grad
        Tensor([3.0, 30.0])
        """
        backward(self, gradient, retain_graph or create_graph, inputs, create_graph)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call ``hook`` with this tensor's gradient in every backward; what it returns, if anything, replaces it.

        Raises:
            GradientError: the tensor does not require a gradient.
            ArgumentTypeError: ``hook`` cannot be called.

        >>> import lucid
        >>> x = lucid.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda gradient: gradient * 10)
        >>> (x * 3).sum().backward()
        >>> x.grad
        Tensor([30.0, 30.0])
        >>> handle.remove()
        """
        if not callable(hook):
            fail(ArgumentTypeError(f"hook={hook!r} must be a function of a gradient", op="register_hook"))
        if not self.requires_grad:
            fail(
                GradientError(
                    "a hook needs a tensor that requires a gradient", op="register_hook", hint="x.requires_grad_()"
                )
            )
        record = self._record
        if record.hooks is None:
            record.hooks = {}
        key = max(record.hooks, default=-1) + 1
        record.hooks[key] = hook
        return HookHandle(record.hooks, key)

    def retain_grad(self) -> None:
        """Let ``backward`` fill this tensor's ``grad`` although it is not a leaf.

        Raises:
            GradientError: the tensor does not require a gradient.

        >>> import lucid
        >>> x = lucid.ones(2, requires_grad=True)
        >>> y = x * 3
        >>> y.retain_grad()
        >>> (y * y).sum().backward()
        >>> y.grad
        Tensor([6.0, 6.0])
        """
        if not self.requires_grad:
            fail(
                GradientError(
                    "a tensor that requires no gradient keeps none", op="retain_grad", hint="x.requires_grad_()"
                )
            )
        if not self.is_leaf:
            from weakref import ref

            me = ref(self)

            def keep(g: Tensor) -> None:
                tensor = me()
                if tensor is not None:
                    tensor.grad = g if tensor.grad is None else tensor.grad + g

            self.register_hook(keep)

    def detach(self) -> Tensor:
        """A leaf with the same values, sharing memory, through which no gradient flows.

        >>> import lucid
        >>> x = lucid.ones(2, requires_grad=True)
        >>> (x * 3).detach()
        Tensor([3.0, 3.0])
        """
        if mode.trace is not None:
            from lucid import ops
            from lucid.eager import apply

            return apply(ops.stop_gradient, self)
        result = tensor_of(self._data, None)  # type: ignore[arg-type]  # the record follows
        result._show(self)
        return result

    def _show(self, other: Tensor) -> None:
        """Be a leaf over the memory of ``other``."""
        self._data = other._data
        self._record = leaf_record(self, other.type, False)
        if other._record.owner is None:
            self._shared = True
        else:
            self._base, self._shared = other if other._base is None else other._base, other._shared

    @property
    def data(self) -> Tensor:
        """The values without their history, as ``detach`` gives them; done to them in place is done to this leaf.

        Assigning to it gives the leaf a copy of other values, of another shape and dtype if need be.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> x.data.mul_(2)
        Tensor([2.0, 4.0])
        >>> x
        Tensor([2.0, 4.0], requires_grad=True)
        """
        result = self.detach()
        result._origin = self
        return result

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            fail(ArgumentTypeError(f"data must be a Tensor, not {type(value).__name__}", op="data"))
        self._require_leaf("data")
        if mode.trace is not None:
            if value.type is not self.type:
                message = f"data of type {value.type} is given to a tensor of type {self.type}"
                fail(TraceError(message, op="compile", hint="change types outside of the compiled function"))
            mode.trace.assign(self, value)
        else:
            self._retype(value._data.copy(order="K"))

    def _retype(self, data: Array) -> None:
        """Take ``data``, owned by nobody else, as the values of this leaf, whatever its type."""
        new = type_of(data)
        if new is not self.type:
            if self.requires_grad and not is_float(new.dtype):
                message = f"values of dtype {new.dtype.name} cannot be given to a tensor that requires a gradient"
                fail(DTypeError(message, op="data"))
            hooks = self._record.hooks
            self._record = leaf_record(self, new, self.requires_grad)
            self._record.hooks = hooks
            changes.touch()
        self._assign(data)

    def _require_leaf(self, op: str) -> None:
        if not self.is_leaf:
            message = "only a leaf can be given new values, and this tensor is the result of an operation"
            fail(GradientError(message, op=op))

    def clone(self) -> Tensor:
        """A copy, through which gradients flow.

        >>> import lucid
        >>> x = lucid.ones(2, requires_grad=True)
        >>> x.clone()
        Tensor([1.0, 1.0], requires_grad=True)
        """
        from lucid import ops
        from lucid.eager import apply

        result = apply(ops.identity, self)
        if result._data is not None:
            result._data = self._data.copy(order="K")
        return result

    # --- updates of leaves ---
    def copy_(self, source: Any) -> Tensor:
        """Replace the values by those of ``source`` (broadcast, cast). Graphs recorded before keep the old values.

        Raises:
            GradientError: this tensor is the result of an operation.
            ShapeError: ``source`` does not broadcast to this shape.

        >>> import lucid
        >>> lucid.zeros(2, 2).copy_(lucid.tensor([1, 2]))
        Tensor([[1.0, 2.0],
                [1.0, 2.0]])
        """
        from lucid.functions.elementwise import cast
        from lucid.functions.movement import broadcast
        from lucid.promotion import as_tensor

        self._require_leaf("copy_")
        before, mode.grad = mode.grad, False
        try:
            new = broadcast("copy_", cast(as_tensor(source, "copy_"), self.dtype), self.shape)
        finally:
            mode.grad = before
        if self._origin is not None:
            self._become(new if new is not source else new.clone())
        elif mode.trace is not None:
            mode.trace.assign(self, new)
        else:
            self._assign(new._data if new is not source and not is_view(new._data) else new._data.copy())
        return self

    def fill_(self, value: Any) -> Tensor:
        """Replace every value by a number.

        Raises:
            GradientError: this tensor is the result of an operation.
            ArgumentTypeError: ``value`` is not a number.

        >>> import lucid
        >>> lucid.zeros(2).fill_(5)
        Tensor([5.0, 5.0])
        """
        with named("fill_"):
            return self.copy_(value)

    def zero_(self) -> Tensor:
        """Replace every value by 0.

        Raises:
            GradientError: this tensor is the result of an operation.

        >>> import lucid
        >>> lucid.ones(2).zero_()
        Tensor([0.0, 0.0])
        """
        return self.copy_(0)

    def _become(self, new: Tensor) -> None:
        """Take the value of ``new``, a tensor of this type that some operation made, and its history if it has one."""
        if self._origin is not None:
            self._origin._require_leaf("data")
            if mode.trace is not None:
                mode.trace.assign(self._origin, new)
                mode.trace.become(self, new)
            else:
                self._origin._assign(new._data if not is_view(new._data) else new._data.copy())
                self._show(self._origin)
        elif mode.trace is not None:
            mode.trace.become(self, new)
        elif new._record.state == 0:
            keep = self.is_leaf and self.requires_grad
            self._assign(new._data if not is_view(new._data) else new._data.copy(), keep)
        else:
            changes.touch()
            self._record, self._data = new._record, new._data
            self._version += 1
            self._escaped, self._shared, self._base = False, True, None

    def _renew(self, requires_grad: bool) -> None:
        """A fresh leaf record: graphs recorded before keep the old one. Hooks stay with the tensor."""
        record = self._record
        # Nobody else has it: it is the tensor's, the name here, and getrefcount's own argument.
        if getrefcount(record) == 3 and record.owner is not None and record.state == (LIVE if requires_grad else DEAD):
            return
        hooks = record.hooks
        self._record = leaf_record(self, self._record.call.type, requires_grad)
        self._record.hooks = hooks

    def _assign(self, data: Array, requires_grad: bool | None = None) -> None:
        """Take ``data`` (of this type, owned by nobody else) as the values of this leaf, or of what becomes a leaf."""
        self._renew(self._record.state == LIVE if requires_grad is None else requires_grad)
        self._data = data
        self._version += 1
        if self._watched:
            changes.write()
        self._escaped = self._shared = False
        self._base = None

    # --- data out ---
    def _value(self, what: str) -> Array:
        """The array, or the trace's refusal to show it."""
        trace = mode.trace
        if trace is not None and (self._data is None or self._born_in != trace.serial):
            trace.refuse_value(self, what)
        if self._data is None:
            fail(left_behind(what))
        return self._data  # type: ignore[no-any-return]  # an ndarray, or None while tracing

    def numpy(self) -> Array:
        """The values as a NumPy array, without a copy.

        A leaf's array can be written to, and the tensor sees it; a later update (by an optimizer, ``copy_``) gives the
        tensor new memory. The result of an operation is shown read-only, because it may share its memory with what it
        was computed from.

        Raises:
            TraceError: in a compiled function, where values are not known.

        >>> import lucid
        >>> x = lucid.zeros(2)
        >>> x.numpy()[0] = 5
        >>> x
        Tensor([5.0, 0.0])
        """
        array: Array = self._value("numpy()").view()
        root = self if self._base is None else self._base
        if root._record.owner is None or self._shared:
            array.flags.writeable = False
            return array
        root._escaped = self._escaped = True
        if root._watched:
            changes.write()
        if root._record.value is not None:  # a pending backward must not see what is written from here on
            root._record.value = root._record.value.copy()
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self._value("numpy.asarray()")
        if copy or (dtype is not None and array.dtype != dtype):
            return np.array(array, dtype)
        view: Array = array.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The only element, as a Python number.

        Raises:
            ShapeError: there is not exactly one element.
            TraceError: in a compiled function, where values are not known.

        >>> import lucid
        >>> lucid.tensor([2.5]).item()
        2.5
        """
        array = self._value("item()")
        if array.size != 1:
            fail(ShapeError(f"a tensor of shape {self.shape} has {array.size} elements, not one", op="item"))
        return array.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers.

        Raises:
            TraceError: in a compiled function, where values are not known.

        >>> import lucid
        >>> lucid.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        return self._value("tolist()").tolist()

    @property
    def size(self) -> Size:
        """Number of elements, as in NumPy; called as PyTorch's ``x.size()``, the shape, ``x.size(0)`` a part of it.

        Raises:
            ArgumentError: a dimension that is not there.

        >>> import lucid
        >>> x = lucid.ones(2, 3)
        >>> x.size == 6, x.size(), x.size(0)
        (True, (2, 3), 2)
        """
        return Size(self._record.call.type)

    def numel(self) -> int:
        """Number of elements. ``nelement`` is the same method.

        >>> import lucid
        >>> lucid.ones(2, 3).numel()
        6
        """
        return self._record.call.type.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes of an element.

        >>> import lucid
        >>> lucid.ones(2).element_size()
        4
        """
        return self.dtype.itemsize

    def dim(self) -> int:
        """Number of dimensions. ``ndimension`` is the same method.

        >>> import lucid
        >>> lucid.ones(2, 3).dim()
        2
        """
        return self.ndim

    ndimension = dim

    @property
    def itemsize(self) -> int:
        """Bytes of an element.

        >>> Tensor([1.0]).itemsize
        4
        """
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements.

        >>> Tensor([1.0, 2.0]).nbytes
        8
        """
        return self.numel() * self.dtype.itemsize

    @property
    def device(self) -> device:
        """The CPU.

        >>> Tensor([1.0]).device
        device(type='cpu')
        """
        return device("cpu")

    @property
    def is_cuda(self) -> bool:
        """False: there is no other device than the CPU.

        >>> Tensor([1.0]).is_cuda
        False
        """
        return False

    def cpu(self) -> Tensor:
        """The tensor itself: there is one device.

        >>> import lucid
        >>> x = lucid.ones(2)
        >>> x.cpu() is x
        True
        """
        return self

    pin_memory = share_memory_ = cpu

    def cuda(self, device: Any = None, non_blocking: bool = False) -> NoReturn:
        """Refused: there is one device.

        Raises:
            ArgumentError: always.

        >>> import lucid
        >>> Tensor([1.0]).cuda() if lucid.cuda.is_available() else Tensor([1.0])
        Tensor([1.0])
        """
        fail(ArgumentError("there is no CUDA device: Lucid computes on the CPU", op="cuda", hint="leave the call out"))

    def __len__(self) -> int:
        if self.ndim == 0:
            fail(ArgumentTypeError("a 0-d tensor has no length", op="len"))
        return self.shape[0]

    def _one(self, what: str) -> Any:
        array = self._value(what)
        if array.size != 1:
            fail(ShapeError(f"a tensor of shape {self.shape} cannot be a Python number: it is not one", op=what))
        return array.item()

    def __bool__(self) -> bool:
        array = self._value("bool()")
        if array.size != 1:
            fail(
                ShapeError(
                    f"the truth value of a tensor of shape {self.shape} is ambiguous",
                    op="bool",
                    hint="use .any() or .all(), or lucid.where to choose element by element",
                )
            )
        return bool(array.item())

    def __float__(self) -> float:
        return float(self._one("float()"))

    def __int__(self) -> int:
        value = self._one("int()")
        try:
            return int(value)
        except (ValueError, OverflowError):
            fail(ArgumentError(f"{value} has no integer", op="int()"))

    def __index__(self) -> int:
        value = self._one("index()")
        if self.dtype.kind not in "iu" or self.ndim:
            fail(ArgumentTypeError(f"a tensor of {self.type} cannot be used as an index", op="index"))
        return int(value)

    def __repr__(self) -> str:
        if self._data is None:
            return f"Tensor(<{self.type} in a trace>)"
        return show_tensor(self._data, self.requires_grad)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    # --- copies ---
    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            self._refuse_copy()
        result: Tensor = object.__new__(type(self))
        memo[id(self)] = result
        for key, value in self.__dict__.items():
            if key not in ("_data", "_record", "_base", "_origin", "_born_in", "_watched"):
                result.__dict__[key] = copy.deepcopy(value, memo)
        result._escaped = result._shared = False
        result._data = self._value("deepcopy").copy()
        result._record = leaf_record(result, self.type, self.requires_grad)
        return result

    def _refuse_copy(self) -> NoReturn:
        fail(
            GradientError(
                "only a leaf can be copied with its requires_grad, and this tensor is the result of an operation",
                op="copy",
                hint="copy x.detach(), or use x.clone()",
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        if not self.is_leaf:
            self._refuse_copy()
        state = {
            k: v
            for k, v in self.__dict__.items()
            if k not in ("_record", "_base", "_origin", "_shared", "_escaped", "_born_in", "_watched")
        }
        state["_data"] = self._value("pickle")
        state["requires_grad"] = self.requires_grad
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        requires_grad = state.pop("requires_grad")
        self.__dict__.update(state)
        self._record = leaf_record(self, type_of(self._data), requires_grad)


class Size(int):
    """A number of elements that knows the dimensions it comes from."""

    def __new__(cls, type: TensorType) -> Size:
        self = super().__new__(cls, type.size)
        self._shape = type.shape
        return self

    _shape: tuple[int, ...]

    def __call__(self, dim: Any = None) -> Any:
        """All sizes, or the one of ``dim``.

        >>> import lucid
        >>> lucid.ones(2, 3).size(1)
        3
        """
        return self._shape if dim is None else self._shape[axis_of("size", dim, len(self._shape), "dim")]


class HookHandle:
    """Removes a hook again.

    >>> import lucid
    >>> x = lucid.ones(2, requires_grad=True)
    >>> handle = x.register_hook(lambda gradient: gradient * 10)
    >>> handle.remove()
    >>> x.sum().backward()
    >>> x.grad
    Tensor([1.0, 1.0])
    """

    def __init__(self, hooks: dict[int, Any], key: int):
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; doing so twice is harmless."""
        self._hooks.pop(self._key, None)


set_result_class(Tensor)
