"""Layers of snow as archives and Earth Engine name them: the one that is meant, its dates, its codes."""

from __future__ import annotations

import numpy as np
import pytest
from writing import tif

from icectl.tasks.snow.dataset import open_dataset

SIZE = 32
GREEN, SWIR = np.meshgrid(np.linspace(0.2, 0.9, SIZE), np.linspace(0.05, 0.6, SIZE))
INDEX = (GREEN - SWIR) / (GREEN + SWIR)
DAYS = ("20220701", "20220717")
FLAGS = ("--cadence", "scenes", "--align", "none", "--no-fill")
PERCENT = np.rint(np.clip(INDEX, 0, 1) * 100).astype(np.uint8)
PERCENT[:4] = 205  # cloud
CLOUDY = np.arange(SIZE)[:, None] < 4
OTHER = np.full((SIZE, SIZE), 50, np.uint8)
QA = np.where(CLOUDY, 22280, 21824) + np.zeros((SIZE, SIZE), np.uint16)


@pytest.fixture
def prepared(icectl, tmp_path):
    """Prepare the folder ``in``; return what was said, and the series of masks if there is one."""

    def call(*flags, ok=True):
        where = ("--scenes", str(tmp_path / "in"), "--workspace", str(tmp_path / "ws"))
        made = icectl("prepare", "convlstm", *where, *FLAGS, *flags, ok=ok)
        said = " ".join(made.err.split())
        return said, open_dataset(next((tmp_path / "ws").glob("glaciers/*/prepared/*"))) if ok else None

    return call


def same(cube, index=INDEX, missing=CLOUDY):
    assert [f"{day:%Y%m%d}" for day in cube.times] == list(DAYS)
    known = (np.abs(INDEX - 0.3) > 0.012) & ~missing
    for mask in cube.read(slice(None)):
        np.testing.assert_array_equal(np.isnan(mask), np.broadcast_to(missing, mask.shape))
        np.testing.assert_allclose(mask[known], np.where(index < 0.3, 0, index)[known], atol=0.01)


def stored(values):
    return np.rint((values + 0.2) / 2.75e-5).astype(np.uint16)


def copernicus(folder):
    for day in DAYS:
        stem = f"FSC_{day}T103629_S2A_T32TLS_V100_1"
        layers = {"FSCTOC": PERCENT, "FSCOG": OTHER, "NDSI": OTHER, "QCFLAGS": OTHER, "CLD": OTHER}
        for layer, values in layers.items():
            tif(folder / stem / f"{stem}_{layer}.tif", values, nodata=255)


def filled(folder):
    for day in DAYS:
        for layer, values in {"GF": PERCENT, "AT": OTHER, "QC": OTHER}.items():
            tif(folder / f"GFSC_{day}-007_S1-S2_T32TLS_V101_1683_{layer}.tif", values)


def bands_of_earth_engine(folder):
    for day in DAYS:
        layers = {"SR_B3": stored(GREEN), "SR_B6": stored(SWIR), "ST_B10": stored(SWIR), "QA_PIXEL": QA}
        for layer, values in layers.items():
            tif(folder / f"LC08_147038_{day}_{layer}.tif", values)


def collection_as_one_image(folder):
    layers = {"SR_B3": stored(GREEN), "SR_B6": stored(SWIR), "QA_PIXEL": QA}
    names = [f"LC09_147038_{day}_{layer}" for day in DAYS for layer in layers]
    tif(folder / "export.tif", np.stack([*layers.values()] * 2), descriptions=names)


def modis_as_one_image(folder):
    names = [f"{day[:4]}_{day[4:6]}_{day[6:]}_NDSI_Snow_Cover" for day in DAYS]
    tif(folder / "MOD10A1.tif", np.stack([PERCENT] * 2), descriptions=names)


def modis_of_appeears(folder):
    for day in ("2022182", "2022198"):
        stem = f"MOD10A1.061_{{}}_doy{day}_aid0001.tif"
        tif(folder / stem.format("NDSI_Snow_Cover"), PERCENT)
        tif(folder / stem.format("NDSI"), np.rint(INDEX * 5000).astype(np.int16))


def uncertainty_beside(folder):
    for day in DAYS:
        tif(folder / f"{day}_scfv.tif", PERCENT, units=("%",))
        tif(folder / f"{day}_scfv_unc.tif", OTHER)


def percent_by_its_unit(folder):
    for day in DAYS:
        tif(folder / f"ndsi_{day}.tif", PERCENT, units=("%",))


FORMS = (
    copernicus, filled, bands_of_earth_engine, collection_as_one_image, modis_as_one_image,
    modis_of_appeears, percent_by_its_unit, uncertainty_beside,
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_layer_that_is_meant(prepared, tmp_path, form):
    form(tmp_path / "in")
    said, cube = prepared()
    same(cube)
    assert ("layers of snow are left out" in said) is (form in (copernicus, modis_of_appeears))
    assert "seems to tell clouds" not in said


def test_a_scale_that_is_given_goes_before_a_unit(prepared, tmp_path):
    percent_by_its_unit(tmp_path / "in")
    same(prepared("--scale", "0.01")[1])


def test_fractions_before_an_index_beside_them(prepared, tmp_path):
    for day in DAYS:
        tif(tmp_path / "in" / f"{day}_fsc.tif", PERCENT)
        tif(tmp_path / "in" / f"{day}_NDSI.tif", OTHER)
    said, cube = prepared("--scale", "0.01")
    same(cube)
    assert f"2 layers of snow are left out ({DAYS[0]}_NDSI.tif …)" in said


@pytest.mark.parametrize("numbers", [("B3", "B6", "B10", "B11"), ("B3", "B6", "B11", "B12")])
def test_a_thermal_band_is_no_short_wave_infrared(prepared, tmp_path, numbers):
    """Landsat's B11 was Sentinel-2's; of B12 there is one alone."""
    landsat = "B10" in numbers
    warm = np.full((SIZE, SIZE), 270.0)
    bands = (GREEN, SWIR, warm, warm) if landsat else (GREEN, warm, SWIR, warm)
    for day in DAYS:
        name = f"{'LC08_147038' if day == DAYS[0] and landsat else 'any'}_{day}.tif"
        tif(tmp_path / "in" / name, np.stack(bands).astype(np.float32), descriptions=numbers)
    same(prepared()[1], missing=np.zeros((SIZE, SIZE), bool))


@pytest.mark.parametrize("word", ["NDVI", "NDWI", "snow_depth", "vx", "albedo"])
def test_another_quantity_is_no_index(prepared, tmp_path, word):
    for number, day in enumerate(DAYS):
        named = {"descriptions": (word,)} if number else {}
        tif(tmp_path / "in" / f"a_{day}{'' if number else f'_{word}'}.tif", INDEX.astype(np.float32), **named)
    said, _ = prepared(ok=False)
    assert "is a band or an index that is known" in said


@pytest.mark.parametrize("whole", [True, False])
def test_a_margin_of_zero_is_missing_in_an_index_and_bare_ground_in_a_mask(prepared, tmp_path, whole):
    wedge = np.add.outer(np.arange(SIZE), 2 * np.arange(SIZE)) < 25
    index = INDEX if whole else np.where(INDEX < 0.3, 0, INDEX)
    for day in DAYS:
        tif(tmp_path / "in" / f"ndsi_{day}.tif", np.where(wedge, 0, index).astype(np.float32))
    said, cube = prepared()
    if whole:
        same(cube, missing=wedge)
        assert "patches of exactly 0" in said
    else:
        same(cube, np.where(wedge, 0, INDEX), wedge & False)


def test_gaps_of_uneven_scenes_are_filled_by_their_dates(icectl, tmp_path):
    """They were counted as equally far apart."""
    for day, value in (("20220101", 0.4), ("20220111", np.nan), ("20220410", 0.8)):
        index = np.full((SIZE, SIZE), 0.5, np.float32)
        index[0, 0] = value
        tif(tmp_path / "in" / f"ndsi_{day}.tif", index)
    where = ("--scenes", str(tmp_path / "in"), "--workspace", str(tmp_path / "ws"))
    icectl("prepare", "convlstm", *where, *FLAGS)
    cube = open_dataset(next((tmp_path / "ws").glob("glaciers/*/prepared/*")))
    assert cube.read(slice(None))[1, 0, 0] == pytest.approx(0.4 + 0.4 * 10 / 99, abs=1e-6)


def test_scenes_that_share_little_ground_are_said(prepared, tmp_path):
    """The smallest decided without a word."""
    for size, day in zip((SIZE, 8), DAYS, strict=True):
        tif(tmp_path / "in" / f"ndsi_{day}.tif", INDEX[:size, :size].astype(np.float32))
    said, cube = prepared()
    assert cube.shape == (2, 8, 8)
    assert "the 2 scenes have 8 × 8 pixels in common, of up to 32 × 32" in said
