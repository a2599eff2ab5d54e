"""Prepares the dataset: chip sequences that follow the ice, one band a sequence, with their dates.

``dataset.zarr`` holds the frames, their masks, and for each sequence its twelve or so chips, cut
along its path. Sequences are what IceNet's images are: 7 bands × 1,525 chips = 10,675.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import xarray as xr

from icectl import raster
from icectl.arrays import F32, I64, Bools
from icectl.errors import DataError
from icectl.imagery.chips import Tracks, cut, follow, grid_starts, startable, starts_on
from icectl.imagery.matching import texture
from icectl.raster import Grid
from icectl.raster.chunks import write_store
from icectl.run import Run
from icectl.sources.catalogue import read_catalogue
from icectl.tasks.flow.chips.frames import Series, read_series, sound
from icectl.tasks.flow.chips.screening import screen
from icectl.tasks.flow.dataset import DATASET
from icectl.tasks.flow.fetch import ground_mask
from icectl.tasks.flow.options import FetchOptions, PrepareOptions

MIN_FOLLOWED = 3
"""Frames of which chips are followed: t0, t1 and t2."""

TRUSTED = (0.5, 1.05)
"""Correlation and peak ratio that a match must reach to be trusted."""

CHUNK = 400_000
"""Bytes read at a time; small chips are stored several to a chunk."""


def prepare(run: Run, options: PrepareOptions) -> Path:
    """Read, screen and follow; leave ``dataset.zarr`` in ``run.out``."""
    folder, fetched = run.inputs["fetch"], run.options["fetch"]
    limit = fetched.aerosol_limit if isinstance(fetched, FetchOptions) else None
    series, cloud, reasons = screen(read_series(run, read_catalogue(folder), options), options, limit)
    for reason in reasons:
        run.warn(reason)
    run.notes["frames"] = {"used": len(series.names), "left out": reasons}
    valid = sound(series.valid)
    ice = glacier_mask(run, ground_mask(folder), series.grid)
    chips = options.chips
    if chips and len(series.names) < MIN_FOLLOWED:
        run.warn(f"{len(series.names)} frames are enough for a velocity, and too few for chips to follow")
        chips = 0
    starts = place(run, valid, ice, options) if chips else np.zeros((0, 2), np.int64)
    tracks = _tracks(run, series, valid, starts, options)
    return _write(run, series, cloud, ice, tracks, options)


def place(run: Run, valid: Bools, ice: Bools | None, options: PrepareOptions) -> I64:
    """Place the chips' starts on the glacier; where it is too narrow, chips may lie on it in part."""
    if ice is None:
        return grid_starts(valid, options.chip, options.chips)
    size = options.chip
    whole = startable(valid, size)
    cover = cv2.integral((ice & valid).astype(np.uint8), sdepth=cv2.CV_32S)
    share = np.zeros(valid.shape, np.float32)
    box = cover[size:, size:] - cover[:-size, size:] - cover[size:, :-size] + cover[:-size, :-size]
    share[: box.shape[0], : box.shape[1]] = box / size**2
    for least in (1.0, 0.75, 0.5, 0.25):
        free = whole & (share >= least)
        if int(free.sum()) >= options.chips:
            if least < 1:
                run.warn(f"little ice for {options.chips} chips of {size} pixels: {least:.0%} on it will do")
            return starts_on(free, options.chips)
    return grid_starts(valid & ice, size, options.chips)


def glacier_mask(run: Run, ground: Path | None, grid: Grid) -> Bools | None:
    """Return where the glacier is, from its outline or from a mask picture; None if neither is known."""
    if run.glacier.outline is not None and grid.crs is not None:
        outlines = raster.read_vectors(run.glacier.outline, str(grid.crs))
        return np.asarray(raster.rasterize(outlines, grid))
    if ground is None:
        return None
    info = raster.Info(ground)
    onto = grid if info.crs is not None and grid.crs is not None else None
    numbers = [number for number in range(1, info.count + 1) if number != info.alpha]
    bands = [raster.read_quantity(ground, "label", band=number, grid=onto) for number in numbers]
    least = np.min([np.where(band.valid, band.values, 0) for band in bands], axis=0)
    if least.shape != tuple(grid.shape):
        raise DataError(f"the mask {ground.name} is {least.shape} pixels, the frames are {tuple(grid.shape)}")
    if not least.any():
        raise DataError(
            f"the mask {ground.name} shows no ice on the ground of the frames",
            "check its CRS and place, or take it out of the folder",
        )
    return np.asarray(least > 0.75 * float(np.max(least)))


def _tracks(run: Run, series: Series, valid: Bools, starts: I64, options: PrepareOptions) -> list[Tracks]:
    """Follow the chips in the mean of all bands, or in each band."""
    if not len(starts):
        none = np.zeros((0, len(series.names)), np.float32)
        return [Tracks(np.zeros((*none.shape, 2), np.int64), none, none > 0, none[:, 0] > 0)]
    sets = [series.values.mean(axis=1)] if options.track == "together" else list(series.values.swapaxes(0, 1))
    found = []
    with run.progress("following the ice", total=len(sets)) as advance:
        for frames in sets:
            scenes = [texture(image, options.chip, options.scale, valid) for image in frames]
            found.append(
                follow(
                    scenes, starts, options.chip, options.scale, dates=series.times,
                    trust=TRUSTED if options.trust == "good" else None,
                )
            )  # fmt: skip
            advance()
    return found


def _write(
    run: Run, series: Series, cloud: Bools, ice: Bools | None, tracks: list[Tracks], options: PrepareOptions
) -> Path:
    """Write the dataset: frames chunked by frame, chips by sequence."""
    count, bands = len(tracks[0].position), len(series.bands)
    of_band = [tracks[b if len(tracks) > 1 else 0] for b in range(bands)]
    whole = np.all([t.inside for t in of_band], axis=0)
    if count and not whole.any():
        raise DataError("every chip leaves the scene", "use smaller chips, or a smaller --scale")
    if not whole.all():
        run.warn(f"{int((~whole).sum())} of {count} chips leave the scene and are left out")
    keep = np.flatnonzero(whole)
    chips, position, score, trusted, hidden = _sequences(series, cloud, of_band, keep, options.chip)
    low, high = (np.array([_level(series, b, q) for b in range(bands)]) for q in (1, 99))
    frames, kind = series.values, smallest_type(series.values)
    data = xr.Dataset(
        {
            "frame": (
                ("time", "band", "y", "x"),
                frames.astype(kind),
                {"long_name": "frames in the sensor's units"},
            ),
            "valid": (("time", "y", "x"), series.valid),
            "cloud": (("time", "y", "x"), cloud),
            "chip": (("sequence", "time", "row", "col"), chips.astype(kind)),
            "position": (("sequence", "time", "axis"), position, {"units": "pixel"}),
            "score": (("sequence", "time"), score, {"long_name": "correlation with the chip before"}),
            "trusted": (("sequence", "time"), trusted),
            "cloud_share": (("sequence", "time"), hidden),
            "sequence_band": (("sequence",), np.repeat(np.arange(bands), len(keep))),
            "sequence_chip": (("sequence",), np.tile(keep, bands)),
            "low": (("band",), low),
            "high": (("band",), high),
        },
        coords={"time": np.array([t.replace(tzinfo=None) for t in series.times], dtype="datetime64[ns]")},
        attrs={
            "icectl_options": options.model_dump_json(),
            "crs": "" if series.grid.crs is None else str(series.grid.crs),
            "transform": json.dumps(list(series.grid.transform)[:6]),
            "units": "m" if options.resolution or series.grid.crs is not None else "pixel",
            "names": json.dumps(list(series.names)),
            "bands": json.dumps(list(series.bands)),
        },
    )
    if ice is not None:
        data["ice"] = (("y", "x"), ice)
    size = options.chip
    sequence = chips.shape[1] * size**2 * np.dtype(kind).itemsize
    together = max(1, min(len(chips), CHUNK // sequence))
    encoding: dict[str, dict[str, Any]] = {
        "frame": {"chunks": (1, 1, *series.grid.shape)},
        "chip": {"chunks": (together, chips.shape[1], size, size), "compressed": False},
    }
    write_store(data, run.out / DATASET, **encoding)
    if len(chips):
        run.say(f"{chips.shape[0]} sequences of {chips.shape[1]} chips: {len(keep)} chips, {bands} bands")
    return run.out


def smallest_type(values: F32) -> type[np.generic]:
    """Return the smallest type that holds `values` exactly: uint8, uint16 or float32."""
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535 or not np.array_equal(values, np.rint(values)):
        return np.float32
    return np.uint8 if high <= 255 else np.uint16


def _level(series: Series, band: int, percent: float) -> float:
    values = series.values[:, band][series.valid]
    return float(np.percentile(values[:: max(1, values.size // 1_000_000)], percent))


def _sequences(series: Series, cloud: Bools, of_band: list[Tracks], keep: I64, size: int) -> tuple[F32, ...]:
    """Cut every chip of every band along its path; also positions, scores, trust and cloud shares."""
    times, bands, count = len(series.names), len(series.bands), len(keep)
    chips = np.empty((bands * count, times, size, size), np.float32)
    hidden = np.empty((bands * count, times), np.float32)
    for b, tracks in enumerate(of_band):
        rows = slice(b * count, (b + 1) * count)
        for t in range(times):
            at = tracks.position[keep, t]
            chips[rows, t] = cut(series.values[t, b], at, size)
            hidden[rows, t] = cut(cloud[t], at, size).mean(axis=(1, 2))
    join = [
        np.concatenate([getattr(t, name)[keep] for t in of_band]) for name in ("position", "score", "trusted")
    ]
    return chips, *join, hidden
