"""Panels for the report: maps of bed and thickness, a section, measured against predicted."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from icectl.arrays import F64, Bools
from icectl.raster import grid_of, read, read_quantity
from icectl.report.panels import CrossSection, Layer, Lines, Map, Panel, Scatter
from icectl.report.panels import Points as MapPoints
from icectl.run import Run
from icectl.tasks.bed.metrics import sample
from icectl.tasks.bed.products import place_of, read_table
from icectl.tasks.bed.readers.points import Points
from icectl.tasks.bed.scores.points import AtPoints

MAX_MAPS = 3
MAX_POINTS = 400
STEPS = 200


def figures(run: Run, scored: AtPoints | None = None) -> list[Panel]:
    """Return maps of the largest glaciers, and where there are points, a scatter and a section along them."""
    folder = run.inputs["predict"]
    if scored is None:
        return maps(folder)
    hit = scored.hit
    return [
        *scatter(scored.points.thickness[hit], scored.predicted[hit]),
        *section(folder, scored.points, scored.glacier, hit),
        *maps(folder, scored.points),
    ]


def maps(folder: Path, points: Points | None = None) -> list[Panel]:
    """Return thickness (with what was measured on it), its upper bound and bed of the largest glaciers.

    Thickness lies on the shaded ground.
    """
    rows = [r for r in read_table(folder) if not r["note"]]
    made: list[Panel] = []
    for row in sorted(rows, key=lambda r: -float(r["area_km2"]))[:MAX_MAPS]:
        place = folder / place_of(row["id"])
        outline = (Lines(label="outlines", file=str((folder / "glaciers.gpkg").absolute())),)
        ground = Layer(file=str((place / "bed.tif").absolute()))
        volume, low, high = (f"{float(row[f'volume{end}_km3']):.3g}" for end in ("", "_low", "_high"))
        for name, colours in (("thickness", "thickness"), ("high", "thickness"), ("bed", "terrain")):
            first = name == "thickness"
            made.append(
                Map(
                    title=f"{row['id']}: {'upper 90 % bound of thickness' if name == 'high' else name}",
                    layer=Layer(file=str((place / f"{name}.tif").absolute())),
                    unit="m",
                    colours=colours,
                    low=None if name == "bed" else 0.0,
                    underlay=ground,
                    lines=outline,
                    points=_on_map(place, points) if first and points is not None else (),
                    note=f"{volume} km³ ({low} to {high})" if first else "",
                )
            )
    return made


def _on_map(place: Path, points: Points) -> tuple[MapPoints, ...]:
    """Return the measured points that lie on a glacier's map, thinned to what can be told apart."""
    depth = read_quantity(place / "thickness.tif", "thickness").values
    grid = grid_of(place / "thickness.tif")
    move = Transformer.from_crs(points.crs, grid.crs.to_wkt(), always_xy=True)
    cols, rows = ~grid.affine * np.asarray(move.transform(points.x, points.y))
    on = np.isfinite(sample(depth, rows - 0.5, cols - 0.5))
    at = np.flatnonzero(on)[:: max(1, int(on.sum()) // MAX_POINTS)]
    if not len(at):
        return ()
    return (MapPoints(label="measured", columns=cols[at], rows=rows[at], values=points.thickness[at]),)


def scatter(measured: F64, predicted: F64) -> list[Panel]:
    """Return measured against predicted thickness, thinned to what a page can hold."""
    step = max(1, len(measured) // 4000)
    return [
        Scatter(
            title="Thickness at measured points",
            x=tuple(measured[::step].tolist()),
            y=tuple(predicted[::step].tolist()),
            x_label="measured (m)",
            y_label="predicted (m)",
        )
    ]


def section(folder: Path, points: Points, glacier: NDArray[np.str_], hit: Bools) -> list[Any]:
    """Return surface and bed along the long axis of the points on the most measured glacier."""
    names, counts = np.unique(glacier[hit], return_counts=True)
    name = str(names[counts.argmax()])
    mine = hit & (glacier == name)
    grid = grid_of(folder / place_of(name) / "bed.tif")
    transform, crs = grid.affine, grid.crs
    bed = read(folder / place_of(name) / "bed.tif").filled(np.nan).astype(np.float64)
    depth = read(folder / place_of(name) / "thickness.tif").filled(np.nan).astype(np.float64)
    move = Transformer.from_crs(points.crs, crs.to_wkt(), always_xy=True)
    x, y = (np.asarray(v) for v in move.transform(points.x[mine], points.y[mine]))
    centre, direction = _axis(np.stack([x, y]))
    along = direction @ (np.stack([x, y]) - centre[:, None])
    across = np.abs(direction[::-1] * [1, -1] @ (np.stack([x, y]) - centre[:, None]))
    steps = np.linspace(along.min(), along.max(), STEPS)
    line = centre[:, None] + direction[:, None] * steps
    pixel = abs(transform.a)
    metres = 111_320.0 if crs.geographic else 1.0
    # Summed by pixels: at the edge of the ice, bed and thickness are taken from other neighbours.
    ground, surface = (_along(a, transform, line) for a in (bed, bed + np.nan_to_num(depth)))
    near = across < 2 * pixel
    cols, rows = ~transform * (x[near], y[near])
    top = sample(bed + np.nan_to_num(depth), rows - 0.5, cols - 0.5)
    return [
        CrossSection(
            title=f"{name}: surface and bed along the survey's long axis",
            distance=tuple(((steps - steps[0]) * metres).tolist()),
            surface=tuple(surface.tolist()),
            bed=tuple(ground.tolist()),
            measured_distance=tuple(((along[near] - steps[0]) * metres)[np.isfinite(top)].tolist()),
            measured_bed=tuple((top - points.thickness[mine][near])[np.isfinite(top)].tolist()),
            measured_error=tuple(points.uncertainty[mine][near][np.isfinite(top)].tolist()),
            note="points within two pixels of the line",
        )
    ]


def _axis(xy: F64) -> tuple[F64, F64]:
    """Return centre and unit direction of the longest spread of points ``(2, n)``."""
    centre = xy.mean(1)
    _, vectors = np.linalg.eigh(np.cov(xy - centre[:, None])) if xy.shape[1] > 2 else (None, np.eye(2))
    return centre, np.asarray(vectors[:, -1])


def _along(values: F64, transform: Any, line: F64) -> F64:
    cols, rows = ~transform * (line[0], line[1])
    return sample(values, np.asarray(rows) - 0.5, np.asarray(cols) - 0.5)
