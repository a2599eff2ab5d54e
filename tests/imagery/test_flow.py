"""Optical flow recovers a known shift, also on values within [0, 1]."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from icectl.errors import DataError, UsageError
from icectl.imagery import flow

SHIFT = (2.5, -1.25)


def pair(size=400):
    rng = np.random.default_rng(0)
    big = sum(ndimage.gaussian_filter(rng.normal(size=(size + 40, size + 40)), s) * s for s in (1.5, 4, 10))
    big = (big - big.min()) / np.ptp(big)
    second = ndimage.shift(big, (SHIFT[1], SHIFT[0]), order=5)
    cut = slice(20, -20)
    return big[cut, cut].astype(np.float32), second[cut, cut].astype(np.float32)


def error(result, margin=20):
    inner = result[margin:-margin, margin:-margin]
    return float(np.hypot(inner[..., 0] - SHIFT[0], inner[..., 1] - SHIFT[1]).mean())


def test_a_known_shift_is_recovered_on_values_within_one():
    first, second = pair()
    assert error(flow.optical_flow(first, second)) <= 0.06


def test_why_frames_are_scaled_first():
    """OpenCV itself returns no motion on the unscaled frames; if that changes, this says so."""
    first, second = pair()
    unscaled = cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 6, 13, 10, 5, 1.1, 0)
    assert error(unscaled) > 0.9 * np.hypot(*SHIFT)


def test_missing_pixels_have_no_flow():
    first, second = pair(100)
    first[10:20, 10:20] = np.nan
    result = flow.optical_flow(first, second)
    assert np.isnan(result[10:20, 10:20]).all()
    assert not np.isnan(result[30:, 30:]).any()


def test_bytes_share_one_range():
    a, b = flow.to_bytes(np.float32([[0.0, 0.5]]), np.float32([[1.0, np.nan]]))
    assert a.tolist() == [[0, 128]]
    assert b.tolist() == [[255, 0]]
    fixed = flow.to_bytes(np.float32([[0.5, 2.0]]), low=0.0, high=1.0)[0]
    assert fixed.tolist() == [[128, 255]]
    empty = flow.to_bytes(np.full((2, 2), np.nan, np.float32))[0]
    assert not empty.any()


def test_arrows_are_cell_means_in_cell_centres():
    field = np.zeros((80, 120, 2), np.float32)
    field[..., 0] = 2.0
    field[:40, :40] = np.nan
    field[0, 0] = (6.0, 1.0)
    found = flow.arrows(field, step=40)
    assert (found.x[0], found.y[0]) == (19.5, 19.5)
    assert (found.dx[0], found.dy[0]) == (6.0, 1.0)
    assert len(found.x) == 6
    assert set(found.dx[1:].tolist()) == {2.0}


def test_arrows_of_an_empty_field():
    assert len(flow.arrows(np.full((40, 40, 2), np.nan, np.float32)).x) == 0


def test_bad_requests():
    image = np.zeros((20, 20), np.float32)
    with pytest.raises(DataError, match="no flow between"):
        flow.optical_flow(image, image[:10])
    with pytest.raises(UsageError, match="every 0 px"):
        flow.arrows(np.zeros((4, 4, 2), np.float32), 0)
