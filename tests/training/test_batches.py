"""The order of samples, shares of a batch, and noise keyed by sample."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from icectl.errors import DataError, UsageError
from icectl.training import IndexedBatches, permutation, sample_rng
from icectl.training.sampling import key, keyed, share

DATA = [{"x": np.float32(i)} for i in range(23)]


def indices(batches: IndexedBatches, epoch: int = 0, rank: int = 0, world: int = 1, start: int = 0):
    return [batch["index"].tolist() for batch in batches.epoch(epoch, rank, world, start)]


def test_each_epoch_has_its_own_order_and_repeats_it() -> None:
    batches = IndexedBatches(DATA, 5, seed=1)
    assert indices(batches, 0) == indices(batches, 0)
    assert indices(batches, 0) != indices(batches, 1)
    assert indices(batches, 0) != indices(IndexedBatches(DATA, 5, seed=2), 0)
    seen = list(chain(*indices(batches)))
    assert len(batches) == 4
    assert len(seen) == len(set(seen)) == 20  # a short last batch is left out


@pytest.mark.parametrize("world", [2, 3, 5])
def test_any_number_of_processes_sees_the_same_global_batches(world: int) -> None:
    batches = IndexedBatches(DATA, 5, seed=1)
    shares = [indices(batches, 3, rank, world) for rank in range(world)]
    together = [list(chain(*parts)) for parts in zip(*shares, strict=True)]
    assert together == indices(batches, 3)
    assert all(part for parts in shares for part in parts)


def test_validation_batches_are_dealt_out_whole() -> None:
    batches = IndexedBatches(DATA, 5, shuffle=False)
    assert len(batches) == 5
    dealt = [indices(batches, 0, rank, 2) for rank in range(2)]
    assert [len(one) for one in dealt] == [3, 2]
    assert sorted(dealt[0] + dealt[1]) == indices(batches)
    assert indices(batches)[-1] == [20, 21, 22]


def test_start_goes_on_within_an_epoch() -> None:
    batches = IndexedBatches(DATA, 5, seed=1)
    assert indices(batches, 2, 1, 2, start=3) == indices(batches, 2, 1, 2)[3:]
    assert indices(batches, 2, start=4) == []


def test_augmentation_is_keyed_by_sample() -> None:
    def augment(sample, rng):
        return {"x": sample["x"] + rng.random()}

    batches = IndexedBatches(DATA, 4, seed=1, augment=augment)
    for batch in batches.epoch(2, 1, 2):
        for index, value in zip(batch["index"].tolist(), batch["x"].tolist(), strict=True):
            assert value == pytest.approx(index + sample_rng(1, 2, index).random(), abs=1e-6)


def test_tuples_are_named() -> None:
    pairs = [(np.zeros(2), np.ones(1)) for _ in range(3)]
    batch = next(IndexedBatches(pairs, 2).epoch(0))
    assert sorted(batch) == ["index", "x", "y"]
    assert batch["y"].shape == (2, 1)


def test_bad_batches_are_refused() -> None:
    with pytest.raises(UsageError, match="batch size of 0"):
        IndexedBatches(DATA, 0)
    with pytest.raises(DataError, match="no samples"):
        IndexedBatches([], 4)
    assert len(IndexedBatches(DATA[:3], 100)) == 1  # fewer samples than a batch: one batch


def test_permutation_visits_everything_once() -> None:
    order = permutation(1000, 3, 4)
    assert sorted(order) == list(range(1000))
    assert not np.array_equal(order, permutation(1000, 4, 3))


@pytest.mark.parametrize(("count", "world"), [(7, 2), (5, 5), (64, 3)])
def test_shares_are_whole_and_even(count: int, world: int) -> None:
    parts = [list(range(count))[share(count, rank, world)] for rank in range(world)]
    assert list(chain(*parts)) == list(range(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_noise_belongs_to_the_sample_and_is_standard_normal() -> None:
    keys = [key(0, 5, 1, index) for index in range(400)]
    kind = torch.device("cpu"), torch.float64
    noise = keyed(torch.randn, (50,), keys, *kind)
    assert torch.equal(noise[100:110], keyed(torch.randn, (50,), keys[100:110], *kind))
    assert abs(float(noise.mean())) < 5 / np.sqrt(20000)
    assert abs(float(noise.std()) - 1) < 0.03
    neighbours = np.corrcoef(noise[:-1].flatten(), noise[1:].flatten())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(20000)


def test_keys_differ_in_every_part() -> None:
    keys = {key(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(keys) == 1000
    assert all(0 <= one < 2**63 for one in keys)
