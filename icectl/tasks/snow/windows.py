"""Batches of windows out of one cube, in a shuffled order, without patch files.

Pooled shuffle: strips of rows are read in random order, all times at once, and cut into patches that lie
``positions × frames × patch × patch`` in memory, so that a window is one contiguous copy and each patch
serves all the windows it is in. Windows are drawn at random from a pool of some strips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from icectl.errors import DataError
from icectl.splits import WindowGrid
from icectl.tasks.snow.dataset import Cube, Floats, countable
from icectl.tasks.snow.seasons import phases, season_index
from icectl.training.sampling import permutation, sample_rng, share

POOL_BYTES = 256 * 2**20
"""Memory for the pool; four strips at least."""

Bools = npt.NDArray[np.bool_]


class WindowBatches:
    """Windows of a cube as `icectl.training.Batches`.

    Parameters
    ----------
    cube
        The series.
    grid
        Its windows.
    chosen
        (rows, columns, starts) of windows: which of them to use.
    batch_size
        Windows in a global batch.
    seed
        Seed of the order.
    shuffle
        True for training. False for validation: always the same windows, batches dealt out whole.
    count_filled
        Whether filled and interpolated pixels are valid.
    limit
        At most so many windows, evenly drawn (for validation).

    Notes
    -----
    A batch holds ``past`` (B, P, H, W) and ``future`` (B, F, H, W) masks with 0 where there is no value,
    ``valid`` (B, F, H, W) of what counts, ``season`` (B, F) and ``phase`` (B, F) as `Forecaster` wants them,
    and ``index``. Samples are read with the rank's share only; the order does not depend on rank or world.
    """

    def __init__(
        self,
        cube: Cube,
        grid: WindowGrid,
        chosen: Bools,
        batch_size: int,
        seed: int = 0,
        *,
        shuffle: bool = True,
        count_filled: bool = False,
        limit: int | None = None,
    ) -> None:
        self.cube, self.grid, self.seed, self.shuffle = cube, grid, seed, shuffle
        self.chosen = _limited(chosen, limit) if limit is not None else chosen
        self.count_filled = count_filled
        self.counts = self.chosen.sum(axis=(1, 2))
        total = int(self.counts.sum())
        if total == 0:
            raise DataError(
                "no window is left for this part of the split", "use a smaller --patch or --stride"
            )
        self.batch_size = min(batch_size, total)
        self._season, self._phase = _calendar(cube.times, grid)

    def __len__(self) -> int:
        whole, rest = divmod(int(self.counts.sum()), self.batch_size)
        return whole if self.shuffle or not rest else whole + 1

    def epoch(self, epoch: int, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """Yield this process's batches of `epoch`, leaving out the first `start`."""
        number, parts = 0, []
        held = 0
        for pool, order in self._pools(epoch):
            used = 0
            while used < len(order):
                take = min(self.batch_size - held, len(order) - used)
                parts.append((pool, order[used : used + take]))
                used, held = used + take, held + take
                if held == self.batch_size:
                    if number >= start:
                        yield from self._dealt(parts, number, rank, world)
                    number, parts, held = number + 1, [], 0
        if held and not self.shuffle and number >= start:
            yield from self._dealt(parts, number, rank, world)

    def _pools(self, epoch: int) -> Iterator[tuple[_Pool, npt.NDArray[np.int64]]]:
        """Yield pools of strips with the order in which their windows are drawn."""
        rows = np.flatnonzero(self.counts)
        if self.shuffle:
            rows = rows[permutation(len(rows), self.seed, epoch)]
        strips = self._strips_a_pool()
        for first in range(0, len(rows), strips):
            pool = _Pool(self, rows[first : first + strips])
            count = int(self.counts[pool.rows].sum())
            order = np.arange(count)
            if self.shuffle:
                order = sample_rng(self.seed, epoch, first).permutation(count)
            yield pool, order

    def _strips_a_pool(self) -> int:
        positions, frames = self.grid.shape[1], self.grid.frames
        return max(4, POOL_BYTES // (positions * frames * self.grid.patch**2 * 4))

    def _dealt(
        self, parts: Sequence[tuple[_Pool, npt.NDArray[np.int64]]], number: int, rank: int, world: int
    ) -> Iterator[dict[str, Tensor]]:
        """Yield the batch made of `parts`, or this process's share of it."""
        picks = [(pool, int(i)) for pool, order in parts for i in order]
        if self.shuffle:
            yield self._batch(picks[share(len(picks), rank, world)])
        elif number % world == rank:
            yield self._batch(picks)

    def _batch(self, picks: Sequence[tuple[_Pool, int]]) -> dict[str, Tensor]:
        grid = self.grid
        frames = torch.empty(len(picks), grid.length, grid.patch, grid.patch)
        valid = torch.ones(len(picks), grid.future, grid.patch, grid.patch, dtype=torch.bool)
        into, valid_into = frames.numpy(), valid.numpy()
        starts, indices = np.empty(len(picks), dtype=np.int64), np.empty(len(picks), dtype=np.int64)
        for k, (pool, i) in enumerate(picks):
            starts[k], indices[k] = pool.copy(i, into[k], valid_into[k])
        return {
            "past": frames[:, : grid.past],
            "future": frames[:, grid.past :],
            "valid": valid,
            "season": self._season[starts],
            "phase": self._phase[starts],
            "index": torch.from_numpy(indices),
        }


class _Pool:
    """Some strips of rows cut into patches; read on first use."""

    def __init__(self, batches: WindowBatches, rows: npt.NDArray[np.int64]) -> None:
        self.batches, self.rows = batches, rows
        self._cut: dict[int, tuple[Floats, Bools | None]] = {}
        self._where: npt.NDArray[np.int64] | None = None

    def copy(self, index: int, frames: Floats, valid: Bools) -> tuple[int, int]:
        """Copy window `index` of the pool; returns its start and its number among all windows."""
        if self._where is None:
            chosen = [np.argwhere(self.batches.chosen[r]) for r in self.rows]
            strip = np.repeat(np.arange(len(self.rows)), [len(c) for c in chosen])
            self._where = np.column_stack([strip, np.concatenate(chosen)])
        strip_number, col, start = (int(n) for n in self._where[index])
        values, countable_ = self._strip(strip_number)
        grid = self.batches.grid
        frames[...] = values[col, start : start + grid.length]
        if countable_ is not None:
            valid[...] = countable_[col, start + grid.past : start + grid.length]
        return start, int((self.rows[strip_number] * grid.shape[1] + col) * grid.shape[2] + start)

    def _strip(self, number: int) -> tuple[Floats, Bools | None]:
        if number not in self._cut:
            top = int(self.rows[number]) * self.batches.grid.stride
            self._cut[number] = cut_strip(
                self.batches.cube, self.batches.grid, top, self.batches.count_filled
            )
        return self._cut[number]


def cut_strip(cube: Cube, grid: WindowGrid, top: int, count_filled: bool) -> tuple[Floats, Bools | None]:
    """Read one strip and cut it into patches.

    Returns
    -------
    values
        (positions, frames, patch, patch), 0 where there is no value.
    valid
        Of the same shape: what counts; None where everything does.
    """
    rows = slice(top, top + grid.patch)
    values = cube.read(rows)
    if cube.complete:
        return _patches(values, grid), None
    valid = countable(cube.flags(rows), count_filled)
    np.nan_to_num(values, copy=False, nan=0.0)
    return _patches(values, grid), _patches(valid, grid)


def _patches(strip: npt.NDArray[Any], grid: WindowGrid) -> npt.NDArray[Any]:
    views = np.lib.stride_tricks.sliding_window_view(strip, grid.patch, axis=2)[:, :, :: grid.stride]
    return np.ascontiguousarray(views.transpose(2, 0, 1, 3))


def _limited(chosen: Bools, limit: int) -> Bools:
    """Keep at most `limit` of the chosen windows, evenly spread."""
    where = np.flatnonzero(chosen)
    if len(where) <= limit:
        return chosen
    kept = np.zeros(chosen.size, dtype=bool)
    kept[where[np.linspace(0, len(where) - 1, limit).round().astype(int)]] = True
    return kept.reshape(chosen.shape)


def _calendar(times: Sequence[date], grid: WindowGrid) -> tuple[Tensor, Tensor]:
    """Return for every start the past frame of each future frame's season, and the times of year."""
    season, phase = [], []
    for start in range(grid.shape[2]):
        past, future = times[start : start + grid.past], times[start + grid.past : start + grid.length]
        season.append(season_index(past, future))
        phase.append(phases(future))
    return torch.tensor(season, dtype=torch.int64), torch.tensor(phase, dtype=torch.float32)
