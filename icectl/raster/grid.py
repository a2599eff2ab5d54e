"""Grids: CRS, transform and shape as one value, and the refusal of two that do not meet."""

import math
from pathlib import Path
from typing import Any, TypeAlias

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from icectl.errors import DataError, UsageError
from icectl.raster.files import opened

Grid: TypeAlias = GeoBox
"""CRS, affine transform and (rows, columns); pixel edges, not centres, lie on the transform."""

TOLERANCE = 1e-3
"""Share of a pixel by which two grids may differ and still count as one (rounding in file headers)."""


def grid_of(path: str | Path, crs: str | None = None) -> Grid:
    """Return the grid of a raster file, north up however the file is stored.

    Parameters
    ----------
    crs
        The CRS of a file that carries none.

    Raises
    ------
    DataError
        The file has no CRS, no transform, or cannot be read.
    UsageError
        `crs` is none.
    """
    with opened(path) as source:
        return grid_of_dataset(source, path, crs)


def placing(source: Any) -> str:
    """Return how to give an open dataset without a CRS a place on the ground."""
    if source.gcps[0]:
        return "it holds ground control points only: warp it first, e.g. `gdalwarp -t_srs EPSG:3413 FILE NEW`"
    if source.rpcs:
        return "it holds a sensor model only: warp it first, e.g. `gdalwarp -rpc -t_srs EPSG:3413 FILE NEW`"
    bounds = " -a_ullr LEFT TOP RIGHT BOTTOM" if source.transform == Affine.identity() else ""
    return f"assign one, e.g. gdal_edit.py -a_srs EPSG:32643{bounds} FILE"


def grid_of_dataset(source: Any, path: str | Path, crs: str | None = None) -> Grid:
    """Return the north-up grid of an open rasterio dataset; `path` names it in errors."""
    if source.crs is None and crs is None:
        raise DataError(f"{path} has no CRS", placing(source))
    if source.transform == Affine.identity():
        raise DataError(
            f"{path} has a CRS but no position (its transform is the identity)",
            "give it one, e.g. gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM FILE",
        )
    grid = upright(GeoBox(source.shape, source.transform, source.crs or crs_of(crs)))
    if grid.crs.proj.is_engineering:
        raise without_place(grid.crs.proj.name)
    if grid.crs.proj.is_geocentric:
        raise DataError(
            f"the CRS '{grid.crs.proj.name}' of {Path(path).name} counts from the Earth's centre",
            "assign that of its map, e.g. `gdal_edit.py -a_srs EPSG:32643 FILE`",
        )
    if not grid.crs.geographic:
        return grid
    box = grid.boundingbox
    if box.top > 91 or box.bottom < -91:
        raise DataError(
            f"{path}: its latitudes reach from {box.bottom:.6g} to {box.top:.6g}",
            "longitude and latitude are likely swapped in its transform, or its CRS is not in degrees",
        )
    if box.left >= 179.5:  # counted from 0 to 360
        grid = GeoBox(grid.shape, Affine.translation(-360, 0) * grid.affine, grid.crs)
    return grid


def without_place(name: str) -> DataError:
    """Word the refusal of a CRS that is of a site alone, by its name."""
    return DataError(
        f"the CRS '{name}' is a local one that has no place on the ground",
        "assign the true one, e.g. `gdal_edit.py -a_srs EPSG:32643 FILE`",
    )


def assigned_grid(
    shape: tuple[int, int],
    crs: str | None,
    bounds: tuple[float, ...] | None,
    side: float | None = None,
    own: Affine | None = None,
) -> Grid:
    """Return the grid that a user states of an image without georeference; in pixels where nothing is said.

    Parameters
    ----------
    shape
        Rows and columns of the image.
    crs
        Its CRS.
    bounds
        Left, bottom, right and top of the image in that CRS.
    side
        Side of a pixel in metres, where its place is not known.
    own
        The transform that a world file beside the image says.

    Raises
    ------
    UsageError
        Bounds without a CRS, or in another order; a CRS without a place.
    """
    rows, columns = shape
    if bounds is None and crs is not None:
        if own is None or turns(own) != (False, False):
            raise UsageError(
                f"--crs {crs} alone does not say where the images lie",
                "give their --bounds too, or for metres without a place --resolution in place of --crs",
            )
        return GeoBox(shape, own, crs_of(crs))
    if bounds is None:
        step = side or 1.0
        return GeoBox(shape, Affine(step, 0, 0, 0, -step, step * rows), None)
    left, bottom, right, top = bounds
    if crs is None or not (left < right and bottom < top):
        raise UsageError(
            f"--bounds {left:g} {bottom:g} {right:g} {top:g} "
            + ("has no CRS" if crs is None else "is no box"),
            "give left, bottom, right and top, and their --crs",
        )
    transform = Affine((right - left) / columns, 0, left, 0, (bottom - top) / rows, top)
    return GeoBox(shape, transform, crs_of(crs))


def crs_of(text: str | None) -> CRS:
    """Return the CRS that a user named, or refuse the name."""
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise UsageError(f"'{text}' is no CRS that PROJ knows", "for instance EPSG:32632") from error


def turns(affine: Affine) -> tuple[bool, bool] | None:
    """Return whether rows and columns are stored in reverse; None where the raster is rotated.

    >>> turns(Affine(30, 0, 0, 0, 30, 0))
    (True, False)
    """
    if affine.b or affine.d:
        return None
    return affine.e > 0 and affine != Affine.identity(), affine.a < 0


def upright(grid: Grid) -> Grid:
    """Return a grid north up: rows or columns counted from the other side, rotation taken out.

    What was rotated gets the smallest north-up grid around it, with pixels of the same area.
    """
    affine, (rows, columns), turned = grid.affine, grid.shape, turns(grid.affine)
    if turned is None:
        box = grid.extent.boundingbox
        size = math.sqrt(abs(affine.determinant))
        shape = (
            math.ceil((box.top - box.bottom) / size - 1e-6),
            math.ceil((box.right - box.left) / size - 1e-6),
        )
        return GeoBox(shape, Affine(size, 0, box.left, 0, -size, box.top), grid.crs)
    if not any(turned):
        return grid
    flip_rows = Affine(1, 0, 0, 0, -1, rows) if turned[0] else Affine.identity()
    flip_columns = Affine(-1, 0, columns, 0, 1, 0) if turned[1] else Affine.identity()
    return GeoBox((rows, columns), affine * flip_rows * flip_columns, grid.crs)


def describe(grid: Grid) -> str:
    """Return a grid in words: ``EPSG:32643, 800 × 400 pixels of 30 m, corner (545985, 3564015)``."""
    a = grid.affine
    unit = "°" if grid.crs is not None and grid.crs.geographic else " m"
    size = math.hypot(a.a, a.d)
    other = math.hypot(a.b, a.e)
    pixel = (
        f"{size:.9g}{unit}" if math.isclose(size, other, rel_tol=1e-9) else f"{size:.9g} × {other:.9g}{unit}"
    )
    rows, columns = grid.shape
    return f"{grid.crs}, {rows} × {columns} pixels of {pixel}, corner ({a.c:.10g}, {a.f:.10g})"


def same_grid(a: Grid, b: Grid, what_a: str = "the first", what_b: str = "the second") -> None:
    """Refuse two grids that differ in CRS, transform or shape.

    Raises
    ------
    DataError
        Names both grids and the first thing in which they differ.
    """
    difference = _difference(a, b)
    if difference:
        raise DataError(
            f"{what_a} and {what_b} differ in {difference}: "
            f"{what_a} is {describe(a)}; {what_b} is {describe(b)}",
            "resample one onto the other's grid on purpose, e.g. with gdalwarp",
        )


def _difference(a: Grid, b: Grid) -> str:
    if a.crs != b.crs:
        return "CRS"
    pixel = max(math.hypot(a.affine.a, a.affine.d), 1e-300)
    rows, columns = a.shape
    # Size is compared over the whole width: a slightly different pixel adds up to a shift at the far edge.
    reach = max(rows, columns, 1)
    pairs = list(zip(tuple(a.affine)[:6], tuple(b.affine)[:6], strict=True))
    steps = [pairs[i] for i in (0, 1, 3, 4)]
    if any(abs(x - y) * reach > TOLERANCE * pixel for x, y in steps):
        return "resolution"
    if any(abs(x - y) > TOLERANCE * pixel for x, y in (pairs[2], pairs[5])):
        return "position"
    return "" if a.shape == b.shape else "shape"


def utm_crs(lon: float, lat: float) -> str:
    """Return the metric CRS of a place as ``EPSG:n``.

    It is the UTM zone, or polar stereographic beyond 84° N (EPSG:3413) and 80° S (EPSG:3031). Norway's
    and Svalbard's odd zones are not followed: Landsat does not follow them either.
    """
    if lat > 84:
        return "EPSG:3413"
    if lat < -80:
        return "EPSG:3031"
    zone = int((lon + 180) // 6) % 60 + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def grid_from_bbox(
    bbox: tuple[float, float, float, float],
    crs: str,
    resolution: float,
    anchor_like: Affine | Grid | None = None,
) -> Grid:
    """Return the smallest grid of square pixels that covers a box.

    Parameters
    ----------
    bbox
        West, south, east, north in degrees (WGS 84).
    crs, resolution
        Target CRS and pixel size in its units.
    anchor_like
        A transform or grid whose pixel edges are followed. Without one, edges lie on multiples of
        the resolution; Landsat's lie at 15 mod 30, half a pixel off.
    """
    to_crs = Transformer.from_crs("EPSG:4326", CRS.from_user_input(crs), always_xy=True)
    left, bottom, right, top = to_crs.transform_bounds(*bbox, densify_pts=21)
    if not all(map(math.isfinite, (left, bottom, right, top))):
        raise DataError(f"the box {bbox} cannot be expressed in {crs}", "choose a CRS that covers it")
    affine = anchor_like.affine if isinstance(anchor_like, GeoBox) else anchor_like
    x0, y0 = (affine.c, affine.f) if affine is not None else (0.0, 0.0)
    # A hair inward, so that a box already on pixel edges does not gain a row by rounding.
    hair = 1e-6
    first_column = math.floor((left - x0) / resolution + hair)
    last_column = math.ceil((right - x0) / resolution - hair)
    first_row = math.floor((y0 - top) / resolution + hair)
    last_row = math.ceil((y0 - bottom) / resolution - hair)
    transform = Affine(
        resolution, 0.0, x0 + first_column * resolution, 0.0, -resolution, y0 - first_row * resolution
    )
    shape = (max(1, last_row - first_row), max(1, last_column - first_column))
    return GeoBox(shape, transform, crs)


def upright_values(grid: Grid, values: Any) -> tuple[Grid, Any]:
    """Return a grid and its array ``(…, rows, columns)`` north up; a rotated grid is refused.

    DataError: the grid is rotated.
    """
    turned = turns(grid.affine)
    if turned is None:
        raise DataError("a rotated grid cannot be turned north up", "warp it first, e.g. with gdalwarp")
    rows, columns = (slice(None, None, -1 if flip else 1) for flip in turned)
    return upright(grid), values[..., rows, columns]
