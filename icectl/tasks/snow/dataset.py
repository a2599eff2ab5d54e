"""The cube: one Zarr store of snow masks, ``time × y × x``, with CF names and the CRS.

``snow`` is stored uncompressed, in chunks of ten rows over all times, since training reads strips of rows
over all times again and again; ``flags`` (where a value comes from) are compressed. Windows are views of
the cube; nothing is copied into patch files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from icectl.arrays import F32, U8, Bools
from icectl.errors import DataError
from icectl.imagery.composite import Flag
from icectl.raster import Grid, ground_metres
from icectl.raster.chunks import expect_chunks, layout, reading
from icectl.tasks.snow.masks.terrain import static

STORE, DEM = "dataset.zarr", "dem.tif"
"""Names of the cube, and of an elevation model that `fetch` leaves."""

CHUNK_ROWS = 10
_EPOCH = date(1970, 1, 1)
_FLAGS = {
    "long_name": "where the value comes from",
    "flag_values": [0, 1, 2, 4],
    "flag_meanings": "missing observed filled interpolated",
}


@dataclass(frozen=True)
class Cube:
    """A stored series of snow masks, read lazily.

    `path`: the Zarr store; `times`: first day of each frame; `grid`: CRS, transform and shape.
    """

    path: Path
    times: tuple[date, ...]
    grid: Grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, rows, columns."""
        return (len(self.times), int(self.grid.shape[0]), int(self.grid.shape[1]))

    @cached_property
    def _group(self) -> Any:
        import zarr

        return zarr.open_group(self.path, mode="r")

    def read(self, rows: slice, frames: slice = slice(None), cols: slice = slice(None)) -> F32:
        """Return masks (frames, rows, columns); NaN where there is no value."""
        with reading(self.path):
            return np.asarray(self._group["snow"][frames, rows, cols], dtype=np.float32)

    def flags(self, rows: slice, frames: slice = slice(None), cols: slice = slice(None)) -> U8:
        """Return `icectl.imagery.composite.Flag` values (frames, rows, columns)."""
        with reading(self.path):
            return np.asarray(self._group["flags"][frames, rows, cols])

    @cached_property
    def has_height(self) -> bool:
        """Whether `prepare` was given an elevation model."""
        return "height" in self._group

    def height(self) -> F32:
        """Return heights (rows, columns) in metres, without gaps; only if `has_height`."""
        with reading(self.path):
            return np.asarray(self._group["height"][...], dtype=np.float32)

    @cached_property
    def complete(self) -> bool:
        """Whether every pixel of every frame was observed."""
        return bool(self._group.attrs["complete"])

    @property
    def facts(self) -> dict[str, Any]:
        """What `prepare` found out: cadence, gaps, alignment."""
        return dict(self._group.attrs["facts"])

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two cubes the same place and the same frames: plain JSON."""
        return {
            "crs": str(self.grid.crs),
            "transform": [float(x) for x in list(self.grid.affine)[:6]],
            "shape": list(self.shape[1:]),
            "times": [day.isoformat() for day in self.times],
        }


def ground(cube: Cube) -> F32:
    """Return what networks are given of the ground, (6, rows, columns); see `terrain.static`.

    DataError: the cube was prepared without an elevation model.
    """
    if not cube.has_height:
        raise DataError(
            "the guide 'terrain' needs heights, and the dataset has none",
            "give --dem FILE to `icectl prepare`",
        )
    box = cube.grid.geographic_extent.boundingbox
    return static(cube.height(), ground_metres(cube.grid), (box.bottom + box.top) / 2)


def countable(flags: U8, count_filled: bool) -> Bools:
    """Return which pixels count in a loss or a score: observed ones, or all that have a value."""
    return flags > 0 if count_filled else flags == Flag.OBSERVED


class CubeWriter:
    """Writes a cube strip by strip.

    `path`: the store to make; `times`: first day of each frame, in order; `grid`: CRS, transform and shape;
    `facts`: plain JSON to keep with the cube.
    """

    def __init__(self, path: Path, times: Sequence[date], grid: Grid, facts: dict[str, Any]) -> None:
        self.facts, self.complete = facts, True
        chunks = (len(times), min(CHUNK_ROWS, int(grid.shape[0])), int(grid.shape[1]))
        self._store = new_store(path, "Snow masks (NDSI at or above a threshold)", times, grid)
        self._snow = add_series(
            self._store, "snow", {"long_name": "NDSI of snow, 0 where below the threshold", "units": "1"},
            dtype="float32", fill_value=float("nan"), chunks=chunks, compressed=False,
        )  # fmt: skip
        self._flags = add_series(self._store, "flags", _FLAGS, dtype="uint8", fill_value=0, chunks=chunks)

    def write(self, rows: slice, snow: F32, flags: U8) -> None:
        """Write a strip: `snow` (frames, rows, columns) with NaN where missing, and its `flags`.

        Strips that begin at multiples of ten rows are written fastest.
        """
        self._snow[:, rows] = snow
        self._flags[:, rows] = flags
        self.complete &= bool((flags == Flag.OBSERVED).all())

    def write_height(self, height: F32) -> None:
        """Write heights (rows, columns) in metres."""
        about = {"standard_name": "height", "units": "m", "grid_mapping": "spatial_ref"}
        self._store.create_array(
            "height", data=height, dimension_names=("y", "x"), attributes=about, **layout()
        )

    def close(self) -> None:
        """Record what was found out; without it the store is refused."""
        self._store.update_attributes({"facts": self.facts, "complete": self.complete})


_AXES = {"latitude": "y", "longitude": "x"}
"""What axes in degrees are called in a store: as those in metres; their attributes say what they are."""


def new_store(path: Path, title: str, times: Sequence[date], grid: Grid) -> Any:
    """Make a Zarr group with ``time``, ``y``, ``x`` and ``spatial_ref``, named as CF and GDAL want them.

    A store that an earlier run of the stage left at `path`, in the stage's own folder, is replaced.
    """
    import zarr
    from odc.geo.xr import xr_coords

    about = {"Conventions": "CF-1.8", "title": title, "source": "icectl"}
    group = zarr.create_group(path, overwrite=True, attributes=about)
    days = np.array([(day - _EPOCH).days for day in times], dtype=np.int32)
    calendar = {"standard_name": "time", "units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
    axes: dict[str, tuple[Any, tuple[str, ...], dict[str, Any]]] = {"time": (days, ("time",), calendar)}
    for name, values in xr_coords(grid).items():
        known = {"standard_name": f"projection_{name}_coordinate"} if name in ("x", "y") else {}
        axes[_AXES.get(str(name), str(name))] = (
            np.asarray(values.values),
            tuple(_AXES.get(str(dim), str(dim)) for dim in values.dims),
            {**values.attrs, **known},
        )
    for name, (numbers, dims, attributes) in axes.items():
        about = {
            k: v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in attributes.items()
        }
        group.create_array(name, data=numbers, dimension_names=dims, attributes=about, **layout())
    return group


def add_series(
    group: Any, name: str, attributes: Mapping[str, Any], compressed: bool = True, **given: Any
) -> Any:
    """Add an array (time, y, x) to a store of `new_store`; what is `given` goes to Zarr."""
    shape = tuple(group[axis].shape[0] for axis in ("time", "y", "x"))
    about = {**attributes, "grid_mapping": "spatial_ref"}
    return group.create_array(
        name, shape=shape, dimension_names=("time", "y", "x"), attributes=about, **layout(compressed), **given
    )


def open_dataset(folder: Path) -> Cube:
    """Open the cube that `prepare` left in `folder`.

    DataError: if it is missing, unfinished, or damaged.
    """
    import zarr

    path = folder / STORE
    expect_chunks(path)
    try:
        group = zarr.open_group(path, mode="r")
        days = [int(day) for day in group["time"][...]]
        reference = dict(group["spatial_ref"].attrs)
        step = [float(part) for part in str(reference["GeoTransform"]).split()]
        shape = group["snow"].shape[1:]
        grid = GeoBox(shape, Affine.from_gdal(*step), reference["crs_wkt"])
        if "complete" not in group.attrs:
            raise KeyError("complete")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} is no finished cube of snow masks: {error}", "run `icectl prepare --force`"
        ) from error
    times = tuple(date.fromordinal(_EPOCH.toordinal() + day) for day in days)
    return Cube(path, times, grid)
