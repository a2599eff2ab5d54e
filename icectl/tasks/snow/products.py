"""Whole-scene forecasts as files: GeoTIFF stacks and a CF Zarr store for each moment."""

import csv
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from icectl.arrays import F32, U8, Bools
from icectl.imagery.composite import Flag
from icectl.raster import BlockWriter, Window, ground_areas, read
from icectl.run import Run
from icectl.tasks.snow.dataset import CHUNK_ROWS, Cube, add_series, new_store
from icectl.tasks.snow.masks.moments import Moment
from icectl.tasks.snow.masks.terrain import COLUMNS, Cover, cover, snowline, sum_of
from icectl.tasks.snow.options import THRESHOLD

COVER = "snow_cover.csv"
"""Table of snow-covered area and snowline by date."""

_STRIP = 256

THRESHOLDED, SPREAD = "_thresholded.tif", "_spread.tif"
"""Ends of the names of stacks: a forecast set to 0 below the threshold, and its standard deviation."""

QUANTITIES = {
    ".tif": "NDSI of snow, 0 where there is none",
    THRESHOLDED: "NDSI of snow, set to 0 below 0.3 after the prediction (Müller 2023, figure 6)",
    SPREAD: "standard deviation of the NDSI over the members of an ensemble",
}

Write = Callable[[F32, int, int], None]
"""``write(block, row, column)``: hands over a block (channels, rows, columns) of a forecast."""


def write(
    run: Run, cube: Cube, moment: Moment, fill: Callable[[Write], None], spread: bool = False
) -> list[Path]:
    """Write one moment as ``<stem>.tif`` and ``<stem>.zarr`` into ``run.out``, with what belongs to it.

    ``<stem>_thresholded.tif`` has values below 0.3 set to 0; ``<stem>_spread.tif`` is an ensemble's spread.

    Forecasts are clipped to [0, 1], where snow masks lie; pixels without any past value are nodata.

    `fill`: ``fill(write)`` predicts the scene and hands over every block once; `spread`: whether blocks
    hold, after a channel for each future frame, their spread.
    """
    count = len(moment.future)
    paths = [run.out / f"{moment.stem}{end}" for end in QUANTITIES][: 2 + spread]
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

        @lru_cache(maxsize=1)
        def known(top: int, bottom: int) -> Bools:  # of all columns: chunks hold whole rows
            return np.asarray((cube.flags(slice(top, bottom), moment.frames) > 0).any(axis=0))

        def put(block: F32, row: int, col: int) -> None:
            block = np.clip(block, 0, 1)
            if not cube.complete:
                there = known(row, row + block.shape[1])[:, col : col + block.shape[2]]
                block[:, ~there] = np.nan
            mean = block[:count]
            cut = np.where(mean < THRESHOLD, np.float32(0), mean)
            for writer, values in zip(writers, (mean, cut, block[count:]), strict=False):
                writer.write(values, row, col)

        fill(put)
    return [*paths, _as_cf(run, cube, moment, paths)]


def _tags(run: Run, moment: Moment, quantity: str) -> dict[str, str]:
    return {
        "title": f"{'Hindcast' if moment.known else 'Forecast'} of snow masks, {run.glacier.title}",
        "quantity": quantity,
        "past": " ".join(day.isoformat() for day in moment.past),
        "units": "1",
    }


def _as_cf(run: Run, cube: Cube, moment: Moment, stacks: list[Path]) -> Path:
    """Copy stacks strip by strip to a Zarr store ``snow(time, y, x)``, and ``spread(time, y, x)``."""
    path = stacks[0].with_suffix(".zarr")
    _, rows, cols = cube.shape
    store = new_store(path, f"Forecast snow masks ({run.plugin.name})", moment.future, cube.grid)
    for stack, end, name in zip(stacks[::2], (".tif", SPREAD), ("snow", "spread"), strict=False):
        array = add_series(
            store, name, {"long_name": f"{QUANTITIES[end]}, forecast", "units": "1"},
            dtype="float32", fill_value=float("nan"), chunks=(1, min(_STRIP, rows), cols),
        )  # fmt: skip
        for top in range(0, rows, _STRIP):
            strip = slice(top, min(top + _STRIP, rows))
            array[:, strip] = _rows_of(stack, strip, cols)
    return path


def write_cover(run: Run, cube: Cube, moments: Sequence[Moment]) -> Path:
    """Write ``snow_cover.csv``: snow-covered area and snowline of every frame observed and forecast.

    All of the scene counts, also the ground that was trained on.

    `moments`: moments whose stacks lie in ``run.out``.
    """
    path = run.out / COVER
    ends = [(day, "observed", 0) for day in cube.times]
    found = _covers(cube, ends, lambda rows: (cube.read(rows), cube.flags(rows) & Flag.OBSERVED > 0))
    for moment in moments:
        kind, stack = "hindcast" if moment.known else "forecast", run.out / f"{moment.stem}.tif"
        ends = [(day, kind, lead) for lead, day in enumerate(moment.future, start=1)]
        found += _covers(cube, ends, partial(_forecast, stack, cube.shape[2]))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *(one.row() for one in found)])
    return path


def _forecast(stack: Path, columns: int, rows: slice) -> tuple[F32, None]:
    return _rows_of(stack, rows, columns), None


def _rows_of(stack: Path, rows: slice, columns: int) -> F32:
    strip = read(stack, Window(rows.start, 0, rows.stop - rows.start, columns), band=None)
    return np.asarray(np.ma.filled(strip, np.nan), dtype=np.float32)


_BYTES = 8 * 2**20
"""Of masks that are measured at a time."""


def _covers(
    cube: Cube,
    frames: Sequence[tuple[date, str, int]],
    masks: Callable[[slice], tuple[F32, Bools | None]],
) -> list[Cover]:
    """Measure all of some frames strip by strip: chunks hold every frame, so each is read once.

    `frames`: day, kind and lead of each; `masks`: rows of their masks, and where they were seen.
    """
    _, rows, columns = cube.shape
    height = cube.height() if cube.has_height else None
    step = max(1, _BYTES // (len(frames) * columns * 4 * CHUNK_ROWS)) * CHUNK_ROWS
    parts: list[list[Cover]] = []
    bits: list[list[U8]] = [[] for _ in frames]  # of what has a value, and of snow: for the snowline
    for top in range(0, rows, step):
        strip = slice(top, min(top + step, rows))
        values, seen = masks(strip)
        measured = [None] * len(frames) if seen is None else seen
        each = zip(frames, values, measured, strict=True)
        pixel = ground_areas(cube.grid, strip) / 1e6
        parts.append([cover(mask, None, pixel, *frame, measured=where) for frame, mask, where in each])
        for k, mask in enumerate(values if height is not None else ()):
            bits[k].append(np.packbits([np.isfinite(mask), mask >= THRESHOLD], axis=-1))
    totals = [sum_of(strips) for strips in zip(*parts, strict=True)]
    if height is None:
        return totals
    whole = (np.unpackbits(np.concatenate(b, axis=1), axis=-1, count=columns).astype(bool) for b in bits)
    return [
        replace(total, line=snowline(snow[known], height[known]))
        for total, (known, snow) in zip(totals, whole, strict=True)
    ]
