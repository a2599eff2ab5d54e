"""Ground that stays the same on all dates, and fronts that end where it begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from icectl.tasks.front.ground import (
    GROUND,
    MOST_PIXELS,
    REACH,
    between_walls,
    chosen,
    cut,
    enlarged,
    shrunk,
    stable_ground,
)

SHAPE = (96, 128)
LEFT, RIGHT = 32, 96
"""Rock lies left of column 32 and from column 96 on; between them everything moves."""

FRONT = 48


def series(count: int = 8, days: float = 40.0) -> tuple[list[np.ndarray], list[datetime]]:
    """Return images whose walls keep their texture while ice and sea get another on every date."""
    rng = np.random.default_rng(3)

    def texture() -> np.ndarray:
        return gaussian_filter(rng.normal(size=SHAPE), 1.0) / 0.28

    rock, columns = texture(), np.arange(SHAPE[1])
    land = (columns < LEFT) | (columns >= RIGHT)
    images = []
    for number in range(count):
        ice = np.arange(SHAPE[0])[:, None] >= FRONT + 4 * number  # the front of the first image is FRONT
        moving = np.where(ice, 100.0, 40.0) + 8 * texture()
        sun = rng.uniform(0.5, 1.5)  # walls are lit otherwise on every date, and snow lightens them
        image = np.where(land, 30 + 12 * sun * rock + 60 * (number % 2), moving)
        images.append(image.astype(np.float32))
    start = datetime(2000, 1, 1, tzinfo=UTC)
    return images, [start + timedelta(days=days * n) for n in range(count)]


def straight(first: float, last: float) -> np.ndarray:
    """Return the front between two columns."""
    columns = np.arange(first, last + 0.5)
    return np.stack([np.full_like(columns, FRONT - 0.5), columns], axis=1)


def edge() -> np.ndarray:
    """Return probabilities that know nothing of the front's ends."""
    return np.full(SHAPE, 0.01, np.float32)


def test_walls_are_found_whatever_their_brightness_and_moving_ice_is_not() -> None:
    ground = stable_ground(*series())
    assert ground.shape == SHAPE
    assert (ground[8:-8, 6 : LEFT - 6] > GROUND).mean() > 0.95
    assert (ground[8:-8, RIGHT + 6 : -6] > GROUND).mean() > 0.95
    assert (ground[8:-8, LEFT + 10 : RIGHT - 10] < 0.5).mean() > 0.99


def test_a_small_thing_that_stays_is_no_ground() -> None:
    images, times = series()
    stone = np.random.default_rng(9).normal(size=(4, 4)) * 40
    for image in images:
        image[74:78, 62:66] = 100 + stone
    assert stable_ground(images, times)[60:, 45:85].max() < GROUND


def test_where_nearly_all_stays_the_same_there_is_no_ground() -> None:
    images, times = series()
    still = [np.where(np.arange(SHAPE[1]) < 40, image, images[0]).astype(np.float32) for image in images]
    assert not stable_ground(still, times).any()


def test_images_of_one_week_tell_no_ground() -> None:
    assert not stable_ground(*series(days=1.0)).any()


@pytest.mark.parametrize(("first", "last"), [(44, 84), (10, 84), (44, 120), (5, 122)])
def test_a_front_is_cut_at_the_walls_and_carried_on_to_them(first: int, last: int) -> None:
    images, times = series()
    line = between_walls(straight(first, last), stable_ground(images, times), images[0], edge())
    low, high = sorted((line[0], line[-1]), key=lambda point: point[1])
    assert low[1] == pytest.approx(LEFT, abs=6)
    assert high[1] == pytest.approx(RIGHT, abs=6)
    inside = line[(line[:, 1] > LEFT + 6) & (line[:, 1] < RIGHT - 6)]
    assert np.abs(inside[:, 0] - FRONT).max() <= 3
    assert (line[0, 1] < line[-1, 1]) == (first < last)  # its direction stays


def test_a_line_far_from_any_wall_stays() -> None:
    images, _ = series()
    ground = np.zeros(SHAPE, np.float32)
    ground[:, : int(60 - REACH * SHAPE[0]) - 2] = 1
    line = straight(60, 70)
    np.testing.assert_allclose(between_walls(line, ground, images[0], edge()), line)


def test_a_line_on_ground_alone_stays_and_a_speck_of_ground_does_not_cut() -> None:
    line = straight(40, 90)
    np.testing.assert_array_equal(cut(line, np.ones(SHAPE, np.float32)), line)
    speck = np.zeros(SHAPE, np.float32)
    speck[:, 60:65] = 1
    assert len(cut(line, speck)) == len(line)
    speck[:, 60:75] = 1
    assert cut(line, speck)[:, 1].max() == pytest.approx(62, abs=1)


def test_of_a_long_series_images_evenly_over_time_are_compared() -> None:
    assert chosen(5) == [0, 1, 2, 3, 4]
    picked = chosen(1_000)
    assert len(picked) == 60
    assert (picked[0], picked[-1]) == (0, 999)
    assert np.ptp(np.diff(picked)) <= 1


def test_large_images_are_compared_smaller_and_small_ones_as_they_are() -> None:
    small = np.zeros((300, 200), np.float32)
    assert shrunk(small) is small
    large = np.tile(np.linspace(0, 1, 2_000, dtype=np.float32), (1_000, 1))
    large[:10, :10] = np.nan
    back = enlarged(shrunk(large), (1_000, 2_000))
    assert shrunk(large).shape == (MOST_PIXELS // 2, MOST_PIXELS)
    np.testing.assert_allclose(back[20:], large[20:], atol=0.003)
    assert np.isfinite(back).all()
