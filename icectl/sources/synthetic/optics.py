"""How the ground looks: reflectance of mixed surfaces in Landsat's bands, and the sun on the relief."""

from collections.abc import Mapping
from datetime import date

import numpy as np

from icectl.arrays import F64

BANDS = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")

SPECTRA: Mapping[str, tuple[float, ...]] = {
    "snow": (0.90, 0.90, 0.88, 0.86, 0.80, 0.20, 0.15),
    "coarse snow": (0.84, 0.84, 0.82, 0.79, 0.64, 0.04, 0.03),
    "ice": (0.56, 0.58, 0.55, 0.48, 0.34, 0.04, 0.03),
    "debris": (0.09, 0.11, 0.14, 0.17, 0.21, 0.25, 0.23),
    "rock": (0.09, 0.11, 0.14, 0.17, 0.22, 0.26, 0.24),
    "grass": (0.03, 0.04, 0.08, 0.06, 0.34, 0.20, 0.11),
    "water": (0.07, 0.07, 0.055, 0.03, 0.012, 0.006, 0.004),
    "melange": (0.45, 0.46, 0.44, 0.40, 0.28, 0.03, 0.02),
    "cloud": (0.82, 0.82, 0.81, 0.80, 0.80, 0.56, 0.42),
}
"""Reflectance of pure surfaces, rounded from spectra of the kind in Dozier (1989) and Hall et al. (1995)."""


def mix(shares: Mapping[str, F64], bands: tuple[str, ...]) -> dict[str, F64]:
    """Return reflectance by band for surfaces of the given `shares` (each pixel's shares sum to 1)."""
    places = {band: BANDS.index(band) for band in bands}
    return {
        band: np.asarray(sum(share * SPECTRA[name][place] for name, share in shares.items()))
        for band, place in places.items()
    }


def sun(day: date, latitude: float) -> tuple[float, float]:
    """Return elevation and azimuth of the sun (degrees) at Landsat's time of day, mid-morning."""
    declination = -23.44 * np.cos(2 * np.pi * (day.timetuple().tm_yday + 10) / 365.25)
    hour = np.deg2rad(-22.5)  # 10:30
    phi, delta = np.deg2rad(latitude), np.deg2rad(declination)
    height = np.arcsin(np.sin(phi) * np.sin(delta) + np.cos(phi) * np.cos(delta) * np.cos(hour))
    azimuth = np.arctan2(np.sin(hour), np.cos(hour) * np.sin(phi) - np.tan(delta) * np.cos(phi)) + np.pi
    return float(np.rad2deg(height)), float(np.rad2deg(azimuth))


def shade(north: F64, east: F64, elevation: float, azimuth: float) -> F64:
    """Return the light on a slope relative to level ground, between 0.25 (skylight) and 1.5.

    `north` and `east`: slope of the surface (m per m), positive where it rises to the north or east;
    `elevation` and `azimuth`: of the sun, in degrees.
    """
    height, bearing = np.deg2rad(max(elevation, 12.0)), np.deg2rad(azimuth)
    rise = north * np.cos(bearing) + east * np.sin(bearing)
    light = (np.sin(height) - rise * np.cos(height)) / np.sqrt(1 + north**2 + east**2)
    return np.asarray(np.clip(0.25 + 0.75 * light / np.sin(height), 0.25, 1.5))
