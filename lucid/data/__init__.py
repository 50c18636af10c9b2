"""Data sets and the batches that training takes from them, built on the public Tensor API alone."""

from lucid.data.collate import collate
from lucid.data.dataset import Dataset, TensorDataset
from lucid.data.images import fashion_mnist, mnist5k
from lucid.data.loader import DataLoader

__all__ = ["DataLoader", "Dataset", "TensorDataset", "collate", "fashion_mnist", "mnist5k"]
