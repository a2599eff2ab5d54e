"""Sentinel-2 as it is delivered: bands of 10 and 20 m, and Level-1C, through the command line."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from terminal import terminal
from writing import tif

from icectl.sources.catalogue import read_catalogue
from icectl.sources.stated import above_the_atmosphere
from icectl.tasks.flow.chips.frames import _bands, _scales_differ, grid_of
from icectl.tasks.flow.options import PrepareOptions
from icectl.tasks.snow.dataset import open_dataset

SIZE = 24
COARSE = Affine(20, 0, 500_000, 0, -20, 4_000_000)
FINE = COARSE * Affine.scale(0.5)
GREEN, SWIR = np.meshgrid(np.linspace(0.2, 0.9, SIZE), np.linspace(0.05, 0.5, SIZE))
INDEX = (GREEN - SWIR) / (GREEN + SWIR)
DAYS = ("20220701", "20220717")
FLAGS = ("--cadence", "scenes", "--align", "none", "--no-fill")
METADATA = """<n1:Level-{level}_User_Product xmlns:n1="https://psd.esa.int/"><{q}>{quantification}</{q}>
<list><{o} band_id="2">{offset}</{o}><{o} band_id="11">{offset}</{o}></list>
</n1:Level-{level}_User_Product>"""


@pytest.fixture
def icectl(monkeypatch, capfd):
    return terminal(monkeypatch, capfd)


def checkered(values):
    """Return pixels of half the side whose mean over each four is `values`."""
    fine = np.kron(values, np.ones((2, 2)))
    fine[::2, ::2] += 0.1
    fine[1::2, 1::2] -= 0.1
    return fine


def stored(values, scale=1e-4, offset=-0.1):
    return np.rint((values - offset) / scale).astype(np.uint16)


def series(icectl, tmp_path, *flags, folder="in"):
    words = ("--scenes", str(tmp_path / folder), *FLAGS, *flags, "--workspace", str(tmp_path / "ws"))
    told = icectl("prepare", "convlstm", *words)
    (made,) = (tmp_path / "ws").glob("glaciers/*/prepared/*")
    return open_dataset(made).read(slice(None)), told


def same_snow(mask, missing=0):
    clear = np.abs(INDEX - 0.3) > 0.005
    wanted = np.where(INDEX < 0.3, 0, INDEX)
    np.testing.assert_allclose(
        mask[:, missing:][clear[:, missing:]], wanted[:, missing:][clear[:, missing:]], atol=4e-3
    )
    assert np.isnan(mask[:, :missing]).all()


def two_sizes(folder, shift=0.0):
    """Write B03 of 10 m, B11 of 20 m, and SCL of 20 m that is cloud in the first six columns."""
    classes = np.full((SIZE, SIZE), 11, np.uint8)
    classes[:, :6] = 9
    for day in DAYS:
        tif(folder / f"{day}_green.tif", checkered(GREEN).astype(np.float32), FINE)
        tif(folder / f"{day}_swir16.tif", SWIR.astype(np.float32), Affine.translation(shift, 0) * COARSE)
        tif(folder / f"{day}_scl.tif", classes, COARSE)


def test_bands_of_two_pixel_sizes_are_read_on_the_coarser_grid(icectl, tmp_path):
    two_sizes(tmp_path / "in")
    masks, told = series(icectl, tmp_path)
    for mask in masks:
        same_snow(mask, 6)
    said = " ".join((told.out + told.err).split())
    assert "green of 10 m is averaged onto the pixels of swir16 of 20 m" in said


def refusal(icectl, tmp_path, *more):
    """What is said of scenes in ``in`` that are not prepared."""
    words = ("--scenes", str(tmp_path / "in"), *FLAGS, "--workspace", str(tmp_path / "no"), *more)
    refused = icectl("prepare", "convlstm", *words, ok=False)
    assert refused.code != 0
    return " ".join(refused.err.split())


def test_bands_of_two_pixel_sizes_over_other_ground_are_refused(icectl, tmp_path):
    two_sizes(tmp_path / "in", shift=480)
    said = refusal(icectl, tmp_path)
    assert "20220701_green.tif" in said
    assert "20220701_swir16.tif" in said
    assert "do not cover the same ground" in said


def safe(folder, level, layers, baseline="0509", offset=-1000, metadata=True):
    """Write SAFE folders of both days; `layers` are names below IMG_DATA, with their values and grids."""
    for day in DAYS:
        stem = f"S2A_MSIL{level}_{day}T053641_N{baseline}_R005_T43RFP_{day}T093000.SAFE"
        place = folder / stem / "GRANULE" / f"L{level}_T43RFP_A036_{day}T053652" / "IMG_DATA"
        for name, values, transform in layers:
            path = place / name.format(f"T43RFP_{day}T053641")
            about = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "YCBCR420": "NO"}
            tif(path, values, transform, **about)
        tif(folder / stem / "preview-ql.jpg", np.zeros((16, 16), np.uint8), crs=None, driver="JPEG")
        tif(
            place.parent / "QI_DATA" / "MSK_CLDPRB_20m.jp2",
            np.zeros((16, 16), np.uint8),
            driver="JP2OpenJPEG",
        )
        if metadata:
            named = ("QUANTIFICATION_VALUE", "RADIO_ADD_OFFSET")
            q, o = named if level == "1C" else ("BOA_QUANTIFICATION_VALUE", "BOA_ADD_OFFSET")
            text = METADATA.format(level=level, q=q, o=o, quantification=10_000, offset=offset)
            (folder / stem / f"MTD_MSIL{level}.xml").write_text(text)


def test_a_safe_folder_with_other_sizes_of_each_band(icectl, tmp_path):
    """Green at 10 and 60 m, short-wave infrared at 20 m alone."""
    layers = [
        ("R10m/{}_B03_10m.jp2", stored(checkered(GREEN)), FINE),
        ("R60m/{}_B03_60m.jp2", stored(np.full((SIZE // 3, SIZE // 3), 0.5)), COARSE * Affine.scale(3)),
        ("R20m/{}_B11_20m.jp2", stored(SWIR), COARSE),
        ("R20m/{}_SCL_20m.jp2", np.full((SIZE, SIZE), 11, np.uint8), COARSE),
    ]
    safe(tmp_path / "in", "2A", layers)
    masks, _ = series(icectl, tmp_path)
    assert masks.shape == (2, SIZE, SIZE)
    for mask in masks:
        same_snow(mask)


def test_the_metadata_of_a_product_win_over_its_name(icectl, tmp_path):
    layers = [
        ("R20m/{}_B03_20m.jp2", stored(GREEN, offset=0.0), COARSE),
        ("R20m/{}_B11_20m.jp2", stored(SWIR, offset=0.0), COARSE),
    ]
    safe(tmp_path / "in", "2A", layers, offset=0)
    for mask in series(icectl, tmp_path)[0]:
        same_snow(mask)


LEVEL_1 = [("{}_B03.jp2", stored(checkered(GREEN)), FINE), ("{}_B11.jp2", stored(SWIR), COARSE)]


def test_level_1c_is_no_surface_reflectance_and_the_hint_works(icectl, tmp_path):
    safe(tmp_path / "in", "1C", LEVEL_1)
    said = refusal(icectl, tmp_path)
    assert "T43RFP_20220701T053641_B03.jp2" in said
    assert "reflectance at the top of the atmosphere" in said
    assert "--scale 0.0001 --offset -0.1" in said
    other = refusal(icectl, tmp_path, "--scale", "0.0001")
    assert "is stored with scale 0.0001 and offset -0.1" in other
    masks, _ = series(icectl, tmp_path, "--scale", "0.0001", "--offset", "-0.1")
    for mask in masks:
        same_snow(mask)


def test_level_1c_in_another_folder_is_no_surface_reflectance_either(icectl, tmp_path):
    for day in DAYS:
        place = tmp_path / "in" / f"S2A_MSIL1C_{day}T053641_N0400_R005_T43RFP_{day}T093000"
        for band, values in (("B03", GREEN), ("B11", SWIR)):
            tif(place / f"T43RFP_{day}T053641_{band}.tif", stored(values), COARSE)
    assert "reflectance at the top of the atmosphere" in refusal(icectl, tmp_path)


@pytest.mark.parametrize(
    "item",
    [
        {"collection": "sentinel-2-l1c"},
        {"properties": {"s2:product_type": "S2MSI1C"}},
        {"properties": {"product:type": "S2MSI1C"}},
    ],
)
def test_items_of_level_1c_say_so(item):
    assert above_the_atmosphere(item)
    assert not above_the_atmosphere({"collection": "sentinel-2-c1-l2a", "properties": {}})


def test_frames_of_level_1c_are_read_with_their_scale(icectl, tmp_path):
    """The first day is of baseline 03.01 without an offset, the second of 05.09 with −1000."""
    rng = np.random.default_rng(0)
    ground = rng.uniform(0.2, 0.9, (96, 96))
    outside = np.arange(96) < 5
    for day, baseline, offset in ((DAYS[0], "0301", 0.0), (DAYS[1], "0509", -0.1)):
        stem = f"S2A_MSIL1C_{day}T053641_N{baseline}_R005_T43RFP_{day}T093000.SAFE"
        place = tmp_path / "in" / stem / "GRANULE" / f"L1C_T43RFP_A036_{day}T053652" / "IMG_DATA"
        about = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "YCBCR420": "NO"}
        tif(
            place / f"T43RFP_{day}T053641_B8A.jp2",
            np.where(outside, np.uint16(0), stored(ground, offset=offset)),
            COARSE,
            **about,
        )
        text = METADATA.format(
            level="1C", q="QUANTIFICATION_VALUE", o="RADIO_ADD_OFFSET", quantification=10_000, offset=-1000
        )
        if offset:
            (tmp_path / "in" / stem / "MTD_MSIL1C.xml").write_text(text.replace('band_id="2"', 'band_id="8"'))
        tif(tmp_path / "in" / stem / "preview-ql.jpg", np.zeros((16, 16), np.uint8), crs=None, driver="JPEG")
    words = ("--scenes", str(tmp_path / "in"), "--no-cloud-guess", "--workspace", str(tmp_path / "ws"))
    icectl("fetch", "svg", *words[:2], *words[3:])
    scenes = read_catalogue(next((tmp_path / "ws").rglob("items.json")).parent)
    grid = grid_of(scenes[0], PrepareOptions())
    for scene in scenes:
        values, valid = _bands(scene, grid, _scales_differ(scenes))
        np.testing.assert_array_equal(valid, np.broadcast_to(~outside, valid.shape))  # 0 is no data
        np.testing.assert_allclose(values[0][valid], ground[valid], atol=1e-4)
