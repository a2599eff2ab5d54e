"""The ground on one day: what covers each pixel, and what light it sends up."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.special import expit

from icectl.arrays import F64, Bools
from icectl.sources.synthetic.noise import fractal, generator
from icectl.sources.synthetic.optics import mix, shade, sun
from icectl.sources.synthetic.weather import Weather, season
from icectl.sources.synthetic.world import World

TREND = 6.0
"""Rise of the snow line (m a⁻¹)."""

WIDTH = 65.0
"""Height over which snow cover goes from bare to full (m, scale of the logistic curve)."""

RELIEF_OF_ICE = 0.20
"""Contrast of the pattern on bare ice; fresh snow hides a good half of it."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Where there is ice and open water on one day, what floats on it, and the pattern on the ice."""

    ice: Bools
    water: Bools
    floating: F64 | None = None
    pattern: F64 | None = None


@lru_cache(maxsize=16)
def _static(world: World, name: str, exponent: float, longest: float) -> F64:
    """Return a fractal pattern that never changes; `longest` wavelength in metres."""
    field = fractal(generator(world.seed, name), world.shape, exponent, longest / world.resolution)
    field.setflags(write=False)
    return field


def snow_line(world: World, day: date) -> F64:
    """Return the altitude (m) of the snow line at every pixel: season, trend, weather, aspect."""
    low, high = world.snow_lines
    weather = Weather(world.seed, world.shape, world.resolution)
    years = (day - date(2017, 1, 1)).days / 365.25
    north, _ = world.slope
    aspect = 130.0 * np.clip(north, -0.8, 0.8)  # positive: rises to the north, faces south, bares early
    return season(day, low, high) + TREND * years + weather.departure(day) + aspect


def snow_cover(world: World, day: date) -> F64:
    """Return the share of each pixel that is under snow (0 to 1)."""
    drift = 30.0 * _static(world, "drift", 2.6, 600.0) * ~world.glacier  # nothing on the ice stands still
    north, east = world.slope
    holds = 1.0 - 0.75 * expit((np.hypot(north, east) - 1.25) / 0.08)  # steep rock stays bare
    return np.asarray(holds * expit((world.surface + drift - snow_line(world, day)) / WIDTH))


def surfaces(world: World, day: date, cover: Cover) -> dict[str, F64]:
    """Return each pixel's shares of fine and coarse snow, ice, debris, rock, grass, water and mélange."""
    land = np.where(cover.water, 0.0, 1.0)
    snow = snow_cover(world, day) * land
    bare = land - snow
    glacier = cover.ice
    rubble = _static(world, "debris", 3.0, 900.0)
    carried = np.zeros(world.shape) if cover.pattern is None else cover.pattern
    low = world.snow_lines[0]
    debris = np.where(
        glacier & (world.setting == "alpine"), expit((low - world.surface + 60 * carried) / 40), 0.0
    )
    ice = np.where(glacier, 1.0 - debris, 0.0)
    meadow = expit((world.tree_line - world.surface + 80 * rubble) / 70)
    grass = np.where(glacier, 0.0, meadow)
    rock = np.where(glacier, 0.0, 1.0 - meadow)
    shares = {"ice": ice, "debris": debris, "grass": grass, "rock": rock}
    floating = np.zeros(world.shape) if cover.floating is None else cover.floating * (1.0 - land)
    low, high = world.snow_lines
    coarse = expit((0.5 * (low + high) - world.surface) / (0.35 * (high - low)))  # wet and old lower down
    white = {"snow": snow * (1.0 - coarse), "coarse snow": snow * coarse}
    sea = {"water": 1.0 - land - floating, "melange": floating}
    return {**white, **{name: bare * share for name, share in shares.items()}, **sea}


def reflectance(
    world: World, day: date, bands: tuple[str, ...], cover: Cover | None = None
) -> dict[str, F64]:
    """Return the reflectance of the ground by band on a clear `day`, lit by the sun on the relief."""
    cover = cover or Cover(world.glacier, np.zeros(world.shape, bool))
    texture = _static(world, "albedo", 2.2, 900.0) * ~cover.ice
    elevation, azimuth = sun(day, world.latitude)
    light = shade(*slopes(world, cover), elevation, azimuth) * (1 + 0.05 * np.clip(texture, -3, 3))
    shares = surfaces(world, day, cover)
    if cover.pattern is not None:
        snow = shares["snow"] + shares["coarse snow"]
        light *= 1 + RELIEF_OF_ICE * cover.ice * (1 - 0.55 * snow) * np.clip(cover.pattern, -3, 3)
    light = np.where(cover.water, 1.0, light)
    return {band: np.clip(v * light, 0.001, 1.2) for band, v in mix(shares, bands).items()}


def slopes(world: World, cover: Cover) -> tuple[F64, F64]:
    """Return the slope towards north and east (m per m) of what is there on the day: ice, ground or sea."""
    if np.array_equal(cover.ice, world.glacier) and not cover.water.any():
        return world.slope
    height = np.where(cover.water, 0.0, np.where(cover.ice, world.surface, world.bed))
    down, east = np.gradient(ndimage.gaussian_filter(height, 0.7, mode="nearest"), world.resolution)
    return -down, east


def ndsi(ground: dict[str, F64]) -> F64:
    """Return (green − swir16) / (green + swir16) (Hall et al. 1995)."""
    return np.asarray((ground["green"] - ground["swir16"]) / (ground["green"] + ground["swir16"]))
