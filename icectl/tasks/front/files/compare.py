"""`icectl compare fronts A B …`: sets of front lines, matched by glacier and date, and lengths over time.

Works on manual and automatic lines alike. All distances are metres on the ground, whatever the CRS.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import Geod

from icectl.arrays import F64
from icectl.contract import Column, Row, Table
from icectl.errors import DataError, UsageError
from icectl.raster import ground_lines, line_distances
from icectl.tasks.front.files.sets import DEGREES, FrontLine, read_sets

FAR = 50_000.0
"""Metres: lines farther apart are of two glaciers, whatever they are called."""

FASTEST = 50.0
"""Metres that a front moves in a day at most, for longer than a day: the fastest ice flows 46."""

STEP = 10.0
"""Metres between points along a line."""


def compare_fronts(*paths: Path, within_days: float = 1.0) -> Table:
    """Return distances between sets of fronts in metres on the ground, of every two of them.

    Lines pair when they are of one glacier (where both sets name it; else when they lie nearest, no farther
    than a front is long) and at most `within_days` apart; each line is used once, the nearest date first.

    `paths`: vector files of lines, two or more; `within_days`: most days between two lines of a pair.

    DataError: a set has no lines or no dates, or no two lines pair.
    """
    if within_days < 0:
        raise UsageError(f"--within-days {within_days} is negative", "use 1, or 0 for equal dates")
    names, sets = zip(*read_sets(paths), strict=True)
    rows: list[Row] = []
    counts = []
    for a, b in combinations(range(len(paths)), 2):
        pairs = match(sets[a], sets[b], within_days)
        counts.append(len(pairs))
        title = f"{names[a]} – {names[b]}" if len(paths) > 2 else "all"
        rows += _rows(title, pairs, len(paths) == 2) if pairs else []
    if not rows:
        raise DataError(
            f"no two fronts of {' and '.join(path.name for path in paths)} lie within {within_days:g} days "
            f"and {FAR / 1000:g} km, and where no name is shared within the length of a front",
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


def match(
    first: Sequence[FrontLine], second: Sequence[FrontLine], within_days: float
) -> list[tuple[FrontLine, FrontLine]]:
    """Return pairs of one glacier and nearly one date, nearest dates first, each line once.

    A name stands for one glacier where its lines of both sets lie within `FAR` of each other on average: two
    inventories may give one number to two glaciers.
    """
    ours, theirs = _places(first), _places(second)
    named, metres = ours.keys() & theirs.keys() - {""}, Geod(ellps="WGS84")
    shared = {name for name in named if metres.inv(*ours[name], *theirs[name])[2] <= FAR}
    candidates = []
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            apart = abs((a.day - b.day).total_seconds()) / 86400
            alike, unnamed = a.glacier.casefold() == b.glacier.casefold(), not (a.glacier or b.glacier)
            if apart <= within_days and (
                not shared or (alike and (unnamed or a.glacier.casefold() in shared))
            ):
                gap, far = (0.0, FAR) if shared and not unnamed else _gap(a, b)
                if gap <= far + FASTEST * apart:
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
        shapes.setdefault(line.glacier.casefold(), []).append(line.shape)
    centres = {name: shapely.centroid(shapely.GeometryCollection(own)) for name, own in shapes.items()}
    return {name: (centre.x, centre.y) for name, centre in centres.items()}


def _gap(a: FrontLine, b: FrontLine) -> tuple[float, float]:
    """Return how far two lines lie apart, and how far those of one glacier may: the longer one's extent."""
    (one,), (other,) = ground_lines([a.shape], DEGREES, [b.shape])
    return float(one.distance(other)), float(extents(np.array([one, other])).max())


def extents(shapes: Any) -> F64:
    """Return the diagonals of the boxes of some shapes."""
    bounds = shapely.bounds(shapes)
    return np.asarray(np.hypot(*(bounds[:, 2:] - bounds[:, :2]).T))


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
