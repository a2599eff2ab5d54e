"""Several rasters on one grid as one file."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from icectl.raster.files import opened, replacing
from icectl.raster.grid import Grid

ROWS = 512
"""Rows that are held at a time."""


def write_mosaic(path: Path, tiles: Mapping[Path, str], grid: Grid, nodata: float | None) -> None:
    """Write rasters on one grid, all bands, with a mask of where one of them has a value.

    Pixels come by the nearest; the first raster that has a value counts.

    `path`: the GeoTIFF to write; it appears whole. `tiles`: rasters with the same bands, and the format
    that each is opened as. `grid`: the grid of the result. `nodata`: the number that stands for nothing in
    rasters that declare none; None if there is no such number.
    """
    rows, columns = grid.shape
    with replacing(path) as made, ExitStack() as stack:
        sources = [stack.enter_context(opened(tile, driver)) for tile, driver in tiles.items()]
        views = [stack.enter_context(_view(source, grid, nodata)) for source in sources]
        stack.enter_context(rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True))
        first = sources[0]
        profile: dict[str, Any] = {"count": first.count, "dtype": first.dtypes[0], "nodata": first.nodata}
        target = stack.enter_context(
            rasterio.open(
                made, "w", driver="GTiff", height=rows, width=columns, crs=grid.crs.to_wkt(),
                transform=grid.affine, tiled=True, compress="deflate", bigtiff="if_safer", **profile,
            )
        )  # fmt: skip
        target.descriptions, target.units = first.descriptions, first.units
        target.scales, target.offsets, target.colorinterp = first.scales, first.offsets, first.colorinterp
        target.update_tags(**first.tags())
        for top in range(0, rows, ROWS):
            part = Window(0, top, columns, min(ROWS, rows - top))
            shape = (int(part.height), columns)
            values, known = np.zeros((first.count, *shape), first.dtypes[0]), np.zeros(shape, bool)
            for view in views:
                more = view.count > first.count  # a transparent band of the view's own
                new = view.read(view.count, window=part) if more else view.dataset_mask(window=part)
                new = (new > 0) & ~known
                if new.any():
                    values[:, new] = view.read(list(range(1, first.count + 1)), window=part)[:, new]
                    known |= new
            if first.nodata is not None:
                values[:, ~known] = first.nodata
            target.write(values, window=part)
            target.write_mask(known, window=part)


def _view(source: Any, grid: Grid, nodata: float | None) -> Any:
    """Return an open raster on another grid, and where it has values."""
    nothing = source.nodata if source.nodata is not None else nodata
    void: dict[str, Any] = {"src_nodata": nothing, "nodata": nothing}
    if nothing is None:
        void = {"add_alpha": not any(colour.name == "alpha" for colour in source.colorinterp)}
    height, width = grid.shape
    crs = grid.crs.to_wkt()
    return WarpedVRT(source, crs=crs, transform=grid.affine, height=height, width=width, **void)
