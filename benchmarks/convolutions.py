"""Single convolutions, forward and both gradients: Lucid, PyTorch (NCHW and channels-last), and the FMA peak, in one
run.

python benchmarks/convolutions.py [--threads 1] [--rounds 15]

Lucid's time includes reading NCHW images and writing NCHW results; weights are packed once, as for inference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import exp, log
from typing import Any

import numpy as np
from measure import interleaved, peak_work

import lucid
from lucid.ir.graph import Graph, input_node
from lucid.ir.types import type_of
from lucid.ops import conv2d, conv2d_input_grad, conv2d_weight_grad
from lucid.runtime.executable import build

#: batch, input channels, output channels, image size, kernel, stride, padding
CASES = [
    (1, 3, 16, 32, 3, 1, 1),
    (1, 64, 64, 56, 3, 1, 1),
    (1, 128, 128, 28, 3, 1, 1),
    (1, 256, 256, 14, 3, 1, 1),
    (1, 512, 512, 7, 3, 1, 1),
    (1, 64, 128, 56, 3, 2, 1),
    (1, 64, 256, 56, 1, 1, 0),
    (1, 3, 64, 224, 7, 2, 3),
    (16, 16, 32, 32, 3, 1, 1),
    (64, 1, 16, 28, 5, 1, 2),
    (64, 16, 32, 14, 5, 1, 0),
]


def lucid_work(op: Any, a: np.ndarray, b: np.ndarray, attrs: dict[str, Any]) -> tuple[Callable[[], Any], Any]:
    nodes = [input_node(type_of(a)), input_node(type_of(b))]
    weights = [nodes[1]] if op is not conv2d_weight_grad else []
    run = build(Graph(nodes, [op(*nodes, **attrs)]), parameters=weights)
    run([a, b])
    return (lambda: run([a, b], refresh=False)), run([a, b])[0]


def torch_work(kind: str, x: Any, w: Any, g: Any, stride: int, padding: int) -> Callable[[], Any]:
    import torch

    if kind == "forward":
        return lambda: torch.conv2d(x, w, None, stride, padding)
    mask = [kind == "input grad", kind == "weight grad", False]
    sides = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)
    return lambda: torch.ops.aten.convolution_backward(g, x, w, None, *sides, mask)[mask.index(True)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=1, help="threads of Lucid and of PyTorch")
    options.add_argument("--rounds", type=int, default=15)
    arguments = options.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    lucid.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    rng = np.random.default_rng(0)
    peak, peak_flops = peak_work()
    ratios: list[float] = []
    print("| case | pass | Lucid GFLOP/s | of peak | torch GFLOP/s (best layout) | Lucid / torch |")
    print("|---|---|---|---|---|---|")
    for n, ci, co, size, k, stride, padding in CASES:
        attrs = {"stride": (stride,) * 2, "padding": ((padding,) * 2,) * 2, "dilation": (1, 1), "groups": 1}
        x = rng.standard_normal((n, ci, size, size), np.float32)
        w = rng.standard_normal((co, ci, k, k), np.float32)
        y = conv2d.evaluate(x, w, **attrs)
        g = rng.standard_normal(y.shape, np.float32)
        flops = 2.0 * y.size * ci * k * k
        passes = {
            "forward": (conv2d, x, w, attrs),
            "input grad": (conv2d_input_grad, g, w, {"input_size": (size, size), **attrs}),
            "weight grad": (conv2d_weight_grad, x, g, {"kernel_size": (k, k), **attrs}),
        }
        for kind, (op, a, b, kw) in passes.items():
            mine, got = lucid_work(op, a, b, kw)
            tensors = [torch.from_numpy(v) for v in (x, w, g)]
            last = [t.to(memory_format=torch.channels_last) for t in tensors]
            work = {"peak": peak, "lucid": mine}
            work["torch"] = torch_work(kind, *tensors, stride, padding)
            work["torch channels last"] = torch_work(kind, *last, stride, padding)
            want = work["torch"]().numpy()
            assert np.abs(got - want).max() <= 1e-3 * max(1.0, np.abs(want).max()), "results differ"
            times = {t.name: t.median for t in interleaved(work, arguments.rounds)}
            theirs = min(times["torch"], times["torch channels last"])
            ratios.append(theirs / times["lucid"])
            of_peak = flops / times["lucid"] / (peak_flops / times["peak"])
            print(
                f"| {n}x{ci}x{size} -> {co}, k{k} s{stride} p{padding} | {kind} | {flops / times['lucid'] / 1e9:.0f} "
                f"| {of_peak:.0%} | {flops / theirs / 1e9:.0f} | {ratios[-1]:.2f} |",
                flush=True,
            )
    print(f"\nGeometric mean of Lucid / torch with {arguments.threads} thread(s): ", end="")
    print(f"{exp(sum(map(log, ratios)) / len(ratios)):.2f}; lowest {min(ratios):.2f}.")


if __name__ == "__main__":
    main()
