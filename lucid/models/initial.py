"""Initial values that papers of convolutional networks use, set layer by layer."""

from __future__ import annotations

from lucid import nn


def initialize(model: nn.Module, *, mode: nn.init.FanMode = "fan_out", linear: float | None = None) -> None:
    """Convolutions drawn as He et al. (arXiv:1502.01852) for ReLU, with biases 0; linear layers normal with deviation
    ``linear`` and biases 0, unless None. Normalisations begin as the identity anyway.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
        elif isinstance(module, nn.Linear) and linear is not None:
            nn.init.normal_(module.weight, 0.0, linear)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
