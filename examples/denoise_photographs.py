"""Take the noise out of photographs: a U-Net learns from pieces of one picture, and is tried on another.

    python examples/denoise_photographs.py [--steps 200]

Written as for PyTorch, with a compiled training step. The two pictures come with scikit-learn. The network says what
the noise is; what is left without it is closer to the picture, measured in decibels (PSNR) on pieces never seen before.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_sample_image

import lucid
from lucid import models, nn, optim
from lucid.nn import functional as F

SIDE, NOISE = 64, 0.1


def photograph(name: str) -> lucid.Tensor:
    """A picture that scikit-learn brings along, (3, H, W), from 0 to 1."""
    return lucid.tensor(load_sample_image(name)).permute(2, 0, 1).float() / 255


def pieces(picture: lucid.Tensor, count: int, rng: np.random.Generator) -> lucid.Tensor:
    """Squares from places drawn at random."""
    rows, columns = (rng.integers(0, n - SIDE, count) for n in picture.shape[1:])
    return lucid.stack([picture[:, r : r + SIDE, c : c + SIDE] for r, c in zip(rows, columns, strict=True)])


def psnr(image: lucid.Tensor, picture: lucid.Tensor) -> float:
    return -10 * F.mse_loss(image.clamp(0, 1), picture).log10().item()


@lucid.no_grad()
def report(model: nn.Module, clean: lucid.Tensor, noisy: lucid.Tensor) -> str:
    model.eval()
    denoised = noisy - NOISE * model(noisy)
    result = f"{psnr(noisy, clean):.1f} dB noisy, {psnr(denoised, clean):.1f} dB without the noise"
    model.train()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps

    lucid.manual_seed(0)
    rng = np.random.default_rng(0)
    china, flower = photograph("china.jpg"), photograph("flower.jpg")
    unseen = pieces(flower, 16, rng)
    noisy = unseen + NOISE * lucid.randn_like(unseen)

    model = models.UNet(3, 3, width=8, depth=2)
    nn.init.zeros_(model.head.weight)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(steps, 1))

    @lucid.compile
    def step(clean: lucid.Tensor) -> lucid.Tensor:
        noise = lucid.randn_like(clean)  # fresh at every call
        optimizer.zero_grad()
        loss = F.mse_loss(model(clean + NOISE * noise), noise)
        loss.backward()
        optimizer.step()
        return loss

    for k in range(steps):
        loss = step(pieces(china, 8, rng))
        scheduler.step()
        if k % 50 == 0 or k == steps - 1:
            print(f"step {k + 1:4}  loss {loss.item():.3f}  a flower: {report(model, unseen, noisy)}", flush=True)


if __name__ == "__main__":
    main()
