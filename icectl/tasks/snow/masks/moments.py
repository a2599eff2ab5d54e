"""Moments: what one forecast starts from, and of which days and times of year its frames are."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from statistics import median
from typing import Any

from icectl.errors import DataError

YEAR = 365.2425
SAME_SEASON = 20.0
"""Days by which times of year may differ more than the nearest does and still be of one season."""


def phases(times: Sequence[date]) -> list[float]:
    """Return the time of year of each day in [0, 1)."""
    return [((day - date(day.year, 1, 1)).days / YEAR) % 1.0 for day in times]


def season_index(past: Sequence[date], future: Sequence[date]) -> list[int]:
    """Return for each future frame the latest past frame of its season.

    Of the same season are the past frames nearest in time of year, to within `SAME_SEASON` days.

    >>> past = [date(2019, m, 1) for m in (1, 4, 7, 10)]
    >>> season_index(past, [date(2021, 7, 1), date(2021, 1, 5)])
    [2, 0]
    >>> half_years = [date(2018, 1, 1), date(2018, 7, 1), date(2019, 1, 1), date(2019, 7, 1)]
    >>> season_index(half_years, [date(2020, 1, 1), date(2020, 7, 1)])
    [2, 3]
    """
    chosen = []
    for when in phases(future):
        apart = [min(abs(when - p), 1 - abs(when - p)) * YEAR for p in phases(past)]
        near = min(apart) + SAME_SEASON
        chosen.append(max(k for k, days in enumerate(apart) if days <= near))
    return chosen


def same_season(times: Sequence[date], frame: int, among: Sequence[int]) -> list[int]:
    """Return which frames `among` lie in the season of `frame`, to within `SAME_SEASON` days.

    >>> days = [date(2013 + k // 4, 3 * (k % 4) + 1, 1) for k in range(12)]
    >>> same_season(days, 1, range(10))
    [1, 5, 9]
    """
    when, *others = phases([times[frame], *(times[k] for k in among)])
    apart = [min(abs(when - p), 1 - abs(when - p)) * YEAR for p in others]
    return [k for k, days in zip(among, apart, strict=True) if days <= SAME_SEASON]


def as_trained(times: Sequence[date], past: int, future: int, trained: Sequence[date]) -> list[date]:
    """Return when the `future` frames after `times` fall: as far ahead as those of the training were.

    Of the training's pairs (`past` frames, the `future` ones after them) the latest counts whose last past
    frame is of the season of ours. Whole months are counted where all of them are of one day of the month.

    >>> as_trained([date(2021, 7, 1)], 1, 1, [date(2019, 7, 1), date(2021, 7, 1)])
    [datetime.date(2023, 7, 1)]
    """
    lasts = range(past - 1, len(trained) - future)
    when, *others = phases([times[-1], *(trained[k] for k in lasts)])
    apart = [min(abs(when - p), 1 - abs(when - p)) * YEAR for p in others]
    near = min(apart) + SAME_SEASON
    last = max(k for k, days in zip(lasts, apart, strict=True) if days <= near)
    ahead = trained[last + 1 : last + 1 + future]
    if len({day.day for day in trained}) > 1:
        return [times[-1] + (day - trained[last]) for day in ahead]
    return [_months_later(times[-1], _months_between(trained[last], day)) for day in ahead]


def steps_differ(times: Sequence[date], past: int, trained: Sequence[date]) -> str:
    """Say that the frames a forecast starts from are spaced otherwise than the training's; else nothing.

    >>> weekly = [date(2021, 1, 1 + 7 * k) for k in range(4)]
    >>> steps_differ(weekly, 4, [date(2019, 1, 1), date(2019, 4, 1), date(2019, 7, 1)])
    'the last 4 frames are 7 days apart, those of the training 90: the network has not learnt such steps'
    """
    ours, theirs = (median(_steps(days) or [0]) for days in (times[-past:], trained))
    if not ours or 0.5 < ours / theirs < 2:
        return ""
    return (
        f"the last {past} frames are {ours:.0f} days apart, those of the training {theirs:.0f}: "
        "the network has not learnt such steps"
    )


def _steps(times: Sequence[date]) -> list[int]:
    return [(b - a).days for a, b in pairwise(times)]


def _months_between(a: date, b: date) -> int:
    return (b.year - a.year) * 12 + b.month - a.month


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@dataclass(frozen=True, slots=True)
class Moment:
    """One forecast of a series.

    `start`: first past frame, by number; `past` and `future`: days of the frames; `known`: whether the
    future frames are in the cube: then it is a hindcast.
    """

    start: int
    past: tuple[date, ...]
    future: tuple[date, ...]
    known: bool

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{'hindcast' if self.known else 'forecast'}_{self.future[0].isoformat()}"

    def sentence(self, times: Sequence[date]) -> str:
        """Say of which days the frames after a series are, and why."""
        steps = _steps(times) or [0]
        gaps = ""
        if max(steps) - min(steps) > 3:  # months differ by as much
            gaps = f"; the series has frames {min(steps)} to {max(steps)} days apart"
        days = ", ".join(f"{day:%Y-%m-%d}" for day in self.future)
        return f"the forecast from {times[-1]:%Y-%m-%d} is of {days}, as far ahead as in training{gaps}"

    @property
    def frames(self) -> slice:
        """Its past frames in the cube."""
        return slice(self.start, self.start + len(self.past))


def hindcasts(times: Sequence[date], past: int, future: int, starts: Sequence[int]) -> list[Moment]:
    """Return the moments that begin at `starts`, whose truth lies in the series."""
    return [
        Moment(t, tuple(times[t : t + past]), tuple(times[t + past : t + past + future]), True)
        for t in starts
    ]


def trained_days(facts: Mapping[str, Any]) -> list[date]:
    """Return the days of the series that a training was on, of the facts it left."""
    return [date.fromisoformat(day) for day in facts["cube"]["times"]]


def forecast(times: Sequence[date], past: int, future: int, trained: Sequence[date]) -> Moment:
    """Return the moment of the `future` frames after the series.

    `trained`: the days of the series that was trained on: the forecast is dated as far ahead as its pairs
    were.

    DataError: if the series is shorter than `past` frames.
    """
    if len(times) < past:
        raise DataError(f"{len(times)} frames are too few: {past} past frames are needed", "give more scenes")
    last = len(times) - past
    days = as_trained(times, past, future, trained)
    return Moment(last, tuple(times[last:]), tuple(days), False)


def season(day: date) -> str:
    """Return the meteorological season of a frame's first day.

    >>> season(date(2021, 12, 1)), season(date(2021, 7, 1))
    ('December to February', 'June to August')
    """
    names = ("December to February", "March to May", "June to August", "September to November")
    return names[day.month % 12 // 3]
