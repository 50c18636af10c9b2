"""What goes around a training loop: metrics, stopping early, a bar that shows progress, and logs for TensorBoard."""

from lucid.training.metrics import Accuracy, ConfusionMatrix, Mean, accuracy, confusion_matrix
from lucid.training.progress import progress
from lucid.training.stopping import EarlyStopping
from lucid.training.tensorboard import SummaryWriter

__all__ = [
    "Accuracy", "ConfusionMatrix", "EarlyStopping", "Mean", "SummaryWriter", "accuracy", "confusion_matrix", "progress",
]  # fmt: skip
