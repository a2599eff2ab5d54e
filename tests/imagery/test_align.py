"""Alignment: known warps are recovered, and what cannot be aligned is kept as it was."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from icectl.errors import UsageError
from icectl.imagery import align


def texture(shape=(200, 220), seed=0):
    rng = np.random.default_rng(seed)
    image = (
        ndimage.gaussian_filter(rng.normal(size=shape), 2)
        + 0.5 * ndimage.gaussian_filter(rng.normal(size=shape), 8) * 4
    )
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def moved(image, dx, dy):
    """The scene in which what stands at (x, y) of `image` stands at (x + dx, y + dy); by spline."""
    return ndimage.shift(image, (dy, dx), order=5, mode="reflect").astype(np.float32)


@pytest.mark.parametrize("motion", ["translation", "homography"])
@pytest.mark.parametrize("shift", [(0.4, -0.3), (2.5, -1.25)])
def test_a_known_subpixel_shift_is_recovered(motion, shift):
    reference = texture()
    result = align.estimate(reference, moved(reference, *shift), motion)
    assert result.aligned
    centre = np.array([[[110.0, 100.0]]])
    np.testing.assert_allclose(cv2.perspectiveTransform(centre, result.matrix) - centre, [[shift]], atol=0.05)
    assert result.correlation > max(0.98, result.before)


def test_a_known_homography_is_recovered_and_undone():
    reference = texture()
    matrix = np.array([[1.004, 0.006, 1.2], [-0.005, 0.997, -0.8], [1e-5, -8e-6, 1.0]])
    grid = np.indices(reference.shape)[::-1].reshape(2, -1).T[None].astype(np.float64)
    back = cv2.perspectiveTransform(grid, np.linalg.inv(matrix))[0]
    scene = ndimage.map_coordinates(reference, back.T[::-1], order=5, mode="reflect")
    scene = scene.reshape(reference.shape).astype(np.float32)
    result = align.estimate(reference, scene, "homography")
    corners = np.array([[[20.0, 20], [200, 20], [20, 180], [200, 180]]])
    expected = cv2.perspectiveTransform(corners, matrix)
    np.testing.assert_allclose(cv2.perspectiveTransform(corners, result.matrix), expected, atol=0.1)
    inner = (slice(10, -10), slice(10, -10))
    back_again = align.warp(scene, result)[inner]
    assert np.abs(back_again - reference[inner]).mean() < 0.2 * np.abs(scene - reference)[inner].mean()


def test_gain_and_offset_do_not_matter():
    reference = texture()
    scene = 0.3 * moved(reference, 1.5, 0.5) + 0.1
    result = align.estimate(reference, scene, "translation")
    np.testing.assert_allclose(result.matrix[:2, 2], [1.5, 0.5], atol=0.05)


def test_missing_pixels_take_no_part():
    reference, truth = texture(), (1.5, -0.75)
    scene = moved(reference, *truth)
    scene[40:90, 30:120] = np.nan  # a cloud …
    bright = scene.copy()
    bright[40:90, 30:120] = 40  # … that would pull the estimate if it were seen
    reference[120:, :40] = np.nan
    result = align.estimate(reference, scene, "translation")
    np.testing.assert_allclose(result.matrix[:2, 2], truth, atol=0.05)
    fooled = align.estimate(reference, bright, "translation")
    assert fooled.reason or abs(fooled.matrix[0, 2] - truth[0]) > 0.05


def test_noise_is_kept_unaligned_with_a_reason(monkeypatch):
    monkeypatch.setattr(align, "ITERATIONS", 50)
    a, b = texture(seed=1), np.random.default_rng(5).normal(size=(200, 220)).astype(np.float32)
    result = align.estimate(a, b, "homography")
    if result.aligned:  # whatever correlation noise reaches, it may not move the scene far
        assert np.abs(result.matrix - np.eye(3)).max() < 50
    flat = align.estimate(a, np.full_like(a, 0.2))
    assert flat.reason == "too little common ground"
    np.testing.assert_array_equal(flat.matrix, np.eye(3))
    np.testing.assert_array_equal(align.warp(b, flat), b)


def test_a_runaway_warp_is_refused():
    """Three pixels are farther than scenes of one grid are off: what moved so far is a snow line."""
    reference = texture()
    result = align.estimate(reference, moved(reference, 4.0, 0.0), "translation")
    assert result.reason == "the warp moves a corner by 4 px, more than 3"
    np.testing.assert_array_equal(result.matrix, np.eye(3))


def test_divergence_becomes_a_reason(monkeypatch):
    def fail(*_):
        raise cv2.error("correlation is going to be minimized")

    monkeypatch.setattr(cv2, "findTransformECC", fail)
    assert align.estimate(texture(), texture(seed=2)).reason == "the iteration did not converge"


def test_a_swinging_iteration_ends_early_and_on_its_better_side(monkeypatch):
    # At whole pixels OpenCV's 1/32-pixel sampling makes the iteration swing for all of 10,000 steps;
    # which of its two sides a batch ends on differs by processor.
    reference, ends, real = texture(), [], cv2.findTransformECC

    def followed(*words):
        found = real(*words)
        ends.append(found[0])
        return found

    monkeypatch.setattr(cv2, "findTransformECC", followed)
    result = align.estimate(reference, moved(reference, -2.0, 0.5), "homography")
    assert len(ends) <= 3  # of 200 batches
    assert result.correlation == max(ends) > 0.998
    np.testing.assert_allclose(result.matrix[:2, 2], [-2.0, 0.5], atol=0.01)


def test_each_frame_starts_afresh():
    reference = texture()
    frames = [moved(reference, 2.0, 1.0), moved(reference, -2.0, 0.5)]
    in_order = [align.estimate(reference, f, "homography").matrix for f in frames]
    reverse = [align.estimate(reference, f, "homography").matrix for f in frames[::-1]][::-1]
    np.testing.assert_array_equal(in_order, reverse)


def test_the_warp_spreads_no_missing_pixels_and_marks_the_outside():
    image = texture()
    image[50:60, 70:80] = np.nan
    still = align.Alignment(matrix=np.eye(3), correlation=1.0, before=1.0)
    np.testing.assert_array_equal(align.warp(image, still), image)
    shifted = align.Alignment(
        matrix=np.array([[1.0, 0, 3], [0, 1, 0], [0, 0, 1]]), correlation=1.0, before=1.0
    )
    out = align.warp(image, shifted)
    np.testing.assert_allclose(out[:, :-3], image[:, 3:], atol=1e-6)
    assert np.isnan(out[:, -3:]).all()
    mask = align.warp_mask(np.isnan(image), shifted)
    assert mask[50:60, 67:77].all()
    assert mask.sum() == 100


def test_references():
    rng = np.random.default_rng(3)
    stack = rng.random((7, 20, 24)).astype(np.float32)
    stack[rng.random(stack.shape) < 0.2] = np.nan
    stack[:, 4, 5] = np.nan
    seen = ~np.isnan(stack).all(axis=0)
    median = align.reference_image(lambda i, r: stack[i][r], 7, (20, 24), "median", strip=6)
    np.testing.assert_allclose(median[seen], np.nanmedian(stack[:, seen], axis=0))
    assert np.isnan(median[4, 5])
    full = rng.random((5, 20, 24)).astype(np.float32)
    mean = align.reference_image(lambda i, r: full[i][r], 5, (20, 24), "mean", strip=7)
    expected = ndimage.median_filter(full.mean(axis=0), size=3, mode="nearest")
    np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_unknown_choices_are_refused():
    with pytest.raises(UsageError, match="motion 'spin'"):
        align.estimate(texture(), texture(), "spin")
    with pytest.raises(UsageError, match="'mode'"):
        align.reference_image(lambda i, r: np.zeros((2, 2), np.float32), 1, (2, 2), "mode")


def test_grey_weights_sum_to_one():
    one = np.ones((2, 2), np.float32)
    np.testing.assert_allclose(align.grey(one, one), 1)
    np.testing.assert_allclose(align.grey(one, 0 * one), 0.114)
