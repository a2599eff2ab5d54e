"""Deformation and aligned matching: shears undone, small shifts found, walls kept out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from icectl.errors import UsageError
from icectl.imagery.deform import deform, match_aligned


def texture(shape, seed, smooth=1.5):
    noise = np.random.default_rng(seed).standard_normal(shape)
    return ndimage.gaussian_filter(noise, smooth).astype(np.float32) * 50


def everywhere(image):
    return np.ones(image.shape, dtype=bool)


def test_a_field_takes_pixels_from_where_it_points():
    image = texture((60, 80), 0)
    shift = np.zeros((60, 80, 2), np.float32)
    shift[..., 0], shift[..., 1] = 2, -3
    moved, mask = deform(image, everywhere(image), shift)
    np.testing.assert_allclose(moved[:50, 10:], image[2:52, 7:77], atol=1e-3)
    assert not mask[-2:].any()
    assert not mask[:, :3].any()
    assert mask[:-2, 3:].all()


def test_a_shear_is_undone():
    """What scipy's spline says about a sheared image, and the image itself."""
    image = texture((80, 80), 1, 2.5)
    rows, cols = np.mgrid[:80, :80].astype(np.float32)
    shift = np.stack([0.1 * (cols - 40), np.zeros_like(cols)], axis=-1)
    sheared = ndimage.map_coordinates(image, (rows + shift[..., 0], cols), order=3)
    ours, mask = deform(image, everywhere(image), shift)
    inner = mask & (np.abs(rows - 40) < 30)
    np.testing.assert_allclose(ours[inner], sheared[inner], atol=0.2)


@pytest.mark.parametrize("left", [(0.0, 0.0), (0.3, -0.4), (-1.7, 2.2)])
def test_small_shifts_are_found_to_a_twentieth_of_a_pixel(left):
    image = texture((120, 120), 2, 2)
    moving = ndimage.shift(image, left, order=5)
    at = np.stack(np.meshgrid(range(30, 90, 9), range(30, 90, 9), indexing="ij"), -1).reshape(-1, 2)
    found = match_aligned(image, moving, (everywhere(image),) * 2, at, 4.0, 3)
    assert found.found.all()
    assert np.abs(np.median(found.subpixel, axis=0) - left).max() < 0.05
    assert np.median(np.abs(found.subpixel - left)) < 0.05


def test_scores_are_correlations_weighed_by_a_gaussian():
    a, b = texture((60, 60), 3), texture((60, 60), 4)
    both = 2 * a + b
    found = match_aligned(a, both, (everywhere(a),) * 2, np.array([[30, 30]]), 4.0, 2)
    row, col = np.array([30, 30]) + found.shift[0]
    side = 12  # three widths
    line = cv2.getGaussianKernel(2 * side + 1, 4.0)
    weight = (line @ line.T).astype(np.float64)
    first = a[30 - side : 31 + side, 30 - side : 31 + side].astype(np.float64)
    second = both[row - side : row + side + 1, col - side : col + side + 1].astype(np.float64)
    first -= (weight * first).sum()
    second -= (weight * second).sum()
    expected = (weight * first * second).sum()
    expected /= np.sqrt((weight * first**2).sum() * (weight * second**2).sum())
    assert found.score[0] == pytest.approx(expected, abs=1e-4)


def test_still_walls_are_left_out_of_a_narrow_tongue():
    walls, ice = 5 * texture((120, 80), 5), texture((120, 80), 6)
    tongue = np.zeros(walls.shape, dtype=bool)
    tongue[:, 36:45] = True
    first, second = np.where(tongue, ice, walls), np.where(tongue, np.roll(ice, 2, 0), walls)
    at = np.array([[r, 40] for r in range(30, 90, 5)])
    on = match_aligned(first, second, (tongue, tongue), at, 4.0, 3)
    off = match_aligned(first, second, (everywhere(first),) * 2, at, 4.0, 3)
    assert (on.shift == [2, 0]).all()
    np.testing.assert_allclose(on.score, 1, atol=1e-3)
    assert (off.shift == 0).mean() > 0.8


def test_nothing_is_found_without_texture_or_pixels():
    image = texture((60, 60), 7)
    flat = np.full_like(image, 3)
    at = np.array([[30, 30]])
    none = np.zeros(image.shape, dtype=bool)
    for moving, mask in ((flat, everywhere(image)), (image, none)):
        found = match_aligned(image, moving, (everywhere(image), mask), at, 4.0, 3)
        assert not found.found.any()
        assert np.isnan(found.subpixel).all()


def test_a_width_of_nothing_is_refused():
    image = texture((30, 30), 8)
    with pytest.raises(UsageError, match="0 pixels wide"):
        match_aligned(image, image, (everywhere(image),) * 2, np.array([[15, 15]]), 0, 3)
