"""Scenes in the forms that people's folders have: the same NDSI from all of them, or a refusal that helps."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from writing import NORTH, tif

from icectl.errors import DataError, UsageError
from icectl.sources.dates import parse_date
from icectl.sources.folder import scan_folder
from icectl.tasks.snow.masks.bands import SceneLayers, is_index
from icectl.tasks.snow.prepare import common_grid

ROWS, COLUMNS = 16, 20
GREEN = 0.3 + 0.02 * np.arange(COLUMNS) + 0.01 * np.arange(ROWS)[:, None]
SWIR = 0.1 + 0.005 * np.arange(ROWS)[:, None] + 0 * GREEN
NDSI = (GREEN - SWIR) / (GREEN + SWIR)
LANDSAT = "LC08_L2SP_147038_20220701_20220726_02_T1"
OLD = "LC08_L1TP_147038_20180701_20180716_01_T1"
TILE = "T43RFP_20220701T053641"
CLEAR = np.full((ROWS, COLUMNS), 21824, np.uint16)


def landsat(values):
    return np.rint((values + 0.2) / 2.75e-5).astype(np.uint16)


def ten_thousandths(values, offset=0, dtype=np.int16):
    return np.rint(values * 10_000 + offset).astype(dtype)


def bands(folder, green, swir, day="20220701", **about):
    tif(folder / f"{day}_green.tif", green, **about)
    tif(folder / f"{day}_swir16.tif", swir, **about)


def floats(folder):
    bands(folder, GREEN.astype(np.float32), SWIR.astype(np.float32))


def landsat_in_small_letters(folder):
    tif(folder / f"{LANDSAT.lower()}_sr_b3.tif", landsat(GREEN))
    tif(folder / f"{LANDSAT.lower()}_sr_b6.tif", landsat(SWIR))
    tif(folder / f"{LANDSAT.lower()}_qa_pixel.tif", CLEAR, nodata=1)


def landsat_scaled_by_the_user(folder):
    tif(folder / f"{LANDSAT}_SR_B3.TIF", GREEN.astype(np.float32))
    tif(folder / f"{LANDSAT}_SR_B6.TIF", SWIR.astype(np.float32), scales=(2.75e-5,), offsets=(-0.2,))


def landsat_in_a_tar(folder):
    for layer, values in (("SR_B3", landsat(GREEN)), ("SR_B6", landsat(SWIR)), ("ST_B10", landsat(GREEN))):
        tif(folder.parent / "taken" / f"{LANDSAT}_{layer}.TIF", values)
    with tarfile.open(folder / f"{LANDSAT}.tar", "w") as archive:
        for path in (folder.parent / "taken").iterdir():
            archive.add(path, path.name)


def collection_1(folder):
    tif(folder / f"{OLD}_sr_band3.tif", ten_thousandths(GREEN), nodata=-9999)
    swir = ten_thousandths(SWIR)
    swir[:, 4:6] = 20_000  # saturated
    tif(folder / f"{OLD}_sr_band6.tif", swir, nodata=-9999)
    quality = np.full((ROWS, COLUMNS), 322, np.uint16)  # clear; bit 6 of Collection 1 is no cloud
    quality[:, :4] = 480  # cloud
    tif(folder / f"{OLD}_pixel_qa.tif", quality, nodata=1)
    return np.where(np.arange(COLUMNS) < 6, np.nan, NDSI)


def appeears(folder):
    for band, values in (("B03", GREEN), ("B11", SWIR), ("B06", GREEN)):
        tif(
            folder / f"HLSS30.020_{band}_doy2022182_aid0001_43N.tif", ten_thousandths(values),
            nodata=-9999, scales=(1e-4,),
        )  # fmt: skip
    tif(
        folder / "HLSS30.020_Fmask_doy2022182_aid0001_43N.tif",
        np.full((ROWS, COLUMNS), 80, np.uint8),
        nodata=255,
    )


def modis_with_its_quality_layers(folder):
    cover = np.rint(NDSI * 100).astype(np.uint8)
    cover[:, :3] = 250
    name = "MOD10A1.061_NDSI_Snow_Cover{}_doy2022182_aid0001.tif"
    tif(folder / name.format(""), cover, nodata=255)
    tif(folder / name.format("_Basic_QA"), np.zeros((ROWS, COLUMNS), np.uint8))
    tif(folder / name.format("_Algorithm_Flags_QA"), np.zeros((ROWS, COLUMNS), np.uint8))
    return np.where(np.arange(COLUMNS) < 3, np.nan, NDSI)


def zeros_undeclared(folder):
    green, swir = landsat(GREEN), landsat(SWIR)
    green[:, :5] = swir[:, :5] = 0
    tif(folder / f"{LANDSAT}_SR_B3.TIF", green)
    tif(folder / f"{LANDSAT}_SR_B6.TIF", swir)
    return np.where(np.arange(COLUMNS) < 5, np.nan, NDSI)


def an_item_with_common_names(folder):
    tif(folder / "B03.tif", ten_thousandths(GREEN, 1000, np.uint16))
    tif(folder / "B11.tif", ten_thousandths(SWIR, 1000, np.uint16))
    assets = {
        "B03": {"href": "https://example.com/B03.tif", "eo:bands": [{"common_name": "green"}]},
        "B11": {"href": "https://example.com/B11.tif?sig=x", "bands": [{"eo:common_name": "swir16"}]},
    }
    item(folder, assets, **{"s2:processing_baseline": "04.00"})


def an_item_with_the_keys_of_sentinel_2(folder):
    tif(folder / "a.tif", ten_thousandths(GREEN, 1000, np.uint16))
    tif(folder / "b.tif", ten_thousandths(SWIR, 1000, np.uint16))
    assets = {"B03": {"href": "a.tif"}, "B11": {"href": "b.tif"}, "B8A": {"href": "c.tif"}}
    item(folder, assets, **{"s2:processing_baseline": "04.00"})


def item(folder, assets, **properties):
    about = {"datetime": "2022-07-01T05:36:41Z", **properties}
    feature = {"type": "Feature", "stac_version": "1.1.0", "id": "a", "properties": about, "assets": assets}
    (folder / "item.json").write_text(json.dumps(feature))


def a_cube_in_degrees_without_a_mapping(folder):
    import pandas as pd
    import xarray as xr

    axes = {
        "time": pd.to_datetime(["2022-07-01", "2022-07-17"]),
        "lat": ("lat", 32 - 0.001 * np.arange(ROWS), {"units": "degrees_north"}),
        "lon": ("lon", 77 + 0.001 * np.arange(COLUMNS), {"units": "degreesE"}),
    }
    maps = {
        name: (("time", "lat", "lon"), np.stack([values, values]).astype(np.float32))
        for name, values in (("green", GREEN), ("swir16", SWIR))
    }
    xr.Dataset(maps, coords=axes).to_netcdf(folder / "cube.nc", engine="h5netcdf")


def one_band_south_up_and_names_that_people_give(folder):
    south = Affine(30, 0, 500_000, 0, 30, 4_000_000 - 30 * ROWS)
    tif(folder / "Gletscher ñ 氷河 2022-07-01 Green#1 %20.TIF", GREEN.astype(np.float32))
    tif(folder / "Gletscher ñ 氷河 2022-07-01 SWIR16#1 %20.TIFF", SWIR[::-1].astype(np.float32), south)
    (folder / "._Gletscher.tif").write_bytes(b"of another system")


def a_coarser_scene_classification(folder):
    floats(folder)
    classes = np.full((ROWS // 2, COLUMNS // 2), 11, np.uint8)
    classes[:, :2] = 9
    tif(folder / "20220701_SCL.tif", classes, NORTH * Affine.scale(2))
    return np.where(np.arange(COLUMNS) < 4, np.nan, NDSI)


def a_stack_whose_item_names_its_bands(folder):
    """STAC 1.1: one asset of two bands, each with a scale of its own."""
    tif(folder / "a.tif", np.stack([ten_thousandths(SWIR), np.rint((GREEN + 0.1) / 2e-4).astype(np.int16)]))
    bands = [
        {"name": "B11", "eo:common_name": "swir16", "raster:scale": 1e-4, "raster:offset": 0},
        {"name": "B03", "eo:common_name": "green", "raster:scale": 2e-4, "raster:offset": -0.1},
    ]
    item(folder, {"data": {"href": "./a.tif", "bands": bands}})


def a_described_stack_with_scales_in_an_old_item(folder):
    """STAC 1.0: ``raster:bands`` of a stack whose bands the file itself describes."""
    values = np.stack([np.rint((GREEN + 0.1) / 2e-4).astype(np.int16), ten_thousandths(SWIR)])
    tif(folder / "a.tif", values, descriptions=("green", "swir16"))
    bands = [{"scale": 2e-4, "offset": -0.1}, {"scale": 1e-4, "offset": 0}]
    item(folder, {"data": {"href": "./a.tif", "raster:bands": bands}})


def numbers_packed_as_cf_says(folder):
    said = {"scale_factor": "0.0001", "add_offset": "-0.1"}
    tif(folder / "20220701_green.tif", ten_thousandths(GREEN, 1000), band_tags=said)
    tif(folder / "20220701_swir16.tif", ten_thousandths(SWIR, 1000), tags=said)


def subsets_of_hls(folder):
    for band, values in (("B03", GREEN), ("B06", SWIR)):
        name = f"HLS.L30.T43RFP.2022182T053641.v2.0.{band}.subset.tif"
        tif(folder / name, ten_thousandths(values), nodata=-9999)
    clear = np.full((ROWS, COLUMNS), 80, np.uint8)
    tif(folder / "HLS.L30.T43RFP.2022182T053641.v2.0.Fmask.subset.tif", clear, nodata=255)


FORMS = [
    a_stack_whose_item_names_its_bands, a_described_stack_with_scales_in_an_old_item, subsets_of_hls,
    numbers_packed_as_cf_says,
    floats, landsat_in_small_letters, landsat_scaled_by_the_user, landsat_in_a_tar, collection_1, appeears,
    modis_with_its_quality_layers, zeros_undeclared, an_item_with_common_names,
    an_item_with_the_keys_of_sentinel_2, a_cube_in_degrees_without_a_mapping,
    one_band_south_up_and_names_that_people_give, a_coarser_scene_classification,
]  # fmt: skip


def read(folder, into, **options):
    scenes = scan_folder(folder, asset="ndsi", wanted=("green", "swir16", "ndsi"), into=into, **options)
    grid = common_grid(scenes)
    assert {f"{scene.time:%m-%d}" for scene in scenes} <= {"07-01", "07-17"}
    for scene in scenes:
        layers = SceneLayers(scene, grid)
        found = layers.read()
        layers.notes()
        if is_index(scene):
            yield found["index"]
        else:
            green, swir = found.values()
            yield (green - swir) / (green + swir)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_same_index_from_every_folder(tmp_path, form):
    folder = tmp_path / "in"
    folder.mkdir()
    wanted = form(folder)
    for found in read(folder, tmp_path / "out"):
        np.testing.assert_allclose(found, NDSI if wanted is None else wanted, atol=0.006)


def test_an_archive_alone_is_a_folder_of_scenes(tmp_path):
    (tmp_path / "in").mkdir()
    landsat_in_a_tar(tmp_path / "in")
    for found in read(tmp_path / "in" / f"{LANDSAT}.tar", tmp_path / "out"):
        np.testing.assert_allclose(found, NDSI, atol=0.001)
    lone = tif(tmp_path / "20220701_green.tif", GREEN.astype(np.float32))
    with pytest.raises(UsageError, match=r"20220701_green\.tif is no folder"):
        scan_folder(lone)


def test_scale_of_one_band_says_nothing_of_the_other(tmp_path):
    tif(tmp_path / "20220701_green.tif", ten_thousandths(GREEN), scales=(1e-4,))
    tif(tmp_path / "20220701_swir16.tif", ten_thousandths(SWIR))
    with pytest.raises(DataError, match=r"swir16\.tif holds int16 numbers and nothing says what they mean"):
        list(read(tmp_path, tmp_path / "out"))
    for found in read(tmp_path, tmp_path / "out", scale=1e-4):  # as the hint says
        np.testing.assert_allclose(found, NDSI, atol=0.001)


@pytest.mark.parametrize(
    ("name", "values", "hint", "scale", "offset"),
    [
        ("20220701_ndsi", np.rint(NDSI * 100).astype(np.uint8), "0.01 and 0", 0.01, 0.0),
        ("20220701_ndsi", ten_thousandths(NDSI), "0.0001 and 0", 1e-4, 0.0),
    ],
)
def test_a_scaled_index_is_asked_for_and_the_hint_works(tmp_path, name, values, hint, scale, offset):
    tif(tmp_path / f"{name}.tif", values)
    with pytest.raises(DataError, match="nothing says what they mean") as caught:
        list(read(tmp_path, tmp_path / "out"))
    assert hint in (caught.value.hint or "")
    for found in read(tmp_path, tmp_path / "out", scale=scale, offset=offset):
        np.testing.assert_allclose(found, NDSI, atol=0.006)


def test_level_1_is_asked_for_and_the_hint_works(tmp_path):
    name = LANDSAT.replace("L2SP", "L1TP")
    for band, values in (("B3", GREEN), ("B6", SWIR)):
        tif(tmp_path / f"{name}_{band}.TIF", np.rint((values + 0.1) / 2e-5).astype(np.uint16))
    with pytest.raises(DataError, match="is of Landsat Level-1") as caught:
        list(read(tmp_path, tmp_path / "out"))
    assert "2e-05 and -0.1" in (caught.value.hint or "")
    for found in read(tmp_path, tmp_path / "out", scale=2e-5, offset=-0.1):
        np.testing.assert_allclose(found, NDSI, atol=0.001)


def test_an_index_in_percent_as_floats_is_refused_and_the_hint_works(tmp_path):
    tif(tmp_path / "20220701_ndsi.tif", (NDSI * 100).astype(np.float32))
    with pytest.raises(DataError, match="which cannot be a share of one") as caught:
        list(read(tmp_path, tmp_path / "out"))
    assert "--scale 0.01" in (caught.value.hint or "")
    for found in read(tmp_path, tmp_path / "out", scale=0.01):
        np.testing.assert_allclose(found, NDSI, atol=1e-5)


@pytest.mark.parametrize("day", ["1-07-2022", "07.01.2022", "01072022", "183DOY2022"])
def test_a_date_in_another_order_is_not_taken_for_its_year(tmp_path, day):
    tif(tmp_path / f"green {day}.tif", GREEN.astype(np.float32))
    with pytest.raises(DataError, match="says nothing of its date"):
        scan_folder(tmp_path)
    assert parse_date("marmolada_2022").start.year == 2022


def test_files_placed_by_ground_control_points_are_to_be_warped(tmp_path):
    points = [GroundControlPoint(r, c, 5e5 + 30 * c, 4e6 - 30 * r) for r in (0, ROWS) for c in (0, COLUMNS)]
    with rasterio.open(
        tmp_path / "20220701_ndsi.tif", "w", driver="GTiff", height=ROWS, width=COLUMNS, count=1,
        dtype="float32", gcps=points, crs="EPSG:32643",
    ) as file:  # fmt: skip
        file.write(NDSI.astype(np.float32), 1)
    for georeferenced in (True, False):
        with pytest.raises(DataError, match="has no coordinate reference system") as caught:
            scan_folder(tmp_path, asset="ndsi", georeferenced=georeferenced)
        assert "ground control points only: warp it first" in (caught.value.hint or "")


def test_layers_about_a_band_are_not_that_band(tmp_path):
    tif(tmp_path / "MOD10A1.061_NDSI_Snow_Cover_Basic_QA_doy2022182_aid0001.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match="is a band or an index that is known"):
        scan_folder(tmp_path, asset="ndsi")


def test_only_clear_pixels_tell_of_another_product(tmp_path):
    tif(tmp_path / f"{LANDSAT}_SR_B3.TIF", np.full((8, 8), 100, np.uint16))
    tif(tmp_path / f"{LANDSAT}_SR_B6.TIF", np.full((8, 8), 100, np.uint16))
    with pytest.raises(DataError, match="half of the reflectances lie below"):
        list(read(tmp_path, tmp_path / "out"))
    tif(tmp_path / f"{LANDSAT}_QA_PIXEL.TIF", np.full((8, 8), 8, np.uint16))
    for found in read(tmp_path, tmp_path / "out"):
        assert np.isnan(found).all()  # all of it is cloud
