"""Places told apart by their ground where nobody named their glaciers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from icectl.tasks.front.dataset import Entry
from icectl.tasks.front.files.places import look_of, places_of
from icectl.tasks.front.prepare import places_by_looks

SHAPE = (120, 100)


def images(place: int, count: int) -> list[np.ndarray]:
    """Return dates of one place: a wall of rock that stays, under another sun, and ice that moves."""

    def noise(*key: int) -> np.ndarray:
        return gaussian_filter(np.random.default_rng(key).normal(size=SHAPE), 1.0) / 0.28

    land = gaussian_filter(np.random.default_rng([place, 0, 0]).normal(size=SHAPE), 12.0) > 0
    return [
        np.where(land, 50 + (5 + n) * noise(place, 0), 90 + 8 * noise(place, n + 1)).astype(np.float32)
        for n in range(count)
    ]


def entries(count: int, **facts: str) -> list[Entry]:
    """Return as many images without a CRS."""
    time = datetime(2001, 1, 1, tzinfo=UTC)
    return [Entry(id=f"image-{n}", time=time, shape=SHAPE, facts=facts) for n in range(count)]


def test_images_of_two_places_in_any_order_are_told_apart() -> None:
    first, second = images(1, 6), images(2, 6)
    mixed = [image for pair in zip(first, second, strict=True) for image in pair]
    assert places_of([look_of(image) for image in mixed]) == [0, 1] * 6


def test_large_images_and_images_of_other_shapes() -> None:
    small, other = images(1, 2), images(1, 1)[0][:, :80]
    large = [np.kron(image, np.ones((4, 4), np.float32)) for image in small]
    assert places_of([look_of(image) for image in [*large, other]]) == [0, 0, 1]


@pytest.mark.parametrize("gap", [False, True])
def test_a_gap_does_not_hide_a_place(gap: bool) -> None:
    mine = images(1, 3)
    if gap:
        mine[1][:30] = np.nan
    assert places_of([look_of(image) for image in mine]) == [0, 0, 0]


def test_series_get_names_and_single_images_none() -> None:
    looks = [look_of(image) for image in [*images(1, 5), *images(2, 5), *images(3, 2)]]
    names = places_by_looks(entries(12), looks)
    assert [names.get(f"image-{n}") for n in range(12)] == ["place 1"] * 5 + ["place 2"] * 5 + [None] * 2


def test_one_place_and_named_glaciers_stay_as_they_are() -> None:
    looks = [look_of(image) for image in [*images(1, 5), *images(2, 5)]]
    assert places_by_looks(entries(5), looks[:5]) == {}
    assert places_by_looks([replace(e, facts={"glacier": "x"}) for e in entries(10)], looks) == {}
