"""Layers: modules with parameters, built on the public Tensor API alone."""

from lucid.nn import functional, init, utils
from lucid.nn.activation import LogSoftmax, ReLU, ReLU6, Sigmoid, Softmax, Tanh
from lucid.nn.containers import ModuleDict, ModuleList, Sequential
from lucid.nn.conv import Conv2d
from lucid.nn.dropout import Dropout
from lucid.nn.linear import Flatten, Identity, Linear
from lucid.nn.loss import CrossEntropyLoss, MSELoss
from lucid.nn.module import Module
from lucid.nn.normalization import BatchNorm2d
from lucid.nn.parameter import Parameter
from lucid.nn.pooling import AvgPool2d, MaxPool2d

#: Second spellings of the same classes.
AvgPool2D = AvgPool2d
BatchNorm2D = BatchNorm2d
Conv2D = Conv2d
MaxPool2D = MaxPool2d

__all__ = [
    "AvgPool2D", "AvgPool2d", "BatchNorm2D", "BatchNorm2d", "Conv2D", "Conv2d", "CrossEntropyLoss", "Dropout",
    "Flatten", "Identity", "Linear", "LogSoftmax", "MSELoss", "MaxPool2D", "MaxPool2d", "Module", "ModuleDict",
    "ModuleList", "Parameter", "ReLU", "ReLU6", "Sequential", "Sigmoid", "Softmax", "Tanh", "functional", "init",
    "utils",
]  # fmt: skip
