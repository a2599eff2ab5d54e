"""What lies over a map, as SVG path data in pixels of the raster: lines, points, arrows.

Strokes are drawn at a fixed width on the screen (``vector-effect``), so a dot is a line of no length.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from icectl.errors import DataError
from icectl.raster import read_vectors
from icectl.report.colours import Scale
from icectl.report.layers import Reader
from icectl.report.panels import Arrow, Lines, Points

ARROW_CLASS = "arrow"


@dataclass(frozen=True, slots=True)
class Stroke:
    """One SVG path: `kind` is its CSS class, `colour` overrides the class's colour."""

    path: str
    kind: str
    label: str = ""
    colour: str = ""


def line_strokes(lines: Iterable[Lines], reader: Reader, grid: GeoBox | None) -> list[Stroke]:
    """Return a stroke for each set of lines; dated ones are coloured by `date_scale`, the first below."""
    entries = sorted(lines, key=lambda entry: entry.date)
    dates = date_scale(entries)
    strokes = []
    for entry in entries:
        runs: list[Sequence[tuple[float, float]]] = list(entry.pixels)
        if entry.file:
            runs += _from_vectors(entry, reader, grid)
        path = "".join(polyline(run) for run in runs)
        if path and entry.date and dates is not None:
            strokes.append(Stroke(path, "line dated", entry.label, colour_of(day_of(entry.date), dates)))
        elif path:
            strokes.append(Stroke(path, f"line {entry.role}", entry.label))
    return strokes


def date_scale(lines: Iterable[Lines]) -> Scale | None:
    """Return the scale of dated lines, in days since 1970; None where none has a date."""
    days = [day_of(entry.date) for entry in lines if entry.date]
    return Scale("sequential", min(days), max(*days, min(days) + 1)) if days else None


def day_of(date: str) -> float:
    """Return the days since 1970 of an ISO date.

    >>> day_of("1970-02-01"), day_of("2020-02-29T12:00:00+00:00")
    (31.0, 18321.0)
    """
    return float(np.datetime64(date[:10], "D").astype(int))


def colour_of(value: float, scale: Scale, steps: int = 12) -> str:
    """Return the colour of a value as one of so many steps; values beyond the scale take its ends."""
    share = min(max((value - scale.low) / (scale.high - scale.low), 0.0), 1.0)
    return scale.hexes(steps)[round(share * (steps - 1))]


def _from_vectors(entry: Lines, reader: Reader, grid: GeoBox | None) -> list[Sequence[tuple[float, float]]]:
    """Return the polylines of a vector file in pixels of `grid`: those of shapes that reach into it."""
    if grid is None or grid.crs is None:
        raise DataError(f"{entry.file} cannot be drawn over a raster without CRS")
    frame = read_vectors(reader.find(entry.file), crs=str(grid.crs), layer=entry.layer or None)
    shapes = frame.geometry.explode(index_parts=False)
    shapes = shapes[shapes.intersects(shapely.box(*grid.extent.boundingbox))]  # a region has thousands
    to_pixels = ~grid.affine
    runs: list[Sequence[tuple[float, float]]] = []
    for shape in shapes:
        rings = [shape.exterior, *shape.interiors] if shape.geom_type == "Polygon" else [shape]
        runs += [[to_pixels @ xy[:2] for xy in ring.coords] for ring in rings if ring.geom_type != "Point"]
    return runs


def polyline(points: Sequence[tuple[float, float]]) -> str:
    """Return path data through `points`; less than two give nothing."""
    if len(points) < 2:
        return ""
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)


def point_strokes(points: Iterable[Points], scale: Scale) -> list[Stroke]:
    """Return dots, one stroke for each colour that occurs."""
    strokes = []
    for group in points:
        if not group.values:
            path = "".join(_dot(x, y) for x, y in zip(group.columns, group.rows, strict=True))
            strokes.append(Stroke(path, "dot", group.label))
            continue
        bins: dict[str, list[str]] = {}
        for x, y, value in zip(group.columns, group.rows, group.values, strict=True):
            if value is not None:
                bins.setdefault(colour_of(value, scale), []).append(_dot(x, y))
        first = group.label
        for colour, dots in bins.items():
            strokes.append(Stroke("".join(dots), "dot", first, colour))
            first = ""
    return strokes


def _dot(x: float, y: float) -> str:
    return f"M{_short(x)} {_short(y)}h0"


def arrow_gain(arrows: Sequence[Arrow]) -> float:
    """Return by how much arrows are lengthened so that the longer ones nearly reach their neighbours."""
    flat = np.array(arrows, dtype=np.float64).reshape(-1, 4)
    lengths = np.hypot(flat[:, 2], flat[:, 3])
    lengths = lengths[lengths > 0]
    if not lengths.size:
        return 1.0
    columns = np.unique(flat[:, 0])
    spacing = float(np.median(np.diff(columns))) if columns.size > 1 else 40.0
    return 0.9 * spacing / float(np.percentile(lengths, 95))


def arrow_path(arrows: Sequence[Arrow], gain: float, size: float) -> str:
    """Return arrows with heads; those shorter than `size` / 100 pixels on the map are left out."""
    parts = []
    for x, y, dx, dy in arrows:
        tip_x, tip_y = x + dx * gain, y + dy * gain
        length = float(np.hypot(dx, dy)) * gain
        if length < size / 100:
            continue
        ux, uy = dx * gain / length, dy * gain / length
        head = min(0.4 * length, size / 60)
        left = (tip_x - head * (ux + 0.6 * uy), tip_y - head * (uy - 0.6 * ux))
        right = (tip_x - head * (ux - 0.6 * uy), tip_y - head * (uy + 0.6 * ux))
        parts.append(polyline([(x, y), (tip_x, tip_y)]) + polyline([left, (tip_x, tip_y), right]))
    return "".join(parts)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
