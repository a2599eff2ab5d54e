"""The ground under an image's pixels: metres east and north, and bearings, whatever its CRS."""

import numpy as np

from icectl.arrays import F64
from icectl.tasks.front.dataset import Place

Frame = F64
"""2×2 matrix: metres east and north (rows) of a step of one column and of one row (columns)."""


def frame_of(place: Place | None, shape: tuple[int, int], resolution: float | None = None) -> Frame | None:
    """Return the frame at the centre of an image, on the ellipsoid and not on the map.

    `place`: CRS and transform; None for an image without, whose top is taken as north. `shape`: rows and
    columns. `resolution`: metres per pixel where there is no CRS.

    None where neither a CRS nor a resolution tells the scale.

    >>> frame_of(None, (300, 200), 49.0).tolist()
    [[49.0, 0.0], [0.0, -49.0]]
    """
    if place is None:
        return None if resolution is None else np.diag([resolution, -resolution]).astype(float)
    from pyproj import CRS, Geod, Transformer

    a, b, c, d, e, f = place.transform
    middle = np.array([shape[1] / 2, shape[0] / 2])
    half = np.array(shape[::-1]) / 4
    points = [middle + sign * axis for axis in np.diag(half) for sign in (-1, 1)]
    columns, rows = np.array(points).T
    crs = CRS.from_user_input(place.crs)
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs or "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(a * columns + b * rows + c, d * columns + e * rows + f)
    azimuth, _, metres = Geod(ellps="WGS84").inv(lon[::2], lat[::2], lon[1::2], lat[1::2])
    middle_azimuth = np.deg2rad(azimuth)
    step = metres / (2 * half)
    return np.stack([np.sin(middle_azimuth) * step, np.cos(middle_azimuth) * step])


def metres_per_pixel(frame: Frame | None) -> float | None:
    """Return the side of a square as large as a pixel, in metres."""
    return None if frame is None else float(np.sqrt(abs(np.linalg.det(frame))))


def bearing_in(frame: Frame | None, degrees: float) -> float:
    """Return the bearing on the ground of a direction in the image, both in degrees clockwise.

    >>> south_up = np.diag([30.0, 30.0])
    >>> bearing_in(south_up, 0.0), bearing_in(None, 90.0)
    (180.0, 90.0)
    """
    angle = np.deg2rad(degrees)
    step = np.array([np.sin(angle), -np.cos(angle)])
    east, north = step * [1, -1] if frame is None else frame @ step
    return float(np.rad2deg(np.arctan2(east, north)) % 360)
