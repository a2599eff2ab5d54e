"""An elevation model of any size, one file or a folder of tiles, read where it is needed onto a metric grid.

Heights are metres above sea level in float32, with NaN where nothing is known.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox, box
from shapely.strtree import STRtree

from icectl.arrays import F32
from icectl.errors import DataError
from icectl.raster import Grid, Info, Window, grid_of, ground_grid, ground_steps, read_quantity, warp
from icectl.raster.files import CUBES
from icectl.raster.kinds import ABOUT, KINDS
from icectl.sources.mosaic import OVERLAP

STEEPEST_MEDIAN = 1.4
"""Median slope (m/m; 54°) above which no mountain range of kilometres is: the heights are in another unit."""


FLATTEST_MEDIAN = 0.003
"""The same (0.2°) below which ground that reaches less than 9 above the sea is no glacier's surroundings."""


@dataclass(frozen=True, slots=True)
class Terrain:
    """Heights on a metric grid; `native` is the grid of the file, `notes` what was mended."""

    name: str
    heights: F32
    grid: Grid
    native: Grid
    notes: tuple[str, ...] = ()

    @property
    def resolution(self) -> float:
        """Pixel size in metres."""
        return float(self.grid.affine.a)


def check_slopes(heights: F32, resolution: float, path: str) -> None:
    """Refuse heights so steep that they must be in another unit (feet below 2,743 m stay under 9,000)."""
    slope = np.hypot(*np.gradient(heights, resolution))
    known = slope[np.isfinite(slope)]
    if len(known) > 1000 and float(np.median(known)) > STEEPEST_MEDIAN:
        degrees = np.degrees(np.arctan(np.median(known)))
        raise DataError(
            f"{path}: half of the ground would be steeper than {degrees:.0f}°, so heights are hardly metres "
            "(perhaps feet or decimetres)",
            "convert the elevation model to metres, or check the pixel size of its CRS",
        )
    if len(known) > 1000 and float(np.nanmax(heights)) < 9 and float(np.median(known)) < FLATTEST_MEDIAN:
        raise DataError(
            f"{path}: heights reach {np.nanmax(heights):.2g} and the ground is flat, "
            "so they are hardly metres (perhaps kilometres)",
            "state their unit (gdal_edit.py -units km FILE), or convert the elevation model to metres",
        )


def on_ground(values: F32, native: Grid, resolution: float | None) -> tuple[F32, Grid, tuple[str, ...]]:
    """Bring heights onto square pixels of ground metres, with a sentence where that changes the grid."""
    ground = ground_grid(native, resolution)
    if not ground.warped:
        return values, native, ()
    said = (ground.sentence,) if ground.grid.crs != native.crs else ()
    return warp(values, native, ground.grid), ground.grid, said


SURFACES = ("dsm", "dtm", "hgt", "heights", "elev")
"""Words for heights in names of files, beside those for bands."""

SUFFIXES = (".tif", ".tiff", ".vrt", ".asc", ".img", ".hgt", ".dem", ".nc", ".gtif")


@dataclass(frozen=True, slots=True)
class Dem:
    """The tiles of one elevation model, all of one CRS, and the grid that they make together."""

    name: str
    files: tuple[Path, ...]
    grids: tuple[Grid, ...]
    grid: Grid

    def read(self, rows: slice, cols: slice) -> tuple[F32, Grid, tuple[str, ...]]:
        """Read a window of the common grid (cut to it): heights, its grid, and what was mended."""
        height, width = self.grid.shape
        top, bottom = max(0, rows.start), min(height, rows.stop)
        left, right = max(0, cols.start), min(width, cols.stop)
        part = self.grid[top:bottom, left:right]
        out = np.full(part.shape, np.nan, dtype=np.float32)
        notes: list[str] = []
        for file, grid in zip(self.files, self.grids, strict=True):
            notes += _paste(out, part, file, grid)
        return out, part, tuple(notes)

    def whole(self, resolution: float | None = None) -> Terrain:
        """Read all of it onto a metric grid; see `icectl.tasks.bed.readers.dem.Terrain`."""
        heights, native, notes = self.read(slice(0, self.grid.shape[0]), slice(0, self.grid.shape[1]))
        return _terrain(self.name, heights, native, notes, resolution)

    def around(self, bounds: tuple[float, float, float, float], crs: object, margin: float) -> Terrain:
        """Read the ground within `margin` metres of a box (left, bottom, right, top in `crs`)."""
        shape = box(*bounds, crs=crs).to_crs(self.grid.crs).boundingbox
        a = self.grid.affine
        if self.grid.crs.geographic:  # longitudes of both from the same side of 180°
            east = 360.0 * round((_middle(self.grid) - (shape.left + shape.right) / 2) / 360)
            shape = BoundingBox(shape.left + east, shape.bottom, shape.right + east, shape.top)
        middle = ~a * ((shape.left + shape.right) / 2, (shape.bottom + shape.top) / 2)
        across, down = ground_steps(self.grid, middle[1], middle[0])
        pad_x, pad_y = margin / float(across), margin / float(down)
        cols = slice(
            int(np.floor((shape.left - a.c) / a.a - pad_x)), int(np.ceil((shape.right - a.c) / a.a + pad_x))
        )
        rows = slice(
            int(np.floor((shape.top - a.f) / a.e - pad_y)), int(np.ceil((shape.bottom - a.f) / a.e + pad_y))
        )
        if (
            rows.stop <= 0
            or cols.stop <= 0
            or rows.start >= self.grid.shape[0]
            or cols.start >= self.grid.shape[1]
        ):
            raise DataError(
                f"the outline lies outside {self.name}",
                "give an elevation model that holds it, or check the outlines: their CRS, x before y",
            )
        heights, native, notes = self.read(rows, cols)
        if min(heights.shape) < 3:
            raise DataError(f"the outline crosses the border of {self.name}", "give a larger elevation model")
        return _terrain(self.name, heights, native, notes, None)


def _terrain(
    name: str, heights: F32, native: Grid, notes: tuple[str, ...], resolution: float | None
) -> Terrain:
    if not np.isfinite(heights).any():
        raise DataError(f"{name} holds no valid height: all is nodata", "give another elevation model")
    metric, grid, said = on_ground(heights, native, resolution)
    return Terrain(name, metric, grid, native, (*notes, *(f"{name}: {one}" for one in said)))


def open_dem(path: Path, crs: str | None = None) -> Dem:
    """Open an elevation model: a raster, or a folder of tiles of one grid.

    `path`: a raster file, or a folder whose rasters are the tiles (layers about them, as global models have
    beside their heights, are left out); `crs`: the CRS of files that carry none.

    DataError: nothing there, no CRS, tiles of several, or two files of the same ground.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist", "check the path of the elevation model")
    files = [path] if path.is_file() or path.suffix.lower() in CUBES else _tiles(path)
    grids = _beside_180([_grid(file, crs) for file in files])
    if twice := _same_ground(grids):
        called = [n for n, file in enumerate(files) if _words(file) & {*KINDS["elevation"].names, *SURFACES}]
        if not called or _same_ground([grids[n] for n in called]):
            one, other = (files[n].relative_to(path) for n in twice)
            raise DataError(
                f"{one} and {other} in {path} show the same ground, and which holds the heights is not clear",
                f"name the file, e.g. --dem {files[twice[0]]}, or keep tiles of one model in a folder",
            )
        files, grids = [files[n] for n in called], [grids[n] for n in called]
    first = grids[0]
    for file, grid in zip(files, grids, strict=True):
        wider = grid.crs.geographic  # tiles of Copernicus have wider pixels to the north
        same = grid.crs == first.crs and np.isclose(grid.affine.e, first.affine.e, rtol=1e-6)
        if not same or not (wider or np.isclose(grid.affine.a, first.affine.a, rtol=1e-6)):
            raise DataError(
                f"{file.name} and {files[0].name} in {path} differ in CRS or pixel size",
                "give tiles of one elevation model, or merge them first (gdalwarp)",
            )
    return Dem(path.stem if path.is_file() else path.name, tuple(files), tuple(grids), _union(grids))


def _tiles(folder: Path) -> list[Path]:
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no raster ({', '.join(SUFFIXES)})", "name the folder of the tiles")
    files = [f for f in files if f.suffix.lower() != ".vrt"] or files  # a VRT of the tiles beside them
    return [f for f in files if not _words(f) & ABOUT] or files


def _words(file: Path) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", file.stem.lower()))


def _same_ground(grids: Sequence[Grid]) -> tuple[int, int] | None:
    """Return the first two grids that share more than `OVERLAP` of the smaller one."""
    boxes = np.array([shapely.box(*grid.boundingbox.bbox) for grid in grids])
    pairs = STRtree(boxes).query(boxes, predicate="intersects").T
    for one, other in pairs[pairs[:, 0] < pairs[:, 1]]:
        common = boxes[one].intersection(boxes[other]).area
        if common > OVERLAP * min(boxes[one].area, boxes[other].area):
            return int(one), int(other)
    return None


def _grid(file: Path, crs: str | None) -> Grid:
    info = Info(file)
    if info.crs is None and crs is None:
        hint = info.advice if info.controlled else "say which it is: --dem-crs EPSG:32632, for instance"
        raise DataError(f"{file} has no CRS", hint)
    return info.grid if info.grid is not None else grid_of(file, crs)


def _middle(grid: Grid) -> float:
    return float(grid.affine.c + grid.shape[1] * grid.affine.a / 2)


def _beside_180(grids: list[Grid]) -> list[Grid]:
    """Return tiles in degrees side by side where they lie on both sides of 180°."""
    middles = [_middle(grid) for grid in grids]
    if not grids[0].crs.geographic or max(middles) - min(middles) <= 180:
        return grids
    return [
        GeoBox(grid.shape, Affine.translation(360, 0) * grid.affine, grid.crs) if middle < 0 else grid
        for grid, middle in zip(grids, middles, strict=True)
    ]


def _union(grids: list[Grid]) -> Grid:
    """Return the grid of the finest tile, grown to hold all.

    Tiles off it by part of a pixel go to the nearest.
    """
    a = min(grids, key=lambda grid: grid.affine.a * -grid.affine.e).affine
    left = min(g.affine.c for g in grids)
    top = max(g.affine.f for g in grids)
    right = max(g.affine.c + g.shape[1] * a.a for g in grids)
    bottom = min(g.affine.f + g.shape[0] * a.e for g in grids)
    shape = (max(1, round((bottom - top) / a.e)), max(1, round((right - left) / a.a)))
    return GeoBox(shape, Affine(a.a, 0, left, 0, a.e, top), grids[0].crs)


def _paste(out: F32, part: Grid, file: Path, grid: Grid) -> tuple[str, ...]:
    """Fill what is still missing in `out` from one tile; return what was mended in it."""
    a, b = part.affine, grid.affine
    row, col = round((b.f - a.f) / a.e), round((b.c - a.c) / a.a)  # where the tile starts in the window
    top, left = max(0, row), max(0, col)
    bottom, right = min(out.shape[0], row + grid.shape[0]), min(out.shape[1], col + grid.shape[1])
    alike = np.allclose([a.a, a.e], [b.a, b.e], rtol=1e-6)
    if not alike and part.extent.intersects(grid.extent):
        bare = Info(file).crs is None  # its CRS is stated
        found = read_quantity(file, "elevation", grid=None if bare else part)
        values = warp(found.values, grid, part) if bare else found.values
        out[np.isnan(out)] = values[np.isnan(out)]
        return found.notes
    if not alike or bottom <= top or right <= left:
        return ()
    window = Window(top - row, left - col, bottom - top, right - left)
    found = read_quantity(file, "elevation", window=window)
    view = out[top:bottom, left:right]
    view[np.isnan(view)] = found.values[np.isnan(view)]
    return found.notes
