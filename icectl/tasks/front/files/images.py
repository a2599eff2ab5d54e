"""Reading images of any kind as one grey band."""

from pathlib import Path

import cv2
import numpy as np

from icectl.arrays import F32, Bools
from icectl.errors import DataError
from icectl.raster import Grid, Info, read_quantity
from icectl.sources.names import QUALITY, UNUSED, by_description
from icectl.tasks.front.dataset import Place
from icectl.tasks.front.files.pairs import RADAR


def read_image(path: Path, band: int | None = None) -> tuple[F32, Place | None]:
    """Return an image as (rows, columns), NaN where invalid, and where it lies.

    The given band is read, or the mean of up to four bands without a transparent one, as grey levels; they
    may be of any type, or colours of a palette.
    """
    info = Info(path)
    if info.controlled:
        raise DataError(f"{path} has no coordinate reference system", info.advice)
    if min(info.shape) < 16:
        raise DataError(f"{path} has {info.shape[0]} × {info.shape[1]} pixels, 16 a side are needed")
    numbers = _shown(info)
    if band is None and len(numbers) > 4:
        raise DataError(f"{path} has {info.count} bands", "name the one to use with --band")
    bands = [read_quantity(path, "grey", band=n).values for n in (numbers if band is None else [band])]
    if len(bands) in (2, 4) and _is_opacity(bands[-1]):
        opaque = bands.pop() > 0
        bands = [np.where(opaque, grey, np.float32(np.nan)) if opaque.any() else grey for grey in bands]
    values, place = np.asarray(np.mean(bands, axis=0, dtype=np.float32)), place_on(info.grid)
    if not np.isfinite(values).any():
        raise DataError(f"{path} holds no valid pixel", "check its nodata value")
    return without_margins(values), place


def place_on(grid: Grid | None) -> Place | None:
    """Return where an image on a grid lies; None without a CRS."""
    if grid is None or grid.crs is None:
        return None
    code = grid.crs.to_epsg()
    return Place(f"EPSG:{code}" if code else str(grid.crs), tuple(float(v) for v in grid.affine)[:6])  # type: ignore[arg-type]


def _shown(info: Info) -> list[int]:
    """Return the numbers of the bands that show the ground: those named so, else all but transparency."""
    named = by_description(info.descriptions, info.path.stem)
    called = [str(word or "").lower() for word in info.descriptions]
    known = [
        number
        for number, (asset, word) in enumerate(zip(named, called, strict=True), 1)
        if word in RADAR or asset not in (UNUSED, *QUALITY)
    ]
    return known or [number for number in range(1, info.count + 1) if number != info.alpha]


def _is_opacity(band: F32) -> bool:
    """Tell whether a band without a name says what is transparent: it holds nothing and all, no more."""
    return len(np.unique(band)) <= 2 and float(np.nanmax(band)) in (1.0, 255.0, 65535.0)


MARGIN_SHARE = 0.003
"""A margin is at least this share of the image."""

NEARLY_DARKEST = 0.02
"""Compressed margins are not exactly constant: so much of the range above the darkest value is allowed."""

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
    paper = _margin(values == np.nanmax(values), sharp=True)
    values = np.where(paper, np.nan, values) if 0 < paper.mean() < 0.9 else values
    darkest, bright = np.nanpercentile(values, (0, 99))
    margin = _margin(values <= darkest + NEARLY_DARKEST * (bright - darkest))
    if darkest < 0:
        margin |= _margin(values == 0)
    return np.where(margin, np.nan, values) if 0 < margin.mean() < 0.9 else values


def _margin(fill: Bools, sharp: bool = False) -> Bools:
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
