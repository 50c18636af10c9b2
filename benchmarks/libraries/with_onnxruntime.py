"""onnxruntime on its CPU provider, weights in the model, all graph optimisations (its default)."""

from __future__ import annotations

import time

import onnxruntime

from benchmarks.contender import Contender, Variants
from benchmarks.onnx_graphs import model_of
from benchmarks.workloads import Workload


def variants(workload: Workload, threads: int) -> Variants:
    model = model_of(workload)
    return {} if model is None else {"": lambda: _contender(workload, model, threads)}


def _contender(workload: Workload, model: bytes, threads: int) -> Contender:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    inputs = {"x": workload.arrays()["x"]}
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    built = time.perf_counter() - started
    return Contender(lambda: session.run(None, inputs), lambda results: results, built=built)
