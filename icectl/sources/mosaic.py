"""Tiles of one scene as one image: files of one date and asset whose extents lie beside one another."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from icectl.raster import Grid
from icectl.raster.mosaic import write_mosaic
from icectl.sources.files import ImageFile, opened_as

OVERLAP = 0.5
"""Files that share more of the smaller one's extent show the same ground twice and are no tiles."""

SPARSE = 4.0
"""Tiles whose common box is so many times their area are of several places."""


def mosaicked(files: Sequence[ImageFile], into: Path) -> Iterator[ImageFile]:
    """Yield the files, tiles of one date and asset as one file each, written into ``into/mosaics``.

    Tiles of other UTM zones come by the nearest pixel onto the CRS that most files have; where tiles overlap
    the first that has a value counts.

    `files`: described files (`icectl.sources.files.describe`), of any dates and assets; `into`: a folder of
    icectl's own.
    """
    groups: dict[object, list[ImageFile]] = defaultdict(list)
    for file in files:
        start = None if file.named.period is None else file.named.period.start
        groups[start, file.named.asset].append(file)
    common = Counter(file.crs for file in files).most_common(1)[0][0] if files else None
    joined: list[int] = []
    for group in groups.values():
        grid = _common_grid(group, common) if len(group) > 1 else None
        if grid is None:
            yield from group
        else:
            joined.append(len(group))
            path = into / "mosaics" / f"{group[0].path.stem}.tif"
            if not path.is_file():
                drivers = {file.path: opened_as(file.path) for file in group}
                write_mosaic(path, drivers, grid, group[0].named.band.nodata)
            yield replace(
                group[0], path=path.absolute(), grid=grid, shape=tuple(grid.shape), crs=str(grid.crs)
            )
    if joined:
        logging.getLogger("icectl").info(
            f"{sum(joined)} tiles that lie side by side are joined: {len(joined)} images in {common}"
        )


def _common_grid(tiles: Sequence[ImageFile], crs: str | None) -> Grid | None:
    """Return the grid that holds all tiles; None where they are no tiles of one image."""
    first = next((tile for tile in tiles if tile.crs == crs), tiles[0])
    grids = [tile.grid for tile in tiles if tile.grid is not None]
    alike = all(
        tile.named.band == first.named.band and np.allclose(tile.resolution, first.resolution, rtol=1e-6)
        for tile in tiles
    )
    if first.grid is None or len(grids) < len(tiles) or not alike:
        return None
    shapes = [grid.extent.to_crs(first.grid.crs).geom for grid in grids]
    for one, other in combinations(shapes, 2):
        if one.intersection(other).area > OVERLAP * min(one.area, other.area):
            return None
    left, bottom, right, top = shapely.total_bounds(shapes)
    if (right - left) * (top - bottom) > SPARSE * sum(shape.area for shape in shapes):
        return None
    step = first.grid.affine
    columns, rows = ~step * (np.array([left, right]), np.array([top, bottom]))
    (west, east), (north, south) = (
        (int(np.floor(a + 1e-3)), int(np.ceil(b - 1e-3))) for a, b in (columns, rows)
    )
    return GeoBox((south - north, east - west), step * Affine.translation(west, north), first.grid.crs)
