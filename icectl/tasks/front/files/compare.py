"""`icectl compare fronts A B …`: sets of front lines, matched by glacier and date, and lengths over time.

Works on manual and automatic lines alike: CALFIN, ESA-CCI, MEaSUREs, PROMICE and TermPicks all name
glacier and date in columns of their own; the columns are found by name. All distances are
metres on the ground, whatever the CRS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import Geod

from icectl.contract import Column, Row, Table
from icectl.errors import DataError, UsageError
from icectl.raster import ground_lines, line_distances, read_vectors

DATES = ("date", "sourcedate", "source_date", "acq_date", "dateobs", "time", "timestamp", "img_date")
GLACIERS = ("refname", "glacierid", "glacier_id", "glacier", "officialn", "name", "glac_name")
DEGREES = "EPSG:4326"

FAR = 50_000.0
"""Metres: lines farther apart are of two glaciers, whatever they are called."""

STEP = 10.0
"""Metres between points along a line."""


@dataclass(frozen=True, slots=True)
class FrontLine:
    """One line of a set: its shape in longitude and latitude, its date, and its glacier's name or number."""

    shape: Any
    day: datetime
    glacier: str


def compare_fronts(*paths: Path, within_days: float = 1.0) -> Table:
    """Return distances between sets of fronts in metres on the ground, of every two of them.

    Lines pair when they are of one glacier (where both sets name it; else when they lie nearest) and
    at most `within_days` apart; each line is used once, the nearest date first.

    `paths`: vector files of lines, two or more; `within_days`: most days between two lines of a pair.

    DataError: a set has no lines or no dates, or no two lines pair.
    """
    if within_days < 0:
        raise UsageError(f"--within-days {within_days} is negative", "use 1, or 0 for equal dates")
    sets = [read_set(path) for path in paths]
    rows: list[Row] = []
    counts = []
    for a, b in combinations(range(len(paths)), 2):
        pairs = match(sets[a], sets[b], within_days)
        counts.append(len(pairs))
        title = f"{paths[a].stem} – {paths[b].stem}" if len(paths) > 2 else "all"
        rows += _rows(title, pairs, len(paths) == 2) if pairs else []
    if not rows:
        names = " and ".join(path.name for path in paths)
        raise DataError(
            f"no two fronts of {names} lie within {within_days:g} days and {FAR / 1000:g} km",
            "raise --within-days, or check dates and names of glaciers",
        )
    sizes = " and ".join(str(len(own)) for own in sets)
    note = f"{sizes} lines, {sum(counts)} pair{'' if sum(counts) == 1 else 's'} within {within_days:g} days"
    title = " against ".join(path.name for path in paths)
    note += "; metres on the ground"
    if again := sum(len(own) - len({(line.glacier, line.day) for line in own}) for own in sets):
        note += f"; {again} further of a glacier and date that has a line already: each is used once"
    return Table(title=title, columns=COLUMNS, rows=tuple(rows), primary="mean_m", note=note)


COLUMNS = (
    Column(key="pairs", label="pairs", better=""),
    Column(key="mean_m", label="mean distance", unit="m"),
    Column(key="median_m", label="median distance", unit="m"),
    Column(key="image_mean_m", label="mean over pairs", unit="m"),
    Column(key="two_way_m", label="two-way mean", unit="m"),
)


def _rows(title: str, pairs: Sequence[tuple[FrontLine, FrontLine]], apart: bool) -> list[Row]:
    """Return one row of all pairs and, where asked for, one a glacier."""
    groups: dict[str, list[Any]] = {}
    for a, b in pairs:
        groups.setdefault(a.glacier or "all", []).append(line_distances(a.shape, b.shape, DEGREES, STEP))
    rows = [_row(title, [d for own in groups.values() for d in own])]
    if apart and len(groups) > 1:
        rows += [_row(name, own) for name, own in sorted(groups.items())]
    return rows


def read_set(path: Path) -> list[FrontLine]:
    """Return the lines of a file in longitude and latitude; polygons and files without dates are refused."""
    frame = read_vectors(path, DEGREES)
    shapes = np.asarray(frame.geometry.array)
    if (shapely.get_dimensions(shapes) == 2).any() or shapely.is_closed(shapely.get_parts(shapes)).any():
        raise DataError(
            f"{path} holds polygons or closed lines, whose boundary is not the front alone",
            "give the fronts as lines: of icectl's and CALFIN's files the one without '_closed' in its name",
        )
    date_name, glacier_name = _column(frame, DATES), _column(frame, GLACIERS)
    if date_name is None:
        raise DataError(
            f"{path} has no column of dates", f"call it 'date'; columns are {', '.join(frame.columns)}"
        )
    lines = []
    for _, row in frame.iterrows():
        day = parse_day(row[date_name])
        if day is not None and row.geometry is not None and shapely.get_dimensions(row.geometry) >= 1:
            name = str(row[glacier_name]).strip() if glacier_name else ""
            lines.append(FrontLine(row.geometry, day, name))
    if not lines:
        raise DataError(
            f"{path} holds no line with the date of a day",
            f"its column '{date_name}' holds '{frame[date_name].iloc[0]}': write dates as 2019-07-10",
        )
    return lines


def _column(frame: Any, names: Sequence[str]) -> str | None:
    lower = {str(column).lower(): str(column) for column in frame.columns}
    return next((lower[name] for name in names if name in lower), None)


def parse_day(value: Any) -> datetime | None:
    """Return the day in a cell (a date, a timestamp, text, or a decimal year), or None.

    >>> parse_day("2015/07/01").date(), parse_day(2015.5).date(), parse_day("2015")
    (datetime.date(2015, 7, 1), datetime.date(2015, 7, 2), None)
    """
    from icectl.sources.names import parse_date

    if hasattr(value, "year"):
        return None if value != value else datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, float) and 1900 < value < 2100:
        first = datetime(int(value), 1, 1, tzinfo=UTC)
        days = (first.replace(year=first.year + 1) - first).days
        return None if value == first.year else first + timedelta(days=int((value - first.year) * days))
    period = parse_date(str(value))
    if period is None or period.end is not None:
        return None
    return period.start.replace(hour=0, minute=0, second=0)


def match(
    first: Sequence[FrontLine], second: Sequence[FrontLine], within_days: float
) -> list[tuple[FrontLine, FrontLine]]:
    """Return pairs of one glacier and nearly one date, nearest dates first, each line once.

    A name stands for one glacier where its lines of both sets lie within `FAR` of each other on average: two
    inventories may give one number to two glaciers.
    """
    ours, theirs = _places(first), _places(second)
    shared = {name for name in ours.keys() & theirs.keys() - {""} if _far(ours[name], theirs[name]) <= FAR}
    candidates = []
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            apart = abs((a.day - b.day).total_seconds()) / 86400
            if apart <= within_days and (a.glacier == b.glacier in shared if shared else True):
                gap = 0.0 if shared else _gap(a, b)
                if gap <= FAR:
                    candidates.append((apart, gap, i, j))
    used: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for _, _, i, j in sorted(candidates):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            pairs.append((first[i], second[j]))
    return pairs


def _places(lines: Sequence[FrontLine]) -> dict[str, tuple[float, float]]:
    """Return the middle of each glacier's lines, in longitude and latitude."""
    shapes: dict[str, list[Any]] = {}
    for line in lines:
        shapes.setdefault(line.glacier, []).append(line.shape)
    centres = {name: shapely.centroid(shapely.GeometryCollection(own)) for name, own in shapes.items()}
    return {name: (centre.x, centre.y) for name, centre in centres.items()}


def _far(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return metres between two places given in longitude and latitude."""
    return float(Geod(ellps="WGS84").inv(*a, *b)[2])


def _gap(a: FrontLine, b: FrontLine) -> float:
    (one,), (other,) = ground_lines([a.shape], DEGREES, [b.shape])
    return float(one.distance(other))


def _row(name: str, pairs: Sequence[tuple[Any, Any]]) -> Row:
    both = [np.concatenate(pair) for pair in pairs]
    points = np.concatenate(both)
    values = {
        "pairs": len(pairs),
        "mean_m": float(points.mean()),
        "median_m": float(np.median(points)),
        "image_mean_m": float(np.mean([d.mean() for d in both])),
        "two_way_m": float(np.mean([(x.mean() + y.mean()) / 2 for x, y in pairs])),
    }
    return Row(name=name, kind="model", values=values)
