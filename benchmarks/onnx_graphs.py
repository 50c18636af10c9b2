"""Workloads as ONNX models with their weights inside, for the runtimes that read those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.models import initial_values
from benchmarks.symbols import Step, record
from benchmarks.workloads import Workload

_OPSET = 18


def model_of(workload: Workload) -> bytes | None:
    """The serialised model, with one input ``x`` and one output; None where ONNX has no such workload."""
    arrays = workload.arrays()
    if workload.kind == "ew":
        nodes, output, shape = _large(workload, arrays["x"].shape)
        constants = {name: arrays[name] for name in "ab"}
        if workload.what.endswith(("sum0", "sum1")):
            constants["axes"] = np.array([int(workload.what[-1])])
    elif workload.kind in ("conv_fwd", "infer") or workload.name == "small:tiny":
        steps, shapes, result = record(workload.network, arrays["x"].shape)
        constants = initial_values(shapes) | {
            "zero": np.float32(0),
            "six": np.float32(6),
            "spatial": np.array([2, 3]),
        }
        nodes, output, shape = [_node(step) for step in steps], result.name, result.shape
    else:
        return None
    graph = helper.make_graph(
        nodes,
        "workload",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, arrays["x"].shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    return bytes(model.SerializeToString())


def _node(step: Step) -> Any:
    kind, extra, attributes = _NODES[step.kind](step.attributes)
    return helper.make_node(kind, [s.name for s in step.inputs] + extra, [step.result.name], **attributes)


def _conv(a: Mapping[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
    sides = {"strides": [a["stride"]] * 2, "pads": [a["padding"]] * 4, "dilations": [a["dilation"]] * 2}
    return "Conv", [], {**sides, "group": a["groups"]}


def _pool(a: Mapping[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
    sides = {"kernel_shape": [a["kernel"]] * 2, "strides": [a["stride"]] * 2, "pads": [a["padding"]] * 4}
    return "MaxPool", [], sides


#: Of a recorded step: ONNX's name, more inputs, attributes.
_NODES: dict[str, Any] = {
    "conv": _conv,
    "linear": lambda a: ("Gemm", [], {"transB": 1}),
    "relu": lambda a: ("Relu", [], {}),
    "relu6": lambda a: ("Clip", ["zero", "six"], {}),
    "max_pool": _pool,
    "batch_norm": lambda a: ("BatchNormalization", [], {}),
    "add": lambda a: ("Add", [], {}),
    "flatten": lambda a: ("Flatten", [], {}),
    "mean": lambda a: ("ReduceMean", ["spatial"], {"keepdims": 0}),
}


def _large(workload: Workload, shape: Sequence[int]) -> tuple[list[Any], str, Sequence[int]]:
    if workload.what == "softmax":
        return [helper.make_node("Softmax", ["x"], ["y"], axis=-1)], "y", shape
    if workload.what == "layernorm":
        return [helper.make_node("LayerNormalization", ["x", "a", "b"], ["y"], epsilon=1e-5)], "y", shape
    nodes = [
        helper.make_node("Mul", ["x", "a"], ["scaled"]),
        helper.make_node("Add", ["scaled", "b"], ["shifted"]),
        helper.make_node("Relu", ["shifted"], ["y"]),
    ]
    if workload.what == "affine_relu":
        return nodes, "y", shape
    nodes.append(helper.make_node("ReduceSum", ["y", "axes"], ["total"], keepdims=0))
    return nodes, "total", [shape[1 - int(workload.what[-1])]]
