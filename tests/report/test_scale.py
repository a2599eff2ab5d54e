"""Scale bars and north arrows against geodesy."""

import math
import re

import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer
from report_runs import grid

from icectl.report.scale import frame_of

PLACES = [
    ("EPSG:32643", 30.0, 545000.0, 3567000.0),  # Parvati
    ("EPSG:32622", 15.0, 520000.0, 7700000.0),  # Jakobshavn
    ("EPSG:3413", 120.0, -180000.0, -2270000.0),
    ("EPSG:3031", 240.0, 300000.0, -1200000.0),  # Byrd
]


@pytest.mark.parametrize(("crs", "metres", "left", "top"), PLACES)
def test_the_bar_is_as_long_as_it_says(crs, metres, left, top):
    where = grid(400, 600, crs, metres, left, top)
    frame = frame_of(where, (400, 600))
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    start = to_degrees.transform(*(where.affine @ (300 - frame.bar_pixels / 2, 200)))
    end = to_degrees.transform(*(where.affine @ (300 + frame.bar_pixels / 2, 200)))
    _, _, length = Geod(ellps="WGS84").inv(*start, *end)
    number, unit = frame.bar_label.split()
    assert length == pytest.approx(float(number) * (1000 if unit == "km" else 1), rel=0.003)
    assert 0.08 < frame.bar_pixels / 600 <= 0.26
    assert frame.crs == crs


@pytest.mark.parametrize(("crs", "metres", "left", "top"), PLACES)
def test_north_points_to_where_latitude_grows(crs, metres, left, top):
    where = grid(400, 600, crs, metres, left, top)
    to_map = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*(where.affine @ (300, 200)))
    column, row = ~where.affine @ to_map.transform(lon, lat + 0.01)
    expected = math.degrees(math.atan2(column - 300, -(row - 200)))
    difference = (frame_of(where, (400, 600)).north - expected + 180) % 360 - 180
    assert abs(difference) < 0.5


@pytest.mark.parametrize(("crs", "metres", "left", "top"), PLACES)
def test_corners_and_centre_are_pyprojs(crs, metres, left, top):
    frame = frame_of(grid(400, 600, crs, metres, left, top), (400, 600))
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    pairs = re.findall(r"([\d.]+)°\s([NS]) ([\d.]+)°\s([EW])", frame.corners)
    assert len(pairs) == 2
    for (lat, ns, lon, ew), (column, row) in zip(pairs, ((0, 0), (600, 400)), strict=True):
        x, y = to_degrees.transform(left + metres * column, top - metres * row)
        assert float(lon) * (1 if ew == "E" else -1) == pytest.approx(x, abs=6e-4)
        assert float(lat) * (1 if ns == "N" else -1) == pytest.approx(y, abs=6e-4)
    assert frame.centre == pytest.approx(to_degrees.transform(left + 300 * metres, top - 200 * metres))


def test_a_small_map_has_a_digit_more_and_a_plane_without_degrees_none():
    assert "32.2388°" in frame_of(grid(30, 30), (30, 30)).corners
    assert frame_of(None, (30, 30)).corners == ""


def test_degrees_become_metres_on_the_ground():
    where = GeoBox((400, 400), Affine(0.001, 0, 7.0, 0, -0.001, 46.5), "EPSG:4326")
    frame = frame_of(where, (400, 400))
    assert frame.metres == pytest.approx(111_320 * 0.001 * math.cos(math.radians(46.3)), rel=0.005)
    assert frame.north == pytest.approx(0, abs=0.1)


def test_without_a_grid_pixels_are_counted():
    frame = frame_of(None, (300, 200))
    assert (frame.bar_label, frame.bar_pixels, frame.north) == ("50 px", 50, None)
    assert frame.crs == "no CRS: pixels"
    cells = frame_of(None, (25, 17), cell=12.0)  # of an image of 300 × 204
    assert (cells.bar_label, cells.bar_pixels, cells.pixel) == ("50 px", 50 / 12, "12 px")


def test_without_a_crs_the_bar_is_in_the_metres_that_were_said():
    frame = frame_of(None, (300, 200), 49.0)
    assert (frame.bar_label, frame.pixel, frame.north, frame.metres) == ("2 km", "49 m", None, 49)
    assert frame.bar_pixels == pytest.approx(2000 / 49)


def test_a_pixel_is_named_by_its_projected_size():
    assert frame_of(grid(10, 10, "EPSG:3031", 240, 300000, -1200000), (10, 10)).pixel == "240 m"
