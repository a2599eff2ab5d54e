"""When elevation model, outlines, velocity and points are from, and what is said of a gap between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from icectl.sources.names import parse_date

GAP = 5.0
"""Years apart from which thickness of one epoch is another's by several metres on many glaciers."""


def year_of(path: Path | None) -> float | None:
    """Return the year in a file's name, e.g. ``dem_2012-03-18.tif``; None where it holds none.

    >>> year_of(Path("dem_2012-03-18.tif")), year_of(Path("dem.tif"))
    (2012.0, None)
    """
    period = None if path is None else parse_date(path.stem)
    return None if period is None else float(period.start.year)


def gap(epochs: Mapping[str, float | None]) -> str:
    """Return a sentence where what is known of epochs (years, by what is dated) lies more than 5 years apart.

    >>> gap({"the elevation model": 2003.0, "the outlines": 2012.0, "the velocity": None})
    'the elevation model: 2003, the outlines: 2012, 9 years apart: the ice has changed between'
    """
    known = {what: year for what, year in epochs.items() if year is not None and np.isfinite(year)}
    if not known:
        return ""
    first, last = min(known, key=lambda w: known[w]), max(known, key=lambda w: known[w])
    apart = known[last] - known[first]
    if apart <= GAP:
        return ""
    return (
        f"{first}: {known[first]:.0f}, {last}: {known[last]:.0f}, {apart:.0f} years apart: the ice has "
        "changed between"
    )
