"""Filters against SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from icectl.errors import UsageError
from icectl.imagery.filters import high_pass, local_mean, wallis


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(50, 10, (40, 50)).astype(np.float32)


def test_local_mean_and_high_pass_equal_scipy(image):
    expected = ndimage.uniform_filter(image.astype(np.float64), 5)
    inner = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(local_mean(image, 5)[inner], expected[inner], rtol=1e-5)
    np.testing.assert_allclose(high_pass(image, 5)[inner], (image - expected)[inner], atol=1e-3)


def test_wallis_has_local_mean_zero_and_deviation_one(image):
    mean = ndimage.generic_filter(image.astype(np.float64), np.mean, 7)
    deviation = ndimage.generic_filter(image.astype(np.float64), np.std, 7)
    inner = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(wallis(image, 7)[inner], ((image - mean) / deviation)[inner], atol=1e-3)


@pytest.mark.parametrize("filtered", [high_pass, wallis])
def test_a_plane_level_leaves_nothing_even_at_borders_and_gaps(filtered):
    flat = np.full((20, 20), 1234.5, np.float32)
    flat[5:8, 5:8] = np.nan
    result = filtered(flat, 5)
    assert np.isfinite(result).all()
    assert np.abs(result).max() < 1e-2


def test_invalid_pixels_do_not_leak(image):
    valid = np.ones(image.shape, dtype=bool)
    valid[:, 20:] = False
    other = image.copy()
    other[:, 20:] = 1e6
    for filtered in (high_pass, wallis):
        np.testing.assert_array_equal(filtered(image, 5, valid), filtered(other, 5, valid))


def test_wrong_use(image):
    with pytest.raises(UsageError, match="width 4"):
        high_pass(image, 4)
    with pytest.raises(UsageError, match="one band"):
        wallis(np.zeros((3, 3, 3)))
