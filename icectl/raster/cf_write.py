"""NetCDF and Zarr files that follow CF 1.8: coordinates, grid mapping, history; each file appears whole."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS

from icectl.raster.files import replacing
from icectl.raster.grid import Grid
from icectl.raster.provenance import provenance
from icectl.workspace import adopt, own_folder, replace_folder

MAPPING = "mapping"
"""Name of the variable that holds the grid mapping, as in ITS_LIVE."""


def cf_dataset(grid: Grid, title: str, **attributes: str) -> Any:
    """Return an `xarray.Dataset` with the coordinates of a grid and its mapping, to add variables to.

    `grid`: its pixels' centres become ``x`` and ``y`` (``lon`` and ``lat`` by standard name in degrees).
    Without a CRS they are counted in pixels, and there is no mapping. `title` and `attributes`: attributes
    of the whole; conventions, source with version, and history are added.

    >>> from affine import Affine
    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox((2, 3), Affine(30, 0, 0, 0, -30, 60), "EPSG:32633")
    >>> cf_dataset(grid, "Nothing").x.values.tolist()
    [15.0, 45.0, 75.0]
    """
    import xarray as xr

    rows, cols = grid.shape
    a = grid.affine
    data = xr.Dataset(
        coords={
            "x": ("x", [(a * (i + 0.5, 0.5))[0] for i in range(cols)]),
            "y": ("y", [(a * (0.5, i + 0.5))[1] for i in range(rows)]),
        }
    )
    for axis in ("x", "y"):
        data[axis].attrs = _axis(axis, grid)
        data[axis].encoding = {"_FillValue": None}
    if grid.crs is not None:
        data[MAPPING] = ((), np.int8(0), _mapping(grid))
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    said = " ".join(Path(word).name if number == 0 else word for number, word in enumerate(sys.argv))
    data.attrs = {
        "Conventions": "CF-1.8",
        "title": title,
        "institution": "made by a user of icectl",
        "source": f"icectl {version('icectl')}",
        "software": "icectl",
        "software_version": version("icectl"),
        "history": f"{now} {said}",
        "date_created": now,
        **provenance(),
        **attributes,
    }
    return data


def cf_layer(grid: Grid, units: str, long_name: str, **attributes: Any) -> dict[str, Any]:
    """Return the attributes of a variable on the grid; the mapping is named where there is one."""
    mapped = {} if grid.crs is None else {"grid_mapping": MAPPING}
    return {"units": units, "long_name": long_name, **mapped, **attributes}


def save_netcdf(data: Any, path: Path, encoding: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Write a dataset to `path`, whole or not at all."""
    with replacing(path) as made:
        data.to_netcdf(made, engine="h5netcdf", encoding=dict(encoding or {}))
    return path


def save_zarr(data: Any, path: Path, encoding: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Write a dataset to a Zarr store (format 2, consolidated: every reader of today opens it)."""
    with own_folder(path.parent, tidy=False) as box:
        made = box / "new"
        data.to_zarr(made, mode="w-", zarr_format=2, consolidated=True, encoding=dict(encoding or {}))
        adopt(made)
        replace_folder(made, path, box)
    return path


def _axis(axis: str, grid: Grid) -> dict[str, str]:
    if grid.crs is None:
        return {"long_name": f"{axis} in pixels", "units": "1"}  # CF: an axis X or Y has to lead to longitude
    if grid.crs.geographic:
        name, unit = {"x": ("longitude", "degrees_east"), "y": ("latitude", "degrees_north")}[axis]
        return {"standard_name": name, "long_name": name, "units": unit, "axis": axis.upper()}
    return {
        "standard_name": f"projection_{axis}_coordinate",
        "long_name": f"{axis} coordinate of projection",
        "units": "m",
        "axis": axis.upper(),
    }


def _mapping(grid: Grid) -> dict[str, Any]:
    crs = CRS.from_user_input(str(grid.crs))
    cf = crs.to_cf()
    if crs.to_epsg() == 3857:  # CF has no name for it: Mercator on a sphere is the same on paper
        cf = {**CRS.from_proj4("+proj=merc +a=6378137 +b=6378137 +units=m").to_cf(), "crs_wkt": cf["crs_wkt"]}
    if (
        cf.get("grid_mapping_name") == "polar_stereographic"
    ):  # required, and left out where a parallel is given
        cf["latitude_of_projection_origin"] = 90.0 if cf.get("standard_parallel", 90.0) > 0 else -90.0
    transform = " ".join(f"{v:.12g}" for v in grid.affine.to_gdal())
    return {**cf, "spatial_ref": cf.get("crs_wkt", ""), "GeoTransform": transform}
