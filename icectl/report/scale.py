"""Scale bar, north arrow and names of a map, from its grid."""

import math
from dataclasses import dataclass

from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer

_ROUND = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a map.

    `bar_pixels`, `bar_label`: length of the scale bar in pixels of the raster, and what it says.
    `north`: direction of true north in degrees clockwise from up, or None without a CRS.
    `crs`: name of the CRS, or ``"no CRS: pixels"``.
    `pixel`: size of a pixel as text: on the projection's plane, or on the ground for degrees.
    `affine`: (a, b, c, d, e, f): ``x = a·column + b·row + c``; ``y = d·column + e·row + f``; None without a
        CRS.
    `metres`: ground length of one pixel in metres, or None.
    `corners`: latitude and longitude of the upper left and the lower right corner in words; empty without a
        CRS.
    `centre`: longitude and latitude of the middle, or None without a CRS.
    """

    bar_pixels: float
    bar_label: str
    north: float | None
    crs: str
    pixel: str
    affine: tuple[float, ...] | None = None
    metres: float | None = None
    corners: str = ""
    centre: tuple[float, float] | None = None


def frame_of(
    grid: GeoBox | None, shape: tuple[int, int], side: float | None = None, cell: float = 1.0
) -> Frame:
    """Return the frame of a map of `shape` (rows, columns).

    Without a CRS it counts the metres that a pixel's `side` is said to have, or pixels of an image, of which
    a `cell` is so many wide.
    """
    if grid is None or grid.crs is None:
        length = _nice((side or cell) * shape[1] / 4)
        if side is None:
            pixel = "" if cell == 1 else f"{cell:g} px"
            return Frame(length / cell, f"{length:g} px", None, "no CRS: pixels", pixel)
        return Frame(length / side, _ground(length), None, "no CRS: pixels", f"{side:.4g} m", metres=side)
    crs = CRS(str(grid.crs))
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs or "EPSG:4326", always_xy=True)
    metres, north = _local(grid, crs, shape, to_degrees)
    ground = _nice(metres * shape[1] / 4)
    affine = tuple(float(v) for v in tuple(grid.affine)[:6])
    authority = crs.to_authority()
    name = ":".join(authority) if authority else crs.name
    plane = (
        abs(float(grid.affine.a)) * crs.axis_info[0].unit_conversion_factor if crs.is_projected else metres
    )
    pixels = {"upper left": (0, 0), "lower right": (shape[1], shape[0])}
    places = {name: to_degrees.transform(*(grid.affine @ at)) for name, at in pixels.items()}
    known = all(math.isfinite(value) for place in places.values() for value in place)
    digits = 3 if metres * min(shape) > 2000 else 4
    words = [f"{name} {degrees(at[0], at[1], digits)}" for name, at in places.items()]
    corners = ", ".join(words) if known else ""
    middle = to_degrees.transform(*(grid.affine @ (shape[1] / 2, shape[0] / 2)))
    return Frame(
        ground / metres, _ground(ground), north, name, f"{plane:.4g} m", affine, metres, corners,
        (float(middle[0]), float(middle[1])) if known else None,
    )  # fmt: skip


def degrees(lon: float, lat: float, digits: int) -> str:
    """Return a place in words; longitudes beyond 180 count from the other side.

    >>> degrees(-147.0214, 60.9, 2).split(), degrees(190, -77.5, 1).split()
    (['60.90°', 'N', '147.02°', 'W'], ['77.5°', 'S', '170.0°', 'W'])
    """
    east = (lon + 180) % 360 - 180
    halves = ((lat, "N", "S"), (east, "E", "W"))
    return " ".join(f"{abs(v):.{digits}f}°\u00a0{plus if v >= 0 else minus}" for v, plus, minus in halves)


def _ground(metres: float) -> str:
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"


def _local(grid: GeoBox, crs: CRS, shape: tuple[int, int], to_degrees: Transformer) -> tuple[float, float]:
    """Return metres per column at the map's centre, and the bearing of true north on the page."""
    column, row = shape[1] / 2, shape[0] / 2
    here = to_degrees.transform(*(grid.affine @ (column, row)))
    right = to_degrees.transform(*(grid.affine @ (column + 1, row)))
    bearing, _, metres = Geod(ellps="WGS84").inv(*here, *right)
    if not (math.isfinite(metres) and metres > 0):
        return abs(float(grid.affine.a)), 0.0
    # One column to the right lies `bearing` degrees from north, so north is that much to its left.
    return float(metres), (90.0 - bearing + 180) % 360 - 180


def _nice(length: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(length, 1e-9)))
    return power * max(step for step in _ROUND if step * power <= length * (1 + 1e-9))
