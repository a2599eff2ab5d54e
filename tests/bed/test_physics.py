"""Ice physics against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from icectl.tasks.bed.thickness import physics
from icectl.tasks.bed.thickness.features import FEATURES, MARGIN, glacier_features
from icectl.tasks.bed.thickness.physics import balance_flux, drained


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


def test_a_steady_balance_sums_to_nothing_and_is_linear_in_height() -> None:
    surface, ice = slab()
    balance = physics.steady_balance(surface, ice, gradient=0.008)
    assert abs(balance[ice].mean()) < 1e-9
    np.testing.assert_allclose(np.diff(balance[:, 40]), -0.008 * 10, rtol=1e-9)  # 10 m from row to row


def test_flux_carries_all_balance_down_the_slope() -> None:
    surface, ice = slab(resolution=50.0)
    balance = np.where(ice, 1.0, 0.0)
    flux = balance_flux(surface, ice, 50.0, balance)
    # On a plane, the flux through a row is the balance over all rows above it.
    through = flux.sum(1) * 50.0
    expected = np.cumsum(balance.sum(1)) * 50.0**2
    np.testing.assert_allclose(through, expected, rtol=1e-9)


@pytest.mark.parametrize("column", [40, 26])
def test_no_flux_is_lost_in_a_pit(column: int) -> None:
    """A pit in the middle, and one at the margin, both where snow piles up."""
    surface, ice = slab(resolution=50.0)
    y, x = np.indices(ice.shape)
    surface -= 80.0 * np.exp(-((y - 25) ** 2 + (x - column) ** 2) / 18)
    balance = np.where(ice, np.where(y < 40, 1.0, -0.5), 0.0)
    through = balance_flux(surface, ice, 50.0, balance)[45:].sum(1) * 50.0
    np.testing.assert_allclose(through, np.cumsum(balance.sum(1))[45:] * 50.0**2, rtol=1e-9)


def test_the_flux_of_an_ice_cap_is_that_of_a_cone_and_leaves_where_it_melts() -> None:
    y, x = np.indices((101, 101)) - 50.0
    radius = np.hypot(y, x) * 50.0
    ice, surface = radius < 2400, 1500.0 - 0.1 * radius
    balance = np.where(radius < 1700, 1.0, -1.0) * ice
    flux = balance_flux(surface, ice, 50.0, balance)
    for ring in (800.0, 1200.0, 1600.0):  # π r² by 2 π r; eight directions make it up to 15 % more
        assert flux[abs(radius - ring) < 60].mean() == pytest.approx(ring / 2, rel=0.16)
    np.testing.assert_array_equal(drained(surface, ice, balance), surface)
    raised = drained(surface, ice, np.abs(balance)) - surface  # snow all around: one cell is left to leave by
    assert (raised > 0).sum() > 10


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
