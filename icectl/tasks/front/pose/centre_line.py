"""The direction of flow that a glacier's centre line tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from icectl.errors import DataError
from icectl.tasks.front.dataset import Entry


def flow_along(centre_line: Path, entry: Entry) -> float | None:
    """Return where ice flows to at the end of a centre line, in degrees clockwise from north.

    The line runs down the glacier, as in the Open Global Glacier Model. The direction is that of its last
    fifth of points that lie in the image; None where fewer than two do, or the image has no CRS.
    """
    if entry.place is None:
        return None
    import shapely
    from affine import Affine
    from pyproj import Geod

    from icectl.raster import read_vectors

    lines = read_vectors(centre_line, "EPSG:4326").geometry.array
    if not len(lines):
        raise DataError(f"{centre_line} holds no line", "give a vector file of one line down the glacier")
    longest = max(np.asarray(lines), key=lambda line: line.length)
    points = shapely.get_coordinates(shapely.segmentize(longest, longest.length / 100))
    inside = points[_inside(points, entry, ~Affine(*entry.place.transform))]
    if len(inside) < 2:
        return None
    start, end = inside[-max(2, len(inside) // 5)], inside[-1]
    return float(Geod(ellps="WGS84").inv(*start, *end)[0] % 360)


def _inside(points: np.ndarray, entry: Entry, to_pixels: object) -> np.ndarray:
    """Tell which points (longitude, latitude) lie in an image."""
    from pyproj import Transformer

    assert entry.place is not None
    x, y = Transformer.from_crs("EPSG:4326", entry.place.crs, always_xy=True).transform(*points.T)
    columns, rows = to_pixels * (x, y)  # type: ignore[operator]
    height, width = entry.shape
    return np.asarray((columns >= 0) & (columns < width) & (rows >= 0) & (rows < height))
