"""Frequencies weighed by coherence: noise goes, shifts are told better, and as well as the bound says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from icectl.imagery.coherence import emphasise
from icectl.imagery.deform import match_aligned

SIDE, SIGMA = 256, 6.0


def pair(noise, seed=0):
    """Two images of one texture, each with white noise of `noise` times its deviation, and their masks."""
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), 1.5, mode="wrap")
    texture /= texture.std()
    images = tuple(
        (texture + noise * rng.standard_normal(texture.shape)).astype(np.float32) for _ in range(2)
    )
    return images, (np.ones(texture.shape, bool),) * 2


def error(images, masks):
    """Deviation of the shifts that chips tell; the true one is 0."""
    line = np.arange(30, SIDE - 30, 20)
    at = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    found = match_aligned(*images, masks, at, SIGMA, 3).subpixel
    return float(np.sqrt(np.nanmean(found**2)))


def test_shifts_in_noise_are_told_better_and_as_well_as_the_bound_says():
    images, masks = pair(1.0)
    bright, variance = emphasise(images, masks)
    bound = np.sqrt(variance / (4 * np.pi * SIGMA**2))
    assert error(bright, masks) < 0.85 * error(images, masks)
    assert error(bright, masks) == pytest.approx(bound, rel=0.35)


def test_a_clearer_pair_has_a_smaller_bound():
    told = [emphasise(*pair(noise))[1] for noise in (0.1, 0.5, 2.0)]
    assert told[0] < 0.5 * told[1] < 0.25 * told[2]


def test_pixels_that_do_not_count_change_nothing():
    images, masks = pair(0.5)
    mask = masks[0].copy()
    mask[:80] = False
    other = np.where(mask, images[0], 1e4).astype(np.float32)
    one, two = emphasise(images, (mask, mask)), emphasise((other, images[1]), (mask, mask))
    assert (one[0][0] == two[0][0]).all()
    assert one[1] == two[1]
