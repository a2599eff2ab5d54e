"""Batches of windows out of one cube, in a shuffled order, without patch files.

Pooled shuffle: strips of rows are read in random order, all times at once, and cut into patches that lie
``positions × frames × patch × patch`` in memory, so that a window is one contiguous copy and each patch
serves all the windows it is in. Windows are drawn at random from a pool of some strips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from icectl.arrays import F32, I64, Array, Bools
from icectl.errors import DataError
from icectl.splits import WindowGrid
from icectl.tasks.snow.dataset import Cube, countable
from icectl.tasks.snow.masks.moments import phases, same_season, season_index
from icectl.training.sampling import permutation, sample_rng, share

POOL_BYTES = 128 * 2**20
"""Memory for the pool; four strips at least."""


class WindowBatches:
    """Windows of a cube as `icectl.training.Batches`.

    `cube`: the series.
    `grid`: its windows.
    `chosen`: (rows, columns, starts) of windows: which of them to use.
    `batch_size`: windows in a global batch.
    `seed`: seed of the order.
    `shuffle`: true for training. False for validation: always the same windows, batches dealt out whole.
    `count_filled`: whether filled and interpolated pixels are valid.
    `limit`: at most so many windows, evenly drawn (for validation).
    `reuse`: write every batch into the same memory: twice as fast, for callers that keep no batch.
    `terrain`: (channels, rows, columns) of the ground, given with every window as ``terrain``, or None.
    `mix_years`: share of windows whose frames are replaced by frames of the same season of random years,
        drawn from the frames that the chosen windows cover; keyed by (seed, epoch, window).

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
        reuse: bool = False,
        mix_years: float = 0.0,
        terrain: F32 | None = None,
    ) -> None:
        self.cube, self.grid, self.seed, self.shuffle = cube, grid, seed, shuffle
        self.chosen = _limited(chosen, limit) if limit is not None else chosen
        self.count_filled, self.reuse, self.terrain = count_filled, reuse, terrain
        self.mixer = Mixer(cube.times, grid, self.chosen, mix_years, seed) if mix_years and shuffle else None
        self._kept: tuple[Tensor, Tensor] | None = None
        self._spare: list[F32] = []
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

    def _pools(self, epoch: int) -> Iterator[tuple[_Pool, I64]]:
        """Yield pools of strips with the order in which their windows are drawn."""
        rows = np.flatnonzero(self.counts)
        if self.shuffle:
            rows = rows[permutation(len(rows), self.seed, epoch)]
        strips, done = self._strips_a_pool(), list[_Pool]()
        for first in range(0, len(rows), strips):
            pool = _Pool(self, rows[first : first + strips], epoch)
            count = int(self.counts[pool.rows].sum())
            order = np.arange(count)
            if self.shuffle:
                order = sample_rng(self.seed, epoch, first).permutation(count)
            done.append(pool)
            if len(done) > 2:  # a batch may still hold windows of the pool before this one
                self._spare.extend(done.pop(0).arrays())
            yield pool, order

    def spare(self) -> F32 | None:
        """Return memory of a used-up strip, if there is any: fresh memory costs as much as the copy."""
        return self._spare.pop() if self._spare else None

    def _strips_a_pool(self) -> int:
        positions, frames = self.grid.shape[1], self.grid.frames
        return max(4, POOL_BYTES // (positions * frames * self.grid.patch**2 * 4))

    def _dealt(
        self, parts: Sequence[tuple[_Pool, I64]], number: int, rank: int, world: int
    ) -> Iterator[dict[str, Tensor]]:
        """Yield the batch made of `parts`, or this process's share of it."""
        if self.shuffle:
            yield self._batch(_shared(parts, share(self.batch_size, rank, world)))
        elif number % world == rank:
            yield self._batch(parts)

    def _batch(self, parts: Sequence[tuple[_Pool, I64]]) -> dict[str, Tensor]:
        """Copy the windows of `parts` into one batch."""
        grid, count = self.grid, sum(len(order) for _, order in parts)
        frames, valid = self._buffers(count)
        starts, indices = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        done = 0
        for pool, order in parts:
            into = slice(done, done + len(order))
            starts[into], indices[into] = pool.copy(
                order, frames.numpy()[into], None if self.cube.complete else valid.numpy()[into]
            )
            done += len(order)
        told = {} if self.terrain is None else {"terrain": self._grounds(indices)}
        return {
            **told,
            "past": frames[:, : grid.past],
            "future": frames[:, grid.past :],
            "valid": valid,
            "season": self._season[starts],
            "phase": self._phase[starts],
            "index": torch.from_numpy(indices),
        }

    def _grounds(self, indices: I64) -> Tensor:
        """Return the ground under the windows of these numbers, (B, channels, patch, patch)."""
        assert self.terrain is not None
        rows, cols, _ = np.unravel_index(indices, self.grid.shape)
        tops, lefts, side = rows * self.grid.stride, cols * self.grid.stride, self.grid.patch
        cut = [self.terrain[:, y : y + side, x : x + side] for y, x in zip(tops, lefts, strict=True)]
        return torch.from_numpy(np.stack(cut))

    def _buffers(self, count: int) -> tuple[Tensor, Tensor]:
        """Return room for a batch; the same every time if `reuse`: fresh memory costs as much as a copy."""
        if not (self.reuse and self._kept and self._kept[0].shape[0] >= count):
            grid = self.grid
            frames = torch.empty(count, grid.length, grid.patch, grid.patch)
            if self.cube.complete:
                valid = torch.ones((), dtype=torch.bool).expand(count, grid.future, grid.patch, grid.patch)
            else:
                valid = torch.empty(count, grid.future, grid.patch, grid.patch, dtype=torch.bool)
            self._kept = (frames, valid)
        return self._kept[0][:count], self._kept[1][:count]


def _shared(parts: Sequence[tuple[_Pool, I64]], part: slice) -> list[tuple[_Pool, I64]]:
    """Return the samples `part` of the whole batch."""
    chosen, done = [], 0
    for pool, order in parts:
        chosen.append((pool, order[max(0, part.start - done) : max(0, part.stop - done)]))
        done += len(order)
    return chosen


class Mixer:
    """Draws windows of mixed years: each frame from a random year, of the season that its place asks for.

    Weather differs from year to year more than networks can tell from a few years. A mixed window
    has a past and a future whose departures from the season are independent.
    """

    def __init__(
        self, times: Sequence[date], grid: WindowGrid, chosen: Bools, share: float, seed: int
    ) -> None:
        self.share, self.seed, self.length = share, seed, grid.length
        starts = np.flatnonzero(chosen.any(axis=(0, 1)))
        covered = sorted({int(start) + k for start in starts for k in range(grid.length)})
        self.same = {frame: same_season(times, frame, covered) for frame in covered}

    def frames(self, start: int, epoch: int, number: int) -> I64 | None:
        """Return the frames of window `number`, or None where it stays as it is."""
        rng = sample_rng(self.seed, epoch, number)
        if rng.random() >= self.share:
            return None
        choices = [self.same[frame] for frame in range(start, start + self.length)]
        return np.array([options[int(rng.integers(len(options)))] for options in choices])


class _Pool:
    """Some strips of rows cut into patches; read on first use."""

    def __init__(self, batches: WindowBatches, rows: I64, epoch: int) -> None:
        self.batches, self.rows, self.epoch = batches, rows, epoch
        self._cut: dict[int, tuple[F32, Bools | None]] = {}

    @cached_property
    def _where(self) -> I64:
        """Strip, column and start of every window of the pool."""
        chosen = [np.argwhere(self.batches.chosen[r]) for r in self.rows]
        strip = np.repeat(np.arange(len(self.rows)), [len(c) for c in chosen])
        return np.column_stack([strip, np.concatenate(chosen)])

    def copy(self, order: I64, frames: F32, valid: Bools | None) -> tuple[I64, I64]:
        """Copy the windows `order` of the pool; returns their starts and their numbers among all windows."""
        where, grid, mixer = self._where[order], self.batches.grid, self.batches.mixer
        numbers = (self.rows[where[:, 0]] * grid.shape[1] + where[:, 1]) * grid.shape[2] + where[:, 2]
        for k, (strip, col, start) in enumerate(where.tolist()):
            values, counts = self._cut.get(strip) or self._read(strip)
            drawn = mixer.frames(start, self.epoch, int(numbers[k])) if mixer else None
            used = slice(start, start + grid.length) if drawn is None else drawn
            frames[k] = values[col, used]
            if valid is not None and counts is not None:
                valid[k] = counts[col, used][grid.past :]
        return where[:, 2], numbers

    def arrays(self) -> list[F32]:
        """Give up the patches' memory, for another pool to use."""
        return [values for values, _ in self._cut.values()]

    def _read(self, strip: int) -> tuple[F32, Bools | None]:
        batches = self.batches
        top = int(self.rows[strip]) * batches.grid.stride
        into = batches.spare()
        self._cut[strip] = cut_strip(batches.cube, batches.grid, top, batches.count_filled, into)
        return self._cut[strip]


def cut_strip(
    cube: Cube, grid: WindowGrid, top: int, count_filled: bool, into: F32 | None = None
) -> tuple[F32, Bools | None]:
    """Read one strip and cut it into patches, in the memory of `into` if given.

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
        return _patches(values, grid, into), None
    valid = countable(cube.flags(rows), count_filled)
    np.nan_to_num(values, copy=False, nan=0.0)
    return _patches(values, grid, into), _patches(valid, grid)


def _patches(strip: Array, grid: WindowGrid, into: Array | None = None) -> Array:
    views = np.lib.stride_tricks.sliding_window_view(strip, grid.patch, axis=2)[:, :, :: grid.stride]
    patches = views.transpose(2, 0, 1, 3)
    if into is None:
        return np.ascontiguousarray(patches)
    np.copyto(into, patches)
    return into


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
