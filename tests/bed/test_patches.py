"""Patches: every rule takes what it says, and no ground is in both parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from icectl.errors import DataError
from icectl.tasks.bed.fill.patches import RULES, draw_patches
from icectl.tasks.bed.options import PrepareOptions
from icectl.tasks.bed.split import Drawn, split


def scene(size: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    heights = (2500 + 12000 * ndimage.gaussian_filter(rng.normal(size=(size, size)), 10)).astype("float32")
    cover = np.zeros((size, size), dtype=np.uint8)
    cover[100:160, 100:160] = 1
    heights[250:, 250:] = np.nan
    cover[250:, 250:] = 255
    return heights, cover


OPTIONS = PrepareOptions(
    patch_size=64, hole_size=24, patches=120, minimum_relief=100.0, train_resolution=None
)


def drawn_from(heights: np.ndarray, cover: np.ndarray) -> Drawn:
    found, toll = draw_patches(heights, cover, OPTIONS, np.random.default_rng(1))
    return split((found, toll, heights.shape), OPTIONS, 0)


def test_patches_obey_their_rules_and_the_toll_adds_up() -> None:
    heights, cover = scene()
    drawn = drawn_from(heights, cover)
    assert set(drawn.toll) == set(RULES)
    for patch in drawn.patches:
        window = heights[patch.row : patch.row + patch.size, patch.col : patch.col + patch.size]
        off = (patch.size - patch.hole) // 2
        centre = np.s_[
            patch.row + off : patch.row + off + patch.hole, patch.col + off : patch.col + off + patch.hole
        ]
        assert np.isfinite(window).all()
        assert (cover[centre] == 0).all()
        assert window.mean() >= 2000
        assert np.ptp(window) >= 100 * patch.size / 64
    assert drawn.toll["kept"] == len(drawn.patches)
    assert drawn.toll["unknown ground"] > 0
    assert drawn.toll["ice in the centre"] > 0


def test_training_and_test_share_no_pixel() -> None:
    heights, cover = scene()
    drawn = drawn_from(heights, cover)
    marks = {part: np.zeros(heights.shape, dtype=bool) for part in ("train", "valid", "test")}
    for patch in drawn.patches:
        marks[patch.part][patch.row : patch.row + patch.size, patch.col : patch.col + patch.size] = True
    assert all(mark.any() for mark in marks.values())
    assert not (sum(mark.astype(int) for mark in marks.values()) > 1).any()
    top, left, rows, cols = drawn.test_area
    inside = np.zeros(heights.shape, dtype=bool)
    inside[top : top + rows, left : left + cols] = True
    assert not (marks["test"] & ~inside).any()
    assert not ((marks["train"] | marks["valid"]) & inside).any()


@pytest.mark.parametrize(
    ("change", "rule", "option"),
    [
        ({"minimum_height": 8000.0}, "(too low)", "--minimum-height"),
        ({"minimum_relief": 8000.0}, "(too flat)", "--minimum-relief"),
        ({"patch_size": 512, "hole_size": 400}, "of 0 drawn", ""),
    ],
)
def test_no_patch_left_says_how_many_each_rule_left_out(change, rule: str, option: str) -> None:
    heights, cover = scene()
    options = OPTIONS.model_copy(update=change)
    if "patch_size" in change:
        heights, cover = heights[:60, :60], cover[:60, :60]
    with pytest.raises(DataError, match="no ice-free patch is left") as caught:
        draw_patches(heights, cover, options, np.random.default_rng(0))
    assert rule in caught.value.message
    assert option in caught.value.hint


def test_ice_everywhere_leaves_no_patch() -> None:
    heights, cover = scene()
    with pytest.raises(DataError, match=r"\(ice in the centre\)"):
        draw_patches(heights, np.maximum(cover, 3), OPTIONS, np.random.default_rng(0))
