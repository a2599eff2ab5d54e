"""The fjord between its walls, as a user gives it, in an image's pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from icectl.arrays import Bools
from icectl.errors import DataError
from icectl.raster import Grid, Info, read_quantity
from icectl.tasks.front.dataset import Entry
from icectl.tasks.front.files.labels import frame_in_pixels
from icectl.tasks.front.files.pairs import VECTORS


def fjord_mask(path: Path, entry: Entry) -> Bools:
    """Return where the fjord is in one image's pixels, from polygons or a mask raster.

    DataError: it does not meet the image, or a mask raster has another size.
    """
    if path.suffix.lower() in VECTORS:
        shapes = frame_in_pixels(path, entry.place, ("polygons",)).geometry
        inside = rasterize(
            [s for s in shapes if s.area > 0] or [shapely.Point(-9, -9)], out_shape=entry.shape
        )
        mask = np.asarray(inside, bool)
    else:
        grid = None
        if entry.place is not None and Info(path).crs is not None:
            grid = Grid(entry.shape, Affine(*entry.place.transform), entry.place.crs)
        found = read_quantity(path, "label", grid=grid)
        if found.values.shape != entry.shape:
            sizes = f"{found.values.shape}, {entry.shape}"
            raise DataError(f"{path.name} and image {entry.id} differ in size: {sizes}", "give it a CRS")
        mask = found.valid & (found.values > np.max(found.values, initial=0, where=found.valid) / 2)
    if not mask.any():
        raise DataError(f"the fjord boundary {path} misses image {entry.id}", "check its CRS and place")
    return mask


def check_fjord(path: Path, entries: Sequence[Entry]) -> None:
    """Refuse a fjord boundary that misses one of the images, before hours go into predicting them."""
    for entry in {(entry.shape, entry.place): entry for entry in entries}.values():
        fjord_mask(path, entry)
