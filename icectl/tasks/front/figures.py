"""What the report draws of a front run: images with lines, errors over time, lengths, reliability, a map."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from icectl.report.panels import Bars, Curve, ImageLines, Layer, Lines, Picture, Series, pack
from icectl.run import Run
from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.files.records import Record, lines_in
from icectl.tasks.front.line.doubt_tables import is_right
from icectl.tasks.front.line.length import length_series, reference_of
from icectl.tasks.front.line.lines import Line
from icectl.tasks.front.line.reliability import reliability_curve
from icectl.tasks.front.metrics import FrontError
from icectl.tasks.front.options import EvaluateOptions
from icectl.tasks.front.pose.frame import Frame, angle_in, frame_of, metres_per_pixel

MAX_SHOWN = 40
"""Most images shown; the worst and the best are always among them."""


def figures(
    run: Run,
    data: FrontData,
    entries: Sequence[Entry],
    records: Mapping[str, Record],
    errors: Mapping[str, FrontError],
    options: EvaluateOptions,
) -> list[dict[str, Any]]:
    """Return packed panels."""
    frames = tuple(_picture(entry, records[entry.id], errors[entry.id]) for entry in _chosen(entries, errors))
    drawn: list[Any] = [ImageLines(title="Fronts", frames=frames, note="worst images first")]
    drawn.append(_error_bars(run.plugin.name, entries, errors))
    drawn.append(reliability(entries, errors, records))
    drawn += length_curves(data, entries, records, options.length_method)
    return pack(drawn, run.out)


def _chosen(entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> list[Entry]:
    """Return images from the worst to the best, thinned to `MAX_SHOWN`."""
    ordered = sorted(entries, key=lambda e: -_mean(errors[e.id]))
    step = max(1, -(-len(ordered) // MAX_SHOWN))
    return ordered[::step]


def _mean(error: FrontError) -> float:
    return float(error.pooled.mean()) if len(error.pooled) else float("inf")


def _picture(entry: Entry, record: Record, error: FrontError) -> Picture:
    """Return one image with its true and its predicted front."""
    lines = [Lines(label="labelled", role="truth", pixels=_pixels(entry.lines or ()))]
    lines.append(Lines(label="predicted", role="prediction", pixels=_pixels(lines_in(record))))
    score = f"{_mean(error):.2f} px" if len(error.pooled) else error.status
    return Picture(
        label=f"{entry.id} · {score}",
        image=Layer(file=entry.file, metres=entry.resolution),
        lines=tuple(lines),
        note="; ".join(record["notes"]),
    )


def _pixels(lines: Sequence[Line]) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return (column, row) polylines."""
    return tuple(tuple((float(c), float(r)) for r, c in line) for line in lines)


def _error_bars(model: str, entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> Bars:
    """Return mean distances by year."""
    years = sorted({e.facts.get("year", "?") for e in entries})
    means = []
    for year in years:
        own = [_mean(errors[e.id]) for e in entries if e.facts.get("year", "?") == year]
        found = [value for value in own if value != float("inf")]
        means.append(sum(found) / len(found) if found else None)
    return Bars(
        title="Mean distance by year", labels=tuple(years), series={model: tuple(means)}, y_label="px"
    )


def reliability(
    entries: Sequence[Entry], errors: Mapping[str, FrontError], records: Mapping[str, Record]
) -> Curve:
    """Return how often fronts are right against how sure the network was of them."""
    sure = [max((f["confidence"] for f in records[e.id]["fronts"]), default=0.0) for e in entries]
    right = np.array([is_right(errors[e.id]) for e in entries], bool)
    curve = reliability_curve(np.array(sure), right)
    x = tuple(round(mean, 4) for mean, _, _ in curve)
    ideal = Series(label="as stated", x=x, y=x, role="truth")
    own = Series(
        label="observed", x=x, y=tuple(share for _, share, _ in curve), role="prediction", points=True
    )
    return Curve(
        title="Share of right fronts by confidence",
        series=(ideal, own),
        y_label="share right",
        x_label="confidence",
        note="right: within 500 m in the mean; images: " + ", ".join(str(count) for _, _, count in curve),
    )


def length_curves(
    data: FrontData, entries: Sequence[Entry], records: Mapping[str, Record], method: str
) -> list[Curve]:
    """Return a curve of relative length for each glacier with three dates or more, in metres where known."""
    curves = []
    for glacier in sorted({entry.glacier for entry in entries}):
        own = [e for e in data.entries if e.glacier == glacier and e.dated]
        first = next((e for e in own if e.lines), None)
        if first is None or len(own) < 3:
            continue
        ground = Ground(first)
        reference = reference_of([ground(e, e.lines[0]) for e in own if e.lines], ground.flow)
        if reference is None:
            continue
        found = [e for e in own if e.id in records and records[e.id]["fronts"]]
        lines = {
            ("labelled", "truth"): [(e.time, ground(e, e.lines[0])) for e in own if e.lines],
            ("predicted", "prediction"): [(e.time, ground(e, lines_in(records[e.id])[0])) for e in found],
        }
        series = []
        for (label, role), dated in lines.items():
            values = length_series(dated, reference, method)
            x = tuple(f"{time:%Y-%m-%d}" for time, _ in values)
            y = tuple(round(value * ground.metres, 3) for _, value in values)
            series.append(Series(label=label, x=x, y=y, role=role, points=True))
        note = f"positive is advance; method: {method}; predicted is every date, those trained on too"
        title = f"Relative length of {glacier}"
        curves.append(Curve(title=title, series=tuple(series), y_label=ground.unit, dates=True, note=note))
    return curves


class Ground:
    """One square grid for all images of a glacier: the pixels of one of them, in metres where known.

    Images on different grids are moved to it by their CRS; without one, all are taken to share a grid.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.frame: Frame | None = frame_of(entry.place, entry.shape, entry.resolution)
        side = metres_per_pixel(self.frame)
        self.metres, self.unit = (side, "m") if side is not None else (1.0, "px")
        self.flow = None if entry.flow is None else angle_in(None, entry.flow)

    def __call__(self, entry: Entry, line: Line) -> Line:
        """Return a line of one image as (row, column) on the ground, north up, one unit a pixel's side."""
        if entry.place is not None and self.entry.place is not None and entry.place != self.entry.place:
            from affine import Affine

            from icectl.tasks.front.files.gis import to_map

            xy = to_map(line, entry.place, self.entry.place.crs)
            columns, rows = ~Affine(*self.entry.place.transform) * tuple(xy.T)
            line = np.stack([rows, columns], axis=1) - 0.5
        if self.frame is None:
            return line
        east, north = self.frame @ line[:, ::-1].T / self.metres
        return np.stack([-north, east], axis=1)
