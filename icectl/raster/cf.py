"""NetCDF and Zarr with CF georeference: their variables as the bands of a raster.

GDAL reads some of these files, and gets rows or CRS wrong in others; xarray decodes scale, offset, fill and
time, and odc-geo the grid mapping and the coordinates.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from icectl.errors import DataError, brief

MAX_BANDS = 2000
"""Variables times time steps that are taken for the bands of one raster."""


KILOMETRES = {"km", "kilometer", "kilometers", "kilometre", "kilometres"}

UNEVEN = 0.25
"""Share of a step by which a coordinate may be off an even axis: some are stored with few digits."""


def open_cube(path: Path, times: bool = True) -> Any:
    """Open a NetCDF file or a Zarr store as an `xarray.Dataset`, decoded by its CF attributes.

    `times` says whether dates are decoded too.

    Raises
    ------
    DataError
        It cannot be read.
    """
    import odc.geo.xr  # noqa: F401, gives xarray objects their accessor .odc
    import xarray as xr

    try:
        if path.suffix.lower() == ".zarr":
            return _with_crs(
                xr.open_zarr(path, chunks=None, consolidated=False, decode_times=times, decode_coords="all")
            )
        with path.open("rb") as file:
            engine: Any = "scipy" if file.read(3) == b"CDF" else "h5netcdf"  # the classic format, or HDF5
        return _with_crs(xr.open_dataset(path, engine=engine, decode_times=times, decode_coords="all"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        said = brief(error)
        hint = "it may be cut short or damaged, or no NetCDF: get it again, or move it elsewhere"
        if "calendar" in said or "time" in said:
            hint = "its times are in a calendar that is not read: convert them to the standard one"
        raise DataError(f"{path} cannot be read by its CF conventions: {said}", hint) from error


def _with_crs(data: Any) -> Any:
    """Return a data set with the one CRS that it states in CF's parameters or in text, as OGGM and salem do.

    What stands in ``crs_wkt`` or ``spatial_ref``, nothing too, goes before it, and `odc` reads it.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if any({"crs_wkt", "spatial_ref"} & one.attrs.keys() for one in data.variables.values()):
        return data
    said = [data.attrs[name] for name in ("pyproj_srs", "proj_srs") if name in data.attrs][:1]
    said += [one.attrs for one in data.variables.values() if "grid_mapping_name" in one.attrs]
    try:
        found = [CRS.from_cf(one) if isinstance(one, dict) else CRS.from_user_input(one) for one in said]
    except (CRSError, KeyError):
        return data
    return data.odc.assign_crs(found[0].to_wkt()) if found and all(one == found[0] for one in found) else data


def layers(data: Any, path: Path) -> Iterator[tuple[str, Any, Any]]:
    """Yield every map of a cube: the variable's name, its time (or None), and its values ``(y, x)``.

    DataError: no variable has two axes on the ground, or one has an axis that is neither time nor space.
    """
    found = False
    for name, values in data.data_vars.items():
        space = values.odc.spatial_dims if values.ndim >= 2 else None
        if space is None or not (np.issubdtype(values.dtype, np.number) or values.dtype == bool):
            continue
        values = values.astype(np.uint8) if values.dtype == bool else _in_range(values)
        rest = [axis for axis in values.dims if axis not in space]
        single = [axis for axis in rest if values.sizes[axis] == 1 and not _is_time(values, axis)]
        values = values.squeeze(single, drop=True).transpose(..., *space)
        values = _dated(values)
        times = [axis for axis in values.dims[:-2] if _is_time(values, axis)]
        if len(times) != values.ndim - 2 or len(times) > 1:
            axes = ", ".join(map(str, values.dims))
            raise DataError(
                f"{path}: variable '{name}' has the axes {axes}",
                "keep time, y and x only, with times as CF writes them, e.g. 'days since 2019-01-01'",
            )
        found = True
        if not times:
            yield str(name), None, values
        for step in range(values.sizes[times[0]] if times else 0):
            one = values.isel({times[0]: step})
            yield str(name), one[times[0]].values, one
    if not found:
        raise DataError(f"{path} holds no variable with axes y and x", "its coordinates need CF attributes")


def _in_range(values: Any) -> Any:
    """Return floats with NaN beyond the valid range, of stored numbers where it has a packed variable's type.

    CF 2.5.1; the NetCDF user guide says of which numbers a range is.
    """
    about, packing = values.attrs, values.encoding
    given = {
        name: np.asarray(about[name]) for name in ("valid_range", "valid_min", "valid_max") if name in about
    }
    if values.dtype.kind != "f" or any(one.dtype.kind not in "iuf" for one in given.values()):
        return values
    whole = all(one.dtype.kind in "iu" for one in given.values())
    packed = whole and np.dtype(packing.get("dtype", values.dtype)).kind in "iu"
    ends = (("valid_min", -np.inf), ("valid_max", np.inf))
    each = np.array([np.ravel(given.get(name, end))[0] for name, end in ends])
    said = np.asarray(given.get("valid_range", each), np.float64)
    if not given or said.shape != (2,) or (packed and "_Unsigned" in about | packing):
        return values
    if packed:
        said = said * packing.get("scale_factor", 1.0) + packing.get("add_offset", 0.0)
    return values.where((values >= said.min()) & (values <= said.max()))


def _dated(values: Any) -> Any:
    """Read days written as 20220701 or 2022-07-01 along the axis ``time`` as dates."""
    if "time" not in values.dims or "time" not in values.coords or _is_time(values, "time"):
        return values
    texts = [str(one).removesuffix(".0") for one in values["time"].values]
    if not all(re.fullmatch(r"(?:19|20)\d\d-?\d\d-?\d\d(?:[T ][\d:.]+)?", text) for text in texts):
        return values
    days = [text if "-" in text else f"{text[:4]}-{text[4:6]}-{text[6:]}" for text in texts]
    try:
        return values.assign_coords(time=np.array(days, "datetime64[ns]"))
    except ValueError:  # a month of 13, a day of 32
        return values


def _is_time(values: Any, axis: Any) -> bool:
    if axis not in values.coords:
        return False
    dates = values[axis]
    return bool(np.issubdtype(dates.dtype, np.datetime64) or hasattr(dates.values.flat[0], "isoformat"))


def stamp(time: Any) -> str:
    """Return a moment of any calendar as ``2022-07-01T00:00:00``; nothing for None."""
    if time is None:
        return ""
    one = np.asarray(time)
    return str(one.item().isoformat() if one.dtype == object else np.datetime_as_string(one, unit="s"))


def grid_of_cube(values: Any, path: Path) -> GeoBox:
    """Return the grid of a variable by its coordinates and grid mapping, in the file's order of rows."""
    grid = values.odc.geobox
    if grid is not None and grid.crs is None and _in_degrees(values):
        grid = values.odc.assign_crs("EPSG:4326").odc.geobox
    if grid is None or grid.crs is None:
        raise DataError(
            f"{path} states no CRS that is understood",
            "it needs a CF grid mapping (crs_wkt), or the units degrees_north and degrees_east on its axes",
        )
    for axis in values.dims[-2:]:
        at = values[axis].values.astype(float) if axis in values.coords else np.arange(2.0)
        even = np.linspace(at[0], at[-1], len(at))
        if np.abs(at - even).max() > UNEVEN * abs(even[-1] - even[0]) / max(1, len(at) - 1):
            raise DataError(
                f"{path}: the coordinates of its axis '{axis}' are not evenly spaced",
                "put it on a regular grid first, e.g. with interp of xarray",
            )
    units = {values[axis].attrs.get("units") for axis in values.dims[-2:] if axis in values.coords}
    if units and units <= KILOMETRES and grid.crs.units[0] in ("metre", "meter", "m"):
        return GeoBox(grid.shape, Affine(*(round(1000 * v, 6) for v in grid.affine[:6])), grid.crs)
    return grid


def _in_degrees(values: Any) -> bool:
    """Tell whether the axes are longitude and latitude, which need no grid mapping in CF."""
    units = [
        str(values[axis].attrs.get("units", "")).lower() for axis in values.dims[-2:] if axis in values.coords
    ]
    plain = [re.sub(r"^degrees?[_ ]?(n|e)(?:orth|ast)?$", r"\1", unit) for unit in units]  # CF: degreesN …
    return plain == ["n", "e"]


def as_raster(path: Path) -> Any:
    """Return an open rasterio dataset in memory whose bands are the cube's maps, called by variable and time.

    DataError: its variables lie on several grids, or there are more than `MAX_BANDS`.
    """
    data = open_cube(path)
    maps = list(layers(data, path))
    grids = {grid_of_cube(values, path) for _, _, values in maps[:1]}
    if len(maps) > MAX_BANDS or len({values.shape for _, _, values in maps}) > 1:
        raise DataError(
            f"{path} holds {len(maps)} maps of several sizes", "write what is meant to a file of its own"
        )
    grid = grids.pop()
    rows, columns = grid.shape
    memory = MemoryFile()
    with memory.open(
        driver="GTiff", height=rows, width=columns, count=len(maps), dtype="float32", crs=grid.crs.to_wkt(),
        transform=grid.affine, nodata=float("nan"),
    ) as made:  # fmt: skip
        for number, (_, _, values) in enumerate(maps, 1):
            made.write(values.values.astype(np.float32), number)
        made.descriptions = tuple(f"{name} {stamp(time)}".strip() for name, time, _ in maps)
        made.units = tuple(str(values.attrs.get("units", "")) for _, _, values in maps)
    data.close()
    source = memory.open()
    source._memory = memory  # lives as long as the dataset
    return source
