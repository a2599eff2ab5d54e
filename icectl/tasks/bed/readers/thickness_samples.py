"""Glaciers whose thickness is known: measured, modelled by others, or of a synthetic world."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from icectl.arrays import F64, Bools, Floats
from icectl.errors import DataError
from icectl.imagery.missing import nearest
from icectl.raster import Info, grid_of, ground_metres, rasterize, read, read_quantity
from icectl.tasks.bed.readers.outlines import read_outlines, region_of, short_id
from icectl.tasks.bed.thickness.features import glacier_features
from icectl.tasks.bed.thickness.law import Sample

Kind = Literal["measured", "modelled", "synthetic"]

KINDS: tuple[Kind, ...] = ("measured", "modelled", "synthetic")
MIN_PIXELS = 40
"""Glaciers with fewer pixels on their working grid say too little."""


@dataclass(frozen=True, slots=True)
class Known:
    """One glacier on its working grid.

    `surface` (m) and `thickness` (m, NaN where unknown) are ``(y, x)``; `ice` is the glacier; `resolution` is
    metres.
    """

    name: str
    kind: Kind
    surface: F64
    ice: Bools
    resolution: float
    thickness: F64

    @property
    def area(self) -> float:
        """Area in km²."""
        return float(self.ice.sum() * self.resolution**2 / 1e6)


def working_resolution(area: float) -> float:
    """Return the pixel size (m) for a glacier of `area` km²: about 70 pixels across, 10 m to 200 m.

    The rule of OGGM (Maussion et al. 2019, *Geosci. Model Dev.* 12, 909–931), so that lengths in pixels mean
    the same on small and on large glaciers.
    """
    return float(np.clip(14.0 * np.sqrt(max(area, 0.0)) + 10.0, 10.0, 200.0))


def read_known(folder: Path) -> Iterator[Known]:
    """Yield the glaciers of a folder: ``dem_*`` and ``thickness_*`` rasters, or gridded CSV files.

    DataError: the folder is missing or holds neither.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", "name a folder of glaciers of known thickness")
    tables = sorted(folder.rglob("*.csv"))
    depths = sorted(f for f in folder.rglob("*thickness*.tif"))
    if not tables and not depths:
        raise DataError(
            f"{folder} holds neither CSV grids nor *thickness*.tif",
            "see docs/tasks/bed.md for the two layouts",
        )
    for table in tables:
        yield from _from_table(table)
    elevations = {_digits(f): f for f in folder.rglob("*.tif") if "thickness" not in f.name}
    for depth in depths:
        if _digits(depth) in elevations:
            yield from _from_rasters(elevations[_digits(depth)], depth)


def _digits(path: Path) -> str:
    """Return the digits in a file's name that pair rasters of one glacier: the last five, else four or more.

    A year beside the number is none.
    """
    groups: list[str] = re.findall(r"\d{4,}", path.name)
    return ([g for g in groups if len(g) == 5] or groups or [path.stem])[-1]


def _from_table(path: Path) -> Iterator[Known]:
    """Read a grid from a table with a row a cell (columns j, i, topo, glacier_mask, thickness …).

    The tables state no pixel size. It is the least distance to the border inside the glacier
    (``dis_from_border``), where neighbours of border cells lie one pixel off.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    needed = {"j", "i", "topo", "glacier_mask", "dis_from_border", "thickness"}
    if not rows or not needed <= set(rows[0]):
        return
    column = {n: np.array([float(r[n] or "nan") for r in rows]) for n in needed}
    y, x = column["j"].astype(int), column["i"].astype(int)
    grid = {n: np.full((y.max() + 1, x.max() + 1), np.nan) for n in needed}
    for name, values in column.items():
        grid[name][y, x] = values
    ice = grid["glacier_mask"] > 0
    inside = grid["dis_from_border"][ice & (grid["dis_from_border"] > 0)]
    if len(inside) and ice.sum() >= MIN_PIXELS:
        thickness = np.where(ice & (grid["thickness"] >= 0), grid["thickness"], np.nan)
        yield Known(path.stem, "measured", whole(grid["topo"]), ice, float(inside.min()), thickness)


def _from_rasters(elevation: Path, depth: Path) -> Iterator[Known]:
    """Read a modelled glacier: the elevation on the thickness raster's grid, then both on the working
    grid.
    """
    grid = Info(depth).grid
    target, inverse = _positions(depth), ~_positions(elevation)
    thickness = read_quantity(depth, "thickness").values.astype(np.float64)
    heights, resolution = read_quantity(elevation, "elevation").values.astype(np.float64), target.a
    if grid is not None:
        resolution = ground_metres(grid)
    rows, cols = np.indices(thickness.shape)
    # Positions, not indices: some elevation files are shifted by part of a pixel, some have another extent.
    at_x, at_y = inverse * (target * (cols + 0.5, rows + 0.5))
    rows_known, columns_known = heights.shape
    covered = (at_x > 0) & (at_x < columns_known) & (at_y > 0) & (at_y < rows_known)
    if (thickness > 0).any() and covered[thickness > 0].mean() < 0.5:
        raise DataError(
            f"{elevation} and {depth} are taken for one glacier by their names and show other ground",
            "give both the same five digits, e.g. dem_01450.tif and RGI60-11.01450_thickness.tif",
        )
    heights = ndimage.map_coordinates(whole(heights), [at_y - 0.5, at_x - 0.5], order=1, mode="nearest")
    thickness = np.where(np.isfinite(thickness) & (thickness > 0), thickness, 0.0)
    known = Known(_name(depth), "modelled", heights, thickness > 0, resolution, thickness)
    if known.ice.sum() >= MIN_PIXELS:
        made = on_working_grid(known)
        if made.ice.sum() >= MIN_PIXELS:
            yield made


def _positions(path: Path) -> Any:
    """Return the transform of a raster, north up; rasters of one glacier share their CRS, stated or not."""
    return grid_of(path, "EPSG:3857").affine


def _name(path: Path) -> str:
    match = re.match(r"(RGI\d{2}-\d{2}\.\d{5}|RGI2000-v[\d.]+-[GC]-\d{2}-\d{5})", path.name)
    return match[1] if match else path.stem


def whole(heights: F64) -> F64:
    """Give unknown heights those of the nearest known pixel."""
    missing = ~np.isfinite(heights)
    if not missing.any() or missing.all():
        return heights
    return nearest(heights, ~missing)


def on_working_grid(known: Known) -> Known:
    """Bring a glacier onto its working resolution, by means over the new pixels."""
    zoom = known.resolution / working_resolution(known.area)
    if abs(zoom - 1) < 0.05:
        return known
    surface = rescale(known.surface, zoom)
    ice = rescale(known.ice.astype(np.float64), zoom) > 0.5
    weight = np.isfinite(known.thickness).astype(np.float64)
    some = rescale(weight, zoom)
    depth = rescale(np.nan_to_num(known.thickness), zoom) / np.maximum(some, 1e-9)
    thickness = np.where(ice & (some > 0.25), depth, np.nan)
    return Known(known.name, known.kind, surface, ice, known.resolution / zoom, thickness)


def rescale(values: Floats, zoom: float) -> F64:
    """Resample by `zoom` (new pixels per old), corner to corner; shrinking averages first."""
    source = np.asarray(values, dtype=np.float64)
    if zoom < 1:
        source = ndimage.gaussian_filter(source, 0.5 * (1 / zoom - 1) + 1e-6, mode="nearest")
    shape = tuple(max(1, round(n * zoom)) for n in source.shape)
    axes = [(np.arange(n) + 0.5) / zoom - 0.5 for n in shape]
    return np.asarray(
        ndimage.map_coordinates(source, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")
    )


def without(glaciers: Iterator[Known], hold_out: tuple[str, ...]) -> Iterator[Known]:
    """Leave out the glaciers of those ids, whatever the version of their inventory."""
    banned = {short_id(name) for name in hold_out}
    return (g for g in glaciers if short_id(g.name) not in banned)


def world_samples(folder: Path) -> Iterator[Known]:
    """Yield the glaciers of a synthetic world with their exact thickness."""
    grid = grid_of(folder / "dem.tif")
    surface, thickness = (
        read(folder / name).filled(np.nan).astype(np.float64) for name in ("dem.tif", "truth/thickness.tif")
    )
    found = read_outlines(folder / "outlines.gpkg")
    for name, shape in zip(found.ids, found.geometries, strict=True):
        ice = np.asarray(rasterize([shape], grid), dtype=bool)
        rows, cols = np.flatnonzero(ice.any(1)), np.flatnonzero(ice.any(0))
        if len(rows) < 3 or len(cols) < 3:
            continue
        part = np.s_[max(0, rows[0] - 8) : rows[-1] + 9, max(0, cols[0] - 8) : cols[-1] + 9]
        known = Known(
            name, "synthetic", surface[part], ice[part], float(grid.affine.a),
            np.where(ice, thickness, np.nan)[part],
        )  # fmt: skip
        made = on_working_grid(known)
        if made.ice.sum() >= 40:
            yield made


def sample_of(glacier: Known, most: int | None = None, rng: np.random.Generator | None = None) -> Sample:
    """Return the pixels of a glacier whose thickness is known, or `most` of them drawn at random."""
    found = glacier_features(glacier.surface, glacier.ice, glacier.resolution)
    where = np.argwhere(glacier.ice & np.isfinite(glacier.thickness))
    if most is not None and rng is not None and len(where) > most:
        where = where[rng.permutation(len(where))[:most]]
    at = tuple(where.T)
    return Sample(
        name=glacier.name,
        kind=glacier.kind,
        region=region_of(glacier.name),
        features=found.channels[:, at[0], at[1]].T.astype(np.float64),
        thickness=glacier.thickness[at].astype(np.float64),
        thinning=found.thinning[at],
    )
