"""`icectl compare fronts A B`: any two sets of front lines, matched by glacier and date.

Works on manual and automatic lines alike: CALFIN, ESA-CCI, MEaSUREs, PROMICE and TermPicks all name
glacier and date in columns of their own; the columns are found by name, or given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from icectl.contract import Column, Row, Table
from icectl.errors import DataError, UsageError
from icectl.raster import ground_lines, line_distances, read_vectors

DATES = ("date", "sourcedate", "source_date", "acq_date", "dateobs", "time", "timestamp", "img_date")
GLACIERS = ("refname", "glacierid", "glacier_id", "glacier", "officialn", "name", "glac_name")
DEGREES = "EPSG:4326"


@dataclass(frozen=True, slots=True)
class FrontLine:
    """One line of a set: a shapely line in degrees, its date, and its glacier's name or number."""

    lonlat: Any
    day: datetime
    glacier: str


def compare_fronts(
    first: Path,
    second: Path,
    *,
    within_days: float = 1.0,
    step: float = 10.0,
    date_column: str | None = None,
    glacier_column: str | None = None,
) -> Table:
    """Return distances between two sets of fronts in metres on the ground, whatever their CRS.

    Lines pair when they are of one glacier (where both sets name it; else when they lie nearest) and
    at most `within_days` apart; each line is used once, the nearest date first.

    Parameters
    ----------
    first, second
        Vector files of lines.
    step
        Metres between points along the lines.
    date_column, glacier_column
        Names of columns, where they are not found.

    Raises
    ------
    DataError
        A set has no lines or no dates, or no two lines pair.
    """
    if within_days < 0 or step <= 0:
        raise UsageError(f"within-days {within_days} and step {step} must be positive", "use 1 and 10")
    sets = [read_set(path, date_column, glacier_column) for path in (first, second)]
    pairs = match(sets[0], sets[1], within_days)
    if not pairs:
        raise DataError(
            f"no front of {first.name} has one of {second.name} within {within_days:g} days",
            "raise --within-days, or check dates and names of glaciers",
        )
    groups: dict[str, list[Any]] = {}
    for a, b in pairs:
        groups.setdefault(a.glacier or "all", []).append(line_distances(a.lonlat, b.lonlat, DEGREES, step))
    everything = [d for own in groups.values() for d in own]
    rows = [_row("all", everything, "model")]
    if len(groups) > 1:
        rows += [_row(name, own, "model") for name, own in sorted(groups.items())]
    sizes = f"{len(sets[0])} and {len(sets[1])} lines, {len(pairs)} pair{'' if len(pairs) == 1 else 's'}"
    note = f"{sizes} within {within_days:g} days, in metres on the ground"
    title = f"{first.name} against {second.name}"
    return Table(title=title, columns=COLUMNS, rows=tuple(rows), primary="mean_m", note=note)


COLUMNS = (
    Column(key="pairs", label="pairs", better=""),
    Column(key="mean_m", label="mean distance", unit="m"),
    Column(key="median_m", label="median distance", unit="m"),
    Column(key="image_mean_m", label="mean over pairs", unit="m"),
    Column(key="two_way_m", label="two-way mean", unit="m"),
)


def read_set(
    path: Path, date_column: str | None = None, glacier_column: str | None = None
) -> list[FrontLine]:
    """Return the lines of a file, multi-lines joined into one set of points in order."""
    import shapely

    frame = read_vectors(path, DEGREES)
    date_name = date_column or _column(frame, DATES)
    if date_name is None or date_name not in frame:
        raise DataError(f"{path} has no column of dates", f"name it; columns are {', '.join(frame.columns)}")
    glacier_name = glacier_column or _column(frame, GLACIERS)
    lines = []
    for _, row in frame.iterrows():
        day = parse_day(row[date_name])
        if day is not None and shapely.get_dimensions(row.geometry) >= 1:
            name = str(row[glacier_name]).strip() if glacier_name else ""
            lines.append(FrontLine(row.geometry, day, name))
    if not lines:
        raise DataError(f"{path} holds no dated line", f"the column of dates is '{date_name}'")
    return lines


def _column(frame: Any, names: Sequence[str]) -> str | None:
    lower = {str(column).lower(): str(column) for column in frame.columns}
    return next((lower[name] for name in names if name in lower), None)


def parse_day(value: Any) -> datetime | None:
    """Return the date in a cell (a date, a timestamp, or text), or None."""
    from icectl.sources.names import parse_date

    if hasattr(value, "year"):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    period = parse_date(str(value))
    return period.start if period else None


def match(
    first: Sequence[FrontLine], second: Sequence[FrontLine], within_days: float
) -> list[tuple[FrontLine, FrontLine]]:
    """Return pairs of one glacier and nearly one date, nearest dates first, each line once."""
    shared = {a.glacier for a in first} & {b.glacier for b in second} - {""}
    candidates = []
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            apart = abs((a.day - b.day).total_seconds()) / 86400
            if apart <= within_days and (a.glacier == b.glacier if shared else True):
                gap = 0.0 if shared else _gap(a, b)
                candidates.append((apart, gap, i, j))
    used: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for _, _, i, j in sorted(candidates):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            pairs.append((first[i], second[j]))
    return pairs


def _gap(a: FrontLine, b: FrontLine) -> float:
    """Return the shortest distance between two lines, in metres on the ground."""
    (one,), (other,) = ground_lines([a.lonlat], DEGREES, [b.lonlat])
    return float(one.distance(other))


def _row(name: str, pairs: Sequence[tuple[Any, Any]], kind: str) -> Row:
    both = [np.concatenate(pair) for pair in pairs]
    points = np.concatenate(both)
    values = {
        "pairs": len(pairs),
        "mean_m": float(points.mean()),
        "median_m": float(np.median(points)),
        "image_mean_m": float(np.mean([d.mean() for d in both])),
        "two_way_m": float(np.mean([(x.mean() + y.mean()) / 2 for x, y in pairs])),
    }
    return Row(name=name, kind=kind, values=values)
