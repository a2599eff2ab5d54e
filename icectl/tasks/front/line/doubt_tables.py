"""What confidence and flags were worth on labelled images: a table, and the facts behind its curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from icectl.contract import Column, Row, Table
from icectl.tasks.front.dataset import Entry
from icectl.tasks.front.files.records import Record
from icectl.tasks.front.line.reliability import (
    calibration_error,
    reliability_curve,
    risk_area,
    shares_flagged,
)
from icectl.tasks.front.metrics import FrontError, summary

WRONG = 500.0
"""A front is wrong from this mean distance on, in metres."""

WRONG_PX = 10.0
"""The same in pixels, where the scale is not known."""

COLUMNS = (
    Column(key="fronts", label="fronts", better=""),
    Column(key="mean_px", label="mean", unit="px"),
    Column(key="image_median_px", label="median of images", unit="px"),
    Column(key="mean_m", label="mean", unit="m"),
    Column(key="missed", label="missed"),
)


def doubt_table(
    entries: Sequence[Entry], errors: Mapping[str, FrontError], records: Mapping[str, Record]
) -> Table:
    """Return the network's errors on all images, on those without doubt, and on the flagged."""
    groups: dict[str, list[FrontError]] = {"all": [], "not flagged": [], "flagged": []}
    for entry in entries:
        for name in ("all", "flagged" if in_doubt(records[entry.id]) else "not flagged"):
            groups[name].append(errors[entry.id])
    keys = [column.key for column in COLUMNS]
    rows = [
        Row(name=name, kind="model", values={k: summary(own)[k] for k in keys})
        for name, own in groups.items()
        if own
    ]
    note = "an image without a front counts as flagged"
    return Table(title="By doubt", columns=COLUMNS, rows=tuple(rows), primary="mean_px", note=note)


def in_doubt(record: Record) -> bool:
    """Tell whether an image's fronts are in doubt, or none was found."""
    return not record["fronts"] or any(front["doubt"] for front in record["fronts"])


def is_right(error: FrontError) -> bool:
    """Tell whether a front was found within `WRONG` metres in the mean."""
    if error.status != "found":
        return error.status == "none"
    if len(error.pooled_m):
        return float(error.pooled_m.mean()) <= WRONG
    return float(error.pooled.mean()) <= WRONG_PX


def doubt_facts(
    entries: Sequence[Entry], errors: Mapping[str, FrontError], records: Mapping[str, Record]
) -> dict[str, Any]:
    """Return what the report lists: calibration error, risk–coverage area, shares flagged, the curve."""
    sure = np.array([max((f["confidence"] for f in records[e.id]["fronts"]), default=0.0) for e in entries])
    right = np.array([is_right(errors[e.id]) for e in entries], bool)
    found = np.array([errors[e.id].status == "found" for e in entries], bool)
    means = np.array([errors[e.id].pooled.mean() for e, ok in zip(entries, found, strict=True) if ok])
    wrong, good = shares_flagged([in_doubt(records[e.id]) for e in entries], list(right))
    return {
        "calibration error": _number(calibration_error(sure, right)),
        "area under risk and coverage, of random order's": _number(risk_area(sure[found], means)),
        "share of wrong fronts flagged": _number(wrong),
        "share of right fronts flagged": _number(good),
        "confidence, share right, images": [list(row) for row in reliability_curve(sure, right)],
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
