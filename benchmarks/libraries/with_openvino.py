"""OpenVINO's CPU plugin in full float32, weights in the model, arrays shared both ways instead of copied."""

from __future__ import annotations

import time

import numpy as np
import openvino

from benchmarks.contender import Contender, Variants
from benchmarks.onnx_graphs import model_of
from benchmarks.workloads import Workload


def variants(workload: Workload, threads: int) -> Variants:
    model = model_of(workload)
    return {} if model is None else {"": lambda: _contender(workload, model, threads)}


def _contender(workload: Workload, model: bytes, threads: int) -> Contender:
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    x = workload.arrays()["x"]
    started = time.perf_counter()
    request = core.compile_model(core.read_model(model, b""), "CPU", settings).create_infer_request()
    built = time.perf_counter() - started
    return Contender(
        lambda: request.infer([x], share_inputs=True, share_outputs=True),
        lambda results: [np.array(results[0])],
        built=built,
    )
