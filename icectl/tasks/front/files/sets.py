"""Sets of front lines as their makers deliver them: one line a row, with a date and a glacier's name.

CALFIN, ESA-CCI, MEaSUREs, PROMICE and TermPicks all name glacier and date in columns of their own; the
columns are found by name.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from icectl.errors import DataError
from icectl.raster import read_vectors

DATES = ("date", "time", "timestamp")
"""Columns of dates; the first that a row has counts, after those of the image."""

_OF_IMAGE = re.compile(
    r"(?:source|acq\w*|im(?:a?ge?)|scene|sens\w*|obs\w*)_?(?:date|day)|date_?obs|acquired", re.I
)
"""Columns of an image's dates: others may be of the drawing."""

_DATED = re.compile(
    "(?!.*(?:creat|edit|modif|upda|digit|proc|publ|rele|start|begin|end|entr|vali)).*(?:date|datum|fecha)",
    re.I,
)
"""A column of dates by a part of its name; not of the drawing, and not of a span."""

PARTS = ("year", "month", "day")
"""Columns of a date in three."""

GLACIERS = ("refname", "glacierid", "glacier_id", "glacier", "officialn", "name", "glac_name")
DEGREES = "EPSG:4326"


@dataclass(frozen=True, slots=True)
class FrontLine:
    """One line of a set: its shape in longitude and latitude, its date, and its glacier's name or number."""

    shape: Any
    day: datetime
    glacier: str


def read_sets(paths: Sequence[Path]) -> list[tuple[str, list[FrontLine]]]:
    """Return the name of each file, with its folder where two are alike, and its lines."""
    stems = [path.stem for path in paths]
    named = [p.stem if stems.count(p.stem) == 1 else p.with_suffix("").as_posix() for p in paths]
    return [(name, read_set(path)) for name, path in zip(named, paths, strict=True)]


def read_set(path: Path) -> list[FrontLine]:
    """Return the lines of a file in longitude and latitude; polygons and files without dates are refused."""
    frame = read_vectors(path, DEGREES, kind="lines")
    shapes = np.asarray(frame.geometry.array)
    if (shapely.get_dimensions(shapes) == 2).any() or shapely.is_closed(shapely.get_parts(shapes)).any():
        raise DataError(
            f"{path} holds polygons or closed lines, whose boundary is not the front alone",
            "give the fronts as lines: of icectl's and CALFIN's files the one without '_closed' in its name",
        )
    frame = frame[shapely.get_dimensions(shapes) >= 1]
    if frame.empty:
        raise DataError(f"{path} holds points, and no line", "join each front's points to a line")
    (column, days), glaciers = days_of(frame), columns(frame, GLACIERS)
    if not column:
        raise DataError(
            f"{path} has no column of dates", f"call it 'date'; columns are {', '.join(frame.columns)}"
        )
    lines, undated = [], []
    for (_, row), day in zip(frame.iterrows(), days, strict=True):
        if day is None:
            undated.append(row[column])
        else:
            lines.append(FrontLine(row.geometry, day, _name(row[glaciers[0]]) if glaciers else ""))
    if not lines:
        raise DataError(
            f"{path} holds no line with the date of a day",
            f"its column '{column}' holds '{frame[column].iloc[0]}': write dates as 2019-07-10",
        )
    if undated:
        logging.getLogger("icectl").warning(
            f"{len(undated)} of {len(frame)} lines of {path.name} are left out: their '{column}' "
            f"is no date of a day ('{undated[0]}')"
        )
    return list(_joined(lines))


def days_of(frame: Any) -> tuple[str, list[datetime | None]]:
    """Return the column of dates (no name where there is none), and the day of each row that says one."""
    dates, parts = (columns(frame, names) for names in (DATES, PARTS))
    others = [str(name) for name in frame.columns if _DATED.match(str(name))]
    dates = [name for name in map(str, frame.columns) if _OF_IMAGE.fullmatch(name)] + dates
    dates = dates or (others if len(others) == 1 else [])
    parts = parts if len(parts) == len(PARTS) else []
    days = []
    for _, row in frame.iterrows():
        said = [row[name] for name in dates]
        said += ["-".join(str(row[name]).removesuffix(".0") for name in parts)] if parts else []
        days.append(next((day for value in said if (day := parse_day(value)) is not None), None))
    return next(iter([*dates, *parts]), ""), days


def columns(frame: Any, names: Sequence[str]) -> list[str]:
    """Return the columns called so, in the order of the names."""
    lower = {str(column).lower(): str(column) for column in frame.columns}
    return [lower[name] for name in names if name in lower]


def _name(value: Any) -> str:
    """Return a glacier's name as it is written, or its number without zeros around; empty where missing."""
    if value is None or value != value:
        return ""
    text = str(value).strip()
    number = text.removesuffix(".0")
    return str(int(number)) if number.isdecimal() else text


def _joined(lines: Sequence[FrontLine]) -> Iterator[FrontLine]:
    """Yield the lines, pieces of one glacier and day that end where another begins as one."""
    groups: dict[tuple[str, datetime], list[FrontLine]] = defaultdict(list)
    for line in lines:
        groups[line.glacier, line.day].append(line)
    for (name, day), own in groups.items():
        pieces = [shapely.line_merge(line.shape) for line in own]
        merged = shapely.line_merge(shapely.MultiLineString(list(shapely.get_parts(pieces))))
        whole = shapely.get_parts(merged)
        if len(whole) < shapely.get_num_geometries(pieces).sum() and not shapely.is_closed(whole).any():
            pieces = list(whole)
        yield from (FrontLine(piece, day, name) for piece in pieces)


def parse_day(value: Any) -> datetime | None:
    """Return the day in a cell (a date, a timestamp, text, or a decimal year), or None.

    >>> parse_day("2015/07/01").date(), parse_day("2015.5").date(), parse_day("2015")
    (datetime.date(2015, 7, 1), datetime.date(2015, 7, 2), None)
    """
    from icectl.sources.dates import parse_date

    if hasattr(value, "year"):
        return None if value != value else datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str) and re.fullmatch(r"\s*(?:19|20)\d\d\.\d+\s*", value):
        value = float(value)  # 2015.083 is no 83rd day
    if isinstance(value, float) and 1900 < value < 2100:
        first = datetime(int(value), 1, 1, tzinfo=UTC)
        days = (first.replace(year=first.year + 1) - first).days
        return None if value == first.year else first + timedelta(days=int((value - first.year) * days))
    text = str(value)
    period, last = parse_date(text), parse_date(text[len(text) // 2 :])
    if period is None or period.end is not None:
        return None
    if last is not None and last.end is None and last != period:  # from one day to another
        return None
    return period.start.replace(hour=0, minute=0, second=0)
