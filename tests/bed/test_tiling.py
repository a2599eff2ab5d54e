"""Glaciers larger than a window: coarse first, then tiles; no seam, and no trace of how blocks are read."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from icectl.tasks.bed.fill import smooth as fill
from icectl.tasks.bed.fill.answer import refined

SIZE, WINDOW = 224, 64


@pytest.fixture(scope="module")
def valley() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ground, a glacier larger than any tile (some tiles hold nothing else), and a coarse fill of it."""
    rng = np.random.default_rng(4)
    rows, cols = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    ground = (
        2500 + 3 * rows + 0.03 * cols**2 + 3000 * ndimage.gaussian_filter(rng.normal(size=(SIZE,) * 2), 7)
    )
    hidden = (rows / 95) ** 2 + (cols / 60) ** 2 < 1 + 0.2 * np.sin(rows / 9)
    small, mask = fill.halve(*fill.halve(np.where(hidden, 0, ground), hidden))
    return ground, hidden, fill.widen(fill.biharmonic(small, mask), ground.shape, 4, 3)


def tiled(valley, block: int) -> np.ndarray:
    ground, hidden, coarse = valley
    seen = np.where(hidden, np.nan, ground)  # values under the mask are never read
    return refined(seen, hidden, coarse, fill.biharmonic, window=WINDOW, block=block)


def test_the_result_does_not_depend_on_blocks_and_is_finite(valley) -> None:
    first = tiled(valley, 37)
    assert np.isfinite(first).all()
    assert np.array_equal(first, tiled(valley, 4096))


def test_known_ground_stays_and_detail_at_the_rim_is_gained(valley) -> None:
    ground, hidden, coarse = valley
    made = tiled(valley, 128)
    assert np.array_equal(made[~hidden], ground[~hidden])
    rim = hidden & (ndimage.distance_transform_edt(hidden) <= 6)
    errors = [np.sqrt(np.mean((values - ground)[rim] ** 2)) for values in (made, coarse)]
    assert errors[0] < 0.7 * errors[1]
    whole = fill.biharmonic(np.where(hidden, 0, ground), hidden)
    assert np.abs(made - whole)[rim].mean() < 0.5 * np.abs(coarse - whole)[rim].mean()


def test_no_border_of_a_tile_shows(valley) -> None:
    made, hidden = tiled(valley, 128), valley[1]
    steps = np.arange(SIZE)
    border = np.isin(steps % (WINDOW // 2), (0, WINDOW // 2 - 1)) & (steps > 4) & (steps < SIZE - 4)
    near = np.isin(steps % (WINDOW // 2), (4, 5, 6, WINDOW // 2 - 7, WINDOW // 2 - 6, WINDOW // 2 - 5))
    for values, inside in ((made, hidden), (made.T, hidden.T)):
        for order, allowed in ((1, 1.4), (2, 2.0)):  # steps, then kinks
            change = np.abs(np.diff(values, order, axis=0))
            whole = np.all([inside[i : SIZE - order + i] for i in range(order + 1)], axis=0)
            there, beside = (
                change[whole & rows[order // 2 : SIZE - order + order // 2, None]].mean()
                for rows in (border, near)
            )
            assert there < allowed * beside


def test_a_tile_that_holds_nothing_but_ice_keeps_the_coarse_answer() -> None:
    hidden = np.ones((160, 160), dtype=bool)
    hidden[:3] = False
    coarse = np.add.outer(np.arange(160.0), np.zeros(160))
    asked = []

    def note(heights: np.ndarray, mask: np.ndarray) -> np.ndarray:
        asked.append(mask.copy())
        return fill.biharmonic(heights, mask)

    made = refined(coarse, hidden, coarse, note, window=64)
    np.testing.assert_allclose(made, coarse, atol=1e-2)
    assert len(asked) == 4  # the upper row of tiles alone
    assert not any(mask[:4].any() or mask[-4:].any() for mask in asked)
