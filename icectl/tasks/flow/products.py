"""Velocity as files: NetCDF after CF-1.8 and ITS_LIVE's names, and cloud-optimised GeoTIFFs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray

from icectl.raster import Grid, ground_steps, write_cog
from icectl.raster.files import replacing
from icectl.run import Run
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.velocity.measure import Velocity

FILL = -32767.0
"""ITS_LIVE's fill value."""

_NAMES = {
    "vx": ("land_ice_surface_x_velocity", "velocity component in x direction"),
    "vy": ("land_ice_surface_y_velocity", "velocity component in y direction"),
    "v": ("land_ice_surface_velocity", "velocity magnitude"),
}


def velocity_grid(sequences: Sequences, found: Velocity, options: PredictOptions) -> Grid:
    """Return the grid whose pixels are centred on the chips that were matched."""
    offset = found.corner + 0.5 - options.spacing / 2
    base: Affine = sequences.grid.transform
    transform = base * Affine.translation(offset, offset) * Affine.scale(options.spacing)
    rows, cols = found.vx.shape
    return Grid((rows, cols), transform, sequences.grid.crs)


def write(run: Run, found: Velocity, sequences: Sequences, options: PredictOptions) -> list[Path]:
    """Write ``velocity.nc`` and the COGs ``vx``, ``vy``, ``v`` and ``v_error``."""
    folder, grid = run.out, velocity_grid(sequences, found, options)
    metres = sequences.data.attrs["units"] == "m"
    layers = {"vx": found.vx, "vy": found.vy, "v": np.hypot(found.vx, found.vy), "v_error": found.error}
    unit = "meter/year" if metres else "pixel/year"
    for name, layer in layers.items():
        write_cog(
            folder / f"{name}.tif", layer.astype(np.float32), grid, tags={"units": unit}, descriptions=[name]
        )
    data = _dataset(layers, found, sequences, grid, unit)
    packing = {name: {"zlib": True, "_FillValue": np.float32(FILL)} for name in layers}
    plain = {"x": {"_FillValue": None}, "y": {"_FillValue": None}}
    with replacing(folder / "velocity.nc") as made:
        data.to_netcdf(made, engine="h5netcdf", encoding={**packing, **plain})
    return [folder / "velocity.nc", *(folder / f"{name}.tif" for name in layers)]


def _dataset(
    layers: dict[str, NDArray[np.float64]],
    found: Velocity,
    sequences: Sequences,
    grid: Grid,
    unit: str,
) -> xr.Dataset:
    rows, cols = grid.shape
    x: Affine = grid.transform
    xs = [x * (i + 0.5, 0.5) for i in range(cols)]
    ys = [x * (0.5, i + 0.5) for i in range(rows)]
    data = xr.Dataset(coords={"x": ("x", [p[0] for p in xs]), "y": ("y", [p[1] for p in ys])})
    length = "m" if unit.startswith("meter") else "pixel"
    for axis in ("x", "y"):
        data[axis].attrs = {
            "standard_name": f"projection_{axis}_coordinate",
            "long_name": f"{axis} coordinate of projection",
            "units": "degrees" if grid.crs is not None and grid.crs.geographic else length,
            "axis": axis.upper(),
        }
    for name, layer in layers.items():
        data[name] = (("y", "x"), layer.astype(np.float32), _attributes(name, unit))
    data["count"] = (
        ("y", "x"),
        found.count.astype(np.int16),
        {"long_name": "pairs of frames that contributed", "grid_mapping": "mapping"},
    )
    pixel = sequences.grid.transform
    steps = (abs(pixel.a), abs(pixel.e)) if grid.crs is None else ground_steps(sequences.grid)
    for what, step in zip(("width", "height"), steps, strict=True):
        name, sides = f"chip_size_{what}", (found.chip * float(step)).astype(np.float32)
        described = {"long_name": f"{what} of the chips matched", "units": length, "grid_mapping": "mapping"}
        data[name] = (("y", "x"), sides, described)
    data["mapping"] = ((), np.int8(0), _mapping(grid))
    data["img_pair_info"] = ((), np.int8(0), _pairs(found, sequences))
    data.attrs = {
        "Conventions": "CF-1.8",
        "title": "Ice velocity from normalised cross-correlation of image chips",
        "source": "icectl",
        "motion_detection_method": "feature",
        "motion_coordinates": "map",
        "scene_pair_type": "optical",
        "outlier_filter": "normalised displacement coherence and median deviation in 5×5 cells",
        "date_created": f"{datetime.now(UTC):%d-%b-%Y %H:%M:%S}",
    }
    return data


def _attributes(name: str, unit: str) -> dict[str, Any]:
    common = {"units": unit, "grid_mapping": "mapping"}
    if name == "v_error":
        return {**common, "long_name": "velocity error: standard error of either component"}
    standard, long = _NAMES[name]
    return {"standard_name": standard, "long_name": long, **common}


def _mapping(grid: Grid) -> dict[str, Any]:
    """Return the grid mapping's attributes; for plain pictures only the transform."""
    transform = " ".join(f"{v:.12g}" for v in grid.transform.to_gdal())
    if grid.crs is None:
        return {"GeoTransform": transform, "comment": "pictures without georeference"}
    from pyproj import CRS

    cf = CRS.from_user_input(str(grid.crs)).to_cf()
    return {**cf, "spatial_ref": cf.get("crs_wkt", ""), "GeoTransform": transform}


def _pairs(found: Velocity, sequences: Sequences) -> dict[str, Any]:
    times = sequences.data["time"].values
    listed = [[str(times[i])[:10], str(times[j])[:10]] for i, j in found.pairs]
    stable = "unknown" if found.stable is None else json.dumps([round(v, 4) for v in found.stable])
    return {
        "pairs": json.dumps(listed),
        "number_of_pairs": len(listed),
        "stable_ground_offset_removed_pixels_down_right": stable,
        "year_in_days": 365,
    }
