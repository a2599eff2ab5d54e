"""Panels for the report: maps of bed and thickness, sections, what was measured or is true beside them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from pyproj import Transformer
from skimage.measure import approximate_polygon, find_contours

from icectl.arrays import F64, Bools
from icectl.raster import Grid, grid_of, ground_steps, read, read_quantity, write_cog
from icectl.report.panels import CrossSection, Frame, Layer, Lines, Map, Panel, Scatter, TimeMaps
from icectl.report.panels import Points as MapPoints
from icectl.run import Run
from icectl.tasks.bed.metrics import sample
from icectl.tasks.bed.products import place_of, read_table
from icectl.tasks.bed.readers.points import Points
from icectl.tasks.bed.scores.points import AtPoints

MAX_MAPS = 3
MAX_POINTS = 400
STEPS = 200
CONTOURS = 10
"""Contours between the least and the greatest value of a map, about."""


def figures(run: Run, scored: AtPoints | None = None, truth: Path | None = None) -> list[Panel]:
    """Return maps of the largest glaciers and sections; measured points and a true thickness beside them."""
    folder = run.inputs["predict"]
    found: list[Panel] = [] if truth is None else [_beside(run, folder, truth)]
    found += deepest(folder, truth)
    if scored is not None:
        hit = scored.hit
        found += section(folder, scored.points, scored.glacier, hit)
        found += scatter(scored.points.thickness[hit], scored.predicted[hit])
    return found + maps(folder, None if scored is None else scored.points)


def _largest(folder: Path) -> list[dict[str, str]]:
    rows = [r for r in read_table(folder) if not r["note"]]
    return sorted(rows, key=lambda r: -float(r["area_km2"]))[:MAX_MAPS]


def _beside(run: Run, folder: Path, truth: Path) -> TimeMaps:
    """Return thickness beside the true one, glacier by glacier, which goes into ``run.out`` on its grid."""
    frames = []
    for row in _largest(folder):
        ours, theirs = (
            folder / place_of(row["id"]) / "thickness.tif",
            run.out / f"true_{place_of(row['id'])}.tif",
        )
        grid = grid_of(ours)
        true = read_quantity(truth, "thickness", grid=grid).values
        write_cog(theirs, np.where(np.isfinite(read(ours).filled(np.nan)), true, np.float32(np.nan)), grid)
        layers = {"truth": Layer(file=str(theirs)), "prediction": Layer(file=str(ours.absolute()))}
        frames.append(Frame(label=row["id"], **layers))
    return TimeMaps(
        title="Thickness beside the truth", frames=tuple(frames), colours="thickness", low=0.0, unit="m"
    )


def maps(folder: Path, points: Points | None = None) -> list[Panel]:
    """Return thickness (with what was measured on it), its upper bound and bed of the largest glaciers.

    Thickness lies on the shaded ground; contours lie on thickness and bed.
    """
    made: list[Panel] = []
    for row in _largest(folder):
        place = folder / place_of(row["id"])
        outline = (Lines(label="outlines", file=str((folder / "glaciers.gpkg").absolute())),)
        ground = Layer(file=str((place / "bed.tif").absolute()))
        volume, low, high = (f"{float(row[f'volume{end}_km3']):.3g}" for end in ("", "_low", "_high"))
        for name, colours in (("thickness", "thickness"), ("high", "thickness"), ("bed", "terrain")):
            first = name == "thickness"
            contours, every = ((), "") if name == "high" else _contours(place / f"{name}.tif")
            made.append(
                Map(
                    title=f"{row['id']}: {'upper 90 % bound of thickness' if name == 'high' else name}",
                    layer=Layer(file=str((place / f"{name}.tif").absolute())),
                    unit="m",
                    colours=colours,
                    low=None if name == "bed" else 0.0,
                    underlay=ground,
                    lines=(*contours, *outline),
                    points=_on_map(place, points) if first and points is not None else (),
                    note="; ".join(filter(None, (f"{volume} km³ ({low} to {high})" if first else "", every))),
                )
            )
    return made


def _contours(path: Path) -> tuple[tuple[Lines, ...], str]:
    """Return lines of equal value at round steps, in pixels, and what they are in words."""
    values = read(path).filled(np.nan).astype(np.float64)
    known = values[np.isfinite(values)]
    if not len(known):
        return (), ""
    levels = MaxNLocator(CONTOURS, steps=[1, 2, 5, 10]).tick_values(known.min(), known.max())
    drawn = [approximate_polygon(c, 0.3) for level in levels for c in find_contours(values, level)]
    lines = tuple(tuple((float(x + 0.5), float(y + 0.5)) for y, x in line) for line in drawn if len(line) > 1)
    words = f"contours every {levels[1] - levels[0]:g} m"
    return (Lines(label=words, role="contour", pixels=lines),) if lines else (), words if lines else ""


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


class _Cut(NamedTuple):
    """Ground and thickness of a glacier; places are in metres from its upper left corner, right and down."""

    grid: Grid
    step: F64
    bed: F64
    depth: F64

    def along(self, line: F64) -> dict[str, Any]:
        """Return distance, surface and bed of a `CrossSection` along points ``(2, n)``.

        Summed by pixels: at the edge of the ice, bed and thickness are taken from other neighbours.
        """
        ground, surface = (self.at(a, line) for a in (self.bed, self.bed + np.nan_to_num(self.depth)))
        far = np.hypot(*(line - line[:, :1]))
        return {
            "distance": tuple(far.tolist()),
            "surface": tuple(surface.tolist()),
            "bed": tuple(ground.tolist()),
        }

    def at(self, values: F64, places: F64) -> F64:
        """Return values at places in metres."""
        cols, rows = places / self.step[:, None] - 0.5
        return sample(values, rows, cols)


def _cut(place: Path) -> _Cut:
    grid = grid_of(place / "bed.tif")
    bed, depth = (read(place / f"{n}.tif").filled(np.nan).astype(np.float64) for n in ("bed", "thickness"))
    return _Cut(grid, np.array([float(side) for side in ground_steps(grid)]), bed, depth)


def deepest(folder: Path, truth: Path | None = None) -> list[Panel]:
    """Return sections through the thickest ice of the largest glacier, along it and across."""
    made: list[Panel] = []
    for name in [row["id"] for row in _largest(folder)[:1]]:
        cut = _cut(folder / place_of(name))
        rows, cols = np.nonzero(np.isfinite(cut.depth))
        pixels = np.stack([cols + 0.5, rows + 0.5]) * cut.step[:, None]
        at = pixels[:, [int(np.argmax(cut.depth[rows, cols]))]]
        _, axis = _axis(pixels)
        for words, way in (("along", axis), ("across", axis[::-1] * [1, -1])):
            far = way @ (pixels - at)
            line = at + way[:, None] * np.linspace(far.min(), far.max(), STEPS)
            drawn = cut.along(line := line[:, np.isfinite(cut.at(cut.bed, line))])
            if truth is not None:
                ice = read_quantity(truth, "thickness", grid=cut.grid).values.astype(np.float64)
                drawn["truth"] = tuple(
                    (np.array(drawn["surface"]) - cut.at(np.nan_to_num(ice), line)).tolist()
                )
            made.append(
                CrossSection(title=f"{name}: section {words} the glacier through its thickest ice", **drawn)
            )
    return made


def section(folder: Path, points: Points, glacier: NDArray[np.str_], hit: Bools) -> list[Panel]:
    """Return surface and bed along the long axis of the points on the most measured glacier."""
    names, counts = np.unique(glacier[hit], return_counts=True)
    name = str(names[counts.argmax()])
    mine = hit & (glacier == name)
    cut = _cut(folder / place_of(name))
    move = Transformer.from_crs(points.crs, cut.grid.crs.to_wkt(), always_xy=True)
    x, y = (np.asarray(v) for v in move.transform(points.x[mine], points.y[mine]))
    places = np.stack(~cut.grid.affine * (x, y)) * cut.step[:, None]
    centre, direction = _axis(places)
    along = direction @ (places - centre[:, None])
    across = np.abs(direction[::-1] * [1, -1] @ (places - centre[:, None]))
    line = centre[:, None] + direction[:, None] * np.linspace(along.min(), along.max(), STEPS)
    near = across < 2 * cut.step.min()
    top = cut.at(cut.bed + np.nan_to_num(cut.depth), places[:, near])
    known = np.isfinite(top)
    return [
        CrossSection(
            title=f"{name}: surface and bed along the survey's long axis",
            **cut.along(line),
            measured_distance=tuple((along[near] - along.min())[known].tolist()),
            measured_bed=tuple((top - points.thickness[mine][near])[known].tolist()),
            measured_error=tuple(points.uncertainty[mine][near][known].tolist()),
            note="points within two pixels of the line",
        )
    ]


def _axis(xy: F64) -> tuple[F64, F64]:
    """Return centre and unit direction of the longest spread of points ``(2, n)``."""
    centre = xy.mean(1)
    _, vectors = np.linalg.eigh(np.cov(xy - centre[:, None])) if xy.shape[1] > 2 else (None, np.eye(2))
    return centre, np.asarray(vectors[:, -1])
