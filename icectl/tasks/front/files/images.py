"""Reading images of any kind as one grey band, and labels as lines and masks in its pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from affine import Affine

from icectl.arrays import F32, F64, Array, Bools
from icectl.errors import DataError
from icectl.raster import Grid, Info, read_quantity
from icectl.sources.names import QUALITY, UNUSED, by_description
from icectl.tasks.front.dataset import Place
from icectl.tasks.front.files.caffe import ICE, OCEAN, ZONES
from icectl.tasks.front.files.pairs import RADAR, VECTORS
from icectl.tasks.front.image.augment import mask_edge
from icectl.tasks.front.line.lines import Line, clip, length
from icectl.tasks.front.line.vectorise import front_line

THIN = 9
"""A label class that vanishes under an opening of this side is a line."""

MINIMUM_LENGTH = 5.0
"""Shorter pieces of a label (px) are specks."""


@dataclass(frozen=True, slots=True)
class Label:
    """Fronts of one image as lines, longest first, and the ice mask if the label was one."""

    lines: tuple[Line, ...]
    mask: Bools | None = None


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


def without_margins(values: F32) -> F32:
    """Set undeclared margins to NaN: of nearly the darkest value, with straight sides, and at the border.

    Crops of turned scenes have such wedges; to a network their edge looks like a front. Dark water at the
    border ends at a coast, which is not straight. Where values are negative, as in decibels, 0 is a fill too.
    """
    darkest, bright = np.nanpercentile(values, (0, 99))
    margin = _margin(values <= darkest + NEARLY_DARKEST * (bright - darkest))
    if darkest < 0:
        margin |= _margin(values == 0)
    return np.where(margin, np.nan, values) if 0 < margin.mean() < 0.9 else values


def _margin(fill: Bools) -> Bools:
    """Return the parts of a value's pixels that lie at the border, are wide, and have straight sides."""
    solid = cv2.morphologyEx(fill.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    border = {int(v) for side in (parts[0], parts[-1], parts[:, 0], parts[:, -1]) for v in np.unique(side)}
    wide = [part for part in border - {0} if stats[part, cv2.CC_STAT_AREA] >= MARGIN_SHARE * fill.size]
    return np.isin(parts, [part for part in wide if _has_straight_sides(parts == part)])


def _has_straight_sides(part: Bools) -> bool:
    """Tell whether a polygon of few corners stands for a part, within 2 % of its extent."""
    outlines, _ = cv2.findContours(part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    near = 0.02 * float(np.hypot(*np.ptp(outline[:, 0], axis=0)))
    return len(cv2.approxPolyDP(outline, near, True)) <= CORNERS


def read_label(path: Path, shape: tuple[int, int], place: Place | None, kind: str = "auto") -> Label:
    """Return the fronts in a label file, in pixels of its image.

    `path`: a raster of the image's size (lines or a mask), or a vector file. `shape`: rows and columns of
    the image. `place`: where the image lies; None takes a vector file's coordinates as (column, row).
    `kind`: ``"line"``, ``"mask"`` or ``"auto"``.

    DataError: the sizes differ, the file cannot be read, or what it holds is neither.
    """
    if path.suffix.lower() in VECTORS:
        return _from_vectors(path, shape, place)
    info = Info(path)
    if info.shape != shape:
        (rows, columns), (r, c) = shape, info.shape
        raise DataError(f"{path.name} has {r} × {c} pixels, its image {rows} × {columns}", "make them equal")
    mine = place_on(info.grid)
    if mine is not None and place is not None and not _together(mine, place):
        raise DataError(
            f"{path.name} has the size of its image but lies elsewhere",
            "lay it onto the image's grid (gdalwarp -te … -ts …), or take its CRS off where it is wrong",
        )
    numbers = [number for number in range(1, info.count + 1) if number != info.alpha][:3]
    bands = [read_quantity(path, "label", band=number) for number in numbers]
    shown = [np.where(band.valid, band.values, 0) for band in bands]
    values = np.asarray(np.mean(shown, axis=0, dtype=np.float32))
    return label_from_raster(values, kind, path.name, np.all([band.valid for band in bands], axis=0))


def _together(a: Place, b: Place) -> bool:
    """Tell whether two grids of one size lie on one another within a pixel."""
    pixel = abs(b.transform[0]) + abs(b.transform[1])
    apart = max(abs(a.transform[2] - b.transform[2]), abs(a.transform[5] - b.transform[5]))
    return a.crs != b.crs or apart <= pixel


def label_from_raster(
    values: Array, kind: str = "auto", name: str = "the label", valid: Bools | None = None
) -> Label:
    """Tell a drawn line from a mask and return it; a constant raster has no front.

    Lines may be dark on bright or bright on dark; in a mask the higher value is ice, and where it borders on
    what is not `valid` there is no front. Of CaFFe's zones, fronts are where glacier borders on ocean.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Label(())
    found = set(np.unique(values).tolist())
    if kind != "line" and {ICE, OCEAN} <= found <= set(ZONES):
        values, low, high, valid = values == ICE, 0.0, 1.0, np.isin(values, (ICE, OCEAN))
    bright = values > (low + high) / 2
    thin = [side for side in (~bright, bright) if _is_thin(side)]
    if kind == "line" or (kind == "auto" and thin):
        side = thin[0] if thin else min((~bright, bright), key=lambda s: int(s.sum()))
        return Label(lines_of(side))
    if kind == "auto" and min(bright.mean(), 1 - bright.mean()) < 0.01:
        raise DataError(f"{name} is neither a thin line nor a mask", "say which with --label-kind")
    _refuse_classes(values, low, high, name)
    edge = mask_edge(bright, 1)
    if valid is not None and not valid.all():
        edge &= cv2.erode(valid.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    return Label(lines_of(edge), bright)


BETWEEN = 0.05
"""Share of a mask's pixels that may lie between its two values, as at the rims of a compressed one."""


def _refuse_classes(values: Array, low: float, high: float, name: str) -> None:
    """Refuse a label of more than two classes: the middle of its range would part them anywhere."""
    share = (values - low) / (high - low)
    if float(((share > 0.1) & (share < 0.9)).mean()) > BETWEEN:
        some = ", ".join(f"{value:g}" for value in np.unique(values)[:6])
        raise DataError(
            f"{name} holds more than two classes ({some}{', …' if len(np.unique(values)) > 6 else ''})",
            "write ice as 1, the sea as 0 and all else as declared nodata, or give the front as a line",
        )


def _is_thin(side: Bools) -> bool:
    """Tell whether a class has no place where a square of `THIN` pixels fits."""
    kernel = np.ones((THIN, THIN), np.uint8)
    padded = np.pad(side.astype(np.uint8), THIN)
    return bool(side.any()) and not cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel).any()


def lines_of(pixels: Bools) -> tuple[Line, ...]:
    """Return each connected piece of drawn pixels as a line, longest first."""
    count, parts = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)
    lines = [
        front_line((parts == part).astype(float), 0.5, neighbours=1.0, sigma=0) for part in range(1, count)
    ]
    kept = [line for line in lines if length(line) >= MINIMUM_LENGTH]
    return tuple(sorted(kept, key=length, reverse=True))


def _from_vectors(path: Path, shape: tuple[int, int], place: Place | None) -> Label:
    """Read lines, or polygons of ice, and put them into the image's pixels."""
    shapes = vectors_in_pixels(path, place)
    kinds = shapely.get_dimensions(shapes)
    if not (kinds >= 1).any():
        raise DataError(f"{path} holds points, no line and no polygon", "join each front's points to a line")
    if not shapely.intersects(shapely.box(0, 0, shape[1], shape[0]), shapes).any():
        where = ", ".join(f"{value:.0f}" for value in shapely.total_bounds(shapes))
        raise DataError(
            f"the shapes of {path} lie outside their image: in its pixels their bounds are {where}",
            "check the CRS of both"
            if place
            else "of an image without a CRS they are columns and rows in pixels",
        )
    if (kinds == 2).any():
        from rasterio.features import rasterize

        mask = rasterize(list(shapes[kinds == 2]), out_shape=shape).astype(bool)
        if not any(side.any() for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1])):
            raise _closed(path, "polygon")
        return Label(lines_of(mask_edge(mask, 1)), mask)
    if shapely.is_closed(shapes).any():
        raise _closed(path, "line")
    lines = [line for shape_ in shapes for line in clip(_line_of(shape_), shape)]
    return Label(tuple(sorted(lines, key=length, reverse=True)))


def _closed(path: Path, what: str) -> DataError:
    """Word the refusal of a box around the end of a glacier."""
    return DataError(
        f"{path} holds a closed {what} within the image, whose far sides are no front",
        "give the front alone as an open line, or all ice of the image as polygons",
    )


def _line_of(shape: Any) -> Line:
    """Return a shapely line of (column, row) edges as (row, column) pixel centres."""
    return np.asarray(shapely.get_coordinates(shape)[:, ::-1]) - 0.5


def vectors_in_pixels(path: Path, place: Place | None) -> Any:
    """Return an array of shapely shapes, coordinates (column, row) from the image's corner."""
    if place is None:
        import geopandas

        from icectl.raster.vectors import mended

        frame = mended(geopandas.read_file(path, engine="pyogrio"))
        down = -1 if frame.crs is not None and frame.crs.is_engineering else 1  # our own: y is −row
        shapes = shapely.transform(np.asarray(frame.geometry.array), lambda xy: xy * [1, down])
    else:
        from icectl.raster import read_vectors

        a, b, c, d, e, f = tuple(~Affine(*place.transform))[:6]
        moved = read_vectors(path, place.crs).geometry.array

        def to_pixels(xy: F64) -> F64:
            x, y = xy.T
            return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)

        shapes = shapely.transform(np.asarray(moved), to_pixels)
    parts = shapely.get_parts(np.asarray(shapes))
    return np.asarray(parts)
