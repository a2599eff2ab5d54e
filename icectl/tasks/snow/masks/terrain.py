"""What terrain tells of snow (slope, aspect, potential radiation), and what masks show: area and snowline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from icectl.arrays import F32, F64, Bools
from icectl.tasks.snow.options import THRESHOLD

CHANNELS = ("height", "slope", "northness", "eastness", "radiation in June", "radiation in December")
"""Layers of `static`, in their order."""

_TILT = np.deg2rad(23.44)
_HOURS = 24


def static(height: F32, metres: float, latitude: float) -> F32:
    """Return what a network is given of the ground.

    `height`: (rows, columns) in metres, north up, without gaps.
    `metres`: side of a pixel on the ground.
    `latitude`: of the scene in degrees.

    Returns (6, rows, columns) as in `CHANNELS`, of order one: height in kilometres above the scene's
    median; sine of the slope; how far it faces north and east (−1 to 1); daily potential radiation at both
    solstices, as a share of that on level ground at the equator in March (no cast shadows, no atmosphere).
    """
    south, east = np.gradient(height.astype(np.float64), metres)
    steep = np.sqrt(1 + south**2 + east**2)
    up, north, east = 1 / steep, south / steep, -east / steep  # of the surface's normal: it leans downhill
    slope = np.sqrt(1 - up**2)
    june, december = (daily_radiation(up, north, east, latitude, sign * _TILT) for sign in (1, -1))
    above = (height - np.median(height)) / 1000
    return np.stack([above, slope, north, east, june, december]).astype(np.float32)


def daily_radiation(
    up: F64,
    north: F64,
    east: F64,
    latitude: float,
    declination: float,
) -> F64:
    """Return the daily potential radiation of slopes as a share of level ground at the equator at equinox.

    The cosine of incidence on the slope's normal (`up`, `north`, `east`, unit vectors), summed over the hours
    in which the sun stands above the horizon and before the slope.

    `latitude`: in degrees; `declination`: of the sun in radians.

    >>> level = np.ones(1), np.zeros(1), np.zeros(1)
    >>> round(float(daily_radiation(*level, 0.0, 0.0)[0]), 2)
    1.0
    """
    phi = np.deg2rad(latitude)
    hours = (np.arange(_HOURS) + 0.5) / _HOURS * 2 * np.pi - np.pi
    total = np.zeros_like(up)
    for hour in hours:
        sun_up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
        sun_north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour)
        sun_east = -np.cos(declination) * np.sin(hour)
        if sun_up > 0:
            total += np.maximum(0.0, up * sun_up + north * sun_north + east * sun_east)
    return total * np.pi / _HOURS


def snowline(snow: Bools, height: F32) -> float:
    """Return the altitude that best divides snow above from bare ground below; NaN without either.

    It makes the fewest pixels lie on the wrong side (Krajčí et al. 2014, the regional snowline elevation).

    `snow` and `height`: (n,): whether a pixel shows snow, and its height in metres.

    >>> height = np.arange(1000.0, 2000.0, 10.0)
    >>> snowline(height > 1500, height)
    1505.0
    """
    if snow.all() or not snow.any():
        return float("nan")
    order = np.argsort(height, kind="stable")
    white, z = snow[order], height[order]
    below = np.concatenate([[0], np.cumsum(white)])  # snow below a line after k pixels
    above = np.concatenate([np.cumsum(~white[::-1])[::-1], [0]])  # bare ground above it
    wrong = below + above
    wrong[1:-1][z[1:] == z[:-1]] = len(z) + 1  # a line runs between heights
    k = int(np.argmin(wrong))
    if k in (0, len(z)):
        return float(z[0] if k == 0 else z[-1])
    return float((z[k - 1] + z[k]) / 2)


COLUMNS = (
    "date",
    "kind",
    "lead",
    "snow_area_km2",
    "known_area_km2",
    "snow_share",
    "snowline_m",
    "measured_area_km2",
)
"""Columns of the table ``snow_cover.csv``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What one mask shows.

    `day`, `kind` and `lead`: first day of the frame; ``"observed"``, ``"hindcast"`` or ``"forecast"``; its
    lead (0: observed). `snow`, `known` and `measured`: areas in km²: with snow, with any value, and of that
    what was seen, neither filled nor interpolated (None of a forecast). `line`: snowline altitude in metres;
    NaN without heights, or without snow or bare ground.
    """

    day: date
    kind: str
    lead: int
    snow: float
    known: float
    line: float
    measured: float | None = None

    def row(self) -> tuple[str, ...]:
        """Return the cells of `COLUMNS`; a snowline that is not known is empty."""
        share = f"{self.snow / self.known:.4f}" if self.known else ""
        line = f"{self.line:.0f}" if np.isfinite(self.line) else ""
        areas = (f"{self.snow:.4f}", f"{self.known:.4f}")
        seen = "" if self.measured is None else f"{self.measured:.4f}"
        return (self.day.isoformat(), self.kind, str(self.lead), *areas, share, line, seen)


def cover(
    mask: F32,
    height: F32 | None,
    pixel: F64 | float,
    day: date,
    kind: str,
    lead: int = 0,
    where: Bools | None = None,
    measured: Bools | None = None,
) -> Cover:
    """Measure one mask.

    `mask`: (rows, columns) NDSI; NaN where there is no value. Snow is 0.3 and more.
    `height`: (rows, columns) in metres, or None.
    `pixel`: area of each pixel (rows, columns), or of all alike, in km².
    `day`, `kind`, `lead`: see `Cover`.
    `where`: (rows, columns) of the pixels to look at; all by default.
    `measured`: (rows, columns) of the pixels that were seen, of an observation.
    """
    known = np.isfinite(mask) if where is None else np.isfinite(mask) & where
    snow = known & (np.nan_to_num(mask) >= THRESHOLD)
    line = float("nan") if height is None else snowline(snow[known], height[known])
    areas = np.broadcast_to(np.asarray(pixel, np.float64), mask.shape)
    covered, valued = (float(np.sum(areas, where=which)) for which in (snow, known))
    seen = None if measured is None else float(np.sum(areas, where=known & measured))
    return Cover(day=day, kind=kind, lead=lead, snow=covered, known=valued, line=line, measured=seen)


def sum_of(parts: Sequence[Cover]) -> Cover:
    """Return what parts of one mask show together; its snowline is not known."""
    snow, known = (sum(getattr(part, name) for part in parts) for name in ("snow", "known"))
    seen = [part.measured for part in parts if part.measured is not None]
    return replace(parts[0], snow=snow, known=known, line=float("nan"), measured=sum(seen) if seen else None)
