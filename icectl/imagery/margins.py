"""Margins of images that no nodata value declares: what is around a scene that was turned or cut out."""

import cv2
import numpy as np

from icectl.arrays import F32, Bools

MARGIN_SHARE = 0.003
"""A margin is at least this share of the image."""

NEARLY_DARKEST = 0.02
"""Compressed margins are not exactly constant: so much of the range above the darkest value is allowed."""

PATCH, FILLED = 100, 0.4
"""Least pixels of a patch of fill, and the share of them that one value takes: compression soils the rest."""

CORNERS = 10
"""A margin has straight sides: a polygon of at most so many corners stands for it."""

STRAIGHT, SHARP_CORNERS = 1.5, 6
"""Pixels by which the sides of a bright margin may be off the lines between so many corners: ice that
saturates has no such sides."""


def without_margins(values: F32) -> F32:
    """Set undeclared margins to NaN: of nearly the darkest value, with straight sides, and at the border.

    Crops of turned scenes have such wedges; to a network their edge looks like a front. Dark water at the
    border ends at a coast, which is not straight. Where values are negative, as in decibels, 0 is a fill too;
    so is the highest value, where its sides are straight to a pixel, as of paper around a turned map.
    """
    paper = margin(values == np.nanmax(values), sharp=True)
    values = np.where(paper, np.nan, values) if 0 < paper.mean() < 0.9 else values
    darkest, bright = np.nanpercentile(values, (0, 99))
    dark = margin(values <= darkest + NEARLY_DARKEST * (bright - darkest))
    if darkest < 0:
        dark |= margin(values == 0)
    return np.where(dark, np.nan, values) if 0 < dark.mean() < 0.9 else values


def undeclared(bands: F32, black: float = 0) -> Bools:
    """Return where a frame holds nothing: margins of the highest value, and dark patches, most of one value.

    Shadow, water and dark ice hold many values.

    `bands`: ``(band, rows, columns)``; `black`: whole numbers up to it are dark: compression soils a fill.
    Nothing is marked where nearly all would be.
    """
    highest = np.max(bands, axis=(1, 2), keepdims=True, initial=-np.inf, where=np.isfinite(bands))
    found = filled(bands, black) | margin(np.all(bands == highest, axis=0), sharp=True)
    return found if found.mean() < 0.9 else np.zeros_like(found)


def filled(bands: F32, black: float = 0) -> Bools:
    """Return the patches of at least `PATCH` dark pixels of which one value takes the share `FILLED`."""
    dark = np.all((bands >= 0) & (bands <= black), axis=0)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(dark.astype(np.uint8), connectivity=8)
    most = np.zeros(count)
    for value in range(int(black) + 1):
        most = np.maximum(most, np.bincount(parts[np.all(bands == value, axis=0)], minlength=count))
    size = stats[:, cv2.CC_STAT_AREA]
    kept = (size >= PATCH) & (most >= FILLED * size)
    kept[0] = False
    return np.asarray(kept[parts])


def margin(fill: Bools, sharp: bool = False) -> Bools:
    """Return the parts of a value's pixels that lie at the border, are wide, and have straight sides.

    `sharp`: whether the sides must be straight to a pixel.
    """
    solid = cv2.morphologyEx(fill.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    border = {int(v) for side in (parts[0], parts[-1], parts[:, 0], parts[:, -1]) for v in np.unique(side)}
    wide = [part for part in border - {0} if stats[part, cv2.CC_STAT_AREA] >= MARGIN_SHARE * fill.size]
    return np.isin(parts, [part for part in wide if _has_straight_sides(parts == part, sharp)])


def _has_straight_sides(part: Bools, sharp: bool) -> bool:
    """Tell whether polygons of few corners stand for a part: within 2 % of its extent, or sharp ones."""
    mode = cv2.RETR_CCOMP if sharp else cv2.RETR_EXTERNAL
    outlines, _ = cv2.findContours(part.astype(np.uint8), mode, cv2.CHAIN_APPROX_NONE)
    if sharp:
        return all(len(cv2.approxPolyDP(one, STRAIGHT, True)) <= SHARP_CORNERS for one in outlines)
    outline = max(outlines, key=len)
    near = 0.02 * float(np.hypot(*np.ptp(outline[:, 0], axis=0)))
    return len(cv2.approxPolyDP(outline, near, True)) <= CORNERS
