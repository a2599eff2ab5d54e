"""Augmentation: keyed, affine, and the edge is drawn afterwards."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.special import polygamma

from icectl.tasks.front.image.augment import (
    Recipe,
    Truth,
    affine,
    augment,
    mask_edge,
    part_tones,
    sides_of,
    speckled,
    targets,
    warp,
)
from icectl.tasks.front.image.layers import filled, lift_shadows, local_contrast, stack, stretch
from icectl.tasks.front.line.lines import draw, transform

LINE = np.stack([40 + 6 * np.sin(np.arange(70) / 9), np.arange(70) + 15.0], axis=1)
SHAPE = (90, 100)
PLAIN = Recipe(
    size=SHAPE, turns=False, angle=0, scale=1, shift=0, tone=0, contrast=0, stretch=1, sharpen=0, noise=0
)


def layers():
    return stack(np.random.default_rng(0).random(SHAPE).astype(np.float32))


def test_same_key_same_sample_other_key_another():
    recipe = Recipe(size=(64, 64))
    draws = [
        augment(layers(), Truth((LINE,)), np.random.default_rng(key), recipe)
        for key in ((1, 2, 3), (1, 2, 3), (1, 2, 4))
    ]
    np.testing.assert_array_equal(draws[0][0], draws[1][0])
    np.testing.assert_array_equal(draws[0][1], draws[1][1])
    assert not np.array_equal(draws[0][0], draws[2][0])


@pytest.mark.parametrize("seed", range(5))
def test_edge_keeps_its_width_under_zoom(seed):
    recipe = Recipe(size=(200, 200), scale=2.0, shift=0.0)
    _, goal = augment(layers(), Truth((LINE,)), np.random.default_rng(seed), recipe)
    core = cv2.erode(goal[0].astype(np.uint8), np.ones((5, 5), np.uint8))
    assert goal[0].sum() > 0
    assert core.sum() == 0  # nowhere five pixels wide


@pytest.mark.parametrize("seed", range(4))
def test_line_follows_the_image(seed):
    raster = draw(LINE, SHAPE).astype(np.float32)[None]
    matrix = affine(np.random.default_rng(seed), SHAPE, Recipe(size=(120, 120)))
    moved = warp(raster, matrix, (120, 120))[0] > 0.5
    drawn = draw(transform(LINE, matrix), (120, 120), 3)
    inside = cv2.warpAffine(np.ones(SHAPE, np.uint8), matrix, (120, 120)).astype(bool)
    assert (moved & drawn & inside).sum() > 0.95 * (moved & inside).sum()


def test_nothing_changes_when_nothing_may():
    x, y = augment(layers(), Truth((LINE,)), np.random.default_rng(1), PLAIN)
    flipped = np.array_equal(x, layers()[..., ::-1]) or np.allclose(x, layers()[..., ::-1], atol=1e-5)
    assert flipped or np.allclose(x, layers(), atol=1e-5)
    assert y[2].all()


def test_targets_of_a_mask_have_its_boundary_and_no_border():
    mask = np.zeros(SHAPE, bool)
    mask[45:] = True
    goal = targets(Truth((), mask), np.eye(3)[:2], SHAPE)
    rows = np.flatnonzero(goal[0].any(axis=1))
    assert rows.tolist() == [44, 45, 46]
    assert (goal[1] == mask).all()
    assert goal[3].all()
    assert not mask_edge(np.ones(SHAPE, bool)).any()


def test_front_without_mask_trains_the_edge_alone():
    goal = targets(Truth((LINE,)), np.eye(3)[:2], SHAPE)
    assert goal[3].sum() == 0
    assert goal[2].all()


def test_known_flow_tells_the_sides_between_the_ends():
    goal = targets(Truth((LINE,), None, sides_of(LINE)), np.eye(3)[:2], SHAPE)
    known = goal[3] > 0
    assert goal[1, 80, 50] == 1  # below the front, where the ice comes from
    assert known[80, 50]
    assert goal[1, 5, 50] == 0
    assert known[5, 50]
    assert not known[:, :10].any()
    assert not known[:, 90:].any()


def test_pixels_from_outside_have_no_weight():
    away = np.array([[1.0, 0, 50.0], [0, 1.0, 0]])
    goal = targets(Truth((LINE,)), away, SHAPE, source=SHAPE)
    assert goal[2, :, :50].sum() == 0
    assert goal[2, :, 50:].all()


def test_sides_change_brightness_apart():
    goal = targets(Truth((LINE,), None, sides_of(LINE)), np.eye(3)[:2], SHAPE)
    before = np.zeros((3, *SHAPE), np.float32)
    after = part_tones(np.random.default_rng(3), before, goal)
    assert abs(after[0, 80, 50] - after[0, 5, 50]) > 0.05
    assert after[0, 80, 5] == 0


def test_speckle_is_that_of_so_many_looks():
    """The relative deviation of L looks is 1/√L; that of their decibels 10/ln 10 · √ψ′(L), at any level."""
    flat = np.full((64, 64), 0.5, np.float32)
    drawn = [speckled(np.random.default_rng(k), flat) for k in range(40)]
    spread = np.array([one.std() for one in drawn])
    intensity, decibels = (0.5 / np.sqrt([32, 4]), 10 / np.log(10) * np.sqrt(polygamma(1, [32, 4])) / 25)
    kinds = [((spread > low * 0.95) & (spread < high * 1.05)).sum() for low, high in (intensity, decibels)]
    assert min(kinds) >= 10
    assert all(abs(one.mean() - 0.5) < 0.04 for one in drawn)
    bare, _ = augment(layers(), Truth(), np.random.default_rng(0), PLAIN)
    grained, _ = augment(layers(), Truth(), np.random.default_rng(0), replace(PLAIN, speckle=1.0))
    assert np.corrcoef(bare[0].ravel(), grained[0].ravel())[0, 1] < 0.99
    np.testing.assert_allclose(grained, stack((grained[0] + 1) / 2), atol=0.05)  # one grain in all layers


def test_layers_stay_in_range_and_do_what_they_say():
    dark = np.full((64, 64), 0.1, np.float32)
    assert lift_shadows(dark).mean() > dark.mean()
    np.testing.assert_allclose(lift_shadows(np.ones((64, 64), np.float32)), 1.0)
    flat = 0.5 + 0.01 * np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    assert local_contrast(flat).std() > 2 * flat.std()
    image = stack((np.random.default_rng(0).random((64, 64)) * 60000).astype(np.uint16))
    assert image.shape == (3, 64, 64)
    assert -1 <= image.min() <= image.max() <= 1


def test_stretch_of_odd_images():
    assert (stretch(np.full((20, 20), 7)) == 0.5).all()
    with_gap = np.ones((20, 20))
    with_gap[:5] = np.nan
    with_gap[10:] = 3
    assert stretch(with_gap)[15, 0] == 1.0
    assert filled(with_gap)[:5, 0].tolist() == [3, 1, 1, 1, 1]  # what mirrors the gap in its border
    assert (filled(np.full((4, 4), np.nan)) == 0).all()
