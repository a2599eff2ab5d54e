"""Whole-scene forecasts as files: a GeoTIFF stack and a CF Zarr store for each moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from icectl.raster import BlockWriter, Window, read
from icectl.run import Run
from icectl.tasks.snow.dataset import Cube, Floats, add_series, new_store
from icectl.tasks.snow.masks.moments import Moment

_STRIP = 256

Write = Callable[[Floats, int, int], None]
"""``write(block, row, column)``: hands over a block (F, rows, columns) of a forecast."""


def write(run: Run, cube: Cube, moment: Moment, fill: Callable[[Write], None]) -> list[Path]:
    """Write one moment as ``<stem>.tif`` and ``<stem>.zarr`` into ``run.out``.

    Forecasts are clipped to [0, 1], where snow masks lie; pixels without any past value are nodata.

    Parameters
    ----------
    fill
        ``fill(write)`` predicts the scene and hands over every block once.
    """
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

        def put(block: Floats, row: int, col: int) -> None:
            block = np.clip(block, 0, 1)
            if not cube.complete:
                rows, cols = slice(row, row + block.shape[1]), slice(col, col + block.shape[2])
                block[:, ~(cube.flags(rows, moment.frames, cols) > 0).any(axis=0)] = np.nan
            writer.write(block, row, col)

        fill(put)
    return [path, _as_cf(run, cube, moment, path)]


def _as_cf(run: Run, cube: Cube, moment: Moment, stack: Path) -> Path:
    """Copy a stack strip by strip to a Zarr store ``snow(time, y, x)``."""
    path = stack.with_suffix(".zarr")
    _, rows, cols = cube.shape
    store = new_store(path, f"Forecast snow masks ({run.plugin.name})", moment.future, cube.grid)
    snow = add_series(
        store, "snow", {"long_name": "NDSI of snow, forecast", "units": "1"},
        dtype="float32", fill_value=float("nan"), chunks=(1, min(_STRIP, rows), cols),
    )  # fmt: skip
    for top in range(0, rows, _STRIP):
        strip = read(stack, Window(top, 0, min(_STRIP, rows - top), cols), band=None)
        snow[:, top : top + strip.shape[1]] = np.ma.filled(strip, np.nan)
    return path
