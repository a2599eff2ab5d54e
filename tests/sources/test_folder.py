from __future__ import annotations

import json
import shutil
from datetime import date, datetime

import numpy as np
import odc.geo.xr  # noqa: F401  (gives data sets a CRS)
import pytest
import xarray as xr

from icectl.errors import DataError, UsageError
from icectl.sources.catalogue import read_catalogue, write_catalogue
from icectl.sources.dates import parse_date
from icectl.sources.folder import in_dates, scan_folder, static_layers
from icectl.sources.options import SceneQuery
from icectl.sources.scene import Band, Scene


def test_single_band_files_of_one_date_make_a_scene(tmp_path, raster):
    for day in ("20190801", "20190710"):
        for asset in ("green", "swir16", "qa_pixel"):
            raster(tmp_path / f"{day}_{asset}.tif")
    scenes = scan_folder(tmp_path, scale=2.75e-05, offset=-0.2)
    assert [s.id for s in scenes] == ["20190710", "20190801"]
    assert sorted(scenes[0].assets) == ["green", "qa_pixel", "swir16"]
    assert scenes[0].band("green") == Band(scale=2.75e-05, offset=-0.2)


def test_integers_of_unknown_scale_stay_unknown(tmp_path, raster):
    raster(tmp_path / "20190710_green.tif")
    raster(tmp_path / "20190710_ndsi.tif", np.zeros((9, 9), "float32"))
    scene = scan_folder(tmp_path)[0]
    assert scene.band("green").scale is None
    assert scene.band("ndsi").scale == 1.0


def test_one_folder_a_scene(tmp_path, raster):
    raster(tmp_path / "2019-07-10" / "green.tif")
    raster(tmp_path / "2019-07-26" / "green.tif")
    assert [f"{s.time:%m%d}" for s in scan_folder(tmp_path)] == ["0710", "0726"]


def test_a_ready_index_by_the_asset_asked_for(tmp_path, raster):
    raster(tmp_path / "mine_2019Q1.tif", np.zeros((9, 9), "float32"))
    scene = scan_folder(tmp_path, asset="ndsi")[0]
    assert list(scene.assets) == ["ndsi"]
    assert scene.properties["end_datetime"].startswith("2019-03-31")


def test_acquisition_tags_outweigh_the_name_and_the_creation_tag_does_not(tmp_path, raster):
    raster(tmp_path / "20010101.tif", tags={"ACQUISITION_DATE": "2019-07-10"})
    raster(tmp_path / "20010102.tif", tags={"TIFFTAG_DATETIME": "2024:01:01 00:00:00"})
    raster(tmp_path / "undated.tif", tags={"TIFFTAG_DATETIME": "2018:03:04 00:00:00"})
    dates = {s.id: f"{s.time:%Y-%m-%d}" for s in scan_folder(tmp_path)}
    assert dates == {"20010102": "2001-01-02", "undated_20180304": "2018-03-04", "20010101": "2019-07-10"}


def test_scenes_of_one_day_are_told_apart_by_their_time_and_those_of_one_pass_are_not(tmp_path, raster):
    def times(folder):
        return {s.id: f"{s.time:%m%d %H:%M}" for s in scan_folder(folder, scale=1.0)}

    for name in (
        "20190710T1000_green",
        "20190710T1004_swir16",
        "20190710T1400_green",
        "20190711T1400_green",
    ):
        raster(tmp_path / "names" / f"{name}.tif")
    day = {"20190710T1000": "0710 10:00", "20190710T1400": "0710 14:00"}
    assert times(tmp_path / "names") == day | {"20190711T1400": "0711 14:00"}
    raster(tmp_path / "names" / "20190710_red.tif")  # of which pass, nothing tells
    with pytest.raises(DataError, match=r"20190710T1000_green\.tif and 20190710T1400_green\.tif are both"):
        times(tmp_path / "names")
    for hour in ("10:30:21Z", "14:59:59.5Z"):
        tags = {"ACQUISITIONDATETIME": f"2019-07-10T{hour}"}
        raster(tmp_path / "tags" / hour[:2] / "20190710_green.tif", tags=tags)
    assert times(tmp_path / "tags") == {"20190710_T1030": "0710 10:30", "20190710_T1459": "0710 14:59"}


def test_a_cube_of_several_times_a_day_keeps_them(tmp_path):
    times = np.array(["2019-07-10T10:00", "2019-07-10T14:00", "2019-07-11"], "datetime64[ns]")
    values = (("time", "y", "x"), np.arange(27, dtype=np.float32).reshape(3, 3, 3) / 27)
    axes = {"time": times, "y": [90.0, 60.0, 30.0], "x": [0.0, 30.0, 60.0]}
    (tmp_path / "in").mkdir()
    xr.Dataset({"ndsi": values}, axes).odc.assign_crs("EPSG:32643").to_netcdf(
        tmp_path / "in" / "cube.nc", engine="h5netcdf"
    )
    scenes = scan_folder(tmp_path / "in" / "cube.nc", into=tmp_path / "own")
    assert [f"{s.time:%d %H}" for s in scenes] == ["10 10", "10 14", "11 00"]


def test_a_stac_item_beside_tells_the_date_and_the_scale(tmp_path, raster):
    raster(tmp_path / "a_green.tif")
    asset = {"href": "https://example.com/x/a_green.tif", "raster:bands": [{"scale": 0.0001, "offset": -0.1}]}
    item = {
        "type": "Feature",
        "properties": {"datetime": "2019-07-10T05:00:00Z", "eo:cloud_cover": 7},
        "assets": {"g": asset},
    }
    (tmp_path / "a.json").write_text(json.dumps(item))
    (tmp_path / "notes.json").write_text("not json")
    scene = scan_folder(tmp_path)[0]
    assert scene.id == "a_20190710"
    assert scene.band("green") == Band(scale=0.0001, offset=-0.1)
    assert scene.properties["eo:cloud_cover"] == 7


def test_a_pattern_reads_unusual_names(tmp_path, raster):
    raster(tmp_path / "nir-10072019.tif")
    pattern = r"(?P<asset>[a-z]+)-(?P<day>\d\d)(?P<month>\d\d)(?P<year>\d{4})"
    assert f"{scan_folder(tmp_path, pattern)[0].time:%Y-%m-%d}" == "2019-07-10"


def test_a_folder_with_a_catalogue_is_read_by_it(tmp_path, raster):
    path = raster(tmp_path / "whatever.tif")
    write_catalogue(tmp_path, [Scene("x", datetime(2020, 1, 1), {"green": path})])
    assert scan_folder(tmp_path) == read_catalogue(tmp_path)


def test_images_without_crs_where_pixels_will_do(tmp_path, raster):
    for name in ("20200101", "20200106", "mask"):
        raster(tmp_path / f"{name}.png", np.zeros((20, 30), "uint8"), crs=None, driver="PNG")
    assert len(scan_folder(tmp_path, georeferenced=False)) == 2
    assert list(static_layers(tmp_path)) == ["mask"]
    with pytest.raises(DataError, match=r"holds no GeoTIFFs.*\.png"):
        scan_folder(tmp_path)


def test_an_empty_or_missing_folder(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        scan_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no GeoTIFFs"):
        scan_folder(tmp_path)


def test_too_few_dates(tmp_path, raster):
    raster(tmp_path / "20190710_green.tif")
    with pytest.raises(DataError, match="holds 1 date, 2 are needed"):
        scan_folder(tmp_path, minimum=2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"crs": "EPSG:32644"},
            "mixed CRS: 20190710_green.tif has EPSG:32643, 20190801_green.tif has EPSG:32644",
        ),
        ({"size": 20.0}, "mixed pixel sizes: 20190710_green.tif has 30 × 30, 20190801_green.tif has 20 × 20"),
        ({"crs": None}, "1 of the 2 images of .* have no CRS, the others have one: 20190801_green.tif"),
        ({"count": 3}, "holds 3 bands where one"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_mixed_ground_is_refused_with_both_named(tmp_path, raster, changes, sentence):
    raster(tmp_path / "20190710_green.tif")
    raster(tmp_path / "20190801_green.tif", **changes)
    with pytest.raises(DataError, match=sentence) as error:
        scan_folder(tmp_path)
    assert error.value.hint


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_a_truncated_file_is_named(tmp_path, raster, keep):
    noise = np.random.default_rng(0).integers(0, 9999, (300, 300)).astype("uint16")
    path = raster(tmp_path / "20190710_green.tif", noise)
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(DataError, match=r"20190710_green\.tif is damaged"):
        scan_folder(tmp_path)


def test_a_disguised_format_is_not_followed(tmp_path, raster):
    raster(tmp_path / "real.tif")
    source = f"<SimpleSource><SourceFilename>{tmp_path / 'real.tif'}</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="UInt16" band="1">{source}</VRTRasterBand>'
    vrt = f'<VRTDataset rasterXSize="48" rasterYSize="64">{band}</VRTDataset>'
    (tmp_path / "20190710.tif").write_text(vrt)
    (tmp_path / "real.tif").rename(tmp_path / "20190711.tif")
    with pytest.raises(DataError, match=r"20190710\.tif is damaged or no image"):
        scan_folder(tmp_path)


def test_two_files_of_one_date_are_both_named(tmp_path, raster):
    raster(tmp_path / "a_20190710_green.tif")
    raster(tmp_path / "b_20190710_green.tif")
    with pytest.raises(
        DataError, match=r"a_20190710_green\.tif and b_20190710_green\.tif are both 'green' of 2019-07-10"
    ):
        scan_folder(tmp_path)


def test_a_name_without_date_says_what_would_do(tmp_path, raster):
    raster(tmp_path / "image.tif")
    with pytest.raises(DataError, match="says nothing of its date") as error:
        scan_folder(tmp_path)
    assert "pattern" in error.value.hint


def test_scenes_between_dates_end_before_the_last(tmp_path, raster):
    for day in ("20190101", "20190401", "20190701"):
        raster(tmp_path / f"{day}_green.tif")
    scenes = scan_folder(tmp_path)
    query = SceneQuery(start=date(2019, 1, 1), end=date(2019, 7, 1))
    assert [f"{s.time:%m-%d}" for s in in_dates(scenes, query, tmp_path)] == ["01-01", "04-01"]
    assert in_dates(scenes, SceneQuery(), tmp_path) == scenes
    with pytest.raises(DataError, match=r"holds 3 scenes, 2 of them between .*; 3 are needed"):
        in_dates(scenes, query, tmp_path, minimum=3)
    with pytest.raises(DataError, match="none of them between 2020-01-01 and the end") as refused:
        in_dates(scenes, SceneQuery(start=date(2020, 1, 1)), tmp_path)
    assert "between 2019-01-01 and 2019-07-01" in refused.value.hint


@pytest.mark.realdata
def test_real_parvati(shared_data):
    scenes = scan_folder(shared_data / "parvati", minimum=8)
    assert [f"{s.time:%Y-%m}" for s in scenes] == [f"{y}-{m:02}" for y in (2019, 2021) for m in (1, 4, 7, 10)]
    assert all(list(s.assets) == ["ndsi"] for s in scenes)


@pytest.mark.realdata
def test_real_landsat(shared_data, tmp_path):
    scene = scan_folder(shared_data / "landsat_c2l2" / "greenland_20150710")[0]
    assert scene.id == "LC08_L2SP_005009_20150710_20200908_02_T2"
    assert {"blue", "green", "red", "nir08", "swir16", "swir22", "qa_pixel"} <= set(scene.assets)
    assert scene.band("green") == Band(scale=2.75e-05, offset=-0.2, nodata=0)
    assert scene.properties == {"eo:cloud_cover": 54.65, "platform": "landsat-8"}
    write_catalogue(tmp_path, [scene])
    assert read_catalogue(tmp_path)[0].assets == {k: v.absolute() for k, v in scene.assets.items()}
    with pytest.raises(DataError, match="mixed CRS"):
        scan_folder(shared_data / "landsat_c2l2")


@pytest.mark.realdata
def test_real_images_without_crs(shared_data):
    scenes = scan_folder(shared_data / "perito_moreno", georeferenced=False)
    assert len(scenes) == 12
    assert f"{scenes[0].time:%Y%m%d}-{scenes[-1].time:%Y%m%d}" == "20200101-20200210"
    assert list(static_layers(shared_data / "perito_moreno")) == ["mask"]


@pytest.mark.realdata
def test_real_yatsm_names(shared_data, tmp_path):
    shutil.unpack_archive(
        shared_data / "yatsm_p035r032" / "p035r032_testdata.tar.gz", tmp_path, filter="data"
    )
    names = sorted((tmp_path / "p035r032" / "images").iterdir())
    periods = {path.name: parse_date(path.name) for path in names if path.is_dir()}
    assert [name for name, period in periods.items() if period is None] == [
        "LE70350321999366EDC00"
    ]  # no such day
    years = [period.start.year for period in periods.values() if period is not None]
    assert (len(years), min(years), max(years)) == (446, 1984, 2013)
