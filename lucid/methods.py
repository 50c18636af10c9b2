"""The functions of ``lucid.functions`` as methods of a tensor. Each is documented where it is defined."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lucid.devices import wanted_dtype
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentTypeError
from lucid.functions import (
    arranging,
    assigning,
    creation,
    diagonals,
    dtypes,
    elementwise,
    factorisations,
    gathering,
    indexing,
    linalg,
    memory,
    movement,
    norms,
    ordering,
    products,
    reductions,
    scans,
)
from lucid.functions.arguments import fail, shown
from lucid.inplace import InPlace, take_value
from lucid.ir.graph import OPS
from lucid.ir.types import as_dtype, bool_, float16, float32, float64, int32, int64
from lucid.promotion import binary, cast

if TYPE_CHECKING:
    from lucid.tensor import Tensor

#: NumPy's names of what the tensor does by itself.
_BINARY_UFUNCS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "floor_divide": "floordiv", "remainder": "mod",
    "power": "pow", "maximum": "maximum", "minimum": "minimum", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge", "equal": "eq", "not_equal": "ne", "matmul": "matmul", "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or", "bitwise_xor": "bitwise_xor", "left_shift": "left_shift", "right_shift": "right_shift",
}  # fmt: skip
_UNARY_UFUNCS: dict[str, Any] = {
    "exp": elementwise.exp, "expm1": elementwise.expm1, "log": elementwise.log, "log1p": elementwise.log1p,
    "sqrt": elementwise.sqrt, "square": elementwise.square, "sin": elementwise.sin, "cos": elementwise.cos,
    "tanh": elementwise.tanh, "absolute": elementwise.abs, "negative": elementwise.neg, "sign": elementwise.sign,
    "floor": elementwise.floor, "ceil": elementwise.ceil, "rint": elementwise.round, "isnan": elementwise.isnan,
    "isinf": elementwise.isinf, "isfinite": elementwise.isfinite, "logical_not": elementwise.logical_not,
}  # fmt: skip


def _reflected(name: str, method: str) -> Callable[[Any, Any], Tensor]:
    """``other + self``, and so on. Python gives it a tensor as ``self``; a call by name may give it anything."""

    def operator(self: Any, other: Any) -> Tensor:
        if not isinstance(self, Recorded):
            fail(
                ArgumentTypeError(
                    f"self={shown(self)} must be a tensor, but it is of type {type(self).__name__}",
                    op=method,
                    hint="write the operator between the operands, or make a tensor of it with lucid.tensor",
                )
            )
        return self._binary(name, other, True)  # type: ignore[return-value]  # Tensor is the only subclass users meet

    operator.__name__ = method
    operator.__qualname__ = f"Methods.{method}"
    return operator


class Methods(InPlace):
    """Arithmetic, elementwise functions, reductions and movements, as methods."""

    __array_priority__ = 1000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Tensor:
        """NumPy leaves work on mixed operands to the tensor: ``array + x`` and ``np.exp(x)`` are tensors."""
        name: str = ufunc.__name__
        known = method == "__call__" and not kwargs and (name in _BINARY_UFUNCS or name in _UNARY_UFUNCS)
        if not known:
            what = f"NumPy's {name}" + (f".{method}" if method != "__call__" else " with out=" * ("out" in kwargs))
            fail(
                ArgumentTypeError(
                    f"{what} cannot be applied to a tensor",
                    op=name,
                    hint="use Lucid's own functions, or x.numpy() for an array",
                )
            )
        if name in _UNARY_UFUNCS:
            return _UNARY_UFUNCS[name](*inputs)  # type: ignore[no-any-return]  # functions of tensors
        return linalg.matmul(*inputs) if name == "matmul" else binary(_BINARY_UFUNCS[name], *inputs)

    # --- operators (the rest are in lucid.ir.operators) ---
    def _binary(self, name: str, other: Any, reflected: bool = False) -> Tensor:
        if name == "matmul":
            return linalg.matmul(other, self) if reflected else linalg.matmul(self, other)
        return binary(name, other, self) if reflected else binary(name, self, other)

    def _unary(self, name: str) -> Tensor:
        if name == "logical_not" and self.dtype != bool_:
            name = "bitwise_not"
        return apply(OPS[name], self)

    def __add__(self, other: Any) -> Tensor:
        return binary("add", self, other)

    def __mul__(self, other: Any) -> Tensor:
        return binary("mul", self, other)

    def __sub__(self, other: Any) -> Tensor:
        return binary("sub", self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return binary("div", self, other)

    def __pow__(self, other: Any) -> Tensor:
        return elementwise.pow(self, other)

    __radd__ = _reflected("add", "__radd__")
    __rsub__ = _reflected("sub", "__rsub__")
    __rmul__ = _reflected("mul", "__rmul__")
    __rtruediv__ = _reflected("div", "__rtruediv__")
    __rfloordiv__ = _reflected("floordiv", "__rfloordiv__")
    __rmod__ = _reflected("mod", "__rmod__")
    __rpow__ = _reflected("pow", "__rpow__")
    __rmatmul__ = _reflected("matmul", "__rmatmul__")
    __rand__ = _reflected("bitwise_and", "__rand__")
    __ror__ = _reflected("bitwise_or", "__ror__")
    __rxor__ = _reflected("bitwise_xor", "__rxor__")
    __rlshift__ = _reflected("left_shift", "__rlshift__")
    __rrshift__ = _reflected("right_shift", "__rrshift__")

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return self._compare("eq", other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return self._compare("ne", other)

    def _compare(self, name: str, other: object) -> Tensor:
        try:
            return binary(name, self, other)
        except ArgumentTypeError:
            return NotImplemented  # type: ignore[no-any-return]  # Python then compares identities: a tensor is not equal to None or a string

    def __hash__(self) -> int:
        return id(self) >> 4

    def __getitem__(self, key: Any) -> Tensor:
        return indexing.getitem(self, key)  # type: ignore[arg-type]  # Tensor is the only subclass users meet

    def __setitem__(self, key: Any, value: Any) -> None:
        take_value("setitem", self, assigning.assigned(self, key, value))  # type: ignore[arg-type]  # as above

    def __delitem__(self, key: Any) -> None:
        fail(
            ArgumentTypeError(
                "elements of a tensor cannot be deleted",
                op="delitem",
                hint="take the ones to keep: lucid.concat([x[:k], x[k + 1:]])",
            )
        )

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            fail(ArgumentTypeError("a 0-d tensor cannot be iterated over", op="iter", hint="use x.item()"))
        return (self[k] for k in range(self.shape[0]))

    @property
    def T(self) -> Tensor:
        """The axes in reverse order.

        >>> import lucid
        >>> lucid.tensor([[1, 2], [3, 4]]).T
        Tensor([[1, 3],
                [2, 4]])
        """
        return movement.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged.

        Raises:
            ShapeError: fewer than two dimensions.

        >>> import lucid
        >>> lucid.ones(5, 2, 3).mT.shape
        (5, 3, 2)
        """
        return movement.matrices_transposed("mT", self)

    @property
    def H(self) -> Tensor:
        """A matrix with its two axes exchanged.

        >>> import lucid
        >>> lucid.tensor([[1, 2], [3, 4]]).H
        Tensor([[1, 3],
                [2, 4]])
        """
        return movement.t(self)

    @property
    def mH(self) -> Tensor:
        """The last two axes exchanged.

        Raises:
            ShapeError: fewer than two dimensions.

        >>> import lucid
        >>> lucid.ones(5, 2, 3).mH.shape
        (5, 3, 2)
        """
        return movement.matrices_transposed("mH", self)

    # --- elementwise ---
    abs = elementwise.abs
    absolute = elementwise.absolute
    neg = elementwise.neg
    negative = elementwise.negative
    positive = elementwise.positive
    sign = elementwise.sign
    sgn = elementwise.sgn
    signbit = elementwise.signbit
    copysign = elementwise.copysign
    heaviside = elementwise.heaviside

    exp = elementwise.exp
    exp2 = elementwise.exp2
    expm1 = elementwise.expm1
    log = elementwise.log
    log2 = elementwise.log2
    log10 = elementwise.log10
    log1p = elementwise.log1p
    logaddexp = elementwise.logaddexp
    logaddexp2 = elementwise.logaddexp2
    logit = elementwise.logit
    sigmoid = elementwise.sigmoid
    erf = elementwise.erf
    erfc = elementwise.erfc
    xlogy = elementwise.xlogy

    sqrt = elementwise.sqrt
    rsqrt = elementwise.rsqrt
    square = elementwise.square
    reciprocal = elementwise.reciprocal
    pow = elementwise.pow
    float_power = elementwise.float_power
    ldexp = elementwise.ldexp

    sin = elementwise.sin
    cos = elementwise.cos
    tan = elementwise.tan
    asin = elementwise.asin
    acos = elementwise.acos
    atan = elementwise.atan
    atan2 = elementwise.atan2
    arcsin = elementwise.arcsin
    arccos = elementwise.arccos
    arctan = elementwise.arctan
    arctan2 = elementwise.arctan2
    sinc = elementwise.sinc
    deg2rad = elementwise.deg2rad
    rad2deg = elementwise.rad2deg
    hypot = elementwise.hypot

    sinh = elementwise.sinh
    cosh = elementwise.cosh
    tanh = elementwise.tanh
    asinh = elementwise.asinh
    acosh = elementwise.acosh
    atanh = elementwise.atanh
    arcsinh = elementwise.arcsinh
    arccosh = elementwise.arccosh
    arctanh = elementwise.arctanh

    floor = elementwise.floor
    ceil = elementwise.ceil
    round = elementwise.round
    trunc = elementwise.trunc
    fix = elementwise.fix
    frac = elementwise.frac

    add = elementwise.add
    sub = elementwise.sub
    subtract = elementwise.subtract
    mul = elementwise.mul
    multiply = elementwise.multiply
    div = elementwise.div
    divide = elementwise.divide
    true_divide = elementwise.true_divide
    floor_divide = elementwise.floor_divide
    remainder = elementwise.remainder
    fmod = elementwise.fmod
    lerp = elementwise.lerp
    addcmul = elementwise.addcmul
    addcdiv = elementwise.addcdiv

    eq = elementwise.eq
    ne = elementwise.ne
    lt = elementwise.lt
    le = elementwise.le
    gt = elementwise.gt
    ge = elementwise.ge
    not_equal = elementwise.not_equal
    less = elementwise.less
    less_equal = elementwise.less_equal
    greater = elementwise.greater
    greater_equal = elementwise.greater_equal
    isclose = elementwise.isclose
    allclose = elementwise.allclose
    equal = elementwise.equal

    isnan = elementwise.isnan
    isinf = elementwise.isinf
    isfinite = elementwise.isfinite
    isposinf = elementwise.isposinf
    isneginf = elementwise.isneginf
    nan_to_num = elementwise.nan_to_num

    logical_not = elementwise.logical_not
    logical_and = elementwise.logical_and
    logical_or = elementwise.logical_or
    logical_xor = elementwise.logical_xor

    bitwise_not = elementwise.bitwise_not
    bitwise_and = elementwise.bitwise_and
    bitwise_or = elementwise.bitwise_or
    bitwise_xor = elementwise.bitwise_xor
    bitwise_left_shift = elementwise.bitwise_left_shift
    bitwise_right_shift = elementwise.bitwise_right_shift

    maximum = elementwise.maximum
    minimum = elementwise.minimum
    fmax = elementwise.fmax
    fmin = elementwise.fmin
    clip = elementwise.clip
    clamp = elementwise.clamp
    clamp_min = elementwise.clamp_min
    clamp_max = elementwise.clamp_max
    relu = elementwise.relu

    def where(self, condition: Any, other: Any) -> Tensor:
        """``self`` where ``condition`` holds, else ``other``.

        Raises:
            ShapeError: the shapes do not broadcast.
            DTypeError: ``condition`` is not bool.

        >>> import lucid
        >>> x = lucid.tensor([-1.0, 2.0])
        >>> x.where(x > 0, 0.0)
        Tensor([0.0, 2.0])
        """
        return elementwise.where(condition, self, other)

    # --- others like this one ---
    def new_full(
        self, size: Any, fill_value: Any, *, dtype: object = None, requires_grad: builtins.bool = False
    ) -> Tensor:
        """A tensor of ``fill_value``, by default of this one's dtype.

        Raises:
            ArgumentTypeError, ArgumentError: sizes that are no ints, or negative; ``fill_value`` that is no number,
                or does not fit.

        >>> import lucid
        >>> lucid.tensor([1, 2]).new_full((2, 2), 7)
        Tensor([[7, 7],
                [7, 7]])
        """
        kind = self.dtype if dtype is None else dtype
        return creation.full(size, fill_value, dtype=kind, requires_grad=requires_grad)

    def new_zeros(self, *size: Any, dtype: object = None, requires_grad: builtins.bool = False) -> Tensor:
        """A tensor of zeros, by default of this one's dtype.

        Raises:
            ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.

        >>> import lucid
        >>> lucid.tensor([1, 2]).new_zeros(3)
        Tensor([0, 0, 0])
        """
        return creation.zeros(*size, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)

    def new_ones(self, *size: Any, dtype: object = None, requires_grad: builtins.bool = False) -> Tensor:
        """A tensor of ones, by default of this one's dtype.

        Raises:
            ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.

        >>> import lucid
        >>> lucid.tensor([1, 2]).new_ones(3)
        Tensor([1, 1, 1])
        """
        return creation.ones(*size, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)

    def new_tensor(self, data: Any, *, dtype: object = None, requires_grad: builtins.bool = False) -> Tensor:
        """A tensor of ``data``, by default of this one's dtype.

        Raises:
            ArgumentTypeError, ShapeError: data that is not numbers, or ragged.

        >>> import lucid
        >>> lucid.tensor([1, 2]).new_tensor([3.7])
        Tensor([3])
        """
        return creation.tensor(data, requires_grad, self.dtype if dtype is None else dtype)

    # --- dtype ---
    def astype(self, dtype: object) -> Tensor:
        """This tensor as another dtype: ``lucid.astype``.

        Raises:
            DTypeError: no element type that Lucid supports.

        >>> import lucid
        >>> lucid.tensor([1.7, -1.7]).astype("int32").tolist()
        [1, -1]
        """
        return elementwise.cast(self, dtype)

    def to(
        self,
        *args: Any,
        dtype: object = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
        memory_format: memory.MemoryFormat = memory.preserve_format,
    ) -> Tensor:
        """Another dtype, as ``astype``, or that of another tensor; or another order in memory, as ``contiguous``.

        There is one device: asking for it changes nothing, asking for another is an error.

        >>> import lucid
        >>> lucid.tensor([1, 2]).to("cpu", lucid.float32)
        Tensor([1.0, 2.0])
        """
        wanted = wanted_dtype(args, dtype, device)
        result: Any = self if wanted is None else elementwise.cast(self, wanted)
        if copy and result is self:
            result = apply(OPS["identity"], self)
            result._data = None if self._data is None else self._data.copy(order="K")
        return memory.contiguous(result, memory_format)

    def contiguous(self, memory_format: memory.MemoryFormat = memory.contiguous_format) -> Tensor:
        """This tensor with its elements in another order in memory: ``lucid.contiguous``.

        Raises:
            ArgumentTypeError: not a memory format.
            ShapeError: ``channels_last`` of a tensor that does not have 4 dimensions, ``channels_last_3d`` 5.

        >>> import lucid
        >>> lucid.ones(1, 2, 3, 4).contiguous(lucid.channels_last).is_contiguous()
        False
        """
        return memory.contiguous(self, memory_format)  # type: ignore[arg-type]  # as above

    def is_contiguous(self, memory_format: memory.MemoryFormat = memory.contiguous_format) -> builtins.bool:
        """Whether the elements lie in memory in the given order.

        Raises:
            ArgumentTypeError: not a memory format.
            ShapeError: ``channels_last`` of a tensor that does not have 4 dimensions, ``channels_last_3d`` 5.

        >>> import lucid
        >>> lucid.ones(2, 3).is_contiguous(), lucid.ones(2, 3).T.is_contiguous()
        (True, False)
        """
        return memory.is_contiguous(self, memory_format)  # type: ignore[arg-type]  # as above

    is_floating_point = dtypes.is_floating_point

    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in the dtype of another.

        >>> import lucid
        >>> lucid.tensor([1, 2]).type_as(lucid.ones(1))
        Tensor([1.0, 2.0])
        """
        return elementwise.cast(self, other.dtype)

    def float(self, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """This tensor as float32.

        >>> import lucid
        >>> lucid.tensor([1, 2]).float()
        Tensor([1.0, 2.0])
        """
        return self._cast(float32, memory_format)

    def double(self, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """This tensor as float64.

        >>> import lucid
        >>> lucid.tensor([1, 2]).double()
        Tensor([1.0, 2.0], dtype=float64)
        """
        return self._cast(float64, memory_format)

    def half(self, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """This tensor as float16.

        >>> import lucid
        >>> lucid.tensor([1, 2]).half()
        Tensor([1.0, 2.0], dtype=float16)
        """
        return self._cast(float16, memory_format)

    def bfloat16(self, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """This tensor as bfloat16.

        Raises:
            DTypeError: the package ml_dtypes, which has it, is not installed.

        >>> import lucid
        >>> lucid.tensor([1, 2]).bfloat16()  # doctest: +SKIP
        Tensor([1.0, 2.0], dtype=bfloat16)
        """
        return self._cast("bfloat16", memory_format)

    def int(self, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """This tensor as int32; floats are cut off.

        >>> import lucid
        >>> lucid.tensor([1.7, -1.7]).int().tolist()
        [1, -1]
        """
        return self._cast(int32, memory_format)

    def long(self, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """This tensor as int64; floats are cut off.

        >>> import lucid
        >>> lucid.tensor([1.7, -1.7]).long()
        Tensor([1, -1])
        """
        return self._cast(int64, memory_format)

    def bool(self, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """True where this tensor is not 0.

        >>> import lucid
        >>> lucid.tensor([0, 2]).bool()
        Tensor([False, True])
        """
        return self._cast(bool_, memory_format)

    def _cast(self, dtype: object, memory_format: memory.MemoryFormat) -> Tensor:
        result = cast(self, as_dtype(dtype))  # type: ignore[arg-type]  # Tensor is the only subclass users meet
        return memory.contiguous(result, memory_format)

    # --- reductions ---
    sum = reductions.sum
    prod = reductions.prod
    mean = reductions.mean
    var = reductions.var
    std = reductions.std
    max = reductions.max
    min = reductions.min
    argmax = reductions.argmax
    argmin = reductions.argmin
    all = reductions.all
    any = reductions.any
    logsumexp = reductions.logsumexp
    softmax = reductions.softmax
    log_softmax = reductions.log_softmax
    amax = reductions.amax
    amin = reductions.amin
    aminmax = reductions.aminmax
    count_nonzero = reductions.count_nonzero
    nansum = reductions.nansum
    nanmean = reductions.nanmean
    norm = norms.norm
    dist = norms.dist
    renorm = norms.renorm

    cumsum = scans.cumsum
    cumprod = scans.cumprod
    cummax = scans.cummax
    cummin = scans.cummin
    logcumsumexp = scans.logcumsumexp
    diff = scans.diff

    # --- order ---
    sort = ordering.sort
    argsort = ordering.argsort
    msort = ordering.msort
    topk = ordering.topk
    kthvalue = ordering.kthvalue
    median = ordering.median
    nanmedian = ordering.nanmedian
    mode = ordering.mode
    quantile = ordering.quantile
    nanquantile = ordering.nanquantile
    histc = ordering.histc
    bincount = ordering.bincount
    isin = ordering.isin
    unique = ordering.unique
    unique_consecutive = ordering.unique_consecutive

    # --- movement ---
    reshape = movement.reshape
    flatten = movement.flatten
    squeeze = movement.squeeze
    unsqueeze = movement.unsqueeze
    transpose = movement.transpose
    permute = movement.permute
    swapaxes = movement.swapaxes
    moveaxis = movement.moveaxis
    broadcast_to = movement.broadcast_to
    expand = movement.expand
    tile = movement.tile
    flip = movement.flip
    pad = movement.pad
    split = movement.split
    chunk = movement.chunk
    view = movement.reshape
    ravel = movement.ravel
    unflatten = movement.unflatten
    movedim = movement.movedim
    swapdims = movement.swapdims
    t = movement.t
    adjoint = movement.adjoint
    expand_as = movement.expand_as
    view_as = movement.reshape_as
    reshape_as = movement.reshape_as
    repeat = movement.tile

    roll = arranging.roll
    rot90 = arranging.rot90
    fliplr = arranging.fliplr
    flipud = arranging.flipud
    repeat_interleave = arranging.repeat_interleave
    unbind = arranging.unbind
    select = arranging.select
    narrow = arranging.narrow
    tensor_split = arranging.tensor_split
    hsplit = arranging.hsplit
    vsplit = arranging.vsplit
    dsplit = arranging.dsplit
    unfold = arranging.unfold
    select_scatter = arranging.select_scatter
    slice_scatter = arranging.slice_scatter

    tril = diagonals.tril
    triu = diagonals.triu
    diag = diagonals.diag
    diagonal = diagonals.diagonal
    diag_embed = diagonals.diag_embed
    diagflat = diagonals.diagflat
    diagonal_scatter = diagonals.diagonal_scatter
    trace = diagonals.trace

    # --- elements ---
    take = indexing.take
    index_select = indexing.index_select
    nonzero = indexing.nonzero
    argwhere = indexing.argwhere
    masked_fill = assigning.masked_fill
    masked_select = assigning.masked_select
    masked_scatter = assigning.masked_scatter
    index_put = assigning.index_put
    put = assigning.put
    gather = gathering.gather
    scatter = gathering.scatter
    scatter_add = gathering.scatter_add
    scatter_reduce = gathering.scatter_reduce
    take_along_dim = gathering.take_along_dim
    index_add = gathering.index_add
    index_copy = gathering.index_copy
    index_fill = gathering.index_fill
    index_reduce = gathering.index_reduce

    matmul = linalg.matmul
    dot = linalg.dot
    outer = linalg.outer
    ger = products.ger
    inner = products.inner
    vdot = products.vdot
    mm = products.mm
    bmm = products.bmm
    mv = products.mv
    addmm = products.addmm
    addmv = products.addmv
    addr = products.addr
    addbmm = products.addbmm
    baddbmm = products.baddbmm
    kron = products.kron
    cross = products.cross
    matrix_power = products.matrix_power
    cholesky = factorisations.cholesky
    inverse = factorisations.inv
    det = factorisations.det
    slogdet = factorisations.slogdet
    logdet = factorisations.logdet
    qr = factorisations.qr
