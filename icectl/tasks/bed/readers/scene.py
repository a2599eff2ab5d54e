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
from icectl.raster import Grid, ground_lines, rasterize, read_quantity
from icectl.raster.kinds import KINDS
from icectl.raster.regions import region_at
from icectl.raster.velocity import kinds_of_layers, layers_called
from icectl.tasks.bed.options import PredictOptions
from icectl.tasks.bed.readers.dem import Dem, Terrain, check_slopes
from icectl.tasks.bed.readers.outlines import region_of
from icectl.tasks.bed.thickness.solve import Scene

HIGHER = 300.0
"""Metres by which the height of a glacier may differ from its inventory's: more than it thins in decades."""

VOID = 0.005
"""Share of a glacier without a height from which it is said."""


@dataclass(frozen=True, slots=True)
class Place:
    """A glacier's outline and its neighbours', as WKB in `crs`; `height` is its inventory's median (m)."""

    name: str
    shape: bytes
    neighbours: tuple[bytes, ...]
    crs: str
    height: float | None = None


def scene_of(place: Place, dem: Dem, options: PredictOptions) -> tuple[Scene, Terrain, list[str]]:
    """Read the surroundings of a glacier, burn in its outline and its neighbours', and say what is odd.

    DataError: the outline lies off the elevation model, crosses its border, is too small, or covers voids.
    """
    shape = shapely.from_wkb(place.shape)
    ground = ground_lines([shapely.make_valid(shape)], place.crs)[0][0]
    left, bottom, right, top = ground.bounds
    terrain = dem.around(shape.bounds, place.crs, max(1500.0, 0.75 * max(right - left, top - bottom)))
    check_slopes(terrain.heights, terrain.resolution, terrain.name)
    crs = terrain.grid.crs.to_wkt()
    own = shapely.make_valid(gpd.GeoSeries([shape], crs=place.crs).to_crs(crs).iloc[0])
    frame = shapely.from_wkt(terrain.grid.extent.wkt)
    if not frame.contains(own):
        words = "crosses the border of" if frame.intersects(own) else "lies outside"
        raise DataError(f"the outline {words} {dem.name}", "give a larger elevation model")
    ice = _burn([own], terrain)
    area = float(ground.area) / 1e6
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
    notes = list(terrain.notes)
    if missing > VOID:
        notes.append(f"{place.name}: {100 * missing:.0f} % of it is a void of {dem.name} and is interpolated")
    speed, balance = _fields(options, terrain, notes)
    for path, field in ((options.velocity[:1], speed), ((options.mass_balance,), balance)):
        if path and path[0] is not None and (field is None or not np.isfinite(field[ice]).any()):
            notes.append(f"{path[0].name} holds nothing on one glacier or more, computed without it")
    middle = float(np.nanmedian(terrain.heights[ice]))
    if place.height is not None and abs(middle - place.height) > HIGHER:
        feet = 2.8 < middle / place.height < 3.8
        notes.append(
            f"{place.name}: its median height is {middle:.0f} m on {dem.name}, "
            f"{place.height:.0f} m by the outlines: "
            + ("perhaps feet, to be stated (gdal_edit.py -units ft FILE)" if feet else "check both")
        )
    if not (~everything).any():
        notes.append(f"{place.name}: no margin lies on the elevation model: distances to it are too short")
    region = region_of(place.name)
    if not region:
        centroid = gpd.GeoSeries([own.centroid], crs=crs).to_crs("EPSG:4326").iloc[0]
        region = region_at(centroid.x, centroid.y)
    return (
        Scene(
            terrain.heights.astype(np.float64), ice, everything, terrain.resolution, speed, balance,
            region, area,
        ),
        terrain, notes,
    )  # fmt: skip


def _speed(paths: Sequence[Path], grid: Grid, notes: list[str] | None = None) -> F64:
    """Read a speed, or the components of a velocity from two files or one, on a grid; `notes` grows.

    DataError: there is one component alone, or names do not say which layers make the speed.
    """
    found: dict[str, list[tuple[Path, int]]] = {kind: [] for kind in ("", "x", "y", "speed", "other")}
    exact: dict[str, list[tuple[Path, int]]] = {kind: [] for kind in found}
    named = [(path, number, name) for path in paths for number, name in layers_called(path)]
    kinds = kinds_of_layers([name for *_, name in named])
    for (path, number, name), kind in zip(named, kinds, strict=True):
        found[kind].append((path, number))
        if name.lower().partition(" ")[0] in KINDS["velocity"].names:
            exact[kind].append((path, number))
    found |= {kind: those for kind, those in exact.items() if len(those) == 1}
    bands = found["speed"] or [*found["x"], *found["y"]] or found[""]
    if len(bands) == 1 and (found["x"] or found["y"]) and not found["speed"]:
        raise _component(bands[0][0])
    files = list(dict.fromkeys(paths))
    plain = bands is found[""] and len(bands) == len(files) == 2
    if len(bands) != 1 and not (
        plain or (bands != found["speed"] and len(found["x"]) == len(found["y"]) == 1)
    ):
        raise DataError(
            f"{' and '.join(path.name for path in files)}: names do not say which layer is the speed, "
            "or which two are its components",
            "give files of one layer and date: --velocity vx.tif --velocity vy.tif, or --velocity speed.tif",
        )
    fields = [read_quantity(path, "velocity", band=band, grid=grid) for path, band in bands]
    if notes is not None:
        notes += [note for one in fields for note in one.notes if note.endswith(_SAID)]
    read = [one.values.astype(np.float64) for one in fields]
    if len(read) > 1:
        return np.hypot(read[0], read[1])
    if bool((read[0] < -1).any()):
        raise _component(bands[0][0])
    return np.abs(read[0])


def _component(path: Path) -> DataError:
    return DataError(
        f"{path} holds one component of a velocity, and no speed",
        "name both: --velocity vx.tif --velocity vy.tif",
    )


_SAID = ("name says", "the first is read")
"""Ends of notes that are said; how much is missing differs from glacier to glacier and is not."""

_CHANGE = re.compile(r"d[hz](?:_?by)?[-_ ]?dt(?![a-z])|elev\w*[-_ ]?change|thinning")
"""Names of changes of elevation: ice flows by the balance less them, and not by them."""


def _burn(shapes: list[Any], terrain: Terrain) -> Bools:
    if not shapes:
        return np.zeros(terrain.heights.shape, dtype=bool)
    return np.asarray(rasterize(shapes, terrain.grid), dtype=bool)


def _fields(options: PredictOptions, terrain: Terrain, notes: list[str]) -> tuple[F64 | None, F64 | None]:
    """Read speed and mass balance (m/a) on the terrain's grid, NaN where there is none; `notes` grows."""
    speed = None if not options.velocity else _speed(options.velocity, terrain.grid, notes)
    balance = None
    if options.mass_balance is not None:
        if _CHANGE.search(options.mass_balance.stem.lower()):
            raise DataError(
                f"{options.mass_balance} holds changes of elevation by its name, and no mass balance",
                "give the surface mass balance less the change of elevation, as smb.tif",
            )
        found = read_quantity(options.mass_balance, "mass balance", grid=terrain.grid)
        balance = found.values.astype(np.float64)
        notes += [note for note in found.notes if note.endswith(_SAID)]
    return (
        None if speed is None or not np.isfinite(speed).any() else speed,
        None if balance is None or not np.isfinite(balance).any() else balance,
    )
