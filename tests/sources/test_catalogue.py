from __future__ import annotations

import json
from datetime import UTC, datetime

import pystac
import pytest

from icectl.errors import DataError
from icectl.sources.catalogue import CATALOGUE, Band, Scene, read_catalogue, write_catalogue


@pytest.fixture
def scenes(tmp_path, raster):
    made = []
    for day in (2, 1):
        path = raster(tmp_path / "scenes" / f"s{day}" / "green.tif", nodata=0)
        bands = {"green": Band(scale=2.75e-05, offset=-0.2, nodata=0)}
        made.append(
            Scene(
                f"s{day}", datetime(2020, 1, day, tzinfo=UTC), {"green": path}, {"eo:cloud_cover": 3.5}, bands
            )
        )
    return made


def test_what_is_written_is_read(tmp_path, scenes):
    folder = tmp_path / "scenes"
    write_catalogue(folder, scenes)
    back = read_catalogue(folder)
    assert [s.id for s in back] == ["s1", "s2"]
    assert back[0].time == datetime(2020, 1, 1, tzinfo=UTC)
    assert back[0].assets["green"].samefile(scenes[1].assets["green"])
    assert back[0].band("green") == Band(scale=2.75e-05, offset=-0.2, nodata=0)
    assert back[0].properties["eo:cloud_cover"] == 3.5


def test_the_catalogue_is_stac_with_the_grid(tmp_path, scenes):
    items = pystac.ItemCollection.from_file(str(write_catalogue(tmp_path / "scenes", scenes)))
    asset = items[0].assets["green"]
    assert asset.href == "./s1/green.tif"
    assert asset.extra_fields["proj:code"] == "EPSG:32643"
    assert asset.extra_fields["proj:shape"] == [64, 48]
    assert asset.extra_fields["proj:transform"] == [30, 0, 300_015, 0, -30, 4_000_015]
    assert items[0].bbox[0] == pytest.approx(72.78, abs=0.05)


def test_the_box_of_a_grid_is_found_once_for_all_rasters_on_it(tmp_path, raster, monkeypatch):
    """It took half of a synthetic fetch, in which every band of every scene has the same grid."""
    from odc.geo.geom import Geometry

    seen, plain = [], Geometry.to_crs
    monkeypatch.setattr(Geometry, "to_crs", lambda *given, **more: seen.append(0) or plain(*given, **more))
    made = []
    for day in range(1, 5):
        paths = {b: raster(tmp_path / f"{day}_{b}.tif", size=7.0) for b in ("green", "red")}
        made.append(Scene(f"s{day}", datetime(2020, 1, day, tzinfo=UTC), paths))
    write_catalogue(tmp_path, made)
    assert len(seen) == 1
    items = json.loads((tmp_path / CATALOGUE).read_text())["features"]
    assert len({tuple(item["bbox"]) for item in items}) == 1
    assert len({repr(item["geometry"]) for item in items}) == 1


def test_a_moved_folder_still_reads(tmp_path, scenes):
    write_catalogue(tmp_path / "scenes", scenes)
    (tmp_path / "scenes").rename(tmp_path / "moved")
    assert read_catalogue(tmp_path / "moved")[0].asset("green").is_relative_to(tmp_path / "moved")


def test_files_elsewhere_keep_their_place(tmp_path, scenes):
    write_catalogue(tmp_path / "other", scenes)
    assert read_catalogue(tmp_path / "other")[1].asset("green") == scenes[0].asset("green")


def test_images_without_crs_are_catalogued(tmp_path, raster):
    path = raster(tmp_path / "20200101.tif", crs=None)
    write_catalogue(tmp_path, [Scene("a", datetime(2020, 1, 1), {"image": path})])
    assert read_catalogue(tmp_path)[0].time.tzinfo is not None


def spoil(folder, change):
    path = folder / CATALOGUE
    data = json.loads(path.read_text())
    change(data["features"][0])
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "href",
    [
        "../../etc/passwd", "./a/../../x.tif", "..%2f..%2fx.tif", "file:///etc/passwd", "https://example.com/x.tif",
        "s3://b/x.tif", "/vsicurl/https://example.com/x.tif", "GTIFF_DIR:1:x.tif", "//host/x.tif", "a\0b.tif",
    ],
)  # fmt: skip
def test_links_that_leave_the_folder_are_refused(tmp_path, scenes, href):
    write_catalogue(tmp_path / "scenes", scenes)
    spoil(tmp_path / "scenes", lambda item: item["assets"]["green"].update(href=href))
    with pytest.raises(DataError, match=r"which leaves the folder|which is no file of this folder"):
        read_catalogue(tmp_path / "scenes")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\nb", "a" * 300, "a..b"])
def test_hostile_ids_are_refused(tmp_path, scenes, name):
    write_catalogue(tmp_path / "scenes", scenes)
    spoil(tmp_path / "scenes", lambda item: item.update(id=name))
    with pytest.raises(DataError, match="cannot name a file"):
        read_catalogue(tmp_path / "scenes")
    with pytest.raises(DataError, match="cannot name a file"):
        write_catalogue(tmp_path / "scenes", [Scene(name, scenes[0].time, scenes[0].assets)])


def test_a_repeated_id_is_refused(tmp_path, scenes):
    with pytest.raises(DataError, match="two scenes with the id 's1'"):
        write_catalogue(tmp_path, [scenes[1], scenes[1]])


def test_a_missing_file_is_named(tmp_path, scenes):
    write_catalogue(tmp_path / "scenes", scenes)
    scenes[1].asset("green").unlink()
    with pytest.raises(DataError, match=r"s1.*green\.tif, which is not there"):
        read_catalogue(tmp_path / "scenes")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"type": "Feature"}', '{"type":"FeatureCollection","features":[{}]}', "\xff" * 9],
)
def test_a_damaged_catalogue_is_one_sentence(tmp_path, text):
    (tmp_path / CATALOGUE).write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"items\.json"):
        read_catalogue(tmp_path)


def test_no_catalogue_says_so(tmp_path):
    with pytest.raises(DataError, match="holds no catalogue"):
        read_catalogue(tmp_path)


def test_an_asset_not_there_names_the_nearest(scenes):
    with pytest.raises(DataError, match="no asset 'gren'") as error:
        scenes[0].asset("gren")
    assert "green" in error.value.hint
