"""The parts of a STAC fetch by themselves: options, products, patience, picks, grids."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

import numpy as np
import pystac
import pytest
from affine import Affine
from pydantic import ValidationError
from servers import BOX, GRID, landsat_item

from icectl.errors import DataError, UsageError, WorkError
from icectl.raster import grid_from_bbox
from icectl.sources.area import Area, Placed, grid_for, resampling_for
from icectl.sources.download import shares
from icectl.sources.options import SceneQuery, months_of
from icectl.sources.picks import picks
from icectl.sources.products import PRODUCTS, meaning, product_for, service_for, wanted
from icectl.sources.remote import Patience, is_refused, patiently, scrub, silent_libraries
from icectl.sources.search import Tally, filtered


def item(name="LC08_a", time=datetime(2019, 6, 1, tzinfo=UTC), **changes):
    return pystac.Item.from_dict(landsat_item(name, time, "https://a.example", **changes))


@pytest.mark.parametrize(
    ("text", "months"),
    [("6-9", {6, 7, 8, 9}), ("11-2", {11, 12, 1, 2}), ("3, 4,10", {3, 4, 10}), ("5-5", {5})],
)
def test_seasons(text, months):
    assert months_of(text) == months


@pytest.mark.parametrize(
    "bad",
    [
        {"season": "13"},
        {"season": "june"},
        {"api": "file:///etc"},
        {"api": "https://user:secret@a.example"},
        {"api": "https://a.example?key=secret"},
        {"start": date(2020, 1, 1), "end": date(2020, 1, 1)},
        {"max_cloud": 101},
        {"limit": 0},
    ],
)
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        SceneQuery(**bad)


def test_unknown_services_and_no_bands_are_refused():
    with pytest.raises(UsageError, match="earth-serch") as refused:
        service_for("earth-serch")
    assert "earth-search" in refused.value.hint
    with pytest.raises(UsageError, match="no band"):
        wanted(PRODUCTS["landsat-c2-l2"], ("qa_pixel",))


def test_each_product_brings_its_own_flags():
    bands = ("green", "qa_pixel")
    assert wanted(PRODUCTS["landsat-c2-l2"], bands) == ("green", "qa_pixel")
    assert wanted(PRODUCTS["sentinel-2-l2a"], bands) == ("green", "scl")
    assert wanted(PRODUCTS["sentinel-1-rtc"], ("vv",)) == ("vv",)
    assert wanted(product_for("mine", bands), bands) == ("green", "qa_pixel")


@pytest.mark.parametrize(
    ("collection", "properties", "offset"),
    [
        ("sentinel-2-l2a", {"s2:processing_baseline": "03.01"}, 0.0),
        ("sentinel-2-l2a", {"s2:processing_baseline": "04.00"}, -0.1),
        ("sentinel-2-l2a", {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 0.0),
        ("sentinel-2-c1-l2a", {"s2:processing_baseline": "05.00"}, -0.1),
        ("sentinel-2-l2a", {"earthsearch:boa_offset_applied": False}, -0.1),
    ],
)
def test_sentinel2_offsets_whatever_raster_bands_say(collection, properties, offset):
    one = item(**properties)
    one.assets["green"].extra_fields["raster:bands"] = [{"nodata": 0, "scale": 0.0001, "offset": -0.1}]
    band = meaning(one, "green", "green", PRODUCTS[collection], collection)
    assert (band.scale, band.offset, band.nodata) == (1e-4, offset, 0)


def test_sentinel2_without_a_baseline_is_refused():
    one = item()
    one.assets["green"].extra_fields.clear()
    with pytest.raises(DataError, match="processing baseline"):
        meaning(one, "green", "green", PRODUCTS["sentinel-2-l2a"], "sentinel-2-l2a")


def test_landsat_without_raster_bands_has_its_published_scale():
    one = item()
    one.assets["green"].extra_fields.clear()
    band = meaning(one, "green", "green", PRODUCTS["landsat-c2-l2"], "landsat-c2-l2")
    assert (band.scale, band.offset, band.nodata) == (2.75e-05, -0.2, 0)


@pytest.mark.parametrize(
    "text",
    [
        "HTTP response code on https://a.blob.core.windows.net/c/b.tif?se=2030&sp=rl&sig=abc%3D: 403",
        "'https://a.example/b.tif?sig=abc'",
        "token=abc",
        "se=1&sig=abc",
    ],
)
def test_secrets_are_scrubbed(text):
    assert "abc" not in scrub(text)
    assert "response code" not in text or "403" in scrub(text)


def test_libraries_are_silent_only_inside(caplog):
    log = logging.getLogger("rasterio._env")
    with silent_libraries():
        log.error("secret")
    assert "secret" not in caplog.text
    log.error("heard")
    assert "heard" in caplog.text


def test_patience_pauses_longer_each_time_and_renews_at_once():
    pauses, calls, renewals = [], [], []

    def work():
        calls.append(1)
        if len(calls) < 5:
            raise OSError("HTTP response code: 403" if len(calls) in (1, 3) else "reset")
        return "done"

    patience = Patience(attempts=6, backoff=1.0)
    assert patiently(work, patience, (OSError,), lambda: renewals.append(1), pauses.append) == "done"
    assert len(renewals) == 2
    assert len(pauses) == 3  # the first refusal is answered with a new link, not with a pause
    assert all(0.5 * 2**n <= pause <= 1.5 * 2**n for n, pause in zip((1, 2, 3), pauses, strict=True))


def test_patience_ends_and_other_errors_pass():
    def work():
        raise OSError("gone")

    with pytest.raises(WorkError, match="gone") as ended:
        patiently(work, Patience(attempts=2, backoff=0), (OSError,), sleep=lambda _: None)
    assert ended.value.__cause__ is None
    assert ended.value.__context__ is None  # nothing for a traceback to show
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 / 0, Patience(), (OSError,))


def test_refusals_are_told_from_other_faults():
    assert is_refused("HTTP response code: 403")
    assert is_refused("401 Client Error")
    assert not is_refused("HTTP response code: 404")
    assert not is_refused("LC08_4030_green")


def test_shares_of_cloud_are_of_what_is_not_missing():
    flags = np.array(
        [[1, 1, 8, 64], [4, 64, 16, 2]], "uint16"
    )  # fill ×2, cloud, clear, cirrus, clear, shadow, dilated
    found = shares(flags, "qa_pixel", 1, np.ones((2, 4), bool))
    assert found.missing == 25
    assert found.cloud == pytest.approx(100 * 2 / 6)
    inside = np.zeros((2, 4), bool)
    inside[0, 2] = True
    assert shares(flags, "qa_pixel", 1, inside).cloud == 100
    scl = shares(np.array([[0, 9, 3, 11]], "uint8"), "scl", 0, np.ones((1, 4), bool))
    assert (scl.missing, scl.cloud) == (25, pytest.approx(100 / 3))
    empty = shares(np.full((2, 2), np.nan, "float32"), "vv", None, np.ones((2, 2), bool))
    assert (empty.missing, empty.cloud) == (100, None)


def test_the_grid_follows_items_or_the_glacier():
    area = Area(name="x", bbox=BOX)
    landsat = Placed("EPSG:32643", GRID)
    grid = grid_for(area, [landsat, landsat])
    assert (grid.affine.a, grid.affine.c % 30, grid.affine.f % 30) == (30, 15, 15)
    polar = grid_for(Area(name="x", bbox=BOX, crs="EPSG:3857", resolution=50), [landsat])
    assert polar.affine.c % 50 == 0
    with pytest.raises(DataError, match="no item of x says its CRS"):
        grid_for(area, [Placed(None, None)])
    with pytest.raises(DataError, match="pixel size"):
        grid_for(area, [Placed("EPSG:32643", None)])


def test_pixels_are_resampled_only_where_they_differ():
    grid = grid_from_bbox(BOX, "EPSG:32643", 30, GRID)
    assert resampling_for(Placed("EPSG:32643", GRID), grid, False) == "nearest"
    half = Affine(30, 0, 600_000, 0, -30, 3_570_000)
    assert resampling_for(Placed("EPSG:32643", half), grid, False) == "bilinear"
    assert resampling_for(Placed("EPSG:32643", half), grid, True) == "nearest"
    fine = Affine(10, 0, 600_000, 0, -10, 3_570_000)
    assert resampling_for(Placed("EPSG:32643", fine), grid, False) == "average"
    assert resampling_for(Placed("EPSG:32644", GRID), grid, False) == "bilinear"


def test_properties_that_travel_hold_no_links_and_nothing_unknown():
    one = item(**{"landsat:note": "see https://a.example/x?sig=abc", "evil": "<script>"})
    product = PRODUCTS["landsat-c2-l2"]
    (pick,) = picks([one], Tally(), product, "landsat-c2-l2", ("green",), secure=True)
    kept = pick.properties()
    assert kept["platform"] == "landsat-8"
    assert kept["landsat:note"] == "see https://a.example/x"
    assert "evil" not in kept


def test_a_secure_catalogue_must_link_securely():
    one = pystac.Item.from_dict(landsat_item("a", datetime(2019, 6, 1, tzinfo=UTC), "http://a.example"))
    with pytest.raises(DataError, match="no https address"):
        picks([one], Tally(), PRODUCTS["landsat-c2-l2"], "landsat-c2-l2", ("green",), secure=True)


@pytest.mark.realdata
def test_real_items_are_understood(shared_data):
    """The Planetary Computer's own items: five sensors, 1983 to 2022."""
    folder = shared_data / "landsat_c2l2" / "stac_items"
    product = PRODUCTS["landsat-c2-l2"]
    paths = sorted(folder.glob("*/*.json"))
    assert len(paths) == 5
    for path in paths:
        one = pystac.Item.from_file(str(path))
        for asset in one.assets.values():
            asset.href = f"https://a.example/{asset.href.rsplit('/', 1)[-1]}"
        bands = wanted(product, ("green", "swir16", "nir08"))
        (pick,) = picks([one], Tally(), product, "landsat-c2-l2", bands, secure=True)
        assert pick.bands["green"].scale == 2.75e-05
        assert pick.bands["qa_pixel"].nodata == 1
        assert pick.time.year in range(1983, 2023)


def test_what_a_lax_server_returns_is_filtered_here():
    day = datetime(2019, 6, 1, tzinfo=UTC)
    items = [
        item("in_time", day),
        item("early", datetime(2018, 12, 31, 23, 59, tzinfo=UTC)),
        item("on_the_day_after", datetime(2020, 1, 1, tzinfo=UTC)),
        item("elsewhere", day, transform=Affine(30, 0, 300_015, 0, -30, 3_570_015)),
        item("other", day, platform="landsat-7"),
    ]
    items[0].properties["platform"] = "LANDSAT-8"
    broken = item("no_footprint_to_speak_of", day)
    broken.geometry = {"type": "Polygon", "coordinates": "here"}
    undated = item("undated", day)
    undated.datetime = None
    query = SceneQuery(start=date(2019, 1, 1), end=date(2020, 1, 1), platform=("landsat-8",))
    tally = Tally()
    kept = filtered(
        [*items, broken, undated],
        tally,
        Area(name="x", bbox=BOX),
        query,
        PRODUCTS["landsat-c2-l2"],
        ("green",),
        None,
    )
    assert [one.id for one in kept] == ["in_time"]
    took = "1 without a date, 2 outside the dates, 2 outside the area, 1 of other platforms"
    assert tally.sentence() == f"7 found, of which {took}"
    assert not filtered(
        [undated], Tally(), Area(name="x", bbox=BOX), SceneQuery(), product_for("x", ()), (), None
    )
