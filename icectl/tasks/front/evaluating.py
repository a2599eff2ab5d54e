"""Stage five: front errors beside the baselines and the published figures, by condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from icectl.contract import Column, Metrics, Row, Table
from icectl.errors import DataError
from icectl.intervals import gain_interval
from icectl.settings import available, read_toml
from icectl.tasks.front.baselines import gradient_path, previous_fronts, straight_line
from icectl.tasks.front.dataset import Entry, FrontData, open_data, read_audit
from icectl.tasks.front.lines import Line
from icectl.tasks.front.metrics import FrontError, compare_lines, summary
from icectl.tasks.front.records import Record, lines_in, probabilities, read_records

if TYPE_CHECKING:
    from icectl.run import Run
    from icectl.tasks.front.options import EvaluateOptions

MODEL = "network"
TITLE = "Calving fronts"
PUBLISHED = "cheng2021"
MAIN = (
    Column(key="mean_px", label="mean", unit="px"),
    Column(key="median_px", label="median", unit="px"),
    Column(key="mean_m", label="mean", unit="m"),
    Column(key="edge_iou", label="edge IoU", better="higher"),
    Column(key="missed", label="missed"),
)
"""What a terminal has room for; the others follow in tables of their own."""

_FRONTS = Column(key="fronts", label="fronts", better="")
MORE = (
    Column(key="image_mean_px", label="mean of images", unit="px"),
    Column(key="image_median_px", label="median of images", unit="px"),
    Column(key="two_way_px", label="two-way", unit="px"),
    Column(key="median_m", label="median", unit="m"),
    Column(key="mask_iou", label="mask IoU", better="higher"),
    Column(key="false", label="false"),
)
CONDITION = (_FRONTS, MAIN[0], MAIN[1], MORE[2], MAIN[3], MAIN[4])
PAPERS = (MAIN[0], MAIN[1], MAIN[2], MORE[3], MAIN[3], MORE[4])
SHOWN = ("CALFIN-NN on CALFIN-VS", "M-NN on M-VS")
"""Published figures in the first table; all of them follow in one of their own."""

Errors = dict[str, FrontError]


def evaluate(run: Run, options: EvaluateOptions, facts: Mapping[str, Any]) -> Metrics:
    """Return tables of all images that the weights have not seen; their labels are the truth."""
    from icectl.tasks.front.reporting import panels

    data = open_data(run.inputs["prepare"])
    records = {record["image"]: record for record in read_records(run.inputs["predict"])}
    seen = set(facts.get("seen", ()))
    entries = [e for e in data.entries if e.lines is not None and e.id not in seen and e.role != "left_out"]
    if not entries:
        raise DataError(
            f"none of the {len(data.entries)} images has a label and was not trained on",
            "give labels (--labels), or hold a glacier out with --held-out",
        )
    errors = all_errors(run, data, entries, records, facts)
    resolution = _resolution(entries)
    rows = [_row(name, kind, list(own.values()), resolution) for (name, kind), own in errors.items()]
    published = published_rows()
    shown = [row for row in published if row.name in SHOWN]
    note = "distances both ways, concatenated (CALFIN), in pixels of the source image"
    first = Table(title=TITLE, columns=MAIN, rows=_only(MAIN, [*rows, *shown]), primary="mean_px", note=note)
    every = Table(title="More measures", columns=MORE, rows=_only(MORE, rows), primary="two_way_px")
    papers = Table(
        title="Published figures, other images",
        columns=PAPERS,
        rows=_only(PAPERS, published),
        primary="mean_px",
    )
    found = errors[(MODEL, "model")]
    conditions = (_by_condition(entries, found, name, resolution) for name in options.by)
    tables = [first, every, *conditions, papers if published else None]
    details = {
        "audit": read_audit(run.inputs["prepare"]),
        "data": _data_facts(data, entries, records, resolution),
        "intervals": {TITLE: intervals(found, options.bootstrap, run.seed)},
        "gain": gain_over_bar(first, errors, options.bootstrap, run.seed),
        "images": [_image_row(entry, found[entry.id], records[entry.id]) for entry in entries],
        "panels": panels(run, data, entries, records, found, options),
    }
    return Metrics(tables=tuple(t for t in tables if t is not None), notes=_notes(found), details=details)


def _only(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows with the values that have a column here."""
    keys = [column.key for column in columns]
    return tuple(replace(row, values={k: row.values[k] for k in keys if k in row.values}) for row in rows)


def all_errors(
    run: Run,
    data: FrontData,
    entries: Sequence[Entry],
    records: Mapping[str, Record],
    facts: Mapping[str, Any],
) -> dict[tuple[str, str], Errors]:
    """Return the errors of the network and of every baseline, image by image."""
    before = previous_fronts(data.entries)
    rivals: dict[tuple[str, str], Callable[[Entry], Sequence[Line]]] = {
        ("straight line", "baseline"): lambda e: _one(straight_line(facts, e.shape)),
        ("previous date", "baseline"): lambda e: before.get(e.id, ()),
        ("untrained path", "baseline"): lambda e: _one(gradient_path(facts, data.image(e))),
    }
    errors: dict[tuple[str, str], Errors] = {(MODEL, "model"): {}, **{key: {} for key in rivals}}
    with run.progress("evaluating", total=len(entries)) as advance:
        for entry in entries:
            truth = entry.lines or ()
            mask = data.mask(entry)
            masks = None if mask is None else (probabilities(run.inputs["predict"], entry.id)[1], mask)
            errors[(MODEL, "model")][entry.id] = compare_lines(
                lines_in(records[entry.id]), truth, entry.shape, masks
            )
            for key, rival in rivals.items():
                errors[key][entry.id] = compare_lines(rival(entry), truth, entry.shape)
            advance()
    return errors


def _one(line: Line | None) -> Sequence[Line]:
    return () if line is None else (line,)


def _row(name: str, kind: str, errors: Sequence[FrontError], resolution: float | None, note: str = "") -> Row:
    return Row(name=name, kind=kind, values=summary(errors, resolution), note=note)


def _resolution(entries: Sequence[Entry]) -> float | None:
    """Return metres per pixel if all images agree on it."""
    values = {entry.resolution for entry in entries}
    return values.pop() if len(values) == 1 else None


def _by_condition(
    entries: Sequence[Entry], errors: Errors, name: str, resolution: float | None
) -> Table | None:
    """Return the network's errors by the values of one condition; None where it is unknown or single."""
    groups: dict[str, list[FrontError]] = {}
    for entry in entries:
        groups.setdefault(str(entry.facts.get(name, "not given")), []).append(errors[entry.id])
    if set(groups) <= {"not given"}:
        return None
    rows = tuple(_row(value, "model", own, resolution) for value, own in sorted(groups.items()))
    return Table(
        title=f"By {name.replace('_', ' ')}",
        columns=CONDITION,
        rows=_only(CONDITION, rows),
        primary="mean_px",
    )


def published_rows() -> tuple[Row, ...]:
    """Return the error tables of Cheng et al. 2021, measured on other images."""
    known = available("published")
    if PUBLISHED not in known:
        return ()
    rows = []
    for entry in read_toml(known[PUBLISHED])["errors"]:
        values = {column.key: entry.get(column.key) for column in PAPERS}
        name = f"{entry['network']} on {entry['validation']}"
        rows.append(Row(name=name, kind="published", values=values, note=entry.get("note", "")))
    return tuple(rows)


def intervals(errors: Errors, resamples: int, seed: int) -> dict[str, dict[str, list[float]]]:
    """Return 95 % intervals of the network's mean distances by drawing images with replacement."""
    found = [e.pooled for e in errors.values() if e.status == "found"]
    if resamples < 2 or len(found) < 2:
        return {}
    sums, counts = np.array([p.sum() for p in found]), np.array([len(p) for p in found])
    draws = np.random.default_rng(seed).integers(len(found), size=(resamples, len(found)))
    pooled = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    images = (sums / counts)[draws].mean(axis=1)
    low_high = {"mean_px": pooled, "image_mean_px": images}
    return {MODEL: {key: [float(v) for v in np.percentile(x, [2.5, 97.5])] for key, x in low_high.items()}}


def gain_over_bar(
    table: Table, errors: Mapping[tuple[str, str], Errors], resamples: int, seed: int
) -> list[float] | None:
    """Return the interval of the gain over the strongest baseline, on images where both found a front."""
    bar = table.bar()
    if bar is None:
        return None
    own, rival = errors[(MODEL, "model")], errors[(bar.name, "baseline")]
    both = [k for k in own if own[k].status == "found" and rival[k].status == "found"]
    model, other = (
        np.array([[e[k].pooled.sum(), len(e[k].pooled)] for k in both], float).reshape(-1, 2)
        for e in (own, rival)
    )
    return gain_interval(model, other, draws=resamples, seed=seed)


def _data_facts(
    data: FrontData, entries: Sequence[Entry], records: Mapping[str, Record], resolution: float | None
) -> dict[str, Any]:
    """Return what the report lists of the data."""
    dated = sorted(e.time for e in entries if e.dated)
    flagged = sum(any(f["fallback"] for f in records[e.id]["fronts"]) for e in entries)
    return {
        "images in the set": len(data.entries),
        "images scored": len(entries),
        "period": f"{dated[0]:%Y-%m-%d} to {dated[-1]:%Y-%m-%d}" if dated else "undated",
        "metres per pixel": resolution if resolution is not None else "not known",
        "fronts below the thresholds (flagged)": flagged,
    }


def _image_row(entry: Entry, error: FrontError, record: Record) -> dict[str, Any]:
    """Return one image's line of the report's data."""
    mean = float(error.pooled.mean()) if len(error.pooled) else None
    return {
        "image": entry.id,
        "date": entry.time.strftime("%Y-%m-%d") if entry.dated else "",
        "status": error.status,
        "mean_px": mean,
        "edge_iou": None if np.isnan(error.edge_iou) else error.edge_iou,
        "flagged": any(front["fallback"] for front in record["fronts"]),
        **entry.facts,
    }


def _notes(errors: Errors) -> tuple[str, ...]:
    """Return sentences below the table."""
    notes = [
        "mean and median distance: nearest distances both ways, concatenated (CALFIN); two-way mean: COBRA's"
    ]
    missed = sum(e.status == "missed" for e in errors.values())
    if missed:
        notes.append(f"{missed} fronts were missed; they have no distance and are not in the means")
    return tuple(notes)
