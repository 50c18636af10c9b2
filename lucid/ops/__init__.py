"""The operations, one declaration each. Importing this package registers them all in ``lucid.ir.graph.OPS``."""

from lucid.ops.conv import conv2d, conv2d_input_grad, conv2d_weight_grad

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]
