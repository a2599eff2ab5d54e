"""The direction of flow that a file tells: a line down the glacier, heights, or a velocity field."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from pyproj import Geod, Transformer

from icectl.errors import DataError
from icectl.raster import Grid, Info, local_projection, rasterize, read_quantity, read_vectors
from icectl.raster.velocity import components_of
from icectl.tasks.front.dataset import Entry
from icectl.tasks.front.files.gis import lon_lat, to_map
from icectl.tasks.front.files.pairs import VECTORS

CELLS = 64
"""Heights and velocities are read on so many cells along an image's longer side."""

LEAST_CELLS = 20
"""Fewest cells with a value that tell a direction."""


ROUGHLY = 60.0
"""Degrees by which heights may be wrong: on Columbia's, up to 45 from the measured velocity."""


def flow_from(source: Path, entry: Entry, outline: Path | None = None) -> tuple[float | None, float]:
    """Return where ice flows to in an image, as a bearing in degrees, and by how much it may be wrong.

    `source`: a vector file of a line down the glacier, as in the Open Global Glacier Model: the direction
        of its last fifth in the image. A raster of two components, or ``…vx…`` with ``…vy…`` beside it: the
        mean velocity in the image. Another raster: downhill on a plane through its heights there.
    `entry`: the image.
    `outline`: vector file of the glacier; heights outside it do not count.

    Returns bearing and spread: no bearing where the file says too little inside the image, or the image has
    no CRS.
    """
    if entry.place is None:
        return None, 0.0
    if source.suffix.lower() in VECTORS:
        return _along_line(source, entry), 0.0
    if components := components_of(source):
        return _along_velocity(components, entry), 0.0
    return _downhill(source, entry, outline), ROUGHLY


def _along_line(source: Path, entry: Entry) -> float | None:
    """Return the direction of the last fifth of a line's points in an image."""
    lines = read_vectors(source, "EPSG:4326").geometry.array
    if not len(lines):
        raise DataError(f"{source} holds no line", "give a vector file of one line down the glacier")
    longest = max(np.asarray(lines), key=lambda line: line.length)
    points = shapely.get_coordinates(shapely.segmentize(longest, longest.length / 100))
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * entry.shape - 0.5
    frame = shapely.Polygon(to_map(corners, entry.place, "EPSG:4326"))
    inside = points[shapely.contains_xy(frame, points)]
    if len(inside) < 2:
        return None
    return _azimuth(inside[-max(2, len(inside) // 5)], inside[-1])


def _along_velocity(components: Sequence[tuple[Path, int]], entry: Entry) -> float | None:
    """Return the direction of the mean velocity in an image; components are along the file's own axes."""
    grid = _cells(entry)
    parts = [read_quantity(path, "velocity", band=band, grid=grid) for path, band in components]
    valid = parts[0].valid & parts[1].valid
    if valid.sum() < LEAST_CELLS:
        return None
    mean = np.array([float(part.values[valid].mean()) for part in parts])
    crs = Info(components[0][0]).crs
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    start = np.array(to_degrees.transform(*lon_lat(entry, _middle(entry)), direction="INVERSE"))
    end = start + mean / np.hypot(*mean) * float(np.abs(start).max()) * 1e-4
    return _azimuth(*(np.array(to_degrees.transform(*point)) for point in (start, end)))


def _downhill(dem: Path, entry: Entry, outline: Path | None) -> float | None:
    """Return where a plane through the heights in an image falls to."""
    grid = _cells(entry)
    heights = read_quantity(dem, "elevation", grid=grid)
    valid = heights.valid
    if outline is not None:
        with suppress(DataError):  # an outline that misses the image says nothing of it
            valid = valid & rasterize(read_vectors(outline), grid)
    if valid.sum() < LEAST_CELLS:
        return None
    rows, columns = np.nonzero(valid)
    terms = np.column_stack([columns, rows, np.ones(len(rows))])
    east, south, _ = np.linalg.lstsq(terms, heights.values[valid], rcond=None)[0]
    return float(np.rad2deg(np.arctan2(-east, south)) % 360)


def _cells(entry: Entry) -> Grid:
    """Return a coarse grid of an image's ground, its axes east and north there."""
    crs = local_projection(*lon_lat(entry, _middle(entry)))
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * entry.shape - 0.5
    low, high = (op(to_map(corners, entry.place, crs), axis=0) for op in (np.min, np.max))
    step = float((high - low).max()) / CELLS
    columns, rows = (max(1, round(float(side) / step)) for side in high - low)
    return Grid((rows, columns), Affine(step, 0, float(low[0]), 0, -step, float(high[1])), crs)


def _middle(entry: Entry) -> np.ndarray:
    return np.array([entry.shape]) / 2 - 0.5


def _azimuth(start: np.ndarray, end: np.ndarray) -> float:
    return float(Geod(ellps="WGS84").inv(*start, *end)[0] % 360)
