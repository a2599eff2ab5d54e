"""Metres on the ground, against closed forms and geodesics that others compute."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod, Proj, Transformer

from icectl.raster import ground_grid, ground_steps, line_distances, warp
from icectl.raster.ground import local_crs
from icectl.raster.kinds import factor_to


def box(crs, size, lon, lat, shape=(200, 200)):
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    left, top = x - size[0] * shape[1] / 2, y + size[1] * shape[0] / 2
    return GeoBox(shape, Affine(size[0], 0, left, 0, -size[1], top), crs)


def test_mercator_by_its_closed_form():
    lat = 61.0
    across, down = ground_steps(box("EPSG:3857", (60, 60), -45, lat))
    e2 = 0.00669438
    w = math.sqrt(1 - e2 * math.sin(math.radians(lat)) ** 2)
    assert across == pytest.approx(60 * math.cos(math.radians(lat)) / w, rel=1e-4)  # prime vertical radius
    assert down == pytest.approx(60 * math.cos(math.radians(lat)) * (1 - e2) / w**3, rel=1e-4)  # meridian


def test_steps_at_stated_pixels_are_those_of_the_projection_s_own_scale():
    grid = box("EPSG:32643", (2000, 2000), 75, 60, shape=(40, 300))
    rows, columns = np.array([0, 7, 39]), np.array([0, 250, 299])
    across, down = ground_steps(grid, rows, columns)
    x, y = grid.affine * (columns + 0.5, rows + 0.5)
    to = Proj("EPSG:32643")
    scale = to.get_factors(*to(x, y, inverse=True)).meridional_scale  # conformal: the same in all directions
    assert np.ptp(scale) > 3e-4
    assert across == pytest.approx(2000 / scale, rel=1e-6)
    assert down == pytest.approx(2000 / scale, rel=1e-6)


def test_a_pixel_coarser_by_less_than_a_twentieth_is_the_files_own():
    grid = box("EPSG:32643", (30, 30), 75, 32)
    assert ground_grid(grid, 31.4).grid == grid
    coarser = ground_grid(grid, 32)
    assert (coarser.warped, coarser.metres, coarser.grid.affine.a) == (True, 32, 32)


def test_a_warped_grid_covers_all_of_the_file_and_less_than_a_pixel_more():
    grid = box("EPSG:3857", (100, 100), -45, 61, shape=(31, 47))
    made = ground_grid(grid)
    edge = shapely.segmentize(shapely.box(*grid.boundingbox.bbox), 20).exterior.xy
    x, y = Transformer.from_crs("EPSG:3857", str(made.grid.crs), always_xy=True).transform(*edge)
    left, bottom, right, top = made.grid.boundingbox.bbox
    over = (min(x) - left, max(y) * -1 + top, right - max(x), min(y) - bottom)
    assert min(over) > -0.1
    assert max(over[:2]) < 0.1
    assert max(over[2:]) < made.metres


def test_the_local_projection_is_centred_on_the_middle_of_the_grid():
    grid = box("EPSG:3413", (1000, 1000), -31.5, 87.25, shape=(60, 200))  # no UTM zone reaches there
    centre = dict(part.split("=") for part in local_crs(grid).split() if "=" in part)
    assert float(centre["+lat_0"]) == pytest.approx(87.25, abs=1e-4)
    assert float(centre["+lon_0"]) == pytest.approx(-31.5, abs=1e-4)


@pytest.mark.parametrize(
    ("crs", "size", "lon", "lat", "why"),
    [
        ("EPSG:3857", (60, 60), -45, 61, "a metre of EPSG:3857 is 0.486 m on the ground here"),
        ("EPSG:3413", (30, 30), -45, 61, "a metre of EPSG:3413 is 0.9"),
        ("EPSG:3031", (30, 30), -60, -62, "a metre of EPSG:3031 is 0.9"),
        ("EPSG:4326", (1 / 1800, 1 / 3600), 10, 61, "pixels of EPSG:4326 are 30.1 by 31 m here"),
        ("EPSG:2263", (100, 100), -74, 40.7, "EPSG:2263 is not in metres"),
        ("EPSG:32643", (30, 60), 75, 32, "pixels of 30 by 60 m"),
        ("EPSG:32643", (30, 30), 90, 32, "a metre of EPSG:32643 is 0.9"),  # far outside its zone
        ("EPSG:4326", (1 / 1200, 1 / 3600), 179.99, 67, "pixels of EPSG:4326"),  # beside 180°
    ],
)
def test_what_is_not_ground_metres_is_warped_and_said(crs, size, lon, lat, why):
    grid = box(crs, size, lon, lat)
    ground = ground_grid(grid)
    assert ground.warped
    assert ground.sentence.startswith(why)
    across, down = ground_steps(ground.grid)
    assert across == pytest.approx(ground.metres, rel=0.01)
    assert down == pytest.approx(ground.metres, rel=0.01)
    ring = shapely.segmentize(shapely.box(*grid.boundingbox.bbox), min(size) * 10)
    lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*ring.exterior.xy)
    area = abs(Geod(ellps="WGS84").polygon_area_perimeter(*lonlat)[0])
    seen = np.isfinite(warp(np.ones(grid.shape), grid, ground.grid)).sum() * ground.metres**2
    assert seen == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize(("crs", "lon", "lat"), [("EPSG:32643", 75, 32), ("EPSG:3413", -45, 70.5)])
def test_what_is_ground_metres_stays(crs, lon, lat):
    grid = box(crs, (30, 30), lon, lat)
    ground = ground_grid(grid)
    assert (ground.grid, ground.sentence) == (grid, "")


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [
        ("EPSG:4326", -70, -50), ("EPSG:4326", 40, 79), ("EPSG:3857", -24, 69), ("EPSG:3413", 140, -72),
        ("EPSG:3413", -45, 60), ("EPSG:3031", 179.999, -72), ("EPSG:32719", -70, -50),
        ("EPSG:32140", -95, 29), ("EPSG:2278", -95, 29),
    ],
)  # fmt: skip
def test_lines_500_m_apart(crs, lon, lat):
    local = f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84"
    to = Transformer.from_crs(local, crs, always_xy=True)
    lines = [
        shapely.transform(
            shapely.segmentize(shapely.LineString([(-1000, y), (1000, y)]), 50),
            lambda xy: np.stack(to.transform(*xy.T), axis=-1),
        )
        for y in (0, 500)
    ]
    there, back = line_distances(lines[0], lines[1], crs, 10)
    assert there.mean() == pytest.approx(500, abs=1)
    assert back.mean() == pytest.approx(500, abs=1)


@pytest.mark.parametrize(
    ("unit", "stated", "factor"),
    [
        ("m", "", 1), ("m", "ft", 0.3048), ("m", "metres above sea level", 1), ("m", "dm", 0.1),
        ("m/yr", "m a-1", 1), ("m/yr", "meter/year", 1), ("m/yr", "m yr^-1", 1), ("m/yr", "cm/day", 3.65),
        ("m/yr", "km per year", 1000), ("1", "%", 0.01), ("1", "reflectance", 1),
    ],
)  # fmt: skip
def test_units(unit, stated, factor):
    assert factor_to(unit, stated, "x") == pytest.approx(factor)
