from __future__ import annotations

import numpy as np
import pyproj
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from icectl.errors import DataError, UsageError
from icectl.raster import describe, grid_from_bbox, grid_of, same_grid, utm_crs
from icectl.raster.grid import assigned_grid, upright

PARVATI = (77.4879532598204, 31.992646374004327, 77.82063300835557, 32.225292222190056)


def test_grid_of_a_file_is_what_was_written(plain_tif, grid):
    assert grid_of(plain_tif(np.zeros((60, 40), "uint8"))) == grid


def test_a_raster_without_crs_is_refused(plain_tif):
    path = plain_tif(np.zeros((60, 40), "uint8"), crs=None)
    with pytest.raises(DataError, match=r"in\.tif has no CRS"):
        grid_of(path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("transform", "hint"),
    [
        (Affine(30, 0, 500_000, 0, -30, 4_000_000), "gdal_edit.py -a_srs EPSG:32643 FILE"),
        (Affine.identity(), "gdal_edit.py -a_srs EPSG:32643 -a_ullr LEFT TOP RIGHT BOTTOM FILE"),
    ],
)
def test_a_raster_without_crs_is_to_be_given_what_it_lacks(plain_tif, transform, hint):
    path = plain_tif(np.zeros((6, 4), "uint8"), crs=None, transform=transform)
    with pytest.raises(DataError) as refused:
        grid_of(path)
    assert refused.value.hint == f"assign one, e.g. {hint}"


def test_a_raster_with_crs_but_no_position_is_refused(plain_tif):
    with pytest.warns(NotGeoreferencedWarning):
        path = plain_tif(np.zeros((6, 4), "uint8"), transform=Affine.identity())
    with pytest.raises(DataError, match="no position"):
        grid_of(path)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (GeoBox((60, 40), Affine(30, 0, 500_025, 0, -30, 3_999_975), "EPSG:32644"), "CRS"),
        (GeoBox((60, 40), Affine(20, 0, 500_025, 0, -20, 3_999_975), "EPSG:32643"), "resolution"),
        (GeoBox((60, 40), Affine(30, 0, 500_010, 0, -30, 3_999_975), "EPSG:32643"), "position"),
        (GeoBox((60, 41), Affine(30, 0, 500_025, 0, -30, 3_999_975), "EPSG:32643"), "shape"),
    ],
)
def test_grids_that_differ_are_refused_naming_both(grid, other, word):
    with pytest.raises(DataError) as refused:
        same_grid(grid, other, "b3.tif", "b6.tif")
    text = refused.value.message
    assert f"differ in {word}" in text
    assert describe(grid) in text
    assert describe(other) in text
    assert "b3.tif" in text
    assert "b6.tif" in text
    assert refused.value.hint


def test_rounding_in_a_header_is_no_difference(grid):
    same_grid(grid, GeoBox(grid.shape, Affine(30, 0, 500_025.000001, 0, -30, 3_999_975), "EPSG:32643"))


def test_a_slightly_different_pixel_that_adds_up_is_refused():
    near = Affine(30.00001, 0, 500_025, 0, -30, 3_999_975)
    with pytest.raises(DataError, match="resolution"):
        same_grid(
            GeoBox((9000, 9000), Affine(30, 0, 500_025, 0, -30, 3_999_975), "EPSG:32643"),
            GeoBox((9000, 9000), near, "EPSG:32643"),
        )


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (77.6, 32.1, "EPSG:32643"),
        (-73.2, -46.9, "EPSG:32718"),
        (180.0, 10, "EPSG:32601"),
        (-153, -80.02, "EPSG:3031"),
    ],
)
def test_utm_crs_covers_its_place(lon, lat, crs):
    assert utm_crs(lon, lat) == crs
    area = pyproj.CRS(crs).area_of_use
    assert area.west <= (lon if lon < 180 else -180) <= area.east
    assert area.south <= lat <= area.north


def test_a_box_without_anchor_lies_on_multiples_and_covers_the_box():
    got = grid_from_bbox(PARVATI, "EPSG:32643", 30)
    assert got.affine.c % 30 == 0
    assert got.affine.f % 30 == 0
    to = pyproj.Transformer.from_crs(4326, 32643, always_xy=True)
    left, bottom, right, top = got.boundingbox.bbox
    for lon in PARVATI[::2]:
        for lat in PARVATI[1::2]:
            x, y = to.transform(lon, lat)
            assert left <= x <= right
            assert bottom <= y <= top
    # No wider than the box by more than a pixel a side.
    x0, y0, x1, y1 = to.transform_bounds(*PARVATI, densify_pts=101)
    assert max(x0 - left, right - x1, y0 - bottom, top - y1) <= 31


def test_landsat_edges_at_15_mod_30_are_followed():
    like = Affine(30, 0, 448_785, 0, -30, 3_708_615)
    got = grid_from_bbox(PARVATI, "EPSG:32643", 30, anchor_like=like)
    assert got.affine.c % 30 == 15
    assert got.affine.f % 30 == 15
    assert grid_from_bbox(PARVATI, "EPSG:32643", 30, GeoBox((3, 3), like, "EPSG:32643")) == got


def test_an_image_lies_where_its_user_says():
    placed = assigned_grid((4, 5), "EPSG:32633", (500_000.0, 5_000_000.0, 500_100.0, 5_000_040.0))
    assert placed == GeoBox((4, 5), Affine(20, 0, 500_000, 0, -10, 5_000_040), "EPSG:32633")
    nowhere = assigned_grid((4, 5), None, None, side=15)
    assert (nowhere.affine, nowhere.crs) == (Affine(15, 0, 0, 0, -15, 60), None)
    north_up = Affine(20, 0, 500_000, 0, -20, 5_000_040)  # as a world file says
    assert assigned_grid((4, 5), "EPSG:32633", None, own=north_up) == GeoBox((4, 5), north_up, "EPSG:32633")


@pytest.mark.parametrize(
    ("crs", "bounds", "words"),
    [
        ("EPSG:32633", (1.0, 2.0, 1.0, 4.0), "is no box"),
        ("EPSG:32633", (1.0, 2.0, 3.0, 2.0), "is no box"),
        ("EPSG:32633", (3.0, 2.0, 1.0, 4.0), "is no box"),
        (None, (1.0, 2.0, 3.0, 4.0), "has no CRS"),
        ("EPSG:32633", None, "alone does not say where"),
    ],
)
def test_a_place_that_is_none_is_refused(crs, bounds, words):
    with pytest.raises(UsageError, match=words) as refused:
        assigned_grid((4, 5), crs, bounds)
    assert refused.value.hint


@pytest.mark.parametrize("own", [Affine(20, 0, 0, 0, 20, 0), Affine(-20, 0, 0, 0, -20, 0)])
def test_a_world_file_that_is_not_north_up_does_not_place_an_image(own):
    with pytest.raises(UsageError, match="alone does not say where"):
        assigned_grid((4, 5), "EPSG:32633", None, own=own)


@pytest.mark.parametrize(("right", "down"), [(1, 1), (-1, 1), (-1, -1), (1, -1)])
@pytest.mark.parametrize("side", [1e-4, 30.0])
def test_a_grid_in_any_order_of_rows_and_columns_is_north_up_where_it_lies(right, down, side):
    """Pixels of degrees are far below 1, of metres above."""
    corner = Affine(side, 0, 10, 0, -side, 60 + 3 * side)
    first = 10 if right > 0 else 10 + 4 * side, 60 if down > 0 else 60 + 3 * side
    stored = GeoBox((3, 4), Affine(right * side, 0, first[0], 0, down * side, first[1]), "EPSG:3857")
    assert upright(stored).affine == pytest.approx(corner)
    assert upright(stored).shape == (3, 4)
