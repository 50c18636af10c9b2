"""Data sets and the batches that training takes from them, built on the public Tensor API alone."""

from lucid.data import transforms
from lucid.data.collate import collate
from lucid.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from lucid.data.images import digits, fashion_mnist, mnist5k
from lucid.data.loader import DataLoader
from lucid.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from lucid.data.workers import WorkerInfo, get_worker_info

#: PyTorch's name of it.
default_collate = collate

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "collate",
    "default_collate",
    "digits",
    "fashion_mnist",
    "get_worker_info",
    "mnist5k",
    "random_split",
    "transforms",
]  # fmt: skip
