"""Lines and polygons in a GIS library: CRS, fields, places; lengths over time; sets compared."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import geopandas
import numpy as np
import pytest
import shapely
from shapely.affinity import translate
from terminal import terminal

from icectl.errors import DataError
from icectl.tasks.front.dataset import Entry, FrontData, Place
from icectl.tasks.front.figures import fronts_by_date, length_curves
from icectl.tasks.front.files.compare import compare_fronts
from icectl.tasks.front.files.fjord import fjord_mask
from icectl.tasks.front.files.gis import to_map, write_layer
from icectl.tasks.front.files.sets import parse_day
from icectl.tasks.front.line.length import length_series, position, reference_of
from icectl.tasks.front.line.polygons import cut, join_ends, outline
from icectl.tasks.front.products import product_crs, quality

SHAPE = (100, 120)
GREENLAND = Place("EPSG:32624", (30.0, 0.0, 500_000.0, 0.0, -30.0, 7_400_000.0))
ALASKA = Place("EPSG:32606", (30.0, 0.0, 500_000.0, 0.0, -30.0, 6_700_000.0))
LINE = np.stack([np.full(61, 50.0), np.arange(30.0, 91.0)], axis=1)


def entry(place=GREENLAND, **facts):
    return Entry("a", datetime(2005, 8, 8, tzinfo=UTC), SHAPE, place=place, facts=facts)


def test_greenland_gets_3413_others_their_own_and_pixels_none():
    assert product_crs([entry()], None) == "EPSG:3413"
    assert product_crs([entry(ALASKA)], None) == "EPSG:32606"
    assert product_crs([entry()], "EPSG:4326") == "EPSG:4326"
    assert product_crs([entry(None)], "EPSG:4326") is None


def test_map_coordinates_are_those_of_pixel_centres():
    np.testing.assert_allclose(to_map(LINE[:1], GREENLAND, "EPSG:32624"), [[500_915.0, 7_398_485.0]])
    np.testing.assert_allclose(to_map(LINE[:1], None, None), [[30.5, -50.5]])
    frame = geopandas.GeoSeries([shapely.Point(500_915, 7_398_485)], crs="EPSG:32624").to_crs("EPSG:3413")
    np.testing.assert_allclose(to_map(LINE[:1], GREENLAND, "EPSG:3413"), shapely.get_coordinates(frame[0]))


def test_quality_flags():
    assert quality(entry(), weak=False) == 10
    assert quality(entry(sensor="LE07"), weak=False) == 13
    assert quality(entry(sensor="LE07"), weak=True) == 20


def fjord():
    mask = np.zeros(SHAPE, bool)
    mask[:, 25:96] = True
    return mask


def test_a_front_parts_the_fjord_by_the_mask():
    ice = np.zeros(SHAPE, np.float32)
    ice[50:] = 0.99
    glacier, ocean = cut(fjord(), LINE, ice)
    assert glacier[60:, 30:90].all()
    assert ocean[:40, 30:90].all()
    assert not (glacier & ocean).any()
    assert (glacier | ocean).sum() > 0.9 * fjord().sum()
    area = outline(ocean).area
    assert area == pytest.approx(ocean.sum(), rel=0.02)


def test_ends_are_joined_to_the_nearest_side_or_not_at_all():
    joined = join_ends(fjord(), LINE)
    np.testing.assert_allclose(joined[[0, -1]], [[50, 24], [50, 96]])
    assert join_ends(fjord(), LINE[20:40]) is None  # 20 px from a side, 15 % of the mean side is 16.5
    whole = join_ends(np.ones(SHAPE, bool), np.stack([np.full(110, 50.0), np.arange(5.0, 115.0)], 1))
    np.testing.assert_allclose(whole[[0, -1]], [[50, -1], [50, 120]])


def test_a_front_that_parts_nothing_gives_no_polygon():
    assert cut(fjord(), LINE, np.zeros(SHAPE)) is None or cut(fjord(), LINE, np.ones(SHAPE)) is None


def test_a_fjord_elsewhere_is_refused(tmp_path):
    box = shapely.box(0, 0, 1000, 1000)
    geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32624").to_file(tmp_path / "f.gpkg")
    with pytest.raises(DataError, match="misses image a"):
        fjord_mask(tmp_path / "f.gpkg", entry())
    inside = shapely.box(500_750, 7_397_000, 502_880, 7_400_000)
    geopandas.GeoDataFrame(geometry=[inside], crs="EPSG:32624").to_file(tmp_path / "g.gpkg")
    np.testing.assert_array_equal(fjord_mask(tmp_path / "g.gpkg", entry()), fjord())


def moving(steps, tilt=0.0):
    start = datetime(2000, 1, 1, tzinfo=UTC)
    ramp = tilt * (LINE[:, 1] - 60)
    return [
        (start + timedelta(days=365 * n), LINE + np.stack([ramp + s, np.zeros(61)], 1))
        for n, s in enumerate(steps)
    ]


@pytest.mark.parametrize("method", ["box", "centre-line"])
@pytest.mark.parametrize("flow", [0.0, None])
def test_advance_is_positive_and_exact(method, flow):
    fronts = moving([0, -4, 3, 8])  # rows grow against a flow that goes up
    reference = reference_of([line for _, line in fronts], flow)
    values = [value for _, value in length_series(fronts, reference, method)]
    np.testing.assert_allclose(values, [0, 4, -3, -8], atol=0.05)


def test_box_averages_where_a_centre_line_does_not():
    plain, bulged = LINE, LINE.copy()
    bulged[25:36, 0] -= 10
    reference = reference_of([plain, plain, bulged], 0.0)
    assert position(bulged, reference, "centre-line") - position(plain, reference, "centre-line") == 10
    box = position(bulged, reference, "box") - position(plain, reference, "box")
    assert 2 < box < 6


def test_fronts_that_run_north_and_south_share_a_box_whichever_way_they_lean():
    leaning = [np.array([[0.0, 100.0], [1000.0, 101.0]]), np.array([[0.0, 140.0], [1000.0, 139.0]])]
    reference = reference_of(leaning)
    first, second = (position(line, reference, "box") for line in leaning)
    assert reference.half_width == pytest.approx(250, rel=0.01)
    assert abs(second - first) == pytest.approx(39, abs=0.1)


def test_fronts_that_do_not_cross_have_no_length():
    reference = reference_of([LINE], 0.0)
    assert position(LINE[:5], reference, "box") is None
    assert position(LINE[:5], reference, "centre-line") is None
    assert reference_of([]) is None


def write_set(path, rows):
    frame = geopandas.GeoDataFrame(
        [{"Date": d, "RefName": g} for d, g, _ in rows], geometry=[x for _, _, x in rows], crs="EPSG:3413"
    )
    frame.to_file(path)


def test_a_polygon_is_no_front(tmp_path):
    line = shapely.LineString([(0, -2_188_000), (1000, -2_188_000)])
    write_set(tmp_path / "a.gpkg", [("2005-08-08", "Helheim", line)])
    write_set(tmp_path / "closed.gpkg", [("2005-08-08", "Helheim", line.buffer(90))])
    with pytest.raises(DataError, match="polygons or closed lines, whose boundary is not the") as refused:
        compare_fronts(tmp_path / "a.gpkg", tmp_path / "closed.gpkg")
    assert "'_closed'" in refused.value.hint


def test_two_sets_compared_in_metres(tmp_path):
    south = -2_188_000  # 70° N, where a metre of EPSG:3413 is one on the ground
    flat = shapely.LineString([(0, south), (1000, south)])
    moved = shapely.LineString([(0, south + 40), (1000, south + 40)])
    write_set(tmp_path / "a.gpkg", [("2005-08-08", "Helheim", flat), ("2006-08-08", "Store", flat)])
    write_set(
        tmp_path / "b.shp",
        [("20050809", "Helheim", moved), ("2005-08-20", "Helheim", flat), ("2006-08-08", "Store", flat)],
    )
    table = compare_fronts(tmp_path / "a.gpkg", tmp_path / "b.shp", within_days=2)
    values = {row.name: row.values for row in table.rows}
    assert values["Helheim"]["mean_m"] == pytest.approx(40.0, abs=0.05)
    assert values["Store"]["two_way_m"] == pytest.approx(0.0, abs=1e-6)
    assert values["all"]["pairs"] == 2
    assert values["all"]["mean_m"] == pytest.approx(20.0, abs=0.05)
    assert "further" not in table.note
    write_set(tmp_path / "d.gpkg", [("2006-08-08", "Store", flat), ("2006-08-08", "Store", moved)])
    twice = compare_fronts(tmp_path / "a.gpkg", tmp_path / "d.gpkg", within_days=2)
    assert "1 further of a glacier and date that has a line already" in twice.note
    with pytest.raises(DataError, match="within 0 days"):
        compare_fronts(tmp_path / "a.gpkg", tmp_path / "c.gpkg", within_days=0) if write_set(
            tmp_path / "c.gpkg", [("1999-01-01", "Helheim", flat)]
        ) is None else None


def test_one_number_of_two_inventories_is_no_one_glacier(tmp_path):
    """Lines 500 km apart were compared since both files call their glacier 1."""
    here = shapely.LineString([(0, -2_188_000), (1000, -2_188_000)])
    there = translate(here, 500_000, 0)
    near = translate(here, 0, 40)
    write_set(tmp_path / "a.gpkg", [("2005-08-08", "1", here), ("2005-08-08", "2", there)])
    write_set(tmp_path / "b.gpkg", [("2005-08-08", "1", there), ("2005-08-08", "7", near)])
    (row,) = compare_fronts(tmp_path / "a.gpkg", tmp_path / "b.gpkg").rows[:1]
    assert row.values["pairs"] == 2
    assert row.values["mean_m"] == pytest.approx(20, abs=0.1)
    write_set(tmp_path / "c.gpkg", [("2005-08-08", "1", there)])
    write_set(tmp_path / "d.gpkg", [("2005-08-08", "1", here)])
    with pytest.raises(DataError, match="within 1 days and 50 km"):
        compare_fronts(tmp_path / "c.gpkg", tmp_path / "d.gpkg")


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2015/07/01", "2015-07-01"), ("20150701", "2015-07-01"), (20150701, "2015-07-01"),
        (2015.5, "2015-07-02"), ("2015-07-01T13:00:00Z", "2015-07-01"),
        ("07/01/2015", None), ("2015", None), ("2015/7/1", "2015-07-01"), (2015.0, None),
        ("2015.083", "2015-01-31"), ("2015-07-01/2015-07-13", None), ("20150701_20150713", None),
        ("2015-07-01/2015-07-01", "2015-07-01"), ("2015-07-01 12:30:15.250+00:00", "2015-07-01"),
        (float("nan"), None),
    ],
)  # fmt: skip
def test_days_of_tables(value, day):
    """A year alone was its first day, and so was 2015/07/01."""
    found = parse_day(value)
    assert (found and found.isoformat()) == (day and f"{day}T00:00:00+00:00")


def test_lines_closed_to_a_box_are_no_fronts(tmp_path):
    ring = shapely.LineString([(0, -2_188_000), (1000, -2_188_000), (1000, -2_185_000), (0, -2_188_000)])
    write_set(tmp_path / "a.gpkg", [("2005-08-08", "1", ring)])
    with pytest.raises(DataError, match="polygons or closed lines"):
        compare_fronts(tmp_path / "a.gpkg", tmp_path / "a.gpkg")


def test_sets_without_dates_are_refused(tmp_path):
    frame = geopandas.GeoDataFrame(
        {"x": [1]}, geometry=[shapely.LineString([(0, 0), (9, 9)])], crs="EPSG:3413"
    )
    frame.to_file(tmp_path / "a.gpkg")
    with pytest.raises(DataError, match="no column of dates"):
        compare_fronts(tmp_path / "a.gpkg", tmp_path / "a.gpkg")


def shifted(metres, latitude=-70.0, bearing=0.0):
    """A front of 2 km from west to east at a latitude, moved so many metres on the ellipsoid."""
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    points = [geod.fwd(10.0, latitude, 90.0, 20.0 * n)[:2] for n in range(101)]
    return shapely.LineString([geod.fwd(x, y, bearing, metres)[:2] for x, y in points])


def write_degrees(path, rows):
    frame = geopandas.GeoDataFrame(
        [{"Date": d, "GlacierID": "1"} for d, _ in rows], geometry=[x for _, x in rows], crs="EPSG:4326"
    )
    frame.to_file(path)
    return path


@pytest.mark.parametrize("latitude", [-65.0, 40.0, 79.0])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3413"])
def test_distances_are_metres_on_the_ground_in_any_crs(tmp_path, crs, latitude):
    for name, metres in (("a", 0.0), ("b", 500.0)):
        path = write_degrees(tmp_path / f"{name}.gpkg", [("2019-07-10", shifted(metres, latitude))])
        geopandas.read_file(path).to_crs(crs).to_file(path)
    table = compare_fronts(tmp_path / "a.gpkg", tmp_path / "b.gpkg")
    assert table.rows[0].values["mean_m"] == pytest.approx(500, rel=0.01)


def test_three_sets_are_compared_by_twos_and_their_lengths_side_by_side(tmp_path, monkeypatch, capfd):
    call = terminal(monkeypatch, capfd)
    mine = write_degrees(tmp_path / "mine.gpkg", [("2019-07-10", shifted(0)), ("2021-07-10", shifted(-300))])
    other = write_degrees(tmp_path / "other.geojson", [("2019-07-10", shifted(100))])
    third = write_degrees(tmp_path / "third.gpkg", [("2021-07-10", shifted(-250))])
    out = call("compare", "fronts", str(mine), str(other), str(third), "--json").json
    values = {row["name"]: row["values"] for row in out["tables"][0]["rows"]}
    assert set(values) == {"mine – other", "mine – third"}
    assert values["mine – other"]["mean_m"] == pytest.approx(100, rel=0.01)
    assert values["mine – third"]["mean_m"] == pytest.approx(50, rel=0.01)
    address = f"{mine.as_uri()}|layername=mine"
    again = call("compare", "fronts", address, str(other), "--json").json
    assert again["tables"][0]["rows"][0]["values"] == pytest.approx(values["mine – other"])
    call("compare", "fronts", str(mine), str(other), str(third), "--length", "--csv", str(tmp_path / "l.csv"))
    rows = (tmp_path / "l.csv").read_text().split()
    assert rows[0] == "product,glacier,date,length_m"
    changes = {tuple(row.split(",")[::2][:2]): float(row.split(",")[3]) for row in rows[1:]}
    assert changes[("mine", "2021-07-10")] - changes[("mine", "2019-07-10")] == pytest.approx(-300, rel=0.01)
    assert changes[("other", "2019-07-10")] - changes[("mine", "2019-07-10")] == pytest.approx(100, rel=0.01)
    assert (tmp_path / "l.svg").stat().st_size > 1000


def series(lines, places, doubts=()):
    """Images of three years with a front each, or none; records as a prediction leaves them."""
    days = [datetime(2000 + n, 8, 1, tzinfo=UTC) for n in range(len(lines))]
    entries = tuple(
        replace(entry(place, glacier="helheim"), id=str(n), time=days[n], flow=180.0, file=f"{n}.tif")
        for n, place in enumerate(places)
    )
    records = {
        str(n): {
            "image": str(n),
            "fronts": [] if line is None else [{"line": line.tolist(), "doubt": ["cloud"] * (n in doubts)}],
        }
        for n, line in enumerate(lines)
    }
    return FrontData(folder=None, entries=entries), records


def test_fronts_of_a_series_lie_on_its_last_image_whatever_their_grids():
    shifted = Place("EPSG:32624", (30.0, 0.0, 500_300.0, 0.0, -30.0, 7_400_600.0))
    (panel,) = fronts_by_date(*series([LINE, None, LINE, LINE], [shifted, GREENLAND, ALASKA, GREENLAND]))
    assert panel.layer.file == "3.tif"
    assert [one.date for one in panel.lines] == ["2000-08-01", "2003-08-01"]
    moved, own = (np.array(one.pixels[0])[:, ::-1] for one in panel.lines)
    np.testing.assert_allclose(own, LINE)
    np.testing.assert_allclose(moved, LINE + np.array([-20, 10]), atol=1e-6)
    assert panel.note.startswith("2 of 4 dates, over the image of 2003-08-01; 1 lie outside")
    assert fronts_by_date(*series([LINE, None], [GREENLAND] * 2)) == []


def test_the_length_of_a_series_needs_no_label_and_tells_doubt():
    lines = [LINE, LINE + np.array([3.0, 0.0]), LINE + np.array([-5.0, 0.0])]
    data, records = series([*lines, None], [GREENLAND] * 4, doubts=(1,))
    data = replace(data, entries=(*data.entries[:3], replace(data.entries[3], time=data.entries[0].time)))
    (panel,) = length_curves(data, records, "box", labelled=False)
    by_label = {one.label: dict(zip(one.x, one.y, strict=True)) for one in panel.series}
    assert panel.y_label == "m"
    assert by_label["in doubt"] == {"2001-08-01": pytest.approx(90, rel=2e-3)}
    assert by_label["predicted"] == {"2000-08-01": 0.0, "2002-08-01": pytest.approx(-150, rel=2e-3)}


def test_layers_bear_no_date(tmp_path):
    """GDAL dates a GeoPackage and a Shapefile, so that the same work gave other bytes."""
    for suffix in (".gpkg", ".shp"):
        made = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir(exist_ok=True)
            path = tmp_path / name / f"fronts{suffix}"
            line = shapely.LineString([(0, 0), (9, 9)])
            write_layer(path, [{"Id": 1}], [line], "EPSG:3413", "fronts", {"Id": "int32"}, "LineString")
            made.append([p.read_bytes() for p in sorted(path.parent.glob("fronts.*"))])
            time.sleep(0.002)
        assert made[0] == made[1]
    assert (tmp_path / "a" / "fronts.dbf").read_bytes()[1:4] == bytes([70, 1, 1])
