"""Outlines and points as other people's files have them."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely

from icectl.errors import DataError
from icectl.raster import read_vectors
from icectl.tasks.bed.readers.outlines import read_outlines
from icectl.tasks.bed.readers.points import read_points

SQUARE = shapely.box(0, 0, 1000, 1000)
NUNATAK = shapely.box(400, 400, 600, 600)


def write(path, rows, crs="EPSG:32633", **how):
    frame = gpd.GeoDataFrame([row for row, _ in rows], geometry=[shape for _, shape in rows], crs=crs)
    frame.to_file(path, **how)
    return path


def test_of_glims_only_the_boundary_less_the_rock_is_ice(tmp_path):
    kinds = (("glac_bound", SQUARE), ("intrnl_rock", NUNATAK), ("pro_lake", shapely.box(1000, 0, 1200, 1000)))
    rows = [({"glac_id": "G1", "line_type": kind}, shape) for kind, shape in kinds]
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert found.geometries[0].area == 1000**2 - 200**2
    assert "only glac_bound is ice (intrnl_rock, pro_lake left out)" in found.notes[0]


def test_of_several_dates_the_newest_counts_and_is_said(tmp_path):
    rows = [
        ({"glac_id": "G1", "line_type": "glac_bound", "src_date": day}, shapely.box(0, 0, side, 1000))
        for day, side in (("1952-08-01", 2000), ("2010-08-01", 1000))
    ]
    rows.append(({"glac_id": "G2", "line_type": "glac_bound", "src_date": "1960-01-01"}, NUNATAK))
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert dict(zip(found.ids, (g.area for g in found.geometries), strict=True)) == {"G1": 1e6, "G2": 4e4}
    assert "1 outlines of earlier dates left out" in found.notes[0]
    assert "2010-08-01" in found.notes[0]


def test_a_glacier_by_any_of_its_ids(tmp_path):
    row = {"RGIId": "RGI60-11.01450", "GLIMSId": "G008000E46000N"}
    found = read_outlines(write(tmp_path / "o.gpkg", [(row, SQUARE)]))
    for name in ("RGI60-11.01450", "RGI50-11.01450", "11.01450", "g008000e46000n"):
        assert found.choose((name,)).ids == ("RGI60-11.01450",)


def test_the_only_layer_of_polygons_is_taken_and_of_two_one_is_asked_for(tmp_path):
    path = write(tmp_path / "o.gpkg", [({"id": "p"}, shapely.Point(1, 1))], layer="points")
    write(path, [({"id": "a"}, SQUARE)], layer="glaciers")
    assert read_outlines(path).ids == ("a",)
    write(path, [({"id": "b"}, NUNATAK)], layer="older")
    with pytest.raises(DataError, match="several layers of polygons: glaciers, older") as error:
        read_outlines(path)
    assert read_outlines(error.value.hint.split("'")[1]).ids == ("a",)  # the hint works


@pytest.mark.parametrize("split", [False, True])
def test_an_outline_across_180_degrees_is_one_piece(tmp_path, split):
    shape = shapely.Polygon([(179.9, -77), (-179.9, -77), (-179.9, -76.9), (179.9, -76.9)])
    if split:
        shape = shapely.MultiPolygon(
            [shapely.box(179.9, -77, 180, -76.9), shapely.box(-180, -77, -179.9, -76.9)]
        )
    path = write(tmp_path / "o.geojson", [({"id": "a"}, shape)], crs="EPSG:4326")
    (moved,) = read_vectors(path, crs="EPSG:3031").geometry
    assert moved.geom_type == "Polygon"
    assert moved.area == pytest.approx(0.2 * 111320 * np.cos(np.radians(76.95)) * 11165, rel=0.05)


@pytest.mark.parametrize(
    ("text", "crs"),
    [
        ("lon,lat,thickness\n10.5,46.5,120\n", None),
        ("\ufeffLongitude;Latitude;Thickness\n10,5;46,5;120\n", None),
        ("x\ty\tice_thickness\n615097.16\t5150696.35\t120\n", "EPSG:32632"),
        ("Easting,Northing,h\n615097.16,5150696.35,120\n", "EPSG:32632"),
        ("date,latitude,longitude,thickness,thickness_uncertainty,flag\n2010-05-01,46.5,10.5,120,7,\n", None),
    ],
)  # fmt: skip
def test_points_in_any_common_table(tmp_path, text, crs):
    from pyproj import Transformer

    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    points = read_points(path, crs=crs)
    lon, lat = Transformer.from_crs(points.crs, "EPSG:4326", always_xy=True).transform(points.x, points.y)
    assert (lon[0], lat[0], points.thickness[0]) == pytest.approx((10.5, 46.5, 120), abs=1e-4)
    if "uncertainty" in text:
        assert (points.uncertainty[0], points.year[0]) == (7, 2010)


def test_points_without_a_crs_are_asked_for_one_and_fills_are_no_ice(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("x,y,thickness\n615182,5150805,120\n615183,5150805,-9999\n615184,5150805,9999\n")
    with pytest.raises(DataError, match="nothing says in which CRS the columns x and y are") as error:
        read_points(path)
    assert "--points-crs" in error.value.hint
    points = read_points(path, crs="EPSG:32632")
    assert points.thickness.tolist() == [120]
    assert points.dropped["over 5500 m"] == points.dropped["negative"] == 1
