"""The operations, one declaration each. Importing this package registers them all in ``lucid.ir.graph.OPS``."""

import lucid.ops.rules  # noqa: F401  # declares the simplifications
from lucid.ops.along import rank, scatter_along, take_along
from lucid.ops.arithmetic import add, div, floordiv, maximum, minimum, mod, mul, sub
from lucid.ops.arithmetic import pow_ as pow
from lucid.ops.avg_pool import avg_pool2d, avg_pool2d_input_grad
from lucid.ops.complement import erfc
from lucid.ops.conv import conv2d, conv2d_input_grad, conv2d_weight_grad
from lucid.ops.hyperbolic import acosh, asinh, atanh, cosh, sinh
from lucid.ops.indexing import one_hot, scatter_add, take
from lucid.ops.inverse_trigonometric import acos, asin, atan, atan2
from lucid.ops.leaf import constant, identity, iota, stop_gradient
from lucid.ops.logic import bitwise_and, bitwise_or, bitwise_xor, eq, le, left_shift, lt, ne, right_shift, where
from lucid.ops.matmul import matmul
from lucid.ops.movement import broadcast_to, flip, reshape, transpose
from lucid.ops.pool import max_pool2d, max_pool2d_index, max_pool2d_input_grad, max_pool2d_take
from lucid.ops.random import philox, random_normal, random_uniform
from lucid.ops.reduce import argmax, argmin, prod, squared_deviations
from lucid.ops.reduce import max_ as max
from lucid.ops.reduce import min_ as min
from lucid.ops.reduce import sum_ as sum
from lucid.ops.slicing import concat, pad
from lucid.ops.slicing import slice_ as slice
from lucid.ops.softmax import log_softmax, softmax
from lucid.ops.unary import abs_ as abs
from lucid.ops.unary import (
    bitwise_not,
    cast,
    ceil,
    clip,
    cos,
    erf,
    exp,
    expm1,
    floor,
    isnan,
    log,
    log1p,
    logical_not,
    neg,
    relu,
    sigmoid,
    sign,
    sin,
    sqrt,
    tanh,
)  # fmt: skip
from lucid.ops.unary import round_ as round
from lucid.ops.winograd import winograd_weights

__all__ = [
    "abs", "acos", "acosh", "add", "argmax", "argmin", "asin", "asinh", "atan", "atan2", "atanh", "avg_pool2d",
    "avg_pool2d_input_grad", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "broadcast_to", "cast", "ceil",
    "clip", "concat", "constant", "conv2d", "conv2d_input_grad", "conv2d_weight_grad", "cos", "cosh", "div", "eq",
    "erf", "erfc", "exp", "expm1", "flip", "floor", "floordiv", "identity", "iota", "isnan", "le", "left_shift", "log",
    "log1p", "log_softmax", "logical_not", "lt", "matmul", "max", "max_pool2d", "max_pool2d_index",
    "max_pool2d_input_grad", "max_pool2d_take", "maximum", "min", "minimum", "mod", "mul", "ne", "neg", "one_hot",
    "pad", "philox", "pow", "prod", "random_normal", "random_uniform", "rank", "relu", "reshape", "right_shift",
    "round", "scatter_add", "scatter_along", "sigmoid", "sign", "sin", "sinh", "slice", "softmax", "sqrt",
    "squared_deviations", "stop_gradient", "sub", "sum", "take", "take_along", "tanh", "transpose", "where",
    "winograd_weights",
]  # fmt: skip
