"""Whole-scene forecasts as files: GeoTIFF stacks and a CF Zarr store for each moment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from icectl.raster import BlockWriter, Window, read
from icectl.run import Run
from icectl.tasks.snow.dataset import Cube, Floats, add_series, new_store
from icectl.tasks.snow.masks.moments import Moment

_STRIP = 256

SPREAD = "_spread.tif"
"""End of the name of the stack that holds a forecast's standard deviation."""

QUANTITIES = {
    ".tif": "NDSI of snow, 0 where there is none",
    SPREAD: "standard deviation of the NDSI over the members of an ensemble",
}

Write = Callable[[Floats, int, int], None]
"""``write(block, row, column)``: hands over a block (channels, rows, columns) of a forecast."""


def write(
    run: Run, cube: Cube, moment: Moment, fill: Callable[[Write], None], spread: bool = False
) -> list[Path]:
    """Write one moment as ``<stem>.tif`` and ``<stem>.zarr`` into ``run.out``, and its spread beside it.

    Forecasts are clipped to [0, 1], where snow masks lie; pixels without any past value are nodata.

    Parameters
    ----------
    fill
        ``fill(write)`` predicts the scene and hands over every block once.
    spread
        Whether blocks hold, after a channel for each future frame, their spread.
    """
    count = len(moment.future)
    paths = [run.out / f"{moment.stem}{end}" for end in QUANTITIES][: 1 + spread]
    names = [f"{day.isoformat()} (lead {k + 1})" for k, day in enumerate(moment.future)]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                BlockWriter(
                    path, cube.grid, count, "float32", descriptions=names, tags=_tags(run, moment, quantity)
                )
            )
            for path, quantity in zip(paths, QUANTITIES.values(), strict=False)
        ]

        def put(block: Floats, row: int, col: int) -> None:
            block = np.clip(block, 0, 1)
            if not cube.complete:
                rows, cols = slice(row, row + block.shape[1]), slice(col, col + block.shape[2])
                block[:, ~(cube.flags(rows, moment.frames, cols) > 0).any(axis=0)] = np.nan
            for k, writer in enumerate(writers):
                writer.write(block[k * count : (k + 1) * count], row, col)

        fill(put)
    return [*paths, _as_cf(run, cube, moment, paths)]


def _tags(run: Run, moment: Moment, quantity: str) -> dict[str, str]:
    return {
        "title": f"{'Hindcast' if moment.known else 'Forecast'} of snow masks, {run.glacier.title}",
        "quantity": quantity,
        "model": run.plugin.name,
        "past": " ".join(day.isoformat() for day in moment.past),
        "software": "icectl",
    }


def _as_cf(run: Run, cube: Cube, moment: Moment, stacks: list[Path]) -> Path:
    """Copy stacks strip by strip to a Zarr store ``snow(time, y, x)``, and ``spread(time, y, x)``."""
    path = stacks[0].with_suffix(".zarr")
    _, rows, cols = cube.shape
    store = new_store(path, f"Forecast snow masks ({run.plugin.name})", moment.future, cube.grid)
    for name, stack, quantity in zip(("snow", "spread"), stacks, QUANTITIES.values(), strict=False):
        array = add_series(
            store, name, {"long_name": f"{quantity}, forecast", "units": "1"},
            dtype="float32", fill_value=float("nan"), chunks=(1, min(_STRIP, rows), cols),
        )  # fmt: skip
        for top in range(0, rows, _STRIP):
            strip = read(stack, Window(top, 0, min(_STRIP, rows - top), cols), band=None)
            array[:, top : top + strip.shape[1]] = np.ma.filled(strip, np.nan)
    return path
