"""Moments: what one forecast starts from, and of which days it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from icectl.errors import DataError
from icectl.tasks.snow.masks.seasons import as_trained, coming


@dataclass(frozen=True, slots=True)
class Moment:
    """One forecast of a series.

    Attributes
    ----------
    start
        First past frame, by number.
    past, future
        Days of the frames.
    known
        Whether the future frames are in the cube: then it is a hindcast.
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
        steps = {(b.year - a.year) * 12 + b.month - a.month for a, b in pairwise(times)}
        gaps = f"; the series has frames {min(steps)} to {max(steps)} months apart" if len(steps) > 1 else ""
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


def forecast(times: Sequence[date], past: int, future: int, trained: Sequence[date] | None = None) -> Moment:
    """Return the moment of the `future` frames after the series.

    Parameters
    ----------
    trained
        The days of the series that was trained on: the forecast is dated as far ahead as its pairs were.

    Raises
    ------
    DataError
        If the series is shorter than `past` frames.
    """
    if len(times) < past:
        raise DataError(f"{len(times)} frames are too few: {past} past frames are needed", "give more scenes")
    last = len(times) - past
    days = coming(times, past, future) if trained is None else as_trained(times, past, future, trained)
    return Moment(last, tuple(times[last:]), tuple(days), False)
