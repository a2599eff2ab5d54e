"""Moments: what one forecast starts from, and of which days it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

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


def forecast(
    times: Sequence[date], past: int, future: int, trained: Sequence[date] | None = None
) -> Moment:
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
