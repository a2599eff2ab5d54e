"""Where a page's maps lie: the dot on the world, the words, and pages that lie nowhere."""

from __future__ import annotations

import re

import pytest
import shapely
from report_runs import every_panel, make_run

from icectl.raster.regions import BOXES, NAMES
from icectl.report import page as locator
from icectl.report.page import _figures, write_report
from icectl.report.scale import Frame


def view(lon: float, lat: float) -> dict:
    frame = Frame(1, "1 px", None, "EPSG:4326", "", centre=(lon, lat))
    return {"kind": "map", "map": {"frame": frame, "palette": "grey"}}


@pytest.mark.parametrize(
    ("lon", "lat", "words", "region"),
    [
        (-139.13, 60.82, "60.82° N 139.13° W", "RGI region 01, Alaska"),
        (-73.1, -50.48, "50.48° S 73.10° W", "RGI region 17, Southern Andes"),
        (190.0, -77.5, "77.50° S 170.00° W", "RGI region 19, Antarctic and Subantarctic"),
        (-30.0, 30.0, "30.00° N 30.00° W", ""),
    ],
)
def test_the_place_in_words_and_on_the_map(lon, lat, words, region):
    place = locator.locate([{"kind": "curve", "svg": ""}, view(lon, lat)])
    assert place["words"].replace("\xa0", " ") == words
    assert place["region"] == region
    assert -180 <= place["x"] <= 180
    assert place["y"] == -lat


def test_every_region_has_its_name():
    assert {region for region, *_ in BOXES} == set(NAMES)


def test_the_land_is_land():
    path = locator.locate([view(0, 0)])["land"]
    assert 2_000 < len(path) < 40_000
    rings = [
        [tuple(map(float, at.split())) for at in ring.strip("Z").split("L")] for ring in path.split("M")[1:]
    ]
    land = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])
    for lon, lat in ((-42, 72), (10, 47), (-105, 55), (100, 60), (134, -25), (-60, -10)):
        assert shapely.contains_xy(land, lon, -lat)
    for lon, lat in ((-30, 40), (-140, 0), (80, -40)):
        assert not shapely.contains_xy(land, lon, -lat)


def test_without_coasts_words_and_graticule_stay(monkeypatch):
    monkeypatch.setattr(locator, "COASTS", "tests/none.shp")
    locator._land.cache_clear()
    try:
        place = locator.locate([view(7, 46)])
    finally:
        locator._land.cache_clear()
    assert place["land"] == ""
    assert "M0 -90V90" in place["lines"]


def test_maps_without_a_crs_and_synthetic_glaciers_lie_nowhere(tmp_path):
    assert locator.locate([]) is None
    assert locator.locate([{"kind": "map", "map": {"frame": Frame(1, "1 px", None, "no CRS", "")}}]) is None
    run = make_run(tmp_path, every_panel)
    page = write_report(run).read_text(encoding="utf-8")
    assert 'class="card locator"' in page
    assert re.search(r"upper left 32\.\d+°\s*N 75\.\d+°\s*E, lower right", page.replace("&nbsp;", " "))
    made_up = {"fetch": {"options": {"source": "synthetic"}}}
    assert _figures([view(7, 46)], {})["place"]["region"] == "RGI region 11, Central Europe"
    assert _figures([view(7, 46)], made_up)["place"] is None
