"""Whole-scene forecasts as files: a GeoTIFF stack and a CF Zarr store for each moment.

A moment is the first frame of a window. The network sees windows of its training size on one grid anchored
at the scene's origin, blended with weights fixed by that grid; `--tile` changes no bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from icectl.errors import DataError
from icectl.raster import BlockWriter, Window, predict_blended
from icectl.run import Run
from icectl.tasks.snow.cf import write_cf
from icectl.tasks.snow.dataset import Cube, Floats
from icectl.tasks.snow.seasons import coming, phases, season_index


@dataclass(frozen=True, slots=True)
class Moment:
    """What one forecast starts from and is of.

    Attributes
    ----------
    start
        First past frame, by number.
    past, future
        Days of the frames.
    known
        Whether the future frames are in the cube: then it is a hindcast.
    """

    start: int
    past: tuple[date, ...]
    future: tuple[date, ...]
    known: bool

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{'hindcast' if self.known else 'forecast'}_{self.future[0].isoformat()}"


def moments(times: Sequence[date], past: int, future: int, starts: Sequence[int]) -> list[Moment]:
    """Return the hindcasts that begin at `starts`, and the forecast of the frames after the series.

    Raises
    ------
    DataError
        If the series is shorter than `past` frames.
    """
    if len(times) < past:
        raise DataError(f"{len(times)} frames are too few: {past} past frames are needed", "give more scenes")
    found = [
        Moment(t, tuple(times[t : t + past]), tuple(times[t + past : t + past + future]), True)
        for t in starts
    ]
    last = len(times) - past
    ahead = coming(times, past, future)
    return [*found, Moment(last, tuple(times[last:]), tuple(ahead), False)]


def predict_moment(
    run: Run,
    cube: Cube,
    moment: Moment,
    apply: Callable[..., Tensor],
    patch: int,
    overlap: int,
    tile: int,
    batch: int,
    advance: Callable[..., None] | None = None,
) -> Path:
    """Predict one moment over the whole scene, and write ``<stem>.tif`` and ``<stem>.zarr`` into ``run.out``.

    Forecasts are clipped to [0, 1], where snow masks lie; pixels without any past value are nodata.

    Parameters
    ----------
    apply
        ``apply(past, season, phase)``, see `Forecaster`.
    patch, overlap
        Side of the network's windows, and what neighbours share.
    tile
        Side of the blocks read and written.
    batch
        Windows a call of the network.
    """
    season = torch.tensor([season_index(moment.past, moment.future)])
    phase = torch.tensor([phases(moment.future)], dtype=torch.float32)
    frames = slice(moment.start, moment.start + len(moment.past))

    def read(window: Window) -> Floats:
        rows, cols = window.slices
        return np.nan_to_num(cube.read(rows, frames, cols))

    def network(windows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        count = len(windows)
        forecast = apply(torch.from_numpy(windows), season.expand(count, -1), phase.expand(count, -1))
        return forecast.numpy()

    path = run.out / f"{moment.stem}.tif"
    names = [f"{day.isoformat()} (lead {k + 1})" for k, day in enumerate(moment.future)]
    tags = {
        "title": f"{'Hindcast' if moment.known else 'Forecast'} of snow masks, {run.glacier.title}",
        "quantity": "NDSI of snow, 0 where there is none",
        "model": run.plugin.name,
        "past": " ".join(day.isoformat() for day in moment.past),
        "software": "icectl",
    }
    with BlockWriter(path, cube.grid, len(names), "float32", descriptions=names, tags=tags) as writer:

        def write(block: Floats, row: int, col: int) -> None:
            block = np.clip(block, 0, 1)
            if not cube.complete:
                known = cube.flags(slice(row, row + block.shape[1]), frames, slice(col, col + block.shape[2]))
                block[:, ~(known > 0).any(axis=0)] = np.nan
            writer.write(block, row, col)

        shape = (cube.shape[1], cube.shape[2])
        predict_blended(read, network, shape, patch, overlap, tile, write, batch=batch, advance=advance)
    write_cf(path, path.with_suffix(".zarr"), moment.future, run.plugin.name)
    return path
