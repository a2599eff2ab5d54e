"""The snow view: Landsat-like scenes of an alpine world through the seasons, clouds and gaps included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import expit

from icectl.errors import UsageError
from icectl.raster import write_cog
from icectl.sources.catalogue import write_catalogue
from icectl.sources.scene import Scene
from icectl.sources.synthetic.landsat import Look, through_sky, write_look
from icectl.sources.synthetic.noise import Field, fractal, generator
from icectl.sources.synthetic.optics import mix, shade, sun
from icectl.sources.synthetic.sky import look, missing_wedge, scan_line_gaps
from icectl.sources.synthetic.weather import Weather, season
from icectl.sources.synthetic.world import World

Sensor = Literal["landsat-8", "landsat-7", "mixed"]

TREND = 6.0
"""Rise of the snow line (m a⁻¹)."""

WIDTH = 45.0
"""Height over which snow cover goes from bare to full (m, scale of the logistic curve)."""


def write_snow_scenes(
    world: World,
    folder: Path,
    start: date = date(2014, 1, 1),
    end: date = date(2022, 1, 1),
    *,
    per_month: int = 1,
    sensor: Sensor = "mixed",
    bands: tuple[str, ...] = ("green", "swir16"),
    cloud: float = 0.2,
    truth: bool = True,
) -> Path:
    """Write a series of scenes from `start` to `end` (exclusive) into `folder`, with its catalogue.

    Each scene has the assets of `bands` (Collection-2 numbers) and ``qa_pixel``. ``truth/ndsi.tif`` holds the
    cloud-free NDSI, one band a scene in the catalogue's order; nothing but an evaluation may read it.

    Parameters
    ----------
    per_month
        Acquisitions a month, spread over it.
    sensor
        ``"landsat-7"`` has scan-line gaps; ``"mixed"`` alternates three of Landsat 8 with one of Landsat 7.
    cloud
        Mean cloud cover, 0 to 1; single scenes scatter between clear and overcast.
    """
    folder.mkdir(parents=True, exist_ok=True)
    days = list(acquisition_days(world.seed, start, end, per_month))
    if not days:
        raise UsageError(f"there is no acquisition between {start} and {end}", "choose a longer span")
    scenes: list[Scene] = []
    clear: list[Field] = []
    for number, day in enumerate(days):
        which = 7 if sensor == "landsat-7" or (sensor == "mixed" and number % 4 == 3) else 8
        ground = reflectance(world, day, tuple(dict.fromkeys((*bands, "green", "swir16"))))
        clear.append(ndsi(ground))
        scenes.append(
            write_look(
                _look(world, day, which, {b: ground[b] for b in bands}, clear[-1], cloud),
                folder,
                world.grid,
                world.seed,
            )
        )
    if truth:
        names = [scene.id for scene in scenes]
        write_cog(
            folder / "truth" / "ndsi.tif", np.stack(clear).astype("float32"), world.grid, descriptions=names
        )
    write_catalogue(folder, scenes)
    return folder


def acquisition_days(seed: int, start: date, end: date, per_month: int) -> Iterator[date]:
    """Yield the days of acquisition: `per_month` a month, with a few days of scatter."""
    year, month = start.year, start.month
    while date(year, month, 1) < end:
        following = date(year + month // 12, month % 12 + 1, 1)
        length = (following - date(year, month, 1)).days / per_month
        for part in range(per_month):
            rng = generator(seed, "day", year, month, part)
            day = date(year, month, 1) + timedelta(days=int((part + rng.uniform(0.2, 0.8)) * length))
            if start <= day < end:
                yield day
        year, month = following.year, following.month


def snow_line(world: World, day: date) -> Field:
    """Return the altitude (m) of the snow line at every pixel: season, trend, weather, aspect."""
    low, high = np.quantile(world.surface, (0.06, 0.72))
    weather = Weather(world.seed, world.shape, world.resolution)
    years = (day - date(2017, 1, 1)).days / 365.25
    north, _ = world.slope
    aspect = 130.0 * np.clip(north, -0.8, 0.8)  # positive: rises to the north, faces south, bares early
    return season(day, float(low), float(high)) + TREND * years + weather.departure(day) + aspect


def snow_cover(world: World, day: date) -> Field:
    """Return the share of each pixel that is under snow (0 to 1)."""
    drift = 30.0 * fractal(generator(world.seed, "drift"), world.shape, 2.6, 600 / world.resolution)
    north, east = world.slope
    holds = 1.0 - 0.75 * expit((np.hypot(north, east) - 1.25) / 0.08)  # steep rock stays bare
    return np.asarray(holds * expit((world.surface + drift - snow_line(world, day)) / WIDTH))


def surfaces(world: World, day: date) -> dict[str, Field]:
    """Return the shares of snow, ice, debris, rock and grass in each pixel."""
    snow = snow_cover(world, day)
    bare = 1.0 - snow
    rubble = fractal(generator(world.seed, "debris"), world.shape, 3, 900 / world.resolution)
    low = float(np.quantile(world.surface[world.glacier], 0.15)) if world.glacier.any() else 0.0
    debris = np.where(world.glacier, expit((low - world.surface + 60 * rubble) / 40), 0.0)
    ice = np.where(world.glacier, 1.0 - debris, 0.0)
    meadow = expit((np.quantile(world.surface, 0.3) - world.surface + 80 * rubble) / 70)
    grass = np.where(world.glacier, 0.0, meadow)
    rock = np.where(world.glacier, 0.0, 1.0 - meadow)
    shares = {"ice": ice, "debris": debris, "grass": grass, "rock": rock}
    return {"snow": snow, **{name: bare * share for name, share in shares.items()}}


def reflectance(world: World, day: date, bands: tuple[str, ...]) -> dict[str, Field]:
    """Return the reflectance of the ground by band on a clear `day`, lit by the sun on the relief."""
    texture = fractal(generator(world.seed, "albedo"), world.shape, 2.2, 900 / world.resolution)
    light = shade(*world.slope, *sun(day, world.latitude)) * (1 + 0.05 * np.clip(texture, -3, 3))
    return {band: np.clip(v * light, 0.001, 1.2) for band, v in mix(surfaces(world, day), bands).items()}


def ndsi(ground: dict[str, Field]) -> Field:
    """Return (green − swir16) / (green + swir16) (Hall et al. 1995)."""
    return np.asarray((ground["green"] - ground["swir16"]) / (ground["green"] + ground["swir16"]))


def _look(world: World, day: date, sensor: int, ground: dict[str, Field], index: Field, cloud: float) -> Look:
    """Put the sky before the ground."""
    rng = generator(world.seed, "look", day.toordinal())
    cover = 0.0 if cloud <= 0 or rng.random() < 0.25 else min(0.95, rng.gamma(1.2, cloud / 0.9))
    elevation, azimuth = sun(day, world.latitude)
    sky = look(world.seed, day.toordinal(), world.shape, world.resolution, cover, azimuth, elevation)
    seen = sky.seen.copy()
    if sensor == 7:
        seen &= ~scan_line_gaps(world.seed, day.toordinal(), world.shape)
    if rng.random() < 0.1:
        seen &= ~missing_wedge(world.seed, day.toordinal(), world.shape)
    sky = type(sky)(sky.opacity, sky.shadow, seen)
    return Look(
        day=day,
        sensor=sensor,
        reflectance=through_sky(ground, sky, rng),
        sky=sky,
        snow=index > 0.4,
        water=np.zeros(world.shape, bool),
        properties={"view:sun_elevation": round(elevation, 3), "view:sun_azimuth": round(azimuth, 3)},
    )
