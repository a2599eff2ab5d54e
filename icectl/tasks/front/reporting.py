"""What the report draws of a front run: images with lines, errors over time, changes of length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from icectl.report.panels import Bars, Curve, ImageLines, Layer, Lines, Picture, Series, pack
from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.length import length_series, reference_of
from icectl.tasks.front.lines import Line
from icectl.tasks.front.metrics import FrontError
from icectl.tasks.front.records import Record, lines_in

if TYPE_CHECKING:
    from icectl.run import Run
    from icectl.tasks.front.options import EvaluateOptions

MOST = 40
"""Most images shown; the worst and the best are always among them."""


def panels(
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
    drawn.append(_error_bars(entries, errors))
    drawn += length_curves(data, entries, records, options.length_method)
    return pack(drawn, run.out)


def _chosen(entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> list[Entry]:
    """Return images from the worst to the best, thinned to `MOST`."""
    ordered = sorted(entries, key=lambda e: -_mean(errors[e.id]))
    step = max(1, -(-len(ordered) // MOST))
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
        image=Layer(file=entry.file),
        lines=tuple(lines),
        note="; ".join(record["notes"]),
    )


def _pixels(lines: Sequence[Line]) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return (column, row) polylines."""
    return tuple(tuple((float(c), float(r)) for r, c in line) for line in lines)


def _error_bars(entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> Bars:
    """Return mean distances by year."""
    years = sorted({e.facts.get("year", "?") for e in entries})
    means = []
    for year in years:
        own = [_mean(errors[e.id]) for e in entries if e.facts.get("year", "?") == year]
        found = [value for value in own if value != float("inf")]
        means.append(sum(found) / len(found) if found else None)
    return Bars(
        title="Mean distance by year", labels=tuple(years), series={"network": tuple(means)}, y_label="px"
    )


def length_curves(
    data: FrontData, entries: Sequence[Entry], records: Mapping[str, Record], method: str
) -> list[Curve]:
    """Return a curve of relative length for each glacier with three dates or more."""
    curves = []
    for glacier in sorted({entry.glacier for entry in entries}):
        own = [e for e in data.entries if e.glacier == glacier and e.dated]
        reference = reference_of([e.lines[0] for e in own if e.lines], data.flow)
        if reference is None or len(own) < 3:
            continue
        truth = length_series([(e.time, e.lines[0]) for e in own if e.lines], reference, method)
        found = [
            (e.time, lines_in(records[e.id])[0]) for e in own if e.id in records and records[e.id]["fronts"]
        ]
        predicted = length_series(found, reference, method)
        series = []
        for label, role, values in (("labelled", "truth", truth), ("predicted", "prediction", predicted)):
            x = tuple(f"{time:%Y-%m-%d}" for time, _ in values)
            y = tuple(value for _, value in values)
            series.append(Series(label=label, x=x, y=y, role=role, points=True))
        note = f"positive is advance; method: {method}; predicted is every date, those trained on too"
        curves.append(
            Curve(
                title=f"Relative length of {glacier}",
                series=tuple(series),
                y_label="px",
                dates=True,
                note=note,
            )
        )
    return curves
