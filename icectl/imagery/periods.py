"""Periods of months that scenes fall into: the frames of a series."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from icectl.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class Period:
    """One frame of a series: its first day and the scenes that fall into it, by index."""

    start: date
    scenes: tuple[int, ...] = ()


def plan_periods(
    times: Sequence[datetime | date],
    months: int = 3,
    start: date | None = None,
    end: date | None = None,
) -> list[Period]:
    """Sort scenes into periods of `months` months.

    Parameters
    ----------
    times
        When each *usable* scene was taken, in any order.
    months
        Length of a period.
    start, end
        First day, and the day after the last; scenes outside are left out. `start` is where the
        first period begins; without it, periods begin at whole multiples of `months` from January
        of the first scene's year (quarters begin in January, April, July, October).

    Returns
    -------
    Periods in order, from the first with a scene to the last with a scene. Those in between may
    hold no scene: they are the ones to interpolate.

    Raises
    ------
    UsageError
        If `months` is below one, or `end` is not after `start`.
    DataError
        If no scene falls between `start` and `end`.

    Examples
    --------
    >>> plan = plan_periods([date(2019, 2, 3), date(2019, 8, 1)], months=3)
    >>> [(p.start.isoformat(), p.scenes) for p in plan]
    [('2019-01-01', (0,)), ('2019-04-01', ()), ('2019-07-01', (1,))]
    """
    if months < 1:
        raise UsageError(f"a period of {months} months is not possible", "use 1 or more")
    if start and end and end <= start:
        raise UsageError(f"the end {end} is not after the start {start}", "dates are YYYY-MM-DD")
    days = [t.date() if isinstance(t, datetime) else t for t in times]
    used = [i for i, d in enumerate(days) if (not start or d >= start) and (not end or d < end)]
    if not used:
        raise DataError(
            f"none of {len(days)} scenes lies between {start or 'the beginning'} and {end or 'the end'}",
            "widen the dates or look at the filters",
        )
    used.sort(key=lambda i: days[i])
    begin = start or date(days[used[0]].year, 1, 1)
    edges = _edges(begin, days[used[-1]], months)
    members: list[list[int]] = [[] for _ in edges]
    for index in used:
        members[bisect.bisect_right(edges, days[index]) - 1].append(index)
    first = next(k for k, scenes in enumerate(members) if scenes)
    return [Period(edge, tuple(scenes)) for edge, scenes in zip(edges, members, strict=True)][first:]


def _edges(begin: date, last: date, months: int) -> list[date]:
    """Return the first days of all periods from `begin` to the one that holds `last`."""
    edges, count = [begin], begin.year * 12 + begin.month - 1
    while True:
        count += months
        day = date(count // 12, count % 12 + 1, min(begin.day, 28))
        if day > last:
            return edges
        edges.append(day)
