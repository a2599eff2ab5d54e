"""A GeoTIFF stack of forecasts as a CF-named Zarr store, copied strip by strip."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from icectl.raster import Window, read
from icectl.raster.grid import grid_of
from icectl.tasks.snow.dataset import add_axes

_STRIP = 256


def write_cf(stack: Path, path: Path, times: Sequence[date], model: str) -> Path:
    """Write the bands of `stack`, one a day of `times`, to the Zarr store `path` as ``snow(time, y, x)``.

    The store appears whole or not at all; an older one is replaced.
    """
    import zarr

    grid = grid_of(stack)
    rows, cols = (int(n) for n in grid.shape)
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent)) / path.name
    try:
        group = zarr.create_group(made)
        group.attrs.update(
            {"Conventions": "CF-1.8", "title": f"Forecast snow masks ({model})", "source": "icectl"}
        )
        snow = group.create_array(
            "snow",
            shape=(len(times), rows, cols),
            chunks=(1, min(_STRIP, rows), cols),
            dtype="float32",
            fill_value=float("nan"),
            dimension_names=("time", "y", "x"),
        )
        snow.attrs.update(
            {"long_name": "NDSI of snow, forecast", "units": "1", "grid_mapping": "spatial_ref"}
        )
        add_axes(group, grid, times)
        for top in range(0, rows, _STRIP):
            strip = read(stack, Window(top, 0, min(_STRIP, rows - top), cols), band=None)
            snow[:, top : top + strip.shape[1]] = np.ma.filled(strip, np.nan)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(made, path)
    finally:
        shutil.rmtree(made.parent, ignore_errors=True)
    return path
