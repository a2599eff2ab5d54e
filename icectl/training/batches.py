"""Batches: the order of samples, and each process's share of them.

A batch is a mapping of names to tensors whose first axis is the sample. Under ``"index"`` it
carries the global index of each sample (int64), which keys noise and augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from icectl.errors import DataError, UsageError
from icectl.training import sampling

if TYPE_CHECKING:
    from torch import Tensor

Batch = Mapping[str, "Tensor"]


class Batches(Protocol):
    """What `fit` trains and validates on.

    *Training* batches split every global batch by sample, so that any number of processes
    sees the same global batches. *Validation* batches are dealt out whole (process r takes
    batch r, r + world, …), so that a short last batch is nobody's problem.
    """

    def __len__(self) -> int:
        """Return the number of global batches in an epoch."""
        ...

    def epoch(self, epoch: int, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Batch]:
        """Yield this process's batches of `epoch`, leaving out the first `start` global ones."""
        ...


def collate(samples: Sequence[Any]) -> dict[str, Tensor]:
    """Stack samples (mappings, or tuples named ``x``, ``y``, …) of arrays into one batch."""
    import torch

    first = samples[0]
    if isinstance(first, Mapping):
        columns = {name: [sample[name] for sample in samples] for name in first}
    else:
        parts = [one if isinstance(one, tuple) else (one,) for one in samples]
        names = ["x", "y", "mask"][: len(parts[0])]
        columns = {name: [part[i] for part in parts] for i, name in enumerate(names)}
    return {
        name: torch.stack([torch.as_tensor(value) for value in column]) for name, column in columns.items()
    }


class IndexedBatches:
    """Batches of a dataset with ``len(dataset)`` and ``dataset[i]``.

    Parameters
    ----------
    dataset
        Yields mappings of arrays, or tuples ``(x, y[, mask])``.
    batch_size
        Samples in a *global* batch.
    seed
        Seed of the order.
    shuffle
        True for training: a new order each epoch, batches split by sample, a short last
        batch left out. False for validation: the dataset's order, batches dealt out whole.
    augment
        ``augment(sample, rng)`` with a generator keyed by (seed, epoch, index).

    Examples
    --------
    >>> batches = IndexedBatches([(float(i),) for i in range(4)], batch_size=2, seed=0)
    >>> sorted(int(i) for batch in batches.epoch(0) for i in batch["index"])
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        seed: int = 0,
        *,
        shuffle: bool = True,
        augment: Callable[[Any, np.random.Generator], Any] | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"a batch size of {batch_size} is not allowed", "use 1 or more")
        if len(dataset) == 0:
            raise DataError("the dataset holds no samples", "check the split and the filters of `prepare`")
        self.dataset, self.seed, self.shuffle = dataset, seed, shuffle
        self.batch_size = min(batch_size, len(dataset))
        self.augment = augment

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole if self.shuffle or not rest else whole + 1

    def epoch(self, epoch: int, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Batch]:
        """Yield this process's batches of `epoch`; see `Batches`."""
        import torch

        for indices in self._indices(epoch, rank, world, start):
            samples = [self._sample(int(index), epoch) for index in indices]
            numbers = torch.from_numpy(np.ascontiguousarray(indices, dtype=np.int64))
            yield {**collate(samples), "index": numbers}

    def _indices(self, epoch: int, rank: int, world: int, start: int) -> Iterator[np.ndarray]:
        count = len(self.dataset)
        order = sampling.permutation(count, self.seed, epoch) if self.shuffle else np.arange(count)
        for number in range(start, len(self)):
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            if self.shuffle:
                yield batch[sampling.share(len(batch), rank, world)]
            elif number % world == rank:
                yield batch

    def _sample(self, index: int, epoch: int) -> Any:
        sample = self.dataset[index]
        if self.augment is None:
            return sample
        return self.augment(sample, sampling.sample_rng(self.seed, epoch, index))
