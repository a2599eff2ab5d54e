"""Metres on the ground, whatever the CRS.

A unit of a CRS is rarely a metre on the ground: degrees are not, feet are not, and the metres of Web Mercator
(EPSG:3857) or of a polar stereographic projection away from its true latitude are not. `ground_grid` decides
once, for every task, whether a grid may be used as it is; `ground_steps` measures pixels where warping would
blur; `ground_lines` brings lines into a local projection.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

from icectl.arrays import F64, Array
from icectl.errors import DataError
from icectl.raster.grid import Grid, utm_crs, without_place

TOLERANCE = 0.01
"""How far a CRS's metre may be off a metre on the ground."""

NOMINAL = 0.05
"""How far a pixel may be off its size in the CRS for the warped one to keep that size."""

_GEOD = Geod(ellps="WGS84")
_EDGE = (0.02, 0.5, 0.98)


@dataclass(frozen=True, slots=True)
class Ground:
    """The grid to work on, and a sentence that says why, where it is not the file's own.

    `metres` is the side of a pixel on the ground.
    """

    grid: Grid
    warped: bool
    sentence: str
    metres: float


def ground_steps(
    grid: Grid, rows: npt.ArrayLike | None = None, columns: npt.ArrayLike | None = None
) -> tuple[F64, F64]:
    """Return how many metres on the ground a step of one pixel is, across and down.

    Parameters
    ----------
    grid
        Any grid with a CRS: projected or in degrees, metres or feet.
    rows, columns
        Pixel positions (0-based, centres at whole numbers), of any one shape; the grid's middle by default.

    Returns
    -------
    across, down
        float64 of the shape of `rows`, in metres (geodesic, WGS 84).

    Examples
    --------
    >>> degrees = GeoBox((100, 100), Affine(0.001, 0, 10.0, 0, -0.001, 60.05), "EPSG:4326")
    >>> [round(float(step), 1) for step in ground_steps(degrees)]
    [55.8, 111.4]
    """
    height, width = grid.shape
    row = np.asarray((height - 1) / 2 if rows is None else rows, np.float64)
    col = np.asarray((width - 1) / 2 if columns is None else columns, np.float64)
    reach = max(0.5, 0.002 * min(height, width))  # long enough not to lose digits, short enough to be local
    to_degrees = _to_degrees(grid.crs)

    def metres(dx: float, dy: float) -> F64:
        ends = []
        for sign in (-1, 1):
            x, y = grid.affine * (col + 0.5 + sign * dx, row + 0.5 + sign * dy)
            ends += [np.atleast_1d(v) for v in to_degrees.transform(x, y)]
        _, _, length = _GEOD.inv(ends[0], ends[1], ends[2], ends[3])
        steps: F64 = np.asarray(length, np.float64).reshape(row.shape) / (2 * reach)
        return steps

    return metres(reach, 0), metres(0, reach)


def _to_degrees(crs: Any) -> Transformer:
    """Return what turns coordinates of a CRS into longitude and latitude."""
    try:
        return Transformer.from_crs(CRS.from_user_input(str(crs)), "EPSG:4326", always_xy=True)
    except ProjError as error:
        raise without_place(_name(crs)) from error


def ground_metres(grid: Grid) -> float:
    """Return the side of a pixel in the grid's middle in metres on the ground (of a square of its area)."""
    across, down = ground_steps(grid)
    return float(np.sqrt(across * down))


def ground_areas(grid: Grid, rows: slice = slice(None)) -> F64:
    """Return the area of every pixel on the ground in square metres, ``(rows, columns)``.

    It is measured at a few hundred places and interpolated between them: it changes slowly.

    `rows`: those to return; all by default.

    Examples
    --------
    >>> degrees = GeoBox((100, 2), Affine(0.01, 0, 10.0, 0, -0.01, 61.0), "EPSG:4326")
    >>> areas = ground_areas(degrees)
    >>> round(float(areas[-1, 0] / areas[0, 0]), 3)  # the cosines of 60 and 61 degrees
    1.031
    """
    sides = [np.unique(np.linspace(0, n - 1, 17)) for n in grid.shape]
    across, down = ground_steps(grid, *np.meshgrid(*sides, indexing="ij"))
    wanted, columns = np.arange(grid.shape[0])[rows], np.arange(grid.shape[1])
    known = across * down
    if np.ptp(known) <= 0.1 * TOLERANCE * known.mean():
        return np.broadcast_to(known.mean(), (len(wanted), len(columns)))
    wide = np.stack([np.interp(columns, sides[1], line) for line in known])
    last = len(sides[0]) - 1
    below = np.searchsorted(sides[0], wanted, "right") - 1
    above = np.minimum(below + 1, last)
    share = (wanted - sides[0][below]) / np.maximum(sides[0][above] - sides[0][below], 1.0)
    return np.asarray(wide[below] + share[:, np.newaxis] * (wide[above] - wide[below]))


def ground_grid(grid: Grid, resolution: float | None = None) -> Ground:
    """Return the grid on which lengths, areas and slopes are those on the ground.

    A grid of square pixels in metres that are ground metres within `TOLERANCE` everywhere stays as it is.
    Any other (degrees, feet, Web Mercator, polar stereographic away from its true latitude, unequal pixels)
    gets square pixels in the UTM zone of its middle, or in a local equal-area projection where UTM is off.

    Parameters
    ----------
    grid
        The grid of a file.
    resolution
        Side of a pixel in metres, if it is to be coarser than the file's finer side.

    Returns
    -------
    Ground
        The grid, whether it is another, a sentence to say and record, and the pixel's side in metres.

    Raises
    ------
    DataError
        The grid has no CRS, or spans so much that no projection is true to scale.

    Examples
    --------
    >>> mercator = GeoBox((100, 100), Affine(60, 0, 0, 0, -60, 8.6e6), "EPSG:3857")
    >>> ground_grid(mercator).sentence
    'a metre of EPSG:3857 is 0.488 m on the ground here: warped to EPSG:32631 with pixels of 29 m'
    """
    if grid.crs is None:
        raise DataError(
            "an image without a CRS has no place on the ground", "assign one, e.g. --crs EPSG:32643"
        )
    across, down = ground_steps(grid)
    finer, a = float(min(across, down)), grid.affine
    square = abs(a.a + a.e) <= 1e-6 * abs(a.a)
    metric = grid.crs.projected and _unit(grid) == 1.0
    if metric and square and abs(finer / a.a - 1) < NOMINAL:
        finer = a.a
    wanted = finer if resolution is None else max(resolution, finer)
    if metric and square and _true_to_scale(grid) and wanted <= abs(a.a) * 1.05:
        return Ground(grid, False, "", abs(a.a))
    crs, side = grid.crs, _rounded(wanted)
    if metric and _true_to_scale(grid):
        side = max(min(abs(a.a), abs(a.e)), resolution or 0.0)
    else:
        crs = local_crs(grid)
    made = _covering(grid, crs, side)
    why = off_ground(grid) or f"pixels of {abs(a.a):.6g} by {abs(a.e):.6g} m"
    return Ground(made, True, f"{why}: warped to {_name(crs)} with pixels of {side:.6g} m", side)


def off_ground(grid: Grid) -> str:
    """Say in what a grid's pixels are not what its CRS says in metres; nothing where they are.

    >>> off_ground(GeoBox((9, 9), Affine(60, 0, 0, 0, -60, 8.6e6), "EPSG:3857"))
    'a metre of EPSG:3857 is 0.488 m on the ground here'
    """
    (across, down), unit, name = ground_steps(grid), _unit(grid), _name(grid.crs)
    if grid.crs.geographic:
        return f"pixels of {name} are {across:.3g} by {down:.3g} m here"
    if unit != 1.0:
        return f"{name} is not in metres but in units of {unit:.6g} m"
    if not _true_to_scale(grid):
        return f"a metre of {name} is {across / abs(grid.affine.a):.3g} m on the ground here"
    return ""


def _name(crs: Any) -> str:
    """Return a CRS's code, or its name where it has none."""
    found = CRS.from_user_input(str(crs))
    code = found.to_epsg()
    return f"EPSG:{code}" if code else found.name if found.name != "unknown" else "a local projection"


def _unit(grid: Grid) -> float:
    """Return the metres in a unit of the CRS's axes (for degrees, the radians: never 1)."""
    axes = CRS.from_user_input(str(grid.crs)).axis_info
    return float(axes[0].unit_conversion_factor) if axes else 1.0


def _true_to_scale(grid: Grid) -> bool:
    """Tell whether a pixel is as large on the ground as the CRS says, in the middle and at the edges."""
    rows, columns = np.meshgrid(*(np.array(_EDGE) * (n - 1) for n in grid.shape), indexing="ij")
    across, down = ground_steps(grid, rows, columns)
    off = [np.abs(across / abs(grid.affine.a) - 1), np.abs(down / abs(grid.affine.e) - 1)]
    return bool(np.isfinite(off).all()) and float(np.max(off)) <= TOLERANCE


def local_crs(grid: Grid) -> Any:
    """Return a metric CRS for a grid: the UTM zone of its middle, else an equal-area one centred there."""
    lon, lat = _middle(grid)
    utm = utm_crs(lon, lat)
    if -80 <= lat <= 84 and _true_to_scale(_covering(grid, utm, _coarse(grid))):
        return utm
    return local_projection(lon, lat)


def local_projection(lon: float, lat: float) -> str:
    """Return the equal-area azimuthal projection centred at a place: true to scale within 1 % for 1,000 km.

    >>> local_projection(-70.0, 77.0)
    '+proj=laea +lat_0=77 +lon_0=-70 +datum=WGS84 +units=m +no_defs'
    """
    return f"+proj=laea +lat_0={lat:.6g} +lon_0={lon:.6g} +datum=WGS84 +units=m +no_defs"


def _middle(grid: Grid) -> tuple[float, float]:
    rows, columns = grid.shape
    lon, lat = _to_degrees(grid.crs).transform(*(grid.affine * (columns / 2, rows / 2)))
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise DataError(f"the middle of the raster lies outside {grid.crs}", "check its CRS and transform")
    return (lon + 180) % 360 - 180, lat


def _coarse(grid: Grid) -> float:
    """Return a pixel size that cuts the grid into about a hundred rows: enough to test a projection."""
    return float(max(ground_metres(grid) * max(grid.shape) / 100, 1e-3))


def _covering(grid: Grid, crs: Any, side: float) -> Grid:
    """Return the grid of square pixels that covers another one."""
    rows, columns = grid.shape
    edge = np.linspace(0, 1, 22)
    across, down = (
        np.concatenate([edge, edge, 0 * edge, 0 * edge + 1]),
        np.concatenate([0 * edge, 0 * edge + 1, edge, edge]),
    )
    xs, ys = grid.affine * (across * columns, down * rows)
    moved = Transformer.from_crs(
        CRS.from_user_input(str(grid.crs)), CRS.from_user_input(str(crs)), always_xy=True
    )
    x, y = (np.asarray(v) for v in moved.transform(xs, ys))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(
            f"{_name(grid.crs)} cannot be warped to {_name(crs)} here", "cut the raster to one place"
        )
    shape = tuple(max(1, math.ceil(float(np.ptp(v)) / side - 1e-6)) for v in (y, x))
    return GeoBox(shape, Affine(side, 0, float(x.min()), 0, -side, float(y.max())), str(crs))


def _rounded(side: float) -> float:
    """Round a pixel's side to whole metres, or to two digits below five metres."""
    return float(round(side)) if side >= 5 else float(f"{side:.2g}")


def ground_lines(shapes: npt.ArrayLike, crs: Any, *others: npt.ArrayLike) -> list[Array]:
    """Bring shapely geometries of one place into a projection in which lengths are metres on the ground.

    Parameters
    ----------
    shapes
        Geometries in `crs`; the projection is centred on them.
    crs
        Their CRS: degrees, metres of any projection, or feet.
    others
        More geometries of that CRS, for the same projection.

    Returns one array of geometries, with coordinates in metres, for each that was given.

    Examples
    --------
    >>> line = shapely.LineString([(10, -70), (10.01, -70)])
    >>> round(ground_lines([line], "EPSG:4326")[0][0].length)
    382
    """
    arrays = [np.asarray(s, dtype=object).reshape(-1) for s in (shapes, *others)]
    lon, lat = _centre(*_to_degrees(crs).transform(*shapely.get_coordinates(arrays[0]).T))
    moved = Transformer.from_crs(CRS.from_user_input(crs), local_projection(lon, lat), always_xy=True)
    return [
        shapely.transform(array, lambda xy: np.stack(moved.transform(*xy.T), axis=-1)) for array in arrays
    ]


def _centre(lon: F64, lat: F64) -> tuple[float, float]:
    """Return the middle of places on the sphere: right beside 180° and at the poles too."""
    turned, raised = np.radians(lon), np.radians(lat)
    x, y, z = np.cos(raised) * np.cos(turned), np.cos(raised) * np.sin(turned), np.sin(raised)
    mean = [float(np.mean(v)) for v in (x, y, z)]
    return math.degrees(math.atan2(mean[1], mean[0])), math.degrees(
        math.atan2(mean[2], math.hypot(*mean[:2]))
    )


def line_distances(first: Any, second: Any, crs: Any, step: float) -> tuple[Any, Any]:
    """Return distances from points along each of two lines to the other, in metres on the ground.

    Parameters
    ----------
    first, second
        Shapely lines in `crs`.
    step
        Metres between points along a line.
    """
    (a,), (b,) = ground_lines([first], crs, [second])

    def one_way(line: Any, other: Any) -> Any:
        points = shapely.get_coordinates(shapely.segmentize(line, step))
        return shapely.distance(shapely.points(points), other)

    return one_way(a, b), one_way(b, a)
