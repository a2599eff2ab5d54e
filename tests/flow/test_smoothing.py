"""Cells and their neighbours: noise is taken out, what the ice does stays, and errors are told."""

from __future__ import annotations

import numpy as np
import pytest

from icectl.tasks.flow.velocity.smoothing import calm, rough

ROWS, COLS = np.mgrid[:40, :40].astype(float)
PLANE = np.stack([100 + 3 * ROWS, 2 * COLS - ROWS], axis=-1)


def noisy(size, seed=0):
    return PLANE + size * np.random.default_rng(seed).standard_normal(PLANE.shape)


def test_roughness_is_the_noise_of_a_component_and_nothing_of_a_steady_rise():
    assert rough(PLANE, 1, (0.0, 0.0)).max() < 1e-9
    told = rough(noisy(5.0), 1, (0.0, 0.0))
    assert np.median(told) == pytest.approx(5, rel=0.05)


def test_unknown_cells_do_not_spread():
    values = noisy(5.0)
    values[10:12, :] = np.nan
    assert np.isfinite(rough(values, 1, (0.0, 0.0))).all()
    assert (np.isfinite(calm(values, np.full(ROWS.shape, 5.0), 1.0, 0.0)[0]) == np.isfinite(values)).all()


def test_noise_is_calmed_where_it_is_all_that_differs():
    values, error = noisy(5.0), np.full(ROWS.shape, 5.0)
    left = calm(values, error, 1.0, 0.0)[0] - PLANE
    assert left[3:-3, 3:-3].std() < 0.5 * 5
    assert abs(left).mean() < abs(values - PLANE).mean()


def test_what_noise_does_not_explain_stays():
    """A tongue two cells wide, measured with an error of a hundredth of its speed."""
    values = np.zeros_like(PLANE)
    values[:, 19:21] = 300.0
    left = calm(values, np.full(ROWS.shape, 3.0), 1.0, 0.0)[0]
    assert abs(left - values).max() < 3


def test_a_plane_stays_a_plane_at_the_border():
    error = np.full(ROWS.shape, 5.0)
    assert abs(calm(PLANE, error, 1.0, 0.0)[0] - PLANE).max() < 0.2


def test_a_bend_beyond_the_noise_is_kept_and_a_flat_stretch_beside_it_is_calmed():
    """Each cell takes the surface that its own data ask for; what is left is told by the error."""
    bent = np.stack([np.where(COLS < 20, 4 * (COLS - 20) ** 2, 0.0), np.zeros(ROWS.shape)], axis=-1)
    noise = 3 * np.random.default_rng(1).standard_normal(bent.shape)
    found, error = calm(bent + noise, np.full(ROWS.shape, 3.0), 1.0, 0.0)
    off = found - bent
    inner, flat = np.s_[4:-4, 4:16], np.s_[4:-4, 26:-4]
    assert abs(off[inner].mean()) < 0.5
    assert off[inner].std() < 0.8 * 3
    assert off[flat].std() < 0.45 * 3
    for part in (inner, flat):
        assert 0.7 < error[part].mean() / off[part].std() < 1.4
