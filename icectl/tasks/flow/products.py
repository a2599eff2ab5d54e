"""Velocity as files with ITS_LIVE's names: NetCDF and Zarr after CF 1.8, and cloud-optimised GeoTIFFs.

``velocity.nc`` is the combination of all pairs; ``velocity_pairs.nc`` and ``.zarr`` hold what each pair says
on ``mid_date``, so that files of several runs stack along it; ``velocity_months.nc`` is a series by month
where the dates allow one, and ``velocity_months.csv`` its speeds over the cells that all months know.
"""

import csv
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from icectl.arrays import F64
from icectl.raster import Grid, ground_steps, write_cog
from icectl.raster.cf_write import cf_dataset, cf_layer, save_netcdf, save_zarr
from icectl.run import Run
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.velocity.averaging import Months, by_month, speed_by_month
from icectl.tasks.flow.velocity.confirm import speed_bias
from icectl.tasks.flow.velocity.measure import Velocity

MONTHS, SIDE = "velocity_months.csv", "pixel_size_m"
FILL = np.float32(-32767)
"""ITS_LIVE's fill value."""


_LONG = {
    "v": "speed of the ice surface",
    "vx": "velocity component in x direction",
    "vy": "velocity component in y direction",
    "v_error": "standard error of the speed",
    "vx_error": "standard error of the component in x direction",
    "vy_error": "standard error of the component in y direction",
    "v_bias": "expected excess of the speed, since noise of both components adds to it",
}
_STANDARD = {"vx": "land_ice_surface_x_velocity", "vy": "land_ice_surface_y_velocity"}


def velocity_grid(sequences: Sequences, found: Velocity, options: PredictOptions) -> Grid:
    """Return the grid whose pixels are centred on the chips that were matched."""
    offset = found.corner + 0.5 - options.spacing / 2
    base: Affine = sequences.grid.transform
    transform = base * Affine.translation(offset, offset) * Affine.scale(options.spacing)
    rows, cols = found.vx.shape
    return Grid((rows, cols), transform, sequences.grid.crs)


def write(run: Run, found: Velocity, sequences: Sequences, options: PredictOptions) -> list[Path]:
    """Write the velocity files into ``run.out``; GeoTIFFs carry the tags of the NetCDF."""
    grid = velocity_grid(sequences, found, options)
    unit = "meter/year" if sequences.data.attrs["units"] == "m" else "pixel/year"
    layers = layers_of(found.vx, found.vy, found.error)
    dates = sequences.data["time"].values
    said = {
        "source": f"icectl {version('icectl')}",
        "date_first": str(dates[0])[:10],
        "date_last": str(dates[-1])[:10],
        "pairs": str(len(found.pairs)),
    }
    if grid.crs is None and unit == "meter/year":
        said[SIDE] = f"{grid.affine.a:g}"
    paths = []
    for name in ("vx", "vy", "v", "v_error"):
        paths.append(run.out / f"{name}.tif")
        tags = {"units": unit, "long_name": _LONG[name], "year_in_days": "365", **said}
        write_cog(paths[-1], layers[name].astype(np.float32), grid, tags=tags, descriptions=[name])
    whole = _combined(layers, found, sequences, grid, unit)
    paths.append(save_netcdf(whole, run.out / "velocity.nc", _packing(whole)))
    if found.pairs:
        each = _pairs(found, sequences, grid, unit)
        paths.append(save_netcdf(each, run.out / "velocity_pairs.nc", _packing(each)))
        fills = {name: {"_FillValue": FILL} for name in each.data_vars if each[name].ndim == 3}
        paths.append(save_zarr(each, run.out / "velocity_pairs.zarr", fills))
    series = by_month(found.layers, found.layer_errors, found.pairs, dates)
    if len(series.months) > 1:
        months = _months(series, grid, unit)
        paths.append(save_netcdf(months, run.out / "velocity_months.nc", _packing(months)))
        if rows := speed_by_month(series):
            paths.append(run.out / MONTHS)
            with paths[-1].open("w", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, rows[0])
                table.writeheader()
                table.writerows(rows)
    return paths


def layers_of(vx: F64, vy: F64, error: F64) -> dict[str, F64]:
    """Return ITS_LIVE's six variables of a velocity with equal errors in both components, and the bias."""
    v = np.hypot(vx, vy)
    error = np.where(np.isfinite(v), error, np.nan)
    errors = dict.fromkeys(("v_error", "vx_error", "vy_error"), error)
    return {"v": v, "vx": vx, "vy": vy, **errors, "v_bias": speed_bias(v, error)}


def _time(step: str) -> dict[str, Any]:
    """Return how times are stored: CF 1.8 knows no integers of 64 bits."""
    return {
        "units": f"{step} since 1970-01-01", "calendar": "standard", "dtype": "float64", "_FillValue": None,
    }  # fmt: skip


def _packing(data: Any) -> dict[str, dict[str, Any]]:
    wide = [n for n in data.data_vars if data[n].dtype == np.float32 and data[n].ndim >= 2]
    return {name: {"zlib": True, "_FillValue": FILL} for name in wide}


def _start(grid: Grid, title: str) -> Any:
    return cf_dataset(
        grid,
        title,
        references="Min, Mukkavilli, Bengio 2019, arXiv:1910.08922; names of variables as in ITS_LIVE",
        comment="a year has 365 days; y points up; normalised cross-correlation of image chips",
        scene_pair_type="optical",
        motion_detection_method="feature",
        motion_coordinates="map",
    )


def _variables(data: Any, layers: dict[str, F64], dims: tuple[str, ...], grid: Grid, unit: str) -> None:
    """Add layers; what counts pixels has a unit that UDUNITS knows, and none of the names for lengths."""
    plain = unit == "pixel/year"
    for name, layer in layers.items():
        standard = {"standard_name": _STANDARD[name]} if name in _STANDARD and not plain else {}
        words = f"{_LONG[name]}, in pixels of the images" if plain else _LONG[name]
        attributes = cf_layer(grid, "year-1" if plain else unit, words, **standard)
        data[name] = (dims, layer.astype(np.float32), attributes)


def _combined(layers: dict[str, F64], found: Velocity, sequences: Sequences, grid: Grid, unit: str) -> Any:
    data = _start(grid, "Ice velocity, combined from pairs of images")
    _variables(data, layers, ("y", "x"), grid, unit)
    named = cf_layer(grid, "1", "pairs of frames that contributed")
    data["count"] = (("y", "x"), found.count.astype(np.int16), named)
    pixel = sequences.grid.affine
    steps = (abs(pixel.a), abs(pixel.e)) if grid.crs is None else ground_steps(sequences.grid)
    length = "m" if unit.startswith("meter") else "1"
    for what, step in zip(("width", "height"), steps, strict=True):
        sides = (found.chip * float(step)).astype(np.float32)
        described = cf_layer(grid, length, f"{what} of the chips matched")
        data[f"chip_size_{what}"] = (("y", "x"), sides, described)
    times = sequences.data["time"].values
    stable = "unknown" if found.stable is None else json.dumps([round(v, 4) for v in found.stable])
    info = {
        "long_name": "pairs of images",
        "pairs": json.dumps([[str(times[i])[:10], str(times[j])[:10]] for i, j in found.pairs]),
        "number_of_pairs": len(found.pairs),
        "stable_ground_offset_removed_pixels_down_right": stable,
        "cells_masked": found.masked,
        "year_in_days": 365,
    }
    data["img_pair_info"] = ((), np.int8(0), info)
    return data


def _pairs(found: Velocity, sequences: Sequences, grid: Grid, unit: str) -> Any:
    """Return what each pair says, sorted by the middle of its dates."""
    times = sequences.data["time"].values.astype("datetime64[ns]")
    first, second = (times[[pair[k] for pair in found.pairs]] for k in (0, 1))
    middle = first + (second - first) / 2
    order = np.lexsort((second, middle))
    data = _start(grid, "Ice velocity of pairs of images")
    spans = ((second - first) / np.timedelta64(1, "D")).astype(np.float64)
    named = {"standard_name": "time", "long_name": "middle of the two dates", "axis": "T"}
    data = data.assign_coords(mid_date=("mid_date", middle[order], named))
    said = {"long_name": "days between the two dates", "units": "days"}
    data["date_dt"] = ("mid_date", spans[order], said)
    for number, dates in ((1, first), (2, second)):
        name = f"acquisition_date_img{number}"
        data[name] = ("mid_date", dates[order], {"long_name": f"date of image {number}"})
    for name in ("mid_date", "acquisition_date_img1", "acquisition_date_img2"):
        data[name].encoding = _time("seconds")
    layers = layers_of(found.layers[..., 0], found.layers[..., 1], found.layer_errors)
    _variables(data, {n: v[order] for n, v in layers.items()}, ("mid_date", "y", "x"), grid, unit)
    return data


def _months(series: Months, grid: Grid, unit: str) -> Any:
    data = _start(grid, "Ice velocity by month")
    named = {"standard_name": "time", "long_name": "first day of the month", "axis": "T"}
    data = data.assign_coords(time=("time", series.months.astype("datetime64[ns]"), named))
    data["time"].encoding = _time("days")
    layers = layers_of(series.vx, series.vy, series.error)
    _variables(data, layers, ("time", "y", "x"), grid, unit)
    said = {"long_name": "pairs whose middle lies in the month", "units": "1"}
    data["pairs"] = ("time", series.count.astype(np.int32), said)
    return data
