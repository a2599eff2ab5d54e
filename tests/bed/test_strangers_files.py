"""Outlines and points as other people's files have them."""

from __future__ import annotations

import re

import geopandas as gpd
import numpy as np
import pytest
import shapely

from icectl.errors import DataError, UsageError
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


@pytest.mark.parametrize("column", ["type", "Klasse"])
def test_rock_and_lakes_that_a_column_calls_so_are_no_ice(tmp_path, column):
    """Nunataks were glaciers, or ice again of the one around them."""
    kinds = (("Glacier", SQUARE), ("Rock", NUNATAK), (None, shapely.box(3000, 0, 4000, 1000)))
    rows = [
        ({"RGIId": f"a{len(kinds) if kind is None else ''}", column: kind}, shape) for kind, shape in kinds
    ]
    rows.append(({"RGIId": "b", column: "lake"}, shapely.box(1000, 0, 1200, 1000)))
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert [shape.area for shape in found.geometries] == [1000**2 - 200**2, 1e6]
    assert "only glacier is ice (lake, rock left out)" in found.notes[0]


def test_debris_on_a_glacier_is_left_out_only_beside_a_boundary_that_holds_it(tmp_path):
    """Of glaciers mapped as clean and debris-covered ice a half was lost."""
    rows = [
        ({"glac_id": "G1", "line_type": kind}, shapely.box(x, 0, x + 1000, 1000))
        for x, kind in ((0, "clean"), (1000, "debris_cov"), (2000, "intrnl_rock"))
    ]
    assert read_outlines(write(tmp_path / "o.gpkg", rows)).geometries[0].area == 2e6
    rows[0] = ({"glac_id": "G1", "line_type": "glac_bound"}, shapely.box(0, 0, 2000, 1000))
    assert read_outlines(write(tmp_path / "o.gpkg", rows)).geometries[0].area == 2e6


def test_what_glaciers_end_in_is_no_kind_of_ground(tmp_path):
    """Glaciers that end on land were left out as land, and an inventory of such alone was refused."""
    ends = ("Land", "Lake", "Sea", "Ice shelf", None)
    rows = [({"id": "abcde"[k], "terminus": end}, shapely.box(k, 0, k + 1, 1)) for k, end in enumerate(ends)]
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert found.ids == tuple("abcde")
    assert found.notes == ()
    assert len(read_outlines(write(tmp_path / "land.gpkg", rows[:1])).ids) == 1


def test_numbers_of_glaciers_beside_one_without_a_number_stay_whole(tmp_path):
    rows = [({"id": number}, shapely.box(x, 0, x + 1, 1)) for x, number in enumerate((17.0, None, 18.0))]
    assert read_outlines(write(tmp_path / "o.gpkg", rows)).ids == ("17", "o-00002", "18")


def test_of_several_dates_the_newest_counts_and_is_said(tmp_path):
    rows = [
        ({"glac_id": "G1", "line_type": "glac_bound", "src_date": day}, shapely.box(0, 0, side, 1000))
        for day, side in (("1952-08-01", 2000), ("2010-08-01", 1000))
    ]
    rows.append(({"glac_id": "G2", "line_type": "glac_bound", "src_date": "1960-01-01"}, NUNATAK))
    for day, state in (("1960-01-01", "exists"), ("2015-01-01", "gone")):  # GLIMS keeps what has melted
        rows.append(({"glac_id": "G3", "src_date": day, "glac_stat": state}, NUNATAK))
        rows[-1][0]["line_type"] = "glac_bound"
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert dict(zip(found.ids, (g.area for g in found.geometries), strict=True)) == {"G1": 1e6, "G2": 4e4}
    assert "2 outlines of earlier dates left out" in found.notes[0]
    assert "2015-01-01" in found.notes[0]
    assert "1 outlines of glaciers that are gone left out" in found.notes[1]


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("7/1/1952", "8/15/2010", ("glac_id", "src_date")),
        ("19520701", "20100899", ("glac_id", "src_date")),
        ("1952/07/01", "2010/08/15", ("RGIId", "date")),
        ("1.7.1952", "15.8.2010", ("breID", "Datum")),
        ("20/07/2010", "05/08/2010", ("glac_id", "src_date")),  # was the eighth of May
        ("20 Jul 2010", "5 Aug 2010", ("glac_id", "src_date")),  # was joined
        ("2010-201", "2010-217", ("glac_id", "src_date")),
        ("Jul 1952", "Aug 2010", ("glac_id", "src_date")),
        (1952.0, 2010.0, ("RGIId", "year")),
        (1952, 2010, ("sgi-id", "year_acq")),
    ],
)
def test_dates_in_the_orders_of_inventories(tmp_path, old, new, names):
    rows = [
        (dict(zip(names, ("G1", day), strict=True)), shapely.box(0, 0, side, 1000))
        for day, side in ((old, 2000), (new, 1000))
    ]
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert [shape.area for shape in found.geometries] == [1e6]
    assert ("2010-08" if "8" in str(new) else "2010") in found.notes[0]


def test_outlines_of_one_id_that_overlap_are_no_parts_and_are_said(tmp_path):
    """Of several dates that no column tells: their union was the glacier, without a word."""
    rows = [({"RGIId": "a"}, SQUARE), ({"RGIId": "a"}, shapely.box(0, 0, 2000, 1000))]
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert "2 outlines of a overlap and are joined" in found.notes[0]
    parts = [({"RGIId": "a"}, SQUARE), ({"RGIId": "a"}, shapely.box(1000, 0, 2000, 1000))]
    assert read_outlines(write(tmp_path / "parts.gpkg", parts)).notes == ()


def test_a_glacier_by_any_of_its_ids(tmp_path):
    row = {"RGIId": "RGI60-11.01450", "GLIMSId": "G008000E46000N"}
    found = read_outlines(write(tmp_path / "o.gpkg", [(row, SQUARE)]))
    for name in ("RGI60-11.01450", "RGI50-11.01450", "11.01450", "g008000e46000n"):
        assert found.choose((name,)).ids == ("RGI60-11.01450",)


def test_placeholders_are_no_ids_of_a_glacier(tmp_path):
    """Every outline called 0 or unnamed was a part of one glacier, of the size of all."""
    shapes = [shapely.box(x, 0, x + 1000, 1000) for x in (0, 5000, 9000)]
    for column, names in (("id", (0, 0, 0)), ("name", ("unnamed", None, "Unnamed glacier"))):
        dates = ("2000-07-01", "2003-08-01", "2010-08-01")
        rows = [
            ({column: name, "src_date": day}, shape)
            for name, day, shape in zip(names, dates, shapes, strict=True)
        ]
        found = read_outlines(write(tmp_path / f"{column}.gpkg", rows))
        assert found.ids == tuple(f"{column}-0000{n}" for n in (1, 2, 3))
        assert not found.notes
    found = read_outlines(write(tmp_path / "o.gpkg", [({"id": 7}, shape) for shape in shapes]))
    assert found.notes == ("o.gpkg: the 3 outlines called 7 are taken for one glacier",)


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
        ('lon,lat,thickness\n"10,5","46,5","120,0"\n', None),
        ("# from a survey\n\nlon lat h\n10.5 46.5 120\n", None),
        ("lon|lat|thickness_ft\n10.5|46.5|393.7008\n", None),
        ("Longitude (deg),Latitude (deg),Ice thickness (m)\n10.5,46.5,120\n", None),
        ("date,latitude,longitude,thickness,thickness_uncertainty,flag\n2010-05-01,46.5,10.5,120,7,\n", None),
        ("date,lat,lon,thickness (ft),uncertainty (ft)\n1.5.2010,46.5,10.5,393.7008,22.96588\n", None),
        ("year,gps_lat,lon_wgs84,IceThick,error (%)\n2010,46.5,10.5,120,5.833333\n", None),
        ("latitude_deg;longitude_deg;thickness_dm;\n46,5;10,5;1200;\n", None),
        ("# lon,lat,thickness\n10.5,46.5,120\n", None),
        ("sep=;\nlon;lat;thickness\ndeg;deg;ft\n10,5;46,5;393,7008\n", None),
        ("UTM_Easting,UTM_Northing,ice_thickness_m\n615097.16,5150696.35,120\n", "EPSG:32632"),
        ("x_utm32n,y_utm32n,TWT (ns),h,depth\n615097.16,5150696.35,1429,2950,120\n", "EPSG:32632"),
        ("Länge;Breite;Eisdicke\n10,5;46,5;120\n", None),
        ("Rechtswert;Hochwert;Höhe;Eisdicke_m\n615097,16;5150696,35;2950;120\n", "EPSG:32632"),
        ("Este,Norte,Espesor (m)\n615097.16,5150696.35,120\n", "EPSG:32632"),
        ("Longitude,Latitude,Épaisseur\n10.5,46.5,120\n", None),
    ],
)  # fmt: skip
def test_points_in_any_common_table(tmp_path, text, crs):
    from pyproj import Transformer

    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    points = read_points(path, crs=crs)
    lon, lat = Transformer.from_crs(points.crs, "EPSG:4326", always_xy=True).transform(points.x, points.y)
    assert (lon[0], lat[0], points.thickness[0]) == pytest.approx((10.5, 46.5, 120), abs=1e-4)
    if "uncertainty" in text or "error" in text:
        assert (points.uncertainty[0], points.year[0]) == pytest.approx((7, 2010))


@pytest.mark.parametrize(
    ("row", "said", "mended"),
    [
        ("615,097.16;5,150,696.35;120", "615,097.16", "615097.16;5150696.35;120"),
        ("615'097.16;5'150'696.35;120", "615'097.16", "615097.16;5150696.35;120"),
        ("615.097,16;5.150.696,35;120", "615.097,16", "615097.16;5150696.35;120"),
        ("615097.16;5150696.35;1,120", "1,120", "615097.16;5150696.35;1120"),  # was read as 1.12 m
        ("10°30'00\";46°30'00\";120", "10°30'00\"", "10.5;46.5;120"),
        ("10° 30.0' E;46° 30.0' N;120", "10° 30.0' E", "10.5;46.5;120"),
        ("10.5E;46.5N;120", "10.5E", "10.5;46.5;120"),
        ("10 30 00;46 30 00;120", "10 30 00", "10.5;46.5;120"),
    ],
)
def test_numbers_as_people_write_them_are_refused_with_a_hint_that_works(tmp_path, row, said, mended):
    path, head = tmp_path / "p.csv", "x;y;thickness\n" if "61" in row[:3] else "lon;lat;thickness\n"
    path.write_text(f"{head}{row}\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"holds '{re.escape(said)}', which is no plain number") as error:
        read_points(path, crs="EPSG:32632" if "x;y" in head else None)
    assert "decimal" in error.value.hint
    path.write_text(f"{head}{mended}\n")
    assert len(read_points(path, crs="EPSG:32632" if "x;y" in head else None)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lon,lat,depth (ns)\n10.5,46.5,1429\n", "depth .ns. holds travel times, and no thickness"),
        ("lon,lat,thickness\ndeg,deg,µs\n10.5,46.5,1.4\n", "the column thickness holds travel times"),
        ("lon\tlat\tthickness\n10\t46\t1,234\n", "holds '1,234', which is no plain number"),
        ("lon,lat,thickness\n10.5,46.5,120 m\n", "holds '120 m', which is no plain number"),
        ("lon,lat,thickness\n10.5,46.5,>120\n10.5,46.5,90\n", "holds '>120', which is no plain number"),
        ("lon,lat,thickness\n10.5,46.5,120±5\n10.5,46.5,90\n", "holds '120±5', which is no plain number"),
        ("a,b,thickness\n10.5,46.5,120\n", "has no columns POINT_LON and POINT_LAT"),
        ("lon,lat,thickness\n7,10.5,46.5,120\n", "more cells than its first row has names"),
        ("lon,lat,h,H\n10.5,46.5,2500,120\n", "which of the columns h, H is the thickness"),
        ("Longitude (°W),Latitude (°N),h\n139,60,120\n", r"Longitude \(°W\) is in '°W'"),
        ("lon [deg E],lat [degrees_south],h\n139,60,120\n", r"lat \[degrees_south\] is in 'degrees_south'"),
        ("lon (rad),lat (rad),h\n0.18,0.81,120\n", r"lon \(rad\) is in 'rad'"),
        ("x (km),y (km),h\n615.097,5150.696,120\n", r"x \(km\) is in 'km'"),
    ],
)
def test_tables_that_would_be_read_wrong_are_refused(tmp_path, text, said):
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_points(tmp_path / "p.csv", crs="EPSG:32632" if text[0] == "x" else None)


@pytest.mark.parametrize(
    "unit", ["decimal degrees, negative in the west", "degrees, west negative", "deg E", "°", "m, UTM 45 S"]
)
def test_coordinates_that_are_metres_or_degrees_say_so_in_any_words(tmp_path, unit):
    x = "lon" if "UTM" not in unit else "x"
    y = {"lon": "lat", "x": "y"}[x]
    (tmp_path / "p.csv").write_text(f'"{x} ({unit})","{y} ({unit})",h\n-139,60,120\n', encoding="utf-8")
    found = read_points(tmp_path / "p.csv", crs="EPSG:32745" if x == "x" else None)
    assert (found.thickness.tolist(), len(found)) == ([120], 1)


@pytest.mark.parametrize("name", ["bed_elevation", "Surface", "bed", "Z_bed (m)", "ALTITUDE"])
def test_heights_in_place_of_thickness_are_refused(tmp_path, name):
    (tmp_path / "p.csv").write_text(f"lon,lat,{name},ice_height\n10.5,46.5,2480,120\n")
    with pytest.raises(DataError, match="holds heights by its name, and no thickness") as error:
        read_points(tmp_path / "p.csv", name)
    assert "surface less that of the bed" in error.value.hint
    assert read_points(tmp_path / "p.csv", "ice_height").thickness.tolist() == [120]


def test_depths_counted_downwards_are_to_be_turned(tmp_path):
    (tmp_path / "p.csv").write_text("lon,lat,depth\n10.5,46.5,-120\n")
    with pytest.raises(DataError, match=r"no usable point of 1 \(1 negative\)") as error:
        read_points(tmp_path / "p.csv")
    assert "as positive numbers" in error.value.hint


def test_a_spreadsheet_is_to_be_saved_as_csv_and_decimal_commas_of_a_vector_file_are_read(tmp_path):
    (tmp_path / "p.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="is a spreadsheet") as error:
        read_points(tmp_path / "p.xlsx")
    assert "as CSV" in error.value.hint
    rows = [({"thickness_": text}, shapely.Point(1, 1)) for text in ("100,5", "90")]
    assert read_points(write(tmp_path / "p.shp", rows)).thickness.tolist() == [100.5, 90]


def test_flags_of_glathida_4_given_as_text(tmp_path):
    head = (
        "survey_id,profile_id,latitude,longitude,date,elevation_date,thickness,thickness_uncertainty,flag\n"
    )
    flags = ("", "1", "Erroneous", "suspect", "3", "no error", "outlier")
    rows = [f"7,1,46.5,10.5,2019-04-01,2018-08-01,{100 + i},5,{flag}" for i, flag in enumerate(flags)]
    (tmp_path / "point.csv").write_text(head + "\n".join(rows))
    points = read_points(tmp_path / "point.csv")
    assert points.thickness.tolist() == [100, 104, 105]
    assert points.dropped["flagged erroneous"] == 4
    assert set(points.year) == {2019}


def test_points_without_a_crs_are_asked_for_one_and_fills_are_no_ice(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("x,y,thickness\n615182,5150805,120\n615183,5150805,-9999\n615184,5150805,9999\n")
    with pytest.raises(DataError, match="nothing says in which CRS the columns x and y are") as error:
        read_points(path)
    assert "--points-crs" in error.value.hint
    points = read_points(path, crs="EPSG:32632")
    assert points.thickness.tolist() == [120]
    assert points.dropped["over 5500 m"] == points.dropped["negative"] == 1


def test_fill_values_of_positions_and_uncertainties_are_not_read(tmp_path):
    rows = "10.5,46.5,120,9999\n10.5,46.5,110,-9999\n-9999,-9999,100,5\n10.5,46.5,100,7\n"
    (tmp_path / "p.csv").write_text(f"lon,lat,thickness,thickness_uncertainty\n{rows}")
    points = read_points(tmp_path / "p.csv")
    assert points.uncertainty.tolist() == [12, 11, 7]
    assert points.dropped["no thickness or position"] == 1


def test_uncertainties_are_in_the_unit_of_the_thickness_unless_they_say_theirs(tmp_path):
    """Feet were read as metres beside a thickness in feet, and shares as metres."""

    def read(head, row):
        (tmp_path / "p.csv").write_text(f"lon,lat,{head}\n10.5,46.5,{row}\n10.5,46.5,{row}\n")
        return read_points(tmp_path / "p.csv").uncertainty[0]

    assert read("thickness (ft),uncertainty", "1000,30") == pytest.approx(9.144)
    assert read("thickness (ft),uncertainty (m)", "1000,30") == pytest.approx(30)
    with pytest.raises(DataError, match="nothing says whether metres or shares") as error:
        read("thickness,uncertainty", "120,0.1")
    assert "thickness_uncertainty (m), or (%)" in error.value.hint
    assert read("thickness,thickness_uncertainty (m)", "120,0.1") == pytest.approx(0.1)
    assert read("thickness,thickness_uncertainty (%)", "120,10") == pytest.approx(12)
    assert read("GlaThiDa_ID,thickness,thickness_uncertainty", "7,120,0.5") == pytest.approx(0.5)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_tables_in_older_encodings(tmp_path, encoding):
    (tmp_path / "p.csv").write_text("lon,lat,thickness,name\n10.5,46.5,120,Größe\n", encoding=encoding)
    assert read_points(tmp_path / "p.csv").thickness.tolist() == [120]


def test_every_point_of_a_multipoint_counts(tmp_path):
    rows = [
        ({"thickness": 120.0}, shapely.MultiPoint([(0, 0), (10, 0)])),
        ({"thickness": 80.0}, shapely.Point(5, 5)),
    ]
    found = read_points(write(tmp_path / "p.gpkg", rows))
    assert (found.x.tolist(), found.thickness.tolist()) == ([0, 10, 5], [120, 120, 80])


def test_rgi_6_ids_are_found_in_rgi_7_by_its_links(tmp_path):
    ids = [f"RGI2000-v7.0-G-11-0000{n}" for n in (1, 2)]
    path = write(
        tmp_path / "o.gpkg", [({"rgi_id": name}, shapely.box(i, 0, i + 1, 1)) for i, name in enumerate(ids)]
    )
    with pytest.raises(UsageError, match=r"no glacier 'RGI60-11\.03638'") as caught:
        read_outlines(path).choose(("RGI60-11.03638",))
    assert "rgi6_links.csv" in (caught.value.hint or "")
    rows = "".join(f"{name},RGI60-11.03638,{area}\n" for name, area in zip(ids, (9.5, 0.2), strict=True))
    (tmp_path / "RGI2000-v7.0-G-11-rgi6_links.csv").write_text(f"rgi7_id,rgi6_id,overlap_area_km2\n{rows}")
    for name in ("RGI60-11.03638", "RGI50-11.03638"):
        assert read_outlines(path).choose((name,)).ids == (ids[0],)


def test_columns_in_capitals_and_lines_that_are_no_boundary(tmp_path):
    rows = [
        ({"GLAC_ID": "G1", "LINE_TYPE": kind}, shape)
        for kind, shape in (("glac_bound", SQUARE), ("intrnl_rock", NUNATAK))
    ]
    found = read_outlines(write(tmp_path / "o.gpkg", rows))
    assert (found.ids, found.geometries[0].area) == (("G1",), 1000**2 - 200**2)
    (tmp_path / "o.parquet").write_bytes(b"PAR1" + b"\0" * 99 + b"PAR1")
    with pytest.raises(DataError, match="cannot be read as vectors") as refused:
        read_outlines(tmp_path / "o.parquet")
    assert "as a GeoPackage" in refused.value.hint
    lake = write(tmp_path / "lake.gpkg", [({"glac_id": "G1", "line_type": "pro_lake"}, SQUARE)])
    with pytest.raises(DataError, match="holds no glacier boundary, only pro_lake"):
        read_outlines(lake)


def test_degrees_are_turned_or_refused(tmp_path):
    east = write(tmp_path / "e.gpkg", [({"id": "a"}, shapely.box(280, 76, 281, 77))], crs="EPSG:4326")
    assert read_outlines(east).geometries[0].bounds == (-80, 76, -79, 77)
    for number, shape in enumerate(
        (shapely.box(5e5, 5.1e6, 5.01e5, 5.101e6), shapely.box(60, -139, 61, -138))
    ):
        path = write(tmp_path / f"{number}.geojson", [({"id": "a"}, shape)], crs="EPSG:4326")
        with pytest.raises(DataError, match="is said to be in degrees, but reaches from"):
            read_outlines(path)
