"""Chip matching against OpenCV, scikit-image, closed forms and known shifts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import match_template

from icectl.errors import DataError, UsageError
from icectl.imagery import coarse
from icectl.imagery.chips import cut, follow, grid_starts, startable
from icectl.imagery.correlation import NONE, clean, prepare, surface
from icectl.imagery.matching import match_chips, parabola, quality, search_radius, texture


def ground(shape=(420, 460), seed=0, smooth=1.5):
    """Texture at several scales, as ice has."""
    rng = np.random.default_rng(seed)
    layers = [ndimage.gaussian_filter(rng.standard_normal(shape), s) * s for s in (smooth, 4, 12)]
    return (100 + 20 * sum(layers)).astype(np.float32)


def lattice(shape, size, radius, step=23):
    rows = np.arange(radius, shape[0] - size - radius, step)
    cols = np.arange(radius, shape[1] - size - radius, step)
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), -1).reshape(-1, 2)


def opencv_peaks(a, b, starts, size, radius):
    peaks = []
    for y, x in starts:
        window = b[y - radius : y + size + radius, x - radius : x + size + radius]
        scores = cv2.matchTemplate(window, a[y : y + size, x : x + size], cv2.TM_CCOEFF_NORMED)
        peaks.append(np.array(np.unravel_index(scores.argmax(), scores.shape)) - radius)
    return np.array(peaks)


@pytest.mark.parametrize("search", ["coarse-to-fine", "exhaustive"])
@pytest.mark.parametrize("size", [16, 65, 128])
def test_whole_pixel_shift_is_exact(search, size):
    a = ground()
    b = np.roll(a, (3, -5), axis=(0, 1))
    scale = 2.0 if size == 16 else 1.5
    starts = lattice(a.shape, size, search_radius(size, scale))
    found = match_chips(a, b, starts, size, scale, search=search)
    assert found.found.all()
    assert (found.shift == [3, -5]).all()
    np.testing.assert_allclose(found.score, 1, atol=1e-4)
    assert np.abs(found.subpixel - found.shift).max() < (0.02 if size > 16 else 0.51)
    assert (found.ratio >= 1).all()
    assert np.median(found.snr) > 3


def test_surface_equals_scikit_image():
    a, b = ground(seed=1), ground(seed=2)
    radius, size, y, x = 16, 64, 100, 120
    ref, mov = prepare(a, margin=18), prepare(b, margin=18)
    ours = surface(ref, mov, y + 18, x + 18, size, radius)
    window = b[y - radius : y + size + radius, x - radius : x + size + radius].astype(np.float64)
    theirs = match_template(window, a[y : y + size, x : x + size].astype(np.float64))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0])
def test_coarse_search_finds_the_peaks_of_opencv(noise):
    rng = np.random.default_rng(3)
    a = ground(seed=3)
    scale = a.std()
    b = (
        ndimage.shift(a, (4.3, -2.6), order=3, mode="nearest") + noise * scale * rng.standard_normal(a.shape)
    ).astype(np.float32)
    starts = lattice(a.shape, 128, 32, 13)
    found = match_chips(a, b, starts, 128)
    agree = (found.shift == opencv_peaks(a, b, starts, 128, 32)).all(axis=1)
    assert agree.mean() >= 0.999


def test_coarse_search_sees_a_narrow_peak_on_a_broad_cloud():
    a = ground(seed=4, smooth=1.0)
    rows, cols = np.mgrid[: a.shape[0], : a.shape[1]]
    cloud = 300 * np.exp(-((rows - 180) ** 2 + (cols - 200) ** 2) / 90**2)
    later = 300 * np.exp(-((rows - 200) ** 2 + (cols - 215) ** 2) / 90**2)
    b = np.roll(a, (1, 2), (0, 1)) + later
    starts = lattice(a.shape, 128, 32, 11)
    found = match_chips((a + cloud).astype(np.float32), b.astype(np.float32), starts, 128)
    exact = match_chips(
        (a + cloud).astype(np.float32), b.astype(np.float32), starts, 128, search="exhaustive"
    )
    same = (found.shift == exact.shift).all(axis=1)
    assert same.mean() >= 0.99
    np.testing.assert_allclose(found.score, exact.score, atol=3e-5)  # what differs are ties


@pytest.mark.parametrize("shift", [(0.3, -0.4), (1.25, 2.5), (-0.7, 0.1), (5.05, -3.45)])
def test_subpixel_shift_within_a_twentieth_of_a_pixel(shift):
    a = ground(seed=5, smooth=2.0)
    spectrum = ndimage.fourier_shift(np.fft.fft2(a), shift)
    b = np.fft.ifft2(spectrum).real.astype(np.float32)
    found = match_chips(a, b, lattice(a.shape, 128, 32), 128)
    error = np.abs(found.subpixel - shift)
    assert np.median(error) < 0.03
    assert error.max() < 0.05


def test_parabola_finds_the_top_of_a_quadratic():
    y, x = np.mgrid[-1:2, -1:2]
    dy, dx = 0.21, -0.37
    around = 0.9 - 0.05 * (y - dy) ** 2 - 0.08 * (x - dx) ** 2 - 0.02 * (y - dy) * (x - dx)
    np.testing.assert_allclose(parabola(around[None].astype(np.float32))[0], [dy, dx], atol=1e-5)
    edge = around.copy()
    edge[0] = NONE
    assert (parabola(edge[None].astype(np.float32)) == 0).all()
    assert (parabola(np.ones((1, 3, 3), np.float32)) == 0).all()


def test_quality_is_that_of_its_definition():
    rng = np.random.default_rng(6)
    scores = rng.uniform(-0.2, 0.4, (1, 33, 33)).astype(np.float32)
    scores[0, 18, 15] = 0.9
    shift = np.array([[(18 - 16) * 2, (15 - 16) * 2]])
    snr, ratio = quality(scores, shift, np.array([0.9], np.float32), 2)
    rows, cols = np.mgrid[:33, :33]
    far = (abs(rows - 18) > 4) | (abs(cols - 15) > 4)
    rest = scores[0][far]
    assert snr[0] == pytest.approx((0.9 - rest.mean()) / rest.std(), rel=1e-4)
    assert ratio[0] == pytest.approx(0.9 / rest.max(), rel=1e-5)


def test_gain_offset_and_scene_mean_do_not_matter():
    a = ground(seed=7)
    b = np.roll(a, (2, 7), (0, 1))
    starts = lattice(a.shape, 64, 16)
    plain = match_chips(a, b, starts, 64)
    changed = match_chips(a * 3 + 5e4, b * 0.1 - 70, starts, 64)
    assert (plain.shift == changed.shift).all()
    np.testing.assert_allclose(plain.score, changed.score, atol=2e-3)


def test_constant_and_invalid_chips_are_not_found():
    a = ground(seed=8)
    b = a.copy()
    a[100:260, 100:260] = 42
    b[:, 400:] = np.nan
    starts = np.array([[120, 120], [20, 20], [300, 300], [300, -4], [380, 100], [10**6, 0]])
    found = match_chips(a, b, starts, 64)
    assert found.found.tolist() == [False, True, True, False, False, False]
    assert np.isnan(found.score[~found.found]).all()
    assert np.isnan(found.subpixel[~found.found]).all()
    assert (found.shift[found.found] == 0).all()


def test_no_window_position_may_hold_an_invalid_pixel():
    a = ground(seed=9)
    b = np.roll(a, (0, 10), (0, 1))
    valid = np.ones(a.shape, dtype=bool)
    valid[:, 170:] = False  # the true position of the chip is partly under cloud
    found = match_chips(a, b, np.array([[100, 100]]), 64, valid=(None, valid))
    assert found.found[0]
    assert found.shift[0, 1] <= 170 - 64 - 100


def test_a_scene_without_holes_is_clean_within_its_border():
    """What needs no integral image agrees with the integral image of the border."""
    scene = prepare(np.random.default_rng(0).standard_normal((40, 56)), margin=6)
    assert scene.bad is None
    border = np.pad(np.zeros((40, 56), np.uint8), 6, constant_values=1)
    counted = replace(scene, bad=cv2.integral(border, sdepth=cv2.CV_32S))
    rows, cols = np.mgrid[: 52 - 12, : 68 - 12]
    ours = clean(scene, rows, cols, 12)
    assert (ours == clean(counted, rows, cols, 12)).all()
    assert 0 < ours.sum() == (40 - 11) * (56 - 11)
    holed = np.random.default_rng(0).standard_normal((40, 56))
    holed[20, 20] = np.nan
    assert not clean(prepare(holed, margin=6), 20, 20, 12)


def test_constant_scene_gives_nothing():
    flat = np.full((200, 200), 7, np.float32)
    found = match_chips(flat, flat, np.array([[50, 50]]), 64)
    assert not found.found.any()
    nothing = match_chips(ground((200, 200)), flat, np.array([[50, 50]]), 64)
    assert not nothing.found.any()


def test_one_thread_equals_two():
    a, b = ground(seed=10), ground(seed=11)
    starts = lattice(a.shape, 64, 16, 9)
    one, two = (match_chips(a, b, starts, 64, workers=n) for n in (1, 2))
    for field in ("shift", "subpixel", "score", "snr", "ratio"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))


def test_wrong_use_is_worded():
    a = ground()
    with pytest.raises(UsageError, match="search scale 1"):
        match_chips(a, a, [[0, 0]], 64, 1.0)
    with pytest.raises(DataError, match="one band"):
        match_chips(np.zeros((5, 5, 3)), a, [[0, 0]], 64)
    with pytest.raises(DataError, match="cannot be matched"):
        match_chips(a, a[:-1], [[0, 0]], 64)
    with pytest.raises(DataError, match="border of"):
        match_chips(texture(a, 64, 1.1), texture(a, 64, 1.1), [[0, 0]], 64, 1.5)
    with pytest.raises(UsageError, match="too small"):
        search_radius(2, 1.5)


def test_window_can_outgrow_the_scene():
    a = ground((100, 100))
    found = match_chips(a, np.roll(a, (1, 1), (0, 1)), np.array([[20, 20]]), 64, 3.0)
    assert (found.shift[0] == 1).all()


@pytest.mark.realdata
def test_perito_moreno_moves_as_an_independent_look_says(shared_data):
    folder = shared_data / "perito_moreno"
    a, b = (cv2.imread(str(folder / f"{d}.jpg")).astype(np.float32).mean(2) for d in ("20200101", "20200207"))
    valid = cv2.erode((a > 8).astype(np.uint8), np.ones((15, 15))) > 0
    starts = grid_starts(valid, 96, 200, border=24)
    found = match_chips(a, b, starts, 96, 1.5, valid=(valid, valid))
    good = found.found & (found.score > 0.9)
    assert good.sum() > 20
    near = np.abs(found.shift[good] - [-1, 9]).max(axis=1) <= 2
    assert near.any()


@pytest.mark.realdata
def test_real_chips_peak_where_opencv_says(shared_data):
    folder = shared_data / "perito_moreno"
    names = ("20200118", "20200121", "20200205", "20200207")
    frames = [cv2.imread(str(folder / f"{d}.jpg")).astype(np.float32).mean(2) for d in names]
    valid = cv2.erode((frames[0] > 8).astype(np.uint8), np.ones((15, 15))) > 0
    starts = grid_starts(valid, 128, 250, border=32)
    agree = []
    for a, b in ((frames[0], frames[1]), (frames[1], frames[2]), (frames[2], frames[3])):
        found = match_chips(a, b, starts, 128)
        agree += (found.shift == opencv_peaks(a - 100, b - 100, starts, 128, 32)).all(axis=1).tolist()
    assert np.mean(agree) >= 0.995  # 99.9 % on more chips: benchmarks/chip_matching.py


def test_grid_has_the_papers_count():
    valid = np.ones((1400, 1500), dtype=bool)
    valid[:300, :300] = False
    starts = grid_starts(valid, 128, 1525)
    assert len(starts) == 1525
    assert 7 * len(starts) == 10_675  # Min et al. 2019: seven bands
    assert len(np.unique(starts, axis=0)) == 1525
    assert startable(valid, 128)[starts[:, 0], starts[:, 1]].all()
    rows = np.diff(np.unique(starts[:, 0]))
    assert (rows == rows[0]).all()


def test_grid_refuses_more_than_there_is_room_for():
    with pytest.raises(DataError, match="room for 9 starts"):
        grid_starts(np.ones((10, 10), dtype=bool), 8, 10)
    assert len(grid_starts(np.ones((10, 10), dtype=bool), 8, 9)) == 9
    with pytest.raises(DataError, match="room for 0"):
        grid_starts(np.ones((10, 10), dtype=bool), 16, 1)
    with pytest.raises(UsageError, match="no chip"):
        grid_starts(np.ones((10, 10), dtype=bool), 8, 0)


def test_chips_are_cut_where_they_start():
    image = np.arange(400, dtype=np.float32).reshape(20, 20)
    chips = cut(image, np.array([[0, 0], [3, 7]]), 4)
    np.testing.assert_array_equal(chips[1], image[3:7, 7:11])
    with pytest.raises(DataError, match="leaves the scene"):
        cut(image, np.array([[17, 0]]), 4)


def test_sequences_follow_the_ice():
    base = ground((300, 400), seed=12)
    frames = [np.roll(base, (2 * t, 3 * t), (0, 1)) for t in range(5)]
    starts = grid_starts(np.ones(base.shape, dtype=bool), 64, 20, border=40)
    tracks = follow([texture(f, 64, 1.5) for f in frames], starts, 64, 1.5)
    for t in range(5):
        np.testing.assert_array_equal(tracks.position[:, t], starts + np.array([2 * t, 3 * t]))
    assert tracks.inside.all()
    assert tracks.trusted[:, 1:].all()
    assert np.isnan(tracks.score[:, 0]).all()


def test_clouded_scenes_are_bridged_by_velocity_and_then_found_again():
    base = ground((300, 400), seed=13)
    day = [0, 4, 6, 12, 14]
    frames = [np.roll(base, (d, 0), (0, 1)) for d in day]
    frames[2] = ground(base.shape, seed=99, smooth=20)  # cloud
    dates = [datetime(2020, 1, 1 + d) for d in day]
    starts = grid_starts(np.ones(base.shape, dtype=bool), 64, 20, border=40)
    scenes = [texture(f, 64, 1.5) for f in frames]
    tracks = follow(scenes, starts, 64, 1.5, dates=dates, trust=(0.8, 1.0))
    assert not tracks.trusted[:, 2].any()
    for t, d in enumerate(day):
        np.testing.assert_array_equal(tracks.position[:, t] - starts, np.tile([d, 0], (20, 1)))


def test_chips_that_leave_the_scene_are_told():
    base = ground((160, 160), seed=14)
    frames = [np.roll(base, (20 * t, 0), (0, 1)) for t in range(3)]
    tracks = follow([texture(f, 64, 2.0) for f in frames], np.array([[80, 40], [10, 40]]), 64, 2.0)
    assert tracks.inside.tolist() in ([False, True], [True, True])
    assert (tracks.position >= 0).all()
    assert (tracks.position <= 96).all()


def test_starts_of_the_climb_are_needed(monkeypatch):
    """From the best coarse position alone, peaks are missed: the margin and the bump do work."""
    rng = np.random.default_rng(15)
    a = rng.standard_normal((300, 300)).astype(np.float32)  # half the resolution loses most of it
    b = (np.roll(a, (1, 3), (0, 1)) + 3 * rng.standard_normal(a.shape)).astype(np.float32)
    starts = lattice(a.shape, 64, 16, 9)
    truth = opencv_peaks(a, b, starts, 64, 16)
    with_them = (match_chips(a, b, starts, 64).shift == truth).all(axis=1).mean()
    monkeypatch.setattr(coarse, "MARGIN", (0.0, 0.0, 0.0))
    monkeypatch.setattr(coarse, "_sharpest", lambda scores: np.zeros((len(scores), 2), np.int64))
    without = (match_chips(a, b, starts, 64).shift == truth).all(axis=1).mean()
    assert with_them > without


def test_flat_surfaces_are_scored_at_every_position(monkeypatch):
    """Where many hills are as high, the exhaustive surface decides; without it peaks are missed."""
    a, b = (ndimage.gaussian_filter(ground(seed=s), 6) for s in (20, 21))  # nothing in common
    noise = np.random.default_rng(22).standard_normal((2, *a.shape)).astype(np.float32)
    a, b = a + noise[0], b + noise[1]
    starts = lattice(a.shape, 64, 16, 9)
    exact = match_chips(a, b, starts, 64, search="exhaustive")
    called = []
    whole = coarse.surface
    monkeypatch.setattr(coarse, "surface", lambda *args: called.append(1) or whole(*args))
    monkeypatch.setattr(coarse, "MOST_HILLS", 0)
    every = match_chips(a, b, starts, 64)
    assert len(called) == len(starts)
    assert (every.shift == exact.shift).all()


def test_peaks_on_the_border_of_the_window_are_found():
    a = ground(seed=23)
    b = np.roll(a, (16, -16), (0, 1))
    starts = lattice(a.shape, 64, 16)
    found = match_chips(a, b, starts, 64)
    exact = match_chips(a, b, starts, 64, search="exhaustive")
    assert (found.shift == [16, -16]).all()
    np.testing.assert_allclose(found.subpixel, exact.subpixel, atol=1e-3)
    np.testing.assert_allclose(found.score, exact.score, atol=1e-5)
