"""Masked matching against scikit-image's masked correlation, OpenCV, and still walls beside moving ice."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.registration._masked_phase_cross_correlation import cross_correlate_masked

from icectl.errors import DataError, UsageError
from icectl.imagery.correlation import NONE
from icectl.imagery.masked import LEAST_OVERLAP, match_masked, surface


def texture(shape, seed, smooth=1.2):
    noise = np.random.default_rng(seed).standard_normal(shape)
    return ndimage.gaussian_filter(noise, smooth).astype(np.float32) * 50


def test_surface_equals_scikit_images_masked_correlation():
    rng = np.random.default_rng(0)
    chip, window = texture((14, 14), 1), texture((30, 30), 2)
    mask, around = rng.random(chip.shape) > 0.3, rng.random(window.shape) > 0.2
    ours = surface(chip * mask, mask.astype(np.float32), window * around, around.astype(np.float32))
    theirs = cross_correlate_masked(
        window.astype(np.float64),
        chip.astype(np.float64),
        around,
        mask,
        axes=(0, 1),
        mode="full",
        overlap_ratio=0.0,
    )[13:30, 13:30]
    scored = ours > NONE
    assert scored.mean() > 0.5
    np.testing.assert_allclose(ours[scored], theirs[scored], atol=1e-4)


def test_without_masks_it_is_opencvs_correlation():
    chip, window = texture((12, 12), 3), texture((24, 24), 4)
    one, all_ = np.ones_like(chip), np.ones_like(window)
    plain = cv2.matchTemplate(window, chip, cv2.TM_CCOEFF_NORMED)
    np.testing.assert_allclose(surface(chip, one, window, all_), plain, atol=1e-6)
    all_[0, 0] = 0  # now by masked sums
    np.testing.assert_allclose(surface(chip, one, window, all_)[1:, 1:], plain[1:, 1:], atol=1e-4)


def test_ice_narrower_than_a_chip_is_not_held_by_its_walls():
    """A tongue of 9 pixels moves down by 3 between walls of five times its contrast."""
    walls, ice = 5 * texture((120, 80), 5), texture((120, 80), 6)
    tongue = np.zeros(walls.shape, dtype=bool)
    tongue[:, 36:45] = True
    first = np.where(tongue, ice, walls)
    second = np.where(tongue, np.roll(ice, 3, 0), walls)
    centres = np.array([[r, 40] for r in range(30, 90, 5)])
    on = match_masked(first, second, (tongue, tongue), centres, 24, 8)
    everywhere = np.ones_like(tongue)
    off = match_masked(first, second, (everywhere, everywhere), centres, 24, 8)
    assert on.found.all()
    assert (on.shift == [3, 0]).all()
    np.testing.assert_allclose(on.score, 1, atol=1e-3)
    assert (off.shift == 0).mean() > 0.8  # what the masks are for


def test_positions_with_too_little_overlap_are_not_scored():
    image = texture((60, 60), 7)
    seen = np.ones(image.shape, dtype=bool)
    seen[:, 34:] = False
    chip, one = image[20:30, 20:30], np.ones((10, 10), np.float32)
    window, mask = (f[10:40, 20:50] for f in (image * seen, seen.astype(np.float32)))
    scores = surface(chip, one, window, mask)
    columns = np.flatnonzero((scores > NONE).any(axis=0))
    assert columns.tolist() == list(range(int(14 - 10 * LEAST_OVERLAP) + 1))


def test_empty_and_constant_chips_are_not_found():
    image = texture((80, 80), 8)
    image[30:60, 30:60] = 4
    seen = np.ones(image.shape, dtype=bool)
    seen[:20, :20] = False
    image[70, 70] = np.nan
    centres = np.array([[8, 8], [45, 45], [15, 60]])
    found = match_masked(image, image, (seen, seen), centres, 12, 6)
    assert found.found.tolist() == [False, False, True]
    assert np.isnan(found.subpixel[:2]).all()
    assert (found.shift[2] == 0).all()


def test_wrong_use_is_worded():
    image = texture((20, 20), 9)
    seen = np.ones(image.shape, dtype=bool)
    with pytest.raises(DataError, match="cannot be matched"):
        match_masked(image, image[:-1], (seen, seen[:-1]), [[5, 5]], 8, 2)
    with pytest.raises(UsageError, match="chips of 2 pixels"):
        match_masked(image, image, (seen, seen), [[5, 5]], 2, 2)
