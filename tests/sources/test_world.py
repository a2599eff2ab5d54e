from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from icectl.errors import UsageError
from icectl.sources.synthetic import World
from icectl.sources.synthetic.ice import DENSITY, GLEN, GRAVITY, RATE, Climate, relax, velocity
from icectl.sources.synthetic.noise import coarsen, fractal, generator, resize


def test_surface_is_bed_plus_thickness(alpine, tidewater):
    for world in (alpine, tidewater):
        assert np.array_equal(world.surface, world.bed + world.thickness)
        assert world.thickness.min() == 0.0
        assert np.array_equal(world.glacier, world.thickness > 0)
        assert 0.05 < world.glacier.mean() < 0.85


def test_nothing_moves_off_the_ice_and_ice_flows_down(alpine):
    speed = np.hypot(alpine.ice.vx, alpine.ice.vy)
    assert np.all(speed[~alpine.glacier] == 0.0)
    assert 20 < speed.max() <= alpine.climate.fastest
    surface = ndimage.gaussian_filter(alpine.surface, 5.0)
    down, east = np.gradient(surface)
    descends = -(alpine.ice.vx * east - alpine.ice.vy * down)
    fast = speed > np.median(speed[alpine.glacier])
    assert (descends[fast] > 0).mean() > 0.97


def test_thick_ice_lies_in_valleys(alpine):
    broad = ndimage.gaussian_filter(alpine.bed, 20)
    hollow = (alpine.bed - broad)[alpine.glacier]
    assert np.corrcoef(hollow, alpine.thickness[alpine.glacier])[0, 1] < -0.1


def test_the_same_seed_gives_the_same_world_and_another_another_place(alpine):
    again = World(seed=alpine.seed, shape=alpine.shape)
    assert np.array_equal(again.surface, alpine.surface)
    other = World(seed=alpine.seed + 1, shape=alpine.shape)
    assert not np.array_equal(other.bed, alpine.bed)
    assert not other.grid.extent.boundingbox.polygon.overlaps(alpine.grid.extent.boundingbox.polygon)


def test_pixel_edges_follow_landsat(alpine, tidewater):
    for world in (alpine, tidewater):
        assert (world.grid.affine.c % 30, world.grid.affine.f % 30) == (15, 15)
        assert str(world.grid.crs).startswith("EPSG:326")


def test_the_fjord_reaches_the_sea(tidewater):
    assert tidewater.bed.min() < -150
    assert (tidewater.glacier & (tidewater.bed < 0)).any()


@pytest.mark.parametrize("wrong", [{"shape": (20, 20)}, {"resolution": 0.0}, {"seed": -1}])
def test_impossible_worlds_are_refused(wrong):
    with pytest.raises(UsageError, match="cannot be made"):
        World(**wrong)


def test_a_dome_spreads_as_halfar_says():
    """The similarity solution of Halfar (1983) for ice on flat ground, without mass balance."""
    resolution, height, radius, years = 200.0, 300.0, 5000.0, 240.0
    axis = (np.arange(81) - 40) * resolution
    r = np.hypot(axis[:, None], axis[None, :])
    gamma = 2 * RATE / (GLEN + 2) * (DENSITY * GRAVITY) ** GLEN
    t0 = (7 / 4) ** 3 / (18 * gamma) * radius**4 / height**7

    def halfar(t):
        shape = 1 - ((t0 / t) ** (1 / 18) * r / radius) ** (4 / 3)
        return height * (t0 / t) ** (1 / 9) * np.clip(shape, 0, None) ** (3 / 7)

    still = Climate(equilibrium=0.0, gradient=0.0, accumulation=0.0, years=years)
    flat = np.zeros_like(r)
    thickness = relax(flat, resolution, still, np.ones_like(r, bool), halfar(t0))
    exact = halfar(t0 + years)
    assert thickness.sum() == pytest.approx(exact.sum(), rel=5e-3)  # ice is conserved
    assert thickness[40, 40] == pytest.approx(exact[40, 40], rel=0.02)
    inside = r < 0.8 * radius
    assert np.abs(thickness - exact)[inside].max() < 0.05 * height


def test_velocity_is_the_shallow_ice_law():
    slope, depth, resolution = 0.05, 150.0, 30.0
    y = np.arange(200)[:, None] * resolution
    surface = np.repeat(3000.0 - slope * y, 200, axis=1)
    climate = Climate(equilibrium=0.0, sliding=1e-4, fastest=1e6)
    vx, vy = velocity(np.full_like(surface, depth), surface, resolution, climate)
    stress = DENSITY * GRAVITY * depth * slope
    expected = 2 * RATE / (GLEN + 1) * stress**GLEN * depth + 1e-4 * stress
    assert vy[100, 100] == pytest.approx(-expected, rel=1e-3)  # the surface falls to the south
    assert abs(vx[100, 100]) < 1e-6


def test_fractal_fields_have_their_spectrum():
    field = fractal(generator(0, "x"), (256, 256), 3.0, 200)
    assert field.std() == pytest.approx(1.0)
    window = np.hanning(256)[:, None] * np.hanning(256)
    power = np.abs(np.fft.fftshift(np.fft.fft2(field * window))) ** 2
    radius = np.hypot(*np.meshgrid(*[np.arange(256) - 128] * 2))
    k = np.arange(8, 80)
    profile = np.array([power[(radius >= n) & (radius < n + 1)].mean() for n in k])
    assert -np.polyfit(np.log(k + 0.5), np.log(profile), 1)[0] == pytest.approx(3.0, abs=0.25)


def test_draws_are_named_not_ordered():
    first = generator(3, "clouds", 7).random()
    generator(3, "other").random(100)
    assert generator(3, "clouds", 7).random() == first
    assert generator(3, "clouds", 8).random() != first


def test_resizing_keeps_means_and_slopes():
    x = np.arange(60.0)[None, :] * np.ones((60, 1))
    assert np.allclose(coarsen(x, 3)[0], np.arange(1, 60, 3))
    assert np.allclose(resize(coarsen(x, 3), (60, 60))[:, 2:-2], x[:, 2:-2])
