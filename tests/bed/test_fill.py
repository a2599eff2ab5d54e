"""Fills against scikit-image and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic

from icectl.errors import DataError
from icectl.tasks.bed.fill import smooth as fill
from icectl.tasks.bed.fill.smooth import rectangle


def relief(size: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 2000 + 3000 * ndimage.gaussian_filter(rng.normal(size=(size, size)), 5)


def hole(kind: str, size: int = 64) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    if kind == "box":
        mask[10:41, 20:33] = True
    elif kind == "disc":
        mask = np.hypot(*(np.indices((size, size)) - size / 2)) < 14
    elif kind == "edge":
        mask[0:20, 30:64] = True
        mask[50:64, 0:10] = True
        mask[30, 30] = True
    elif kind == "near the edge":
        mask[1:12, 5:20] = True
    elif kind == "pixel":
        mask[30, 30] = True
    return mask


@pytest.mark.parametrize("kind", ["box", "disc", "edge", "near the edge", "pixel"])
def test_biharmonic_equals_scikit_image(kind: str) -> None:
    heights, mask = relief(), hole(kind)
    expected = inpaint_biharmonic(heights, mask)
    assert np.abs(fill.biharmonic(heights, mask) - expected).max() < 1e-3


def test_only_full_rectangles_off_the_edge_go_through_sine_transforms() -> None:
    assert rectangle(hole("box")) == (10, 41, 20, 33)
    assert rectangle(hole("disc")) is None
    assert rectangle(hole("near the edge")) is None


@pytest.mark.parametrize("method", [fill.biharmonic, fill.harmonic, fill.inverse_distance])
@pytest.mark.parametrize("kind", ["box", "disc", "edge"])
def test_hidden_heights_are_never_read(method, kind: str) -> None:
    heights, mask = relief(), hole(kind)
    made = method(heights, mask)
    assert np.array_equal(made, method(np.where(mask, np.nan, heights), mask))
    assert np.array_equal(made[~mask], heights[~mask])
    assert np.isfinite(made).all()


def test_a_plane_is_filled_exactly_by_both_operators() -> None:
    y, x = np.indices((64, 64))
    plane = 1000 + 3.0 * x - 2.0 * y
    for method in (fill.biharmonic, fill.harmonic):
        np.testing.assert_allclose(method(plane, hole("disc")), plane, atol=1e-6)


def test_a_saddle_is_harmonic_and_a_bowl_is_not() -> None:
    y, x = (np.indices((64, 64)) - 32.0).astype(float)
    mask = hole("disc")
    np.testing.assert_allclose(fill.harmonic(x * y, mask), x * y, atol=1e-6)
    bowl = x**2 + y**2  # its bilaplacian vanishes, its Laplacian does not
    np.testing.assert_allclose(fill.biharmonic(bowl, mask), bowl, atol=1e-6)
    assert np.abs(fill.harmonic(bowl, mask) - bowl).max() > 50


def test_inverse_distance_stays_between_the_rim_heights() -> None:
    heights, mask = relief(), hole("disc")
    rim = ndimage.binary_dilation(mask, iterations=2) & ~mask
    made = fill.inverse_distance(heights, mask)[mask]
    assert heights[rim].min() <= made.min()
    assert made.max() <= heights[rim].max()


def test_a_hole_too_large_for_one_solve_is_filled_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.indices((65, 63)).astype(float)
    smooth = 1000 + 40 * np.sin(x / 25) + 30 * np.cos(y / 30)
    mask = np.hypot(x - 31, y - 32) < 14
    whole = fill.bounded(fill.biharmonic, smooth, mask)
    monkeypatch.setattr(fill, "LARGEST_SOLVE", 200)
    coarse = fill.bounded(fill.biharmonic, smooth, mask)
    assert np.array_equal(coarse[~mask], smooth[~mask])
    assert not np.array_equal(coarse[mask], whole[mask])
    assert np.abs(coarse - whole).max() < 4.0


def test_nothing_to_fill_from_is_refused() -> None:
    with pytest.raises(DataError, match="every pixel"):
        fill.biharmonic(relief(), np.ones((64, 64), dtype=bool))
    untouched = relief()
    assert np.array_equal(fill.biharmonic(untouched, np.zeros((64, 64), dtype=bool)), untouched)
