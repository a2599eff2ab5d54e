"""Where ice lies: listed outlines, a file of more, and a stated rule for ice that no outline lists.

Outlines are often incomplete (one glacier of a range, or one country's side of it). Ground that may be
ice must never teach a network what ground looks like.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy import ndimage

from icectl.arrays import U8, Bools, Floats
from icectl.errors import DataError


class Cover(IntEnum):
    """What a pixel is."""

    GROUND = 0
    LISTED = 1
    EXCLUDED = 2
    SUSPECTED = 3
    UNKNOWN = 255


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be ice though no outline says so.

    Ground is suspected if it is (a) above `high` m and less steep than `steep_high` (m/m): névés and
    hanging glaciers; or (b) above `low` m, less steep than `steep_low` and smooth (its height departs
    by less than `rough` m from a plane of 200 m): tongues and flat firn. Patches below `area` m² are
    let go, and the rest grows by `margin` m.
    """

    high: float
    low: float
    steep_high: float = 0.84
    steep_low: float = 0.36
    rough: float = 4.0
    area: float = 40_000.0
    margin: float = 60.0

    def sentence(self) -> str:
        """Return the rule in words."""
        return (
            f"ice suspected above {self.high:.0f} m where the slope is below "
            f"{np.degrees(np.arctan(self.steep_high)):.0f}°, and above {self.low:.0f} m where it is below "
            f"{np.degrees(np.arctan(self.steep_low)):.0f}° and smooth, in patches of at least "
            f"{self.area / 1e4:.0f} ha, grown by {self.margin:.0f} m"
        )


def rule_from_listed(heights: Floats, listed: Bools) -> Rule:
    """Return the rule that the listed ice itself suggests: its lower quarter and its lowest parts.

    DataError: if no listed ice lies on known ground: then nothing says where ice may begin.
    """
    ice = heights[listed & np.isfinite(heights)]
    if not len(ice):
        raise DataError(
            "no outline lies on the elevation model, so nothing says where unlisted ice may begin",
            "give outlines that meet it, or --unlisted-ice none where there is no ice at all",
        )
    low, quarter = np.percentile(ice, [2, 25])
    return Rule(high=float(quarter), low=float(low) - 50.0)


def suspected(heights: Floats, resolution: float, rule: Rule) -> Bools:
    """Return where `rule` suspects ice; unknown ground is never suspected."""
    known = np.isfinite(heights)
    filled = np.where(known, heights, np.nanmedian(heights))
    sigma = max(30.0 / resolution, 0.5)
    plain = ndimage.gaussian_filter(filled, sigma)
    slope = np.hypot(*np.gradient(plain, resolution))
    rough = _roughness(filled, resolution)
    smooth = (slope < rule.steep_low) & (rough < rule.rough * max(1.0, resolution / 30.0))
    found = ((heights > rule.high) & (slope < rule.steep_high)) | ((heights > rule.low) & smooth)
    pixel = resolution**2
    found = ndimage.binary_opening(found & known, iterations=1)
    labels, _ = ndimage.label(found)
    large = np.bincount(labels.ravel()) * pixel >= rule.area
    large[0] = False
    steps = max(1, round(rule.margin / resolution))
    return np.asarray(ndimage.binary_dilation(large[labels], iterations=steps) & known)


def _roughness(heights: Floats, resolution: float) -> Floats:
    """Return the standard deviation (m) of heights about a plane, in squares of about 200 m."""
    size = max(3, round(200.0 / resolution) | 1)
    y, x = np.gradient(heights, 1.0)
    mean = ndimage.uniform_filter(heights, size)
    square = ndimage.uniform_filter((heights - mean) ** 2, size)
    slope2 = ndimage.uniform_filter(y, size) ** 2 + ndimage.uniform_filter(x, size) ** 2
    return np.asarray(np.sqrt(np.maximum(square - slope2 * (size**2 - 1) / 12.0, 0.0)))


def unlisted_share(heights: Floats, resolution: float, listed: Bools, rule: Rule) -> float:
    """Return the share of suspected ground that no outline covers: near 1 where outlines are incomplete."""
    found = suspected(heights, resolution, rule)
    return float((found & ~listed).sum() / max(found.sum(), 1))


def cover(
    heights: Floats, listed: Bools, excluded: Bools | None = None, suspicion: Bools | None = None
) -> U8:
    """Return the `Cover` of every pixel; a listed pixel stays listed whatever else is said of it."""
    out = np.full(heights.shape, Cover.GROUND, dtype=np.uint8)
    if suspicion is not None:
        out[suspicion] = Cover.SUSPECTED
    if excluded is not None:
        out[excluded] = Cover.EXCLUDED
    out[listed] = Cover.LISTED
    out[~np.isfinite(heights)] = Cover.UNKNOWN
    return out
