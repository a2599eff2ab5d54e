"""Correlations, Table 1's classes, intervals over chips and likeness, against numpy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from icectl.contract import Column, Row, Table
from icectl.intervals import certainty
from icectl.tasks.flow.metrics import by_chip, classes, correlation, likeness


def test_correlation_equals_numpy_and_is_zero_for_constants():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 5, 9, 9))
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(correlation(a, b), expected, rtol=1e-12)
    np.testing.assert_allclose(correlation(3 * a + 7, a), 1)
    assert (correlation(np.full_like(a, 4.2), b) == 0).all()
    many = rng.standard_normal((400, 3, 3))
    assert correlation(3 * many + 7, many).max() == 1  # not 1 + 4e-16
    assert correlation(7 - 3 * many, many).min() == -1
    np.testing.assert_allclose(correlation(1e-8 * a, a), 1)
    thin = rng.standard_normal((2, 40))
    for x in (*a, thin):
        assert correlation(1e-10 * x, x) == 0  # what varies less than 1e-9 is constant


def test_classes_are_those_of_table_1():
    scores = np.array([0.0, -0.4, 0.1, 0.29, 0.3, 0.5, 0.7, 0.71, 0.9])
    found = classes(scores)
    assert found["mean"] == pytest.approx(scores[1:].mean())  # zeros do not count in the mean
    assert (found["low"], found["medium"], found["high"]) == (4 / 9, 3 / 9, 2 / 9)
    assert classes(np.array([np.nan])) == dict.fromkeys(("mean", "low", "medium", "high"))
    assert classes(np.zeros(2)) == {"mean": 0.0, "low": 1.0, "medium": 0.0, "high": 0.0}


def test_intervals_are_of_chips_and_leave_zeros_out():
    chip = np.array([4, 7, 4])
    scores = np.array([[0.2, 0.0, 0.6], [0.4, 0.5, 0.0]])  # two windows of three sequences
    assert by_chip(scores, chip).tolist() == [[pytest.approx(1.2), 3], [0.5, 1]]
    flat, half = np.full((2, 3), 0.6), np.full((2, 3), 0.4)
    rows = tuple(
        Row(name=name, kind=kind, values={"mean": mean})
        for name, kind, mean in (("svg", "model", 0.6), ("last", "baseline", 0.4))
    )
    column = Column(key="mean", label="mean", better="higher")
    table = Table(title="Chips", columns=(column,), rows=rows, primary="mean")
    units = {"svg": {"mean": by_chip(flat, chip)}, "last": {"mean": by_chip(half, chip)}}
    found = certainty(table, units, draws=50, seed=0)
    assert found["intervals"]["Chips"]["svg"] == {"mean": pytest.approx([0.6, 0.6])}
    assert found["gain"] == pytest.approx([50, 50])
    alone = certainty(table, {"svg": {"mean": by_chip(flat, chip * 0)}}, draws=50, seed=0)
    assert alone == {"intervals": {"Chips": {}}, "gain": None}  # one chip has no spread


@pytest.mark.parametrize(("side", "window"), [(4, 3), (5, 3), (6, 5), (8, 7)])
def test_likeness_of_small_chips_looks_through_a_smaller_window(side, window):
    a, b = np.random.default_rng(0).uniform(0, 200, (2, 1, 9, side)).astype(np.float32)
    expected = structural_similarity(a[0], b[0], data_range=200, win_size=window)
    assert likeness(a, b, np.full(1, 200.0))["ssim"] == pytest.approx(expected)
    assert likeness(a[:0], b[:0], np.zeros(0)) == {"ssim": 0.0, "psnr": 0.0}


def test_likeness_equals_scikit_image():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 200, (2, 3, 32, 32)).astype(np.float32)
    found = likeness(a, b, np.full(3, 200.0))
    ssim = np.mean(
        [structural_similarity(x, y, data_range=200, win_size=7) for x, y in zip(a, b, strict=True)]
    )
    psnr = np.mean([peak_signal_noise_ratio(x, y, data_range=200) for x, y in zip(a, b, strict=True)])
    assert found["ssim"] == pytest.approx(ssim)
    assert found["psnr"] == pytest.approx(psnr)
    assert likeness(a, a, np.full(3, 200.0))["psnr"] == 100
    double = peak_signal_noise_ratio(2 * a[0], a[0], data_range=400)
    assert likeness(2 * a[:1], a[:1], np.full(1, 400.0))["psnr"] == pytest.approx(double)
