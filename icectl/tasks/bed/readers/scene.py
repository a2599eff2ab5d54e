"""One glacier as it is predicted: its surroundings, its ice, its neighbours, velocity and mass balance."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from icectl.arrays import F64, Bools
from icectl.errors import DataError
from icectl.raster import Grid, Info, rasterize, read_quantity
from icectl.raster.regions import region_at
from icectl.tasks.bed.options import PredictOptions
from icectl.tasks.bed.readers.dem import Dem
from icectl.tasks.bed.readers.outlines import region_of
from icectl.tasks.bed.readers.terrain import Terrain, check_slopes
from icectl.tasks.bed.thickness.solve import Scene


@dataclass(frozen=True, slots=True)
class Place:
    """A glacier's outline and its neighbours', as WKB in `crs`."""

    name: str
    shape: bytes
    neighbours: tuple[bytes, ...]
    crs: str


def scene_of(place: Place, dem: Dem, options: PredictOptions) -> tuple[Scene, Terrain, list[str]]:
    """Read the surroundings of a glacier, burn in its outline and its neighbours', and say what is odd.

    DataError: the outline lies off the elevation model, crosses its border, is too small, or covers voids.
    """
    shape = shapely.from_wkb(place.shape)
    centre = gpd.GeoSeries([shape], crs=place.crs)
    extent = _metres(centre)
    terrain = dem.around(shape.bounds, place.crs, max(1500.0, 0.75 * extent))
    check_slopes(terrain.heights, terrain.resolution, terrain.name)
    crs = terrain.grid.crs.to_wkt()
    own = shapely.make_valid(centre.to_crs(crs).iloc[0])
    frame = shapely.from_wkt(terrain.grid.extent.wkt)
    if not frame.contains(own):
        words = "crosses the border of" if frame.intersects(own) else "lies outside"
        raise DataError(f"the outline of {place.name} {words} {dem.name}", "give a larger elevation model")
    ice = _burn([own], terrain)
    area = ice.sum() * terrain.resolution**2 / 1e6
    if area < options.smallest or ice.sum() < 4:
        raise DataError(
            f"{place.name} covers {area:.3f} km² on the elevation model, too little", "lower --smallest"
        )
    missing = float((~np.isfinite(terrain.heights[ice])).mean())
    if missing > 0.2:
        raise DataError(
            f"{100 * missing:.0f} % of {place.name} is a void of {dem.name}", "give another elevation model"
        )
    around = gpd.GeoSeries(shapely.from_wkb(list(place.neighbours)), crs=place.crs).to_crs(crs)
    everything = ice | _burn([s for s in shapely.make_valid(around.to_numpy()) if not s.is_empty], terrain)
    speed, balance = _fields(options, terrain)
    notes = list(terrain.notes)
    if not (~everything).any():
        notes.append(f"{place.name}: no margin lies on the elevation model: distances to it are too short")
    region = region_of(place.name)
    if not region:
        middle = centre.centroid.to_crs("EPSG:4326").iloc[0]
        region = region_at(middle.x, middle.y)
    return (
        Scene(
            terrain.heights.astype(np.float64), ice, everything, terrain.resolution, speed, balance,
            region,
        ),
        terrain, notes,
    )  # fmt: skip


def _speed(paths: Sequence[Path], grid: Grid) -> F64:
    """Read a speed, or the components of a velocity from two files or one, on a grid.

    DataError: a file alone holds one component.
    """
    bands: list[tuple[Path, int | None]] = [(path, None) for path in paths]
    if len(paths) == 1:
        words = [re.split(r"[^a-z]", str(text or "").lower())[0] for text in Info(paths[0]).descriptions]
        if {"vx", "vy"} <= set(words) and not set(words) & {"v", "velocity", "speed"}:
            bands = [(paths[0], words.index(name) + 1) for name in ("vx", "vy")]
    read = [
        read_quantity(path, "velocity", band=band, grid=grid).values.astype(np.float64)
        for path, band in bands
    ]
    if len(read) > 1:
        return np.hypot(read[0], read[1])
    if re.search(r"(?<![a-z])v[xy](?![a-z])", paths[0].stem.lower()) or bool((read[0] < -1).any()):
        raise DataError(
            f"{paths[0]} holds one component of a velocity, and no speed",
            "name both: --velocity vx.tif --velocity vy.tif",
        )
    return np.abs(read[0])


def _metres(shape: Any) -> float:
    crs = shape.estimate_utm_crs() if shape.crs.is_geographic else shape.crs
    left, bottom, right, top = shape.to_crs(crs).total_bounds
    return float(max(right - left, top - bottom))


def _burn(shapes: list[Any], terrain: Terrain) -> Bools:
    if not shapes:
        return np.zeros(terrain.heights.shape, dtype=bool)
    return np.asarray(rasterize(shapes, terrain.grid), dtype=bool)


def _fields(options: PredictOptions, terrain: Terrain) -> tuple[F64 | None, F64 | None]:
    """Read speed and mass balance (m/a) on the terrain's grid; NaN where a file has nothing."""
    speed = None if not options.velocity else _speed(options.velocity, terrain.grid)
    balance = None
    if options.mass_balance is not None:
        balance = read_quantity(options.mass_balance, "mass balance", grid=terrain.grid).values.astype(
            np.float64
        )
    return (
        None if speed is None or not np.isfinite(speed).any() else speed,
        None if balance is None or not np.isfinite(balance).any() else balance,
    )
