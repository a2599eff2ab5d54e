"""Work strip by strip gives what work on the whole gives, in memory that does not grow with the scene."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from icectl.imagery import filters, masked, strips
from icectl.imagery.deform import deform, match_aligned
from icectl.imagery.strips import in_strips
from icectl.tasks.flow.velocity import confirm, smoothing


@pytest.fixture
def images():
    noise = np.random.default_rng(0).standard_normal((2, 150, 60))
    return ndimage.gaussian_filter(noise, (0, 1.5, 1.5)).astype(np.float32) * 50


def cells():
    noise = np.random.default_rng(1).standard_normal((70, 9, 2)) * 0.3 + [2, 5]
    noise[20:24, 3] = np.nan
    return noise, np.full(noise.shape[:2], 0.3)


def shift(image):
    down = np.linspace(0, 3, len(image))[:, None] * np.ones(image.shape[1])
    return np.stack([down, down / 2], axis=-1).astype(np.float32)


def every(image):
    return np.ones(image.shape, dtype=bool)


WORKS = {
    "wallis": lambda a, b: filters.wallis(a, 21),
    "deform": lambda a, b: np.stack(deform(a, a > -80, shift(a))),
    "match_aligned": lambda a, b: (
        match_aligned(
            a, np.roll(a, 1, 0) + b / 9, (every(a), every(b)), np.argwhere(every(a[::9, ::9])) * 9, 4.0, 2
        ).subpixel
    ),
    "coherent": lambda a, b: confirm.coherent(*np.moveaxis(cells()[0], -1, 0), 2.5),
    "calm": lambda a, b: np.concatenate([part.ravel() for part in smoothing.calm(*cells(), 1.3, 0.4)]),
    "rough": lambda a, b: smoothing.rough(cells()[0], 2, (0.5, 0.1)),
}


@pytest.mark.parametrize("name", WORKS)
def test_strips_give_what_the_whole_gives(name, images, monkeypatch):
    whole = WORKS[name](*images)
    assert np.isfinite(whole).mean() > 0.02
    assert np.nanstd(whole) > 0
    count = []
    monkeypatch.setattr(strips, "in_threads", lambda work, jobs: count.append(len(jobs)) or map(work, jobs))
    monkeypatch.setattr(strips, "PIXELS", 600)
    monkeypatch.setattr("icectl.imagery.deform.PIXELS", 600)
    for module in (confirm, smoothing):
        monkeypatch.setattr(module, "CELLS", 90)
    np.testing.assert_allclose(np.float64(WORKS[name](*images)), np.float64(whole), atol=2e-5)
    assert name == "match_aligned" or max(count) >= 3  # it was in strips


def test_few_places_in_a_large_scene_are_matched(images, monkeypatch):
    monkeypatch.setattr("icectl.imagery.deform.PIXELS", 600)  # 15 strips
    a, places = images[0], np.array([[40, 20], [90, 40]])
    found = match_aligned(a, np.roll(a, 1, 0), (every(a), every(a)), places, 4.0, 2)
    np.testing.assert_allclose(found.subpixel, [[1, 0], [1, 0]], atol=0.1)


def test_a_halo_that_is_too_narrow_is_seen():
    def mean(rows):
        return (ndimage.uniform_filter1d(rows, 5, axis=0),)

    rows = np.random.default_rng(2).standard_normal((40, 3))
    np.testing.assert_allclose(in_strips(mean, rows, halo=2, pixels=12)[0], mean(rows)[0], atol=1e-12)
    assert abs(in_strips(mean, rows, halo=1, pixels=12)[0] - mean(rows)[0]).max() > 0.1


def test_scores_of_many_chips_are_not_held_at_once(images):
    """The scores of these 4,000 chips take 4.6 MB; a batch of them 0.3 MB."""
    a, b = images
    at = np.argwhere(every(a))[::2][:4000]
    tracemalloc.start()
    masked.match_masked(a, b, (every(a), every(b)), at, 6, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6
