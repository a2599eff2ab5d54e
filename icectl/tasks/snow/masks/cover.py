"""Snow-covered area and snowline altitude of single masks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from icectl.arrays import F32, F64, Bools
from icectl.tasks.snow.masks.terrain import snowline
from icectl.tasks.snow.options import THRESHOLD

COLUMNS = ("date", "kind", "lead", "snow_area_km2", "known_area_km2", "snow_share", "snowline_m")
"""Columns of the table ``snow_cover.csv``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What one mask shows.

    Attributes
    ----------
    day, kind, lead
        First day of the frame; ``"observed"``, ``"hindcast"`` or ``"forecast"``; its lead (0: observed).
    snow, known
        Areas in km²: with snow, and with any value.
    line
        Snowline altitude in metres; NaN without heights, or without snow or bare ground.
    """

    day: date
    kind: str
    lead: int
    snow: float
    known: float
    line: float

    def row(self) -> tuple[str, ...]:
        """Return the cells of `COLUMNS`; a snowline that is not known is empty."""
        share = f"{self.snow / self.known:.4f}" if self.known else ""
        line = f"{self.line:.0f}" if np.isfinite(self.line) else ""
        areas = (f"{self.snow:.4f}", f"{self.known:.4f}")
        return (self.day.isoformat(), self.kind, str(self.lead), *areas, share, line)


def cover(
    mask: F32,
    height: F32 | None,
    pixel: F64 | float,
    day: date,
    kind: str,
    lead: int = 0,
    where: Bools | None = None,
) -> Cover:
    """Measure one mask.

    Parameters
    ----------
    mask
        (rows, columns) NDSI; NaN where there is no value. Snow is 0.3 and more.
    height
        (rows, columns) in metres, or None.
    pixel
        Area of each pixel (rows, columns), or of all alike, in km².
    day, kind, lead
        See `Cover`.
    where
        (rows, columns) of the pixels to look at; all by default.
    """
    known = np.isfinite(mask) if where is None else np.isfinite(mask) & where
    snow = known & (np.nan_to_num(mask) >= THRESHOLD)
    line = float("nan") if height is None else snowline(snow[known], height[known])
    areas = np.broadcast_to(np.asarray(pixel, np.float64), mask.shape)
    covered, seen = (float(np.sum(areas, where=which)) for which in (snow, known))
    return Cover(day=day, kind=kind, lead=lead, snow=covered, known=seen, line=line)
