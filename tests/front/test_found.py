"""Folders of images as people have them: scenes as archives deliver them, in folders of their own or not."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
import rasterio

from icectl.errors import DataError
from icectl.tasks.front.files.pairs import find_pairs

LANDSAT = "LC08_L1TP_233013_20190807_20200827_02_T1"


def write(path, value=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = "JP2OpenJPEG" if path.suffix == ".jp2" else "GTiff"
    profile = {"driver": driver, "width": 32, "height": 24, "count": 1, "dtype": "uint8"}
    where = {"crs": "EPSG:32624", "transform": rasterio.Affine(30, 0, 5e5, 0, -30, 7.4e6)}
    with rasterio.open(path, "w", **profile, **where) as file:
        file.write(np.full((1, 24, 32), value, np.uint8))


def names(folder, **more):
    return [pair.image.name for pair in find_pairs(folder, **more)]


@pytest.mark.parametrize("below", ["", LANDSAT])
def test_one_band_of_a_delivered_scene_is_its_image(tmp_path, below):
    for layer in ("B4", "B5", "B8", "QA_PIXEL", "thumb_small"):
        write(tmp_path / below / f"{LANDSAT}_{layer}.TIF")
    (tmp_path / below / f"{LANDSAT}_MTL.txt").write_text("GROUP = L1")
    assert names(tmp_path) == [f"{LANDSAT}_B5.TIF"]
    assert names(tmp_path, asset="red") == [f"{LANDSAT}_B4.TIF"]
    assert find_pairs(tmp_path)[0].facts["sensor"] == "LC08"
    with pytest.raises(DataError, match="has no band 'hh', but nir08, pan, qa_pixel, red") as raised:
        find_pairs(tmp_path, asset="hh")
    assert raised.value.hint == "name one of them with --asset"


def test_a_scene_of_one_file_is_taken_whatever_its_band(tmp_path):
    write(tmp_path / f"{LANDSAT}_B8.TIF")
    write(tmp_path / "Kong-Oscar_LT05_L1TP_1985-07-09_019-007_T1_B4.tif")
    assert names(tmp_path) == ["Kong-Oscar_LT05_L1TP_1985-07-09_019-007_T1_B4.tif", f"{LANDSAT}_B8.TIF"]


def test_sentinel_2_folders_give_their_near_infrared_at_the_finer_pixel(tmp_path):
    data = tmp_path / "S2A_MSIL2A_20200701T1.SAFE" / "GRANULE" / "L2A_T24WWU" / "IMG_DATA"
    for layer in ("B04_10m", "B8A_20m", "B8A_60m", "SCL_20m"):
        write(data / f"R{layer[-3:]}" / f"T24WWU_20200701T143759_{layer}.jp2")
    write(tmp_path / "S2A_MSIL2A_20200701T1.SAFE" / "S2A-ql.jp2")
    write(data.parent / "QI_DATA" / "MSK_CLDPRB_20m.jp2")
    assert names(tmp_path) == ["T24WWU_20200701T143759_B8A_20m.jp2"]
    assert names(tmp_path / "S2A_MSIL2A_20200701T1.SAFE", asset="red") == [
        "T24WWU_20200701T143759_B04_10m.jp2"
    ]


def test_an_archive_is_unfolded(tmp_path):
    for layer in ("B4", "B5"):
        write(tmp_path / "in" / f"{LANDSAT}_{layer}.TIF", 7)
    (tmp_path / "mine").mkdir()
    with tarfile.open(tmp_path / "mine" / f"{LANDSAT}.tar", "w") as archive:
        for path in (tmp_path / "in").iterdir():
            archive.add(path, path.name)
    (found,) = find_pairs(tmp_path / "mine", into=tmp_path / "out")
    assert found.image.name == f"{LANDSAT}_B5.TIF"
    with rasterio.open(found.image) as file:
        assert file.read(1).mean() == 7
