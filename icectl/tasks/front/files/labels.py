"""Reading labels as lines and masks in the pixels of their image."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import geopandas
import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from icectl.arrays import F64, Array, Bools
from icectl.errors import DataError
from icectl.raster import Info, read_quantity, read_vectors
from icectl.raster.vectors import layer_of, mended
from icectl.tasks.front.dataset import Place
from icectl.tasks.front.files.caffe import ICE, OCEAN, ZONES
from icectl.tasks.front.files.gis import to_map
from icectl.tasks.front.files.images import place_on
from icectl.tasks.front.files.pairs import VECTORS
from icectl.tasks.front.files.sets import days_of
from icectl.tasks.front.image.augment import mask_edge
from icectl.tasks.front.line.lines import Line, clip, length
from icectl.tasks.front.line.vectorise import front_line

THIN = 9
"""A label class that vanishes under an opening of this side is a line."""

MINIMUM_LENGTH = 5.0
"""Shorter pieces of a label (px) are specks."""

RIM = 3
"""Pixels at the border of an image in which a label holds what it holds beside: polygons end a little short
of it, and some are framed."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a brightness (ITU-R BT.601)."""

OFF = 0.1
"""Share of a row beside them that is of another class than a border that a label stops short of."""

ICE_WORDS = frozenset({"ice", "glacier", "land ice", "gletscher", "eis", "glace"})
OTHERS = frozenset({"ocean", "sea", "water", "fjord", "lake", "land", "rock", "bedrock", "meer", "mer"})
"""What columns call polygons of ice, and others."""


@dataclass(frozen=True, slots=True)
class Label:
    """Fronts of one image as lines, longest first, and the ice mask if the label was one."""

    lines: tuple[Line, ...]
    mask: Bools | None = None


def read_label(
    path: Path,
    shape: tuple[int, int],
    place: Place | None,
    kind: str = "auto",
    day: datetime | None = None,
) -> Label:
    """Return the fronts in a label file, in pixels of its image.

    `path`: a raster of the image's size (lines or a mask), or a vector file. `shape`: rows and columns of
    the image. `place`: where the image lies; None takes a vector file's coordinates as (column, row).
    `kind`: ``"line"``, ``"mask"`` or ``"auto"``. `day`: when the image was taken; of a file with fronts of
    several days those of this one count.

    DataError: the sizes differ, the file cannot be read, or what it holds is neither.
    """
    if path.suffix.lower() in VECTORS:
        return _from_vectors(path, shape, place, day)
    info = Info(path)
    if info.shape != shape:
        (rows, columns), (r, c) = shape, info.shape
        raise DataError(f"{path.name} has {r} × {c} pixels, its image {rows} × {columns}", "make them equal")
    mine = place_on(info.grid)
    if mine is not None and place is not None and not _together(mine, place, shape):
        raise DataError(
            f"{path.name} has the size of its image but lies elsewhere",
            "lay it onto the image's grid (gdalwarp -te … -ts …), or take its CRS off where it is wrong",
        )
    numbers = [number for number in range(1, info.count + 1) if number != info.alpha][:3]
    bands = [read_quantity(path, "label", band=number) for number in numbers]
    shown = [np.where(band.valid, band.values, 0) for band in bands]
    shares = LUMINANCE if len(shown) == 3 else None  # means of colours are often alike
    values = np.asarray(np.average(shown, axis=0, weights=shares), np.float32)
    return label_from_raster(values, kind, path.name, np.all([band.valid for band in bands], axis=0))


def _together(a: Place, b: Place, shape: tuple[int, int]) -> bool:
    """Tell whether all corners of two grids of one size lie on one another within a pixel."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * shape - 0.5
    apart = np.abs(to_map(corners, a, b.crs) - to_map(corners, b, b.crs))
    return float(apart.max()) <= max(map(abs, b.transform[:2]))


def label_from_raster(
    values: Array, kind: str = "auto", name: str = "the label", valid: Bools | None = None
) -> Label:
    """Tell a drawn line from a mask and return it; a constant raster has no front.

    Lines may be dark on bright or bright on dark; in a mask the higher value is ice, and where it borders on
    what is not `valid` there is no front. Of CaFFe's zones, fronts are where glacier borders on ocean.
    """
    if valid is not None and _is_thin(valid):  # a line drawn on nothing, in any colour
        values = valid.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if valid is not None and not valid.all() and not _is_thin(valid):
        known = np.unique(np.asarray(values)[valid])
        if len(known) == 1:
            raise DataError(
                f"{name} holds {known[0]:g} and nothing else: where it has no data is neither ice nor sea",
                "take the nodata value off where it stands for a class (gdal_edit.py -unsetnodata FILE)",
            )
    if low == high:
        return Label(())
    found = set(np.unique(values).tolist())
    if kind != "line" and {ICE, OCEAN} <= found <= set(ZONES):
        values, low, high, valid = values == ICE, 0.0, 1.0, np.isin(values, (ICE, OCEAN))
    bright = _to_border(values > (low + high) / 2)
    thin = [side for side in (~bright, bright) if _is_thin(side)]
    if kind == "line" or (kind == "auto" and thin):
        if kind == "auto":
            _refuse_classes(values, low, high, name)
        side = thin[0] if thin else min((~bright, bright), key=lambda s: int(s.sum()))
        return Label(lines_of(side))
    if kind == "auto" and min(bright.mean(), 1 - bright.mean()) < 0.01:
        raise DataError(f"{name} is neither a thin line nor a mask", "say which with --label-kind")
    _refuse_classes(values, low, high, name)
    _expect_open(bright, name, "mask", valid)
    edge = mask_edge(bright, 1)
    if valid is not None and not valid.all():
        edge &= cv2.erode(valid.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    return Label(lines_of(edge), bright)


MOST = 0.97
"""Polygons that cover more of an image are of all its classes."""

BETWEEN = 0.05
"""Share of a mask's pixels that may lie between its two values, as at the rims of a compressed one."""


FEW = 8
"""A mask of so few values has them on purpose: those of a compressed one are many."""


def _to_border(side: Bools) -> Bools:
    """Return a class with the `RIM` of its raster as what lies beside it, where it stops short of a side."""
    if min(side.shape) <= 4 * RIM or not any(_stops_short(np.rot90(side, turn)) for turn in range(4)):
        return side
    return np.pad(side[RIM:-RIM, RIM:-RIM], RIM, mode="edge")


def _stops_short(side: Bools) -> bool:
    """Tell whether the first row is of one class, and much of the row `RIM` pixels inside of the other."""
    return bool((side[0] == side[0, 0]).all() and (side[RIM] != side[0, 0]).mean() > OFF)


def _refuse_classes(values: Array, low: float, high: float, name: str) -> None:
    """Refuse a label of more than two classes: the middle of its range would part them anywhere."""
    share = (values - low) / (high - low)
    found, counts = np.unique(values, return_counts=True)
    many = len(found) <= FEW and int((counts > BETWEEN * values.size).sum()) > 2  # 0, 1 and an undeclared 255
    if many or float(((share > 0.1) & (share < 0.9)).mean()) > BETWEEN:
        some = ", ".join(f"{value:g}" for value in found[:6])
        raise DataError(
            f"{name} holds more than two classes ({some}{', …' if len(found) > 6 else ''})",
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
    lines = [front_line((parts == part).astype(float), 0.5, neighbours=1.0) for part in range(1, count)]
    kept = [line for line in lines if length(line) >= MINIMUM_LENGTH]
    return tuple(sorted(kept, key=length, reverse=True))


def _from_vectors(path: Path, shape: tuple[int, int], place: Place | None, day: datetime | None) -> Label:
    """Read lines, or polygons of ice, and put them into the image's pixels."""
    frame = _of_day(frame_in_pixels(path, place), path, day)
    shapes = np.asarray(frame.geometry.array)
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
        mask = _to_border(_ice_of(frame[kinds == 2], shape, path))
        _expect_open(mask, str(path), "polygon")
        return Label(lines_of(mask_edge(mask, 1)), mask)
    if shapely.is_closed(shapes).any():
        raise _closed(str(path), "line")
    corners = [shapely.get_coordinates(one)[:, ::-1] for one in shapes]  # (row, column) from the corner
    lines = [line for points in corners for line in clip(points - 0.5, shape)]
    return Label(tuple(sorted(lines, key=length, reverse=True)))


def _of_day(frame: Any, path: Path, day: datetime | None) -> Any:
    """Return the rows of the image's day, where a file holds fronts of several."""
    _, own = days_of(frame)
    if len(set(own) - {None}) < 2 or day is None:
        return frame
    wanted = np.array([one is not None and one.date() == day.date() for one in own])
    if not wanted.any():
        raise DataError(
            f"{path} holds fronts of {len(set(own) - {None})} days, none of them {day:%Y-%m-%d}",
            "keep those of its image's day",
        )
    return frame[wanted]


def _ice_of(frame: Any, shape: tuple[int, int], path: Path) -> Bools:
    """Burn the polygons of ice: those that a column calls so, else all that are not called another thing."""

    def burnt(rows: Any) -> Bools:
        return np.asarray(rasterize(list(rows.geometry), out_shape=shape), bool)

    for name in frame.columns.drop(frame.geometry.name):
        words = frame[name].astype(str).str.strip().str.lower()
        if words.isin(OTHERS).any():
            ice = words.isin(ICE_WORDS) if words.isin(ICE_WORDS).any() else ~words.isin(OTHERS)
            return burnt(frame[ice]) if ice.any() else ~burnt(frame)
    mask = burnt(frame)
    if len(frame) > 1 and mask.mean() > MOST:
        raise DataError(
            f"the polygons of {path} cover the whole image, and none is called ice",
            "keep those of ice alone, or say it in a column 'class': ice, ocean",
        )
    return mask


def _expect_open(mask: Bools, name: str, what: str, valid: Bools | None = None) -> None:
    """Refuse ice or sea that reaches neither the image's border nor what is not `valid`."""
    known = np.ones(mask.shape, np.uint8) if valid is None else valid.astype(np.uint8)
    inner = cv2.erode(known, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if any(side.any() and not (side & ~inner).any() for side in (mask, ~mask & (known > 0))):
        raise _closed(name, what)


def _closed(name: str, what: str) -> DataError:
    """Word the refusal of a box around the end of a glacier."""
    return DataError(
        f"{name} holds a closed {what} within the image, whose far sides are no front",
        "give the front alone as an open line, or all ice of the image as polygons",
    )


def frame_in_pixels(path: Path, place: Place | None, kinds: Sequence[str] = ("lines", "polygons")) -> Any:
    """Return the simple shapes of a file with its columns, in (column, row) from the image's corner.

    `kinds`: of several layers the only one of the first of these kinds is taken.
    """
    layer = next((found for kind in kinds if (found := layer_of(path, kind))), None)
    if place is None:
        frame = mended(geopandas.read_file(path, layer=layer, engine="pyogrio"))
        down = -1 if frame.crs is not None and frame.crs.is_engineering else 1  # our own: y is −row
        to_pixels = Affine.scale(1, down)
    else:
        frame, to_pixels = read_vectors(path, place.crs, layer), ~Affine(*place.transform)

    def moved(xy: F64) -> F64:
        return np.stack(to_pixels * tuple(xy.T), axis=1)

    shapes = shapely.transform(np.asarray(frame.geometry.array), moved)
    return frame.set_crs(None, allow_override=True).set_geometry(shapes).explode(ignore_index=True)
