"""Reflectance, quality layers and NDSI against published bit tables and worked numbers."""

import numpy as np
import pytest

from icectl.errors import DataError
from icectl.imagery import indices, qa
from icectl.sources.stated import sentinel2_offset


def numbers(*values):
    return np.array(values, dtype=np.uint16)


@pytest.mark.parametrize(
    ("baseline", "applied", "expected"),
    [("04.00", False, -0.1), ("05.09", False, -0.1), ("03.01", False, 0.0), ("05.09", True, 0.0)],
)
def test_sentinel2_offset_depends_on_the_baseline(baseline, applied, expected):
    assert sentinel2_offset(baseline, applied) == expected


def test_a_baseline_that_is_none_is_refused():
    with pytest.raises(DataError, match="'new' is no Sentinel-2 processing baseline"):
        sentinel2_offset("new")


def test_the_offset_does_not_cancel_in_the_index():
    dn = (np.array([0.6, 0.1]) + 0.2) / 2.75e-5
    green, swir = np.rint(dn) * 2.75e-5 - 0.2
    assert indices.ndsi(np.array([green]), np.array([swir])) == pytest.approx(0.714, abs=1e-3)
    assert (dn[0] - dn[1]) / dn.sum() == pytest.approx(0.455, abs=1e-3)


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        (322, True),  # clear land of Collection 1
        (336, True),  # snow
        (480, False),  # cloud
        (328, False),  # cloud shadow
        (834, False),  # cirrus, high confidence
        (1, False),  # fill
    ],
)
def test_pixel_qa_values_of_collection_1(value, usable):
    assert qa.landsat_c1(numbers(value))[0] == usable


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        (21824, True),  # clear land, all confidences low (the commonest value of Landsat 8)
        (21952, True),  # water
        (30048, True),  # snow, high snow confidence
        (22280, False),  # cloud, high confidence
        (23888, False),  # cloud shadow
        (54596, False),  # cirrus
        (22018, False),  # dilated cloud
        (1, False),  # fill
    ],
)
def test_qa_pixel_values_of_the_product_guide(value, usable):
    assert qa.landsat(numbers(value))[0] == usable


def test_masked_and_nan_quality_is_never_usable():
    assert not qa.landsat(np.ma.masked_array(numbers(21824), mask=[True]))[0]
    assert not qa.fmask(np.array([np.nan]))[0]


def test_fmask_and_scl_keep_snow():
    assert np.flatnonzero(qa.fmask(np.array([0, 1, 2, 3, 4, 255, -9999, 7]))).tolist() == [0, 1, 3]
    assert np.flatnonzero(qa.scl(np.arange(12))).tolist() == [2, 4, 5, 6, 7, 11]


def test_aerosol_bits():
    # 224 = high aerosol, valid; 96 low; 1 fill
    assert qa.low_aerosol(np.array([224, 96, 1])).tolist() == [False, True, False]


def test_ndsi_masks_dark_pixels_and_stays_in_range():
    green = np.array([0.0, -0.01, 0.3, np.nan], dtype=np.float32)
    swir = np.array([0.0, -0.02, -0.05, 0.2], dtype=np.float32)
    result = indices.ndsi(green, swir)
    assert np.isnan(result).tolist() == [True, True, False, True]
    assert result[2] == 1


def test_ndsi_reads_masked_arrays():
    green = np.ma.masked_array(np.float32([0.6, 0.6]), mask=[False, True])
    assert np.isnan(indices.ndsi(green, np.float32([0.1, 0.1]))).tolist() == [False, True]


def test_snow_mask_keeps_values_from_the_threshold_on():
    values = np.float32([0.29, 0.3, 0.9, np.nan])
    np.testing.assert_array_equal(indices.snow_mask(values), np.float32([0, 0.3, 0.9, np.nan]))


def test_keep_leaves_the_input_alone():
    image = np.ones((1, 2), np.float32)
    kept = qa.keep(image, np.array([[True, False]]))
    assert np.isnan(kept).tolist() == [[False, True]]
    assert image.tolist() == [[1, 1]]


@pytest.mark.realdata
def test_greenland_is_snow_with_scale_and_offset(shared_data):
    import rasterio

    folder = shared_data / "landsat_c2l2" / "greenland_20150710"
    files = {b: next(folder.glob(f"*SR_B{b}*")) for b in (3, 6)}
    bands = []
    for file in files.values():
        with rasterio.open(file) as src:
            bands.append(src.read(1))
    index = indices.ndsi(*(np.where(b == 0, np.nan, b * 2.75e-5 - 0.2).astype(np.float32) for b in bands))
    valid = ~np.isnan(index)
    assert (index[valid] >= 0.3).mean() >= 0.999
    raw = [b[valid].astype(float) for b in bands]
    assert ((raw[0] - raw[1]) / (raw[0] + raw[1]) >= 0.3).mean() == pytest.approx(0.896, abs=0.002)
