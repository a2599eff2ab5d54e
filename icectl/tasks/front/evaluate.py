"""Stage five: front errors beside the baselines and the published figures, by condition."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from icectl.arrays import F64
from icectl.contract import Column, Metrics, Row, Table
from icectl.errors import DataError
from icectl.intervals import certainty, gain_interval
from icectl.run import Run
from icectl.settings import available, read_toml
from icectl.tasks.front.baselines import baselines, previous_fronts
from icectl.tasks.front.dataset import Entry, FrontData, open_dataset, read_audit
from icectl.tasks.front.figures import figures
from icectl.tasks.front.files.records import Record, lines_in, probabilities, read_records
from icectl.tasks.front.line.doubt_tables import WRONG, doubt_facts, doubt_table
from icectl.tasks.front.metrics import FrontError, score, summary
from icectl.tasks.front.model import FrontModel
from icectl.tasks.front.options import EvaluateOptions
from icectl.tasks.front.pose.frame import bearing_in, frame_of
from icectl.tasks.front.pose.pose import Pose, posed

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
    Column(key="calfin_iou", label="mask IoU (CALFIN)", better="higher"),
    Column(key="false", label="false"),
)
CONDITION = (_FRONTS, MAIN[0], MAIN[1], MORE[2], MAIN[3], MAIN[4])
PAPERS = (MAIN[0], MAIN[1], MAIN[2], MORE[3], MAIN[3], MORE[4])
SHOWN = ("CALFIN-NN on CALFIN-VS", "M-NN on M-VS")
"""Published figures in the first table; all of them follow in one of their own."""

Errors = dict[str, FrontError]


def evaluate(run: Run, model: FrontModel, options: EvaluateOptions) -> Metrics:
    """Return tables of all images that the weights have not seen; their labels are the truth."""
    _, facts = model.load(run)
    data = open_dataset(run.inputs["prepare"])
    records = {record["image"]: record for record in read_records(run.inputs["predict"])}
    seen = set(facts.get("seen", ()))
    entries = [e for e in data.entries if e.lines is not None and e.id not in seen and e.role != "left_out"]
    if not entries:
        raise DataError(
            f"none of the {len(data.entries)} images has a label and was not trained on",
            "give labels (--labels), or hold a glacier out with --held-out",
        )
    errors = all_errors(run, data, entries, records, facts)
    found = errors[(run.plugin.name, "model")]
    rows = [_row(name, kind, list(own.values())) for (name, kind), own in errors.items()]
    published = published_rows()
    shown = [row for row in published if row.name in SHOWN]
    note = "distances both ways, concatenated (CALFIN), in pixels of the source image"
    first = Table(title=TITLE, columns=MAIN, rows=_only(MAIN, [*rows, *shown]), primary="mean_px", note=note)
    tables = [first, Table(title="More measures", columns=MORE, rows=_only(MORE, rows), primary="two_way_px")]
    tables += [t for name in options.by if (t := _by_condition(entries, found, name)) is not None]
    tables.append(doubt_table(entries, found, records))
    if published:
        title = "Published figures, other images"
        tables.append(Table(title=title, columns=PAPERS, rows=_only(PAPERS, published), primary="mean_px"))
    details = {
        "audit": read_audit(run.inputs["prepare"]),
        "data": _data_facts(data, entries, records),
        "doubt": doubt_facts(entries, found, records),
        **certainty(first, {run.plugin.name: units_of(found)}, draws=options.bootstrap, seed=run.seed),
        "gain": gain_over_bar(run.plugin.name, first, errors, options.bootstrap, run.seed),
        "images": [_image_row(entry, found[entry.id], records[entry.id]) for entry in entries],
        "panels": figures(run, data, entries, records, found, options),
    }
    return Metrics(tables=tuple(tables), notes=_notes(found), details=details)


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
    errors: dict[tuple[str, str], Errors] = {(run.plugin.name, "model"): {}}
    with run.progress("evaluating", total=len(entries)) as advance:
        for entry in entries:
            truth = entry.lines or ()
            frame = frame_of(entry.place, entry.shape, entry.resolution)
            mask = data.mask(entry)
            masks = None if mask is None else (probabilities(run.inputs["predict"], entry.id)[1], mask)
            own = score(lines_in(records[entry.id]), truth, entry.shape, masks, frame)
            errors[(run.plugin.name, "model")][entry.id] = own
            pose = pose_of(entry, records[entry.id], facts)
            drawn = baselines(data.image(entry), pose, facts, before.get(entry.id, ()))
            for name, lines in drawn.items():
                rival = score(lines, truth, entry.shape, None, frame)
                errors.setdefault((name, "baseline"), {})[entry.id] = rival
            advance()
    return errors


def pose_of(entry: Entry, record: Record, facts: Mapping[str, Any]) -> Pose:
    """Return the view in which the network found an image's front, for its baselines."""
    if facts.get("pose") == "unknown":
        return posed(entry.shape, None)
    frame = frame_of(entry.place, entry.shape, entry.resolution)
    found = next((f["bearing"] for f in record["fronts"] if f["bearing"] is not None), entry.flow)
    bearing = bearing_in(frame, 0.0) if found is None else found
    return posed(entry.shape, frame, bearing, facts.get("resolution"))


def _row(name: str, kind: str, errors: Sequence[FrontError], note: str = "") -> Row:
    return Row(name=name, kind=kind, values=summary(errors), note=note)


def _by_condition(entries: Sequence[Entry], errors: Errors, name: str) -> Table | None:
    """Return the network's errors by the values of one condition; None where it is unknown or single."""
    groups: dict[str, list[FrontError]] = {}
    for entry in entries:
        groups.setdefault(str(entry.facts.get(name, "not given")), []).append(errors[entry.id])
    if set(groups) <= {"not given"}:
        return None
    rows = tuple(_row(value, "model", own) for value, own in sorted(groups.items()))
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


def units_of(errors: Errors) -> dict[str, F64]:
    """Return (n, 2) sums and counts of the network's distances, an image a unit: of points, and of images."""
    found = [e.pooled for e in errors.values() if e.status == "found"]
    points, images = ([[p.sum(), len(p)] for p in found], [[p.mean(), 1.0] for p in found])
    return {
        key: np.array(units, np.float64).reshape(-1, 2)
        for key, units in (("mean_px", points), ("image_mean_px", images))
    }


def gain_over_bar(
    model: str, table: Table, errors: Mapping[tuple[str, str], Errors], resamples: int, seed: int
) -> list[float] | None:
    """Return the interval of the gain over the strongest baseline, on images where both found a front."""
    bar = table.bar()
    if bar is None:
        return None
    own, rival = errors[(model, "model")], errors[(bar.name, "baseline")]
    both = [k for k in own if own[k].status == "found" and rival[k].status == "found"]
    ours, theirs = (
        np.array([[e[k].pooled.sum(), len(e[k].pooled)] for k in both], float).reshape(-1, 2)
        for e in (own, rival)
    )
    return gain_interval(ours, theirs, draws=resamples, seed=seed)


def _data_facts(data: FrontData, entries: Sequence[Entry], records: Mapping[str, Record]) -> dict[str, Any]:
    dated = sorted(e.time for e in entries if e.dated)
    scales = sorted({round(e.resolution, 1) for e in entries if e.resolution is not None})
    return {
        "images in the set": len(data.entries),
        "images scored": len(entries),
        "period": f"{dated[0]:%Y-%m-%d} to {dated[-1]:%Y-%m-%d}" if dated else "undated",
        "metres per pixel": " to ".join(f"{v:g}" for v in dict.fromkeys((scales[0], scales[-1])))
        if scales
        else "not known",
        "fronts in doubt (flagged)": sum(any(f["doubt"] for f in records[e.id]["fronts"]) for e in entries),
    }


def _image_row(entry: Entry, error: FrontError, record: Record) -> dict[str, Any]:
    return {
        "image": entry.id,
        "date": entry.time.strftime("%Y-%m-%d") if entry.dated else "",
        "status": error.status,
        "mean_px": float(error.pooled.mean()) if len(error.pooled) else None,
        "mean_m": float(error.pooled_m.mean()) if len(error.pooled_m) else None,
        "edge_iou": None if np.isnan(error.edge_iou) else error.edge_iou,
        "confidence": max((f["confidence"] for f in record["fronts"]), default=0.0),
        "flagged": any(front["doubt"] for front in record["fronts"]),
        **entry.facts,
    }


def _notes(errors: Errors) -> tuple[str, ...]:
    notes = [
        "mean and median distance: nearest distances both ways, concatenated (CALFIN); two-way mean: COBRA's",
        f"a front is wrong where its mean distance is above {WRONG:g} m (10 px where the scale is not known)",
    ]
    missed = sum(e.status == "missed" for e in errors.values())
    if missed:
        notes.append(f"{missed} fronts were missed; they have no distance and are not in the means")
    return tuple(notes)
