"""Sets whose images were turned so that fronts run from left to right."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from icectl.tasks.front.dataset import Entry, Place
from icectl.tasks.front.prepare import turned_upward

ACROSS = np.array([[40.0, 10.0], [60.0, 50.0], [50.0, 90.0]])
PLACE = Place("EPSG:3413", (30.0, 0.0, 0.0, 0.0, -30.0, 0.0))


def entries(count: int = 6, line: np.ndarray = ACROSS) -> list[Entry]:
    """Return labelled images without a CRS."""
    time = datetime(2001, 1, 1, tzinfo=UTC)
    return [Entry(id=f"image-{n}", time=time, shape=(100, 100), lines=(line,)) for n in range(count)]


def test_crops_whose_fronts_run_from_left_to_right_were_turned() -> None:
    assert turned_upward(entries())
    assert turned_upward([*entries(), replace(entries(1)[0], lines=())])  # one without a front says nothing


@pytest.mark.parametrize(
    "other",
    [
        entries(4),  # too few
        entries(line=ACROSS[:, ::-1]),
        [*entries(5), *entries(1, ACROSS[:, ::-1])],
        [replace(entry, place=PLACE) for entry in entries()],  # north is up, whatever way ice flows
        [replace(entry, has_mask=True) for entry in entries()],
        [replace(entry, lines=None) for entry in entries()],
    ],
)
def test_others_tell_no_direction(other: list[Entry]) -> None:
    assert not turned_upward(other)
