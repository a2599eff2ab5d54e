"""Nothing below a mask reaches a network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from icectl.tasks.bed.fill import hide as hiding
from icectl.tasks.bed.fill import masks
from icectl.tasks.bed.fill.hide import Hide
from icectl.tasks.bed.fill.inputs import CHANNELS, masked_patch, thin
from icectl.tasks.bed.readers.thickness_samples import Known, sample_of


def relief(size: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 2500 + 4000 * ndimage.gaussian_filter(rng.normal(size=(size, size)), 6)


@pytest.mark.parametrize("start", ["flat", "fill"])
def test_hidden_ground_changes_no_input_of_step_a(start) -> None:
    heights = relief()
    hidden = masks.brush(np.random.default_rng(3), 64)
    seen = masked_patch(heights, hidden, 64, start)
    other = np.where(hidden, np.random.default_rng(1).uniform(0, 9000, heights.shape), heights)
    again = masked_patch(other, hidden, 64, start)
    assert np.array_equal(seen.channels, again.channels)
    assert (seen.level, seen.scale) == (again.level, again.scale)
    assert seen.channels.shape == (CHANNELS, 64, 64)
    assert np.array_equal(seen.channels[-1] > 0, hidden)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("start", ["flat", "fill"])
def test_ground_in_the_hole_of_a_sample_is_target_only(train: bool, start) -> None:
    heights, cover = relief(), np.zeros((64, 64), dtype=np.uint8)
    cover[:6, :9] = 1
    hide = Hide(32, start, masks.Shapes([]), train)
    first = hide({"heights": heights, "cover": cover, "hole": 24, "index": -1}, np.random.default_rng(5))
    hole = first["valid"][0] > 0
    if start == "fill":  # a block at the rim holds visible ground too
        hole = ndimage.binary_erosion(hole, np.ones((3, 3)))
    # Where the sample's target lies, lift the ground by 500 m (turned back to the patch's own pixels).
    lifted = hide(
        {"heights": _lift(heights, hide, hole, cover), "cover": cover, "hole": 24, "index": -1},
        np.random.default_rng(5),
    )
    assert np.array_equal(first["x"], lifted["x"])
    assert hole.any()
    assert np.abs(first["y"] - lifted["y"])[0][hole].min() > 0


def _lift(heights: np.ndarray, hide: Hide, hole: np.ndarray, cover: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(5)
    if hide.begin == "fill":  # the draw of one of the patch's holes
        rng = np.random.default_rng([64, 0, int(rng.integers(3)) if hide.train else 0])
    turns, mirror = (int(rng.integers(4)), bool(rng.integers(2))) if hide.train else (0, False)
    wide = np.kron(hole, np.ones((2, 2), dtype=bool))
    back = wide[:, ::-1] if mirror else wide
    return heights + 500.0 * np.rot90(back, -turns)


def test_ice_in_a_patch_is_hidden_and_no_target() -> None:
    cover = np.zeros((64, 64), dtype=np.uint8)
    cover[20:40, 20:40] = 1
    hide = Hide(64, "fill", masks.Shapes([]), False)
    made = hide({"heights": relief(), "cover": cover, "hole": 32, "index": -1}, np.random.default_rng(0))
    assert (made["x"][-1][cover > 0] == 1).all()
    assert (made["valid"][0][cover > 0] == 0).all()
    assert made["valid"].sum() == 32 * 32 - 20 * 20


def test_a_patchs_holes_are_made_once(monkeypatch) -> None:
    made = []
    monkeypatch.setattr(hiding, "masked_patch", lambda *a: made.append(1) or masked_patch(*a))
    hide = Hide(32, "fill", masks.Shapes([]), True)
    patch = {"heights": relief(), "cover": np.zeros((64, 64), np.uint8), "hole": 24, "index": 7}
    samples = [hide(patch, np.random.default_rng(seed)) for seed in range(30)]
    assert len(made) == hiding.VARIANTS
    assert len({s["x"].tobytes() for s in samples}) == hiding.VARIANTS
    for sample in samples:
        assert (sample["x"][-1][sample["valid"][0] > 0] == 1).all()


def test_the_bed_changes_no_input_of_step_b() -> None:
    surface, ice = relief(), np.zeros((64, 64), dtype=bool)
    ice[16:48, 16:48] = True
    first, second = (
        sample_of(Known("a", "measured", surface, ice, 30.0, np.where(ice, depth, np.nan)))
        for depth in (50.0, 200.0)
    )
    assert np.array_equal(first.features, second.features)
    assert np.array_equal(first.thinning, second.thinning)
    assert (first.thickness == 50).all()
    assert (second.thickness == 200).all()


def test_thinning_averages_known_blocks_and_hides_mixed_ones() -> None:
    heights = np.arange(16.0).reshape(4, 4)
    hidden = np.zeros((4, 4), dtype=bool)
    hidden[0, 0] = True
    mean, blocks = thin(heights, hidden, 2)
    assert blocks.tolist() == [[True, False], [False, False]]
    assert mean[1, 1] == heights[2:, 2:].mean()
    with pytest.raises(ValueError, match="cannot be averaged"):
        thin(np.zeros((10, 10)), np.zeros((10, 10), dtype=bool), 4)


def test_masks_have_their_shapes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        box = masks.box(rng, 64, 32)
        rows, cols = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
        assert 28 <= len(rows) <= 32
        assert box.sum() == len(rows) * len(cols)
        assert 0 < masks.brush(rng, 64).mean() < 0.9
    shape = np.zeros((20, 12), dtype=bool)
    shape[4:16, 3:9] = True
    drawn = masks.Shapes([shape]).draw(rng, 64, 24)
    assert 0.7 * 24**2 < drawn.sum() < 1.3 * 24**2
    assert len(masks.silhouettes(shape, least=10)) == 1


def test_silhouettes_survive_a_file(tmp_path) -> None:
    shapes = masks.Shapes([np.eye(9, dtype=bool)])
    shapes.save(tmp_path / "s.npz")
    assert np.array_equal(masks.Shapes.load(tmp_path / "s.npz").silhouettes[0], np.eye(9, dtype=bool))
    assert masks.Shapes.load(tmp_path / "none.npz").silhouettes == []
