"""Gap filling against the loop over pixels that the definition describes."""

import numpy as np
import pytest
from scipy import ndimage

from icectl.imagery.gap_rows import fill_rows
from icectl.imagery.gaps import fill_gaps

KERNEL = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1])


def naive(image):
    """The definition, one pixel at a time."""
    result = image.astype(np.float64)
    while np.isnan(result).any():
        padded = np.pad(result, 2, constant_values=np.nan)
        for row, column in np.argwhere(np.isnan(result)):
            window = padded[row : row + 5, column : column + 5]
            weights = np.where(np.isnan(window), 0, KERNEL)
            if weights.sum() > 0:
                result[row, column] = (np.nan_to_num(window) * weights).sum() / weights.sum()
    return result


def scene(seed, shape=(60, 70), scale=1.0):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 3)
    return (scale * (0.5 + smooth)).astype(np.float32), rng


def holed(kind, seed=0, scale=1.0):
    image, rng = scene(seed, scale=scale)
    gap = np.zeros(image.shape, bool)
    if kind == "scattered":
        gap = rng.random(image.shape) < 0.2
    elif kind == "scan lines":
        gap[::6] = gap[1::6] = True
    elif kind == "deep hole":
        gap[10:50, 5:60] = True
    elif kind == "corner":
        gap[:30, :40] = True
    elif kind == "one valid":
        gap[:] = True
        gap[59, 0] = False
    image[gap] = np.nan
    return image, gap


KINDS = ("scattered", "scan lines", "deep hole", "corner", "one valid")


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_loop(kind):
    image, gap = holed(kind)
    filled, made_up = fill_gaps(image)
    np.testing.assert_allclose(filled, naive(image), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(made_up, gap)
    np.testing.assert_array_equal(filled[~gap], image[~gap])


def test_stored_numbers_keep_their_digits():
    image, _ = holed("scattered", scale=10000.0)
    np.testing.assert_allclose(fill_gaps(image)[0], naive(image), rtol=1e-6)


def test_tall_images_are_filled_without_seams():
    rng = np.random.default_rng(4)
    image = rng.random((530, 12)).astype(np.float32)  # more than two of the strips worked through
    image[rng.random(image.shape) < 0.5] = np.nan
    np.testing.assert_allclose(fill_gaps(image)[0], naive(image), atol=1e-6)


def test_a_frame_without_a_valid_pixel_stays_missing():
    filled, made_up = fill_gaps(np.full((8, 9), np.nan, np.float32))
    assert np.isnan(filled).all()
    assert not made_up.any()


def test_a_frame_without_a_gap_is_returned_as_a_copy():
    image, _ = scene(3)
    filled, made_up = fill_gaps(image)
    np.testing.assert_array_equal(filled, image)
    assert filled is not image
    assert not made_up.any()


def test_masked_arrays_and_small_images():
    image = np.ma.masked_array([[1.0, 9.0, 3.0]], mask=[[False, True, False]])
    filled, made_up = fill_gaps(image)
    assert filled.tolist() == [[1.0, 2.0, 3.0]]
    assert made_up.tolist() == [[False, True, False]]


@pytest.mark.realdata
def test_parvati_with_holes_is_filled_closely(shared_data):
    import rasterio

    with rasterio.open(sorted((shared_data / "parvati").glob("*.tif"))[0]) as src:
        truth = src.read(1)
    gap = np.random.default_rng(0).random(truth.shape) < 0.2
    filled, _ = fill_gaps(np.where(gap, np.nan, truth))
    nearest = np.abs(filled - truth)[gap].mean()
    constant = np.abs(np.nanmean(truth) - truth)[gap].mean()
    assert nearest < 0.35 * constant


@pytest.mark.parametrize("rows", [2, 6, 25, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_strips_give_what_the_whole_gives(kind, rows):
    image, _ = holed(kind)
    whole, kept = fill_gaps(image)[0], image.copy()

    def write(part, values):
        kept[part] = values

    strips = [slice(top, min(top + rows, len(image))) for top in range(0, len(image), rows)]
    fill_rows(lambda part: kept[part].copy(), write, strips)
    np.testing.assert_array_equal(kept, whole)


def test_strips_without_a_valid_pixel_come_to_an_end():
    image = np.full((20, 9), np.nan, np.float32)
    fill_rows(lambda part: image[part].copy(), lambda part, values: None, [slice(0, 10), slice(10, 20)])
    assert np.isnan(image).all()
