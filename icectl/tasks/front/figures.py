"""What the report draws of a front run: images with lines, errors over time, reliability, and series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from icectl.report.panels import Bars, Curve, ImageLines, Layer, Lines, Picture, Series, pack
from icectl.run import Run
from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.files.records import Record, lines_in
from icectl.tasks.front.line.doubt_tables import is_right
from icectl.tasks.front.line.reliability import reliability_curve
from icectl.tasks.front.metrics import FrontError
from icectl.tasks.front.options import EvaluateOptions
from icectl.tasks.front.series import fronts_by_date, length_curves, pixels_of

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
    drawn += fronts_by_date(data, records)
    drawn += length_curves(data, records, options.length_method)
    return pack(drawn, run.out)


def _chosen(entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> list[Entry]:
    """Return images from the worst to the best, thinned to `MAX_SHOWN`."""
    ordered = sorted(entries, key=lambda e: -_mean(errors[e.id]))
    step = max(1, -(-len(ordered) // MAX_SHOWN))
    return ordered[::step]


def _mean(error: FrontError) -> float:
    return float(error.pooled.mean()) if len(error.pooled) else float("inf")


def _picture(entry: Entry, record: Record, error: FrontError) -> Picture:
    lines = [Lines(label="labelled", role="truth", pixels=pixels_of(entry.lines or ()))]
    lines.append(Lines(label="predicted", role="prediction", pixels=pixels_of(lines_in(record))))
    score = f"{_mean(error):.2f} px" if len(error.pooled) else error.status
    return Picture(
        label=f"{entry.id} · {score}",
        image=Layer(file=entry.file, metres=entry.resolution),
        lines=tuple(lines),
        note="; ".join(record["notes"]),
    )


def _error_bars(model: str, entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> Bars:
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
