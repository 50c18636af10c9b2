"""Learning rates that change from epoch to epoch, or from step to step.

A scheduler writes the learning rates into the groups of its optimizer. Compiled training steps read them at every
call: nothing is compiled again. Call ``scheduler.step()`` after ``optimizer.step()``, outside compiled functions.
"""

from lucid.optim.lr_scheduler.composed import ChainedScheduler, SequentialLR
from lucid.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from lucid.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from lucid.optim.lr_scheduler.decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from lucid.optim.lr_scheduler.given import LambdaLR, MultiplicativeLR
from lucid.optim.lr_scheduler.plateau import ReduceLROnPlateau
from lucid.optim.lr_scheduler.scheduler import LRScheduler

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip
