"""Ice physics against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from icectl.tasks.bed.thickness import physics
from icectl.tasks.bed.thickness.features import FEATURES, MARGIN, glacier_features


def slab(slope: float = 0.2, size: int = 80, resolution: float = 50.0) -> tuple[np.ndarray, np.ndarray]:
    """A plane that falls to the south, with a strip of ice 30 pixels wide in the middle."""
    y, _ = np.indices((size, size))
    ice = np.zeros((size, size), dtype=bool)
    ice[:, 25:55] = True
    return 4000.0 - slope * resolution * y, ice


def test_plasticity_on_a_plane_is_the_closed_form() -> None:
    surface, ice = slab()
    depth = physics.perfect_plasticity(surface, ice, 50.0, yield_stress=1e5, smoothing=200.0)
    expected = 1e5 / (917.0 * 9.81 * np.sin(np.arctan(0.2)))
    np.testing.assert_allclose(depth[ice], expected, rtol=1e-6)
    assert (depth[~ice] == 0).all()


def test_the_slope_of_the_ice_does_not_see_the_walls() -> None:
    surface, ice = slab()
    walls = np.where(ice, surface, surface + 800.0)
    inner = np.zeros_like(ice)
    inner[:, 30:50] = True
    np.testing.assert_allclose(physics.ice_slope(walls, inner, 50.0, 200.0)[inner], 0.2, rtol=1e-6)


def test_a_steady_balance_sums_to_nothing_and_has_half_the_gradient_above() -> None:
    surface, ice = slab()
    balance = physics.steady_balance(surface, ice, gradient=0.008)
    assert abs(balance[ice].mean()) < 1e-9
    column = balance[:, 40]
    assert np.diff(column[:10]).mean() == pytest.approx(0.5 * np.diff(column[-10:]).mean(), rel=1e-6)


def test_flux_carries_all_balance_down_the_slope() -> None:
    surface, ice = slab(resolution=50.0)
    balance = np.where(ice, 1.0, 0.0)
    flux = physics.balance_flux(surface, ice, 50.0, balance)
    # On a plane, the flux through a row is the balance over all rows above it.
    through = flux.sum(1) * 50.0
    expected = np.cumsum(balance.sum(1)) * 50.0**2
    np.testing.assert_allclose(through, expected, rtol=1e-9)


def test_thickness_by_mass_conservation_inverts_the_shallow_ice_flux() -> None:
    surface, ice = slab(slope=0.15, size=120)
    ice[:5] = ice[-5:] = False
    depth = physics.mass_conservation(surface, ice, 50.0)
    assert (depth[ice] > 0).all()
    assert (depth[~ice] == 0).all()
    middle = depth[60, 40]
    stress = 0.8 * 917 * 9.81 * np.sin(np.arctan(0.15))
    flux = 2 * 2.4e-24 / 5 * stress**3 * middle**5 * physics.YEAR
    above = physics.steady_balance(surface, ice)[:61, 40].sum() * 50.0
    assert flux == pytest.approx(above, rel=0.15)  # smoothing over the strip's edges takes the rest


def test_a_given_balance_replaces_the_synthetic_one() -> None:
    surface, ice = slab()
    weak = physics.mass_conservation(surface, ice, 50.0, 0.2 * physics.steady_balance(surface, ice))
    strong = physics.mass_conservation(surface, ice, 50.0, physics.steady_balance(surface, ice))
    np.testing.assert_allclose(strong[ice], weak[ice] * 5 ** (1 / 5), rtol=1e-6)


def test_distance_to_the_edge_of_a_strip() -> None:
    _, ice = slab()
    distance = physics.edge_distance(ice, 50.0)
    assert distance[40, 25] == pytest.approx(25.0)
    assert distance[40, 39] == pytest.approx(14.5 * 50.0)
    assert (distance[~ice] == 0).all()


def test_features_of_step_b_are_finite_and_0_off_the_ice() -> None:
    surface, ice = _slab()
    found = glacier_features(surface, ice, 50.0)
    assert found.channels.shape == (len(FEATURES), *surface.shape)
    assert np.isfinite(found.channels).all()
    assert (found.channels[:, ~ice] == 0).all()
    assert (found.flux[ice] > 0).all()


def _slab() -> tuple[np.ndarray, np.ndarray]:
    rows, _ = np.mgrid[:60, :40].astype(float)
    ice = np.zeros((60, 40), dtype=bool)
    ice[5:-5, 8:-8] = True
    return 3000.0 - 10.0 * rows, ice


def test_ice_thins_to_nothing_at_the_margin_and_not_at_a_divide() -> None:
    surface, ice = _slab()
    other = np.zeros_like(ice)
    other[:5, 8:-8] = True  # another glacier beyond the upper rim
    alone = glacier_features(surface, ice, 20.0)
    joined = glacier_features(surface, ice, 20.0, all_ice=other)
    assert alone.thinning[5, 20] == pytest.approx(1 - np.exp(-10 / MARGIN))
    assert joined.thinning[5, 20] > 0.8
    assert joined.thinning[20, 8] == alone.thinning[20, 8]


def test_the_inversion_of_a_velocity_is_that_of_an_inclined_slab() -> None:
    surface, ice = _slab()
    depth = 120.0
    stress = 0.8 * 917 * 9.81 * np.sin(np.arctan(10 / 50))
    creep = 2 * 2.4e-24 / 4 * (stress * depth) ** 3 * depth * 365.25 * 86_400
    speed = np.where(ice, 2 * creep, np.nan)  # half of it slides
    found = physics.velocity_inversion(surface, ice, 50.0, speed, 400.0)
    np.testing.assert_allclose(found[ice], depth, rtol=1e-6)
    speed[20, 20] = np.nan
    assert physics.velocity_inversion(surface, ice, 50.0, speed, 400.0)[20, 20] == 0
