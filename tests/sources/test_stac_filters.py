"""Which scenes of a catalogue are taken, and what is said of the others."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from landsat_archive import BANDS, FIRST, glacier, qa, run_in
from servers import (
    BOX,
    SHAPE,
    TM,
)

from icectl.errors import DataError, UsageError, WorkError
from icectl.settings import Glacier
from icectl.sources.catalogue import read_catalogue
from icectl.sources.options import SceneQuery, source_of
from icectl.sources.stac import fetch_scenes
from icectl.tasks.snow.options import FetchOptions


def test_filters_of_the_catalogue_and_of_the_pixels_are_counted(archive, fetch, tmp_path):
    archive.add(0, time=datetime(2012, 7, 1, tzinfo=UTC))
    archive.add(1, platform="landsat-9")
    archive.add(2, time=datetime(2019, 12, 1, tzinfo=UTC))
    archive.add(3, path_row=("146", "038"))
    archive.add(4, qa_pixel=qa(cloud_rows=SHAPE[0]))
    archive.add(5, qa_pixel=qa(fill_columns=SHAPE[1]))
    kept = archive.add(6)
    place = glacier(wrs2=(147, 38))
    run = run_in(tmp_path / "out", place)
    fetch(run, start=date(2018, 1, 1), season="5-9", platform=("Landsat-8",), same_track=True)
    assert [scene.id for scene in read_catalogue(run.out)] == [kept]
    assert run.notes["fetch"]["left_out"] == {
        "of other platforms": 1,
        "outside the season": 1,
        "of other paths and rows": 1,
        "too cloudy in the area": 1,
        "with too many missing pixels in the area": 1,
    }
    assert sorted(f.name for f in run.out.iterdir()) == [".icectl", kept, "items.json"]


def test_shares_are_measured_inside_the_outline(archive, fetch, tmp_path):
    """The box is half under cloud; the outline lies in its clear half."""
    import geopandas as gpd
    import shapely

    archive.add(0, qa_pixel=qa(cloud_rows=130))
    west, south, east, _ = BOX
    outline = tmp_path / "outline.gpkg"
    low = shapely.box(west + 0.005, south + 0.002, east - 0.005, south + 0.012)
    gpd.GeoDataFrame(geometry=[low], crs="EPSG:4326").to_file(outline)
    with pytest.raises(DataError, match="1 too cloudy in the area") as refused:
        fetch()
    assert "--max-cloud" in refused.value.hint
    fetch(run_in(tmp_path / "outlined", glacier(outline=outline)))
    scene = read_catalogue(tmp_path / "outlined")[0]
    assert scene.properties["icectl:cloud"] == 0
    fetch(run_in(tmp_path / "lenient"), max_cloud=80)
    assert 20 < read_catalogue(tmp_path / "lenient")[0].properties["icectl:cloud"] < 80


def test_the_cloud_of_the_scene_is_the_catalogues(archive, fetch, tmp_path):
    """The catalogue says 12.5 % of cloud for every scene; in the area all is cloud."""
    archive.add(0, qa_pixel=qa(cloud_rows=SHAPE[0]))
    with pytest.raises(DataError, match="1 too cloudy in the area"):
        fetch(kind=FetchOptions)
    fetch(run_in(tmp_path / "scene"), kind=FetchOptions, cloud_of="scene")
    assert len(read_catalogue(tmp_path / "scene")) == 1
    with pytest.raises(DataError, match="1 too cloudy as a whole"):
        fetch(run_in(tmp_path / "clear"), kind=FetchOptions, cloud_of="scene", max_cloud=12)


def test_nothing_left_says_which_filter_took_how_many(archive, fetch):
    for number in range(3):
        archive.add(number, qa_pixel=qa(cloud_rows=SHAPE[0]))
    with pytest.raises(
        DataError, match=r"no scene of landsat-c2-l2 is left for here: 3 found, of which 3 too cloudy"
    ):
        fetch()
    with pytest.raises(DataError, match="3 found, of which 3 outside the season") as refused:
        fetch(season="1")
    assert "season" in refused.value.hint
    with pytest.raises(DataError, match="0 found"):
        fetch(start=date(2001, 1, 1), end=date(2002, 1, 1))


def test_an_all_cloud_frame_is_kept_where_cloud_is_allowed(archive, fetch):
    archive.add(0, qa_pixel=qa(cloud_rows=SHAPE[0]))
    assert len(read_catalogue(fetch(max_cloud=100))) == 1


def test_items_without_the_asset_are_named_with_what_they_have(archive, fetch):
    archive.add(0, bands=TM, name="LT05_a")
    with pytest.raises(DataError, match="1 without the assets asked for") as refused:
        fetch(bands=("green", "qa_aerosol"))
    assert "qa_aerosol" in refused.value.hint
    assert "swir16" in refused.value.hint
    archive.add(1)
    assert len(read_catalogue(fetch(bands=("green", "qa_aerosol")))) == 1


def test_duplicates_of_a_day_are_dropped_and_frames_of_a_pass_joined(archive, fetch, tmp_path):
    night = {"time": FIRST, "landsat:collection_category": "RT"}
    archive.add(0, name="early_RT", **night)
    best = archive.add(1, name="final_T1", time=FIRST)
    half = qa(fill_columns=140)
    archive.add(
        2, name="next_row", time=FIRST + timedelta(seconds=24), path_row=("147", "039"), qa_pixel=half
    )
    run = run_in(tmp_path / "out")
    fetch(run)
    scenes = read_catalogue(run.out)
    assert [scene.id for scene in scenes] == [best]
    assert scenes[0].properties["icectl:items"] == [best, "next_row"]
    assert run.notes["fetch"]["left_out"] == {"duplicates of one day": 1}


def test_a_collection_that_is_not_there_leaves_nothing(archive, fetch):
    archive.add(0)
    with pytest.raises((DataError, WorkError), match="landsat-c9"):
        fetch(collection="landsat-c9")


def test_a_glacier_without_a_place_and_other_sources_are_refused(tmp_path):
    with pytest.raises(UsageError, match="neither a box nor an outline"):
        fetch_scenes(run_in(tmp_path, Glacier(name="nowhere")), SceneQuery(), BANDS)
    with pytest.raises(UsageError, match="'synthetic'"):
        fetch_scenes(run_in(tmp_path), SceneQuery(source="synthetic"), BANDS)
    with pytest.raises(UsageError, match="no WRS-2"):
        fetch_scenes(run_in(tmp_path), SceneQuery(same_track=True), BANDS)


def test_items_out_of_order_are_catalogued_by_date(archive, fetch):
    names = [archive.add(number) for number in (2, 0, 1)]
    archive.items[0]["properties"]["datetime"] = None  # as composites may be: their period says when
    archive.items[0]["properties"] |= {
        "start_datetime": "2019-05-01T00:00:00Z",
        "end_datetime": "2019-05-31T00:00:00Z",
    }
    scenes = read_catalogue(fetch())
    assert [scene.id for scene in scenes] == names
    assert [f"{scene.time:%m-%d}" for scene in scenes] == ["05-01", "06-01", "06-17"]


def test_where_a_fetch_takes_its_data_from(tmp_path):
    own, plain = glacier(source="synthetic"), glacier()
    assert source_of(run_in(tmp_path, own, scenes=tmp_path), SceneQuery(source="earth-search")) == "folder"
    assert source_of(run_in(tmp_path, own), SceneQuery(source="earth-search")) == "earth-search"
    assert source_of(run_in(tmp_path, own), SceneQuery()) == "synthetic"
    assert source_of(run_in(tmp_path, plain), SceneQuery()) == "planetary-computer"
    with pytest.raises(UsageError, match="needs a folder"):
        source_of(run_in(tmp_path, plain), SceneQuery(source="folder"))


def test_a_limit_spreads_over_the_dates(archive, fetch):
    names = [archive.add(number) for number in range(6)]
    assert [scene.id for scene in read_catalogue(fetch(limit=3))] == names[::2]
