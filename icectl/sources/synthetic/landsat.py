"""Scenes as the USGS delivers them: Collection-2 Level-2 numbers, quality bits, names, COGs.

Numbers are ``round((reflectance + 0.2) / 2.75e-05)`` as uint16 with 0 for "nothing here" (USGS LSDS-1619,
Landsat 8-9 Collection 2 Level 2 Science Product Guide); QA_PIXEL's bits follow its table 6-2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from icectl.arrays import F64, Bools
from icectl.raster import Grid, write_cog
from icectl.sources.names import QA_PIXEL, SURFACE_REFLECTANCE
from icectl.sources.scene import Scene
from icectl.sources.synthetic.noise import fractal, generator
from icectl.sources.synthetic.optics import BANDS, SPECTRA, sun
from icectl.sources.synthetic.world import World

SCALE, OFFSET = 2.75e-05, -0.2
NOISE = 0.004
"""Standard deviation of the sensor's noise, in reflectance."""

_TM_NUMBERS = {"blue": 1, "green": 2, "red": 3, "nir08": 4, "swir16": 5, "swir22": 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One acquisition before it is written: reflectance by band, the sky, and what lies on the ground."""

    day: date
    sensor: int
    reflectance: Mapping[str, F64]
    sky: Sky
    snow: Bools
    water: Bools
    properties: Mapping[str, Any]
    haze: int = 0  # aerosol level of SR_QA_AEROSOL: 1 low, 2 medium, 3 high; 0 writes no such layer


def numbers(reflectance: F64, seen: Bools) -> npt.NDArray[np.uint16]:
    """Return reflectance as stored numbers; 0 where nothing was seen."""
    scaled = np.clip(np.rint((reflectance - OFFSET) / SCALE), 1, 65_535)
    return np.where(seen, scaled, 0).astype(np.uint16)


def quality(acquired: Look) -> npt.NDArray[np.uint16]:
    """Return QA_PIXEL: 1 fill, 2 dilated cloud, 8 cloud, 16 shadow, 32 snow, 64 clear, 128 water.

    Confidences take two bits each (01 low, 11 high): cloud 8-9, shadow 10-11, snow 12-13, cirrus 14-15; the
    cirrus pair stays 00 on Landsats 4 to 7, which have no such band.
    """
    sky = acquired.sky
    snow = acquired.snow & ~sky.cloud
    bits = np.full(sky.cloud.shape, 0b01_01_01 << 8 | (0b01 << 14 if acquired.sensor >= 8 else 0), np.uint16)
    for flag, high, where in ((3, 8, sky.cloud), (4, 10, sky.dark), (5, 12, snow)):
        bits |= np.where(where, 1 << flag | 0b11 << high, 0).astype(np.uint16)
    bits |= np.where(sky.dilated, 1 << 1, 0).astype(np.uint16)
    bits |= np.where(~sky.cloud & ~sky.dilated, 1 << 6, 0).astype(np.uint16)
    bits |= np.where(acquired.water & ~sky.cloud, 1 << 7, 0).astype(np.uint16)
    return np.where(sky.seen, bits, 1).astype(np.uint16)


def through_sky(reflectance: Mapping[str, F64], sky: Sky, rng: np.random.Generator) -> dict[str, F64]:
    """Return what the satellite sees: darkened under shadows, whitened by clouds, with the sensor's noise."""
    seen = {}
    for band, values in reflectance.items():
        white = SPECTRA["cloud"][BANDS.index(band)]
        shaded = values * (1 - 0.6 * sky.shadow * (1 - sky.opacity))
        seen[band] = (1 - sky.opacity) * shaded + sky.opacity * white
        seen[band] += NOISE * rng.standard_normal(values.shape)
    return seen


def acquire(
    world: World,
    day: date,
    sensor: int,
    ground: Mapping[str, F64],
    snow: Bools,
    water: Bools | None = None,
    *,
    cloud: float = 0.2,
    wedges: float = 0.1,
    properties: Mapping[str, Any] | None = None,
) -> Look:
    """Return what a satellite sees of `ground` on `day` through a sky of its own.

    `cloud` is the mean cover; a quarter of all days are clear. Landsat 7 misses its gaps, and a share
    `wedges` of the scenes is cut by the edge of the swath.
    """
    rng = generator(world.seed, "look", day.toordinal())
    cover = 0.0 if cloud <= 0 or rng.random() < 0.25 else min(0.95, rng.gamma(1.2, cloud / 0.9))
    elevation, azimuth = sun(day, world.latitude)
    sky = look(world.seed, day.toordinal(), world.shape, world.resolution, cover, azimuth, elevation)
    seen = sky.seen.copy()
    if sensor == 7:
        seen &= ~scan_line_gaps(world.seed, day.toordinal(), world.shape)
    if rng.random() < wedges:
        seen &= ~missing_wedge(world.seed, day.toordinal(), world.shape)
    sky = Sky(sky.opacity, sky.shadow, seen)
    angles = {"view:sun_elevation": round(elevation, 3), "view:sun_azimuth": round(azimuth, 3)}
    return Look(
        day=day,
        sensor=sensor,
        reflectance=through_sky(ground, sky, rng),
        sky=sky,
        snow=snow,
        water=np.zeros(world.shape, bool) if water is None else water,
        properties={**angles, "icectl:scan_line_gaps": sensor == 7, **(properties or {})},
    )


def scene_id(acquired: Look, seed: int) -> str:
    """Return a Collection-2 product name. Path 999 is none of the satellites': these scenes are synthetic."""
    letters = {4: "LT", 5: "LT", 7: "LE", 8: "LC", 9: "LC"}[acquired.sensor]
    done = acquired.day + timedelta(days=12)
    return f"{letters}{acquired.sensor:02}_L2SP_999{seed % 1000:03}_{acquired.day:%Y%m%d}_{done:%Y%m%d}_02_T1"


def write_look(acquired: Look, folder: Path, grid: Grid, seed: int) -> Scene:
    """Write one acquisition into ``folder/<id>/`` as COGs and return it as a scene."""
    name = scene_id(acquired, seed)
    tags = {"ACQUISITION_DATE": acquired.day.isoformat(), "SPACECRAFT_ID": f"LANDSAT_{acquired.sensor}"}
    paths, bands = {}, {}
    for band, values in acquired.reflectance.items():
        number = BANDS.index(band) + 1 if acquired.sensor >= 8 else _TM_NUMBERS.get(band)
        if number is None:  # Landsats 4 to 7 have no coastal band
            continue
        path = folder / name / f"{name}_SR_B{number}.TIF"
        paths[band] = write_cog(
            path, numbers(values, acquired.sky.seen), grid, nodata=0, tags=tags, descriptions=[band]
        )
        bands[band] = SURFACE_REFLECTANCE
    path = folder / name / f"{name}_QA_PIXEL.TIF"
    paths["qa_pixel"] = write_cog(
        path, quality(acquired), grid, nodata=1, tags=tags, descriptions=["qa_pixel"]
    )
    if acquired.haze:
        path = folder / name / f"{name}_SR_QA_AEROSOL.TIF"
        levels = np.where(acquired.sky.seen, 2 | acquired.haze << 6, 1).astype(
            np.uint8
        )  # valid, level; or fill
        paths["qa_aerosol"] = write_cog(path, levels, grid, nodata=1, tags=tags, descriptions=["qa_aerosol"])
    seen = acquired.sky.seen
    cover = 100.0 * float((acquired.sky.cloud & seen).sum()) / max(int(seen.sum()), 1)
    properties = {
        "platform": f"landsat-{acquired.sensor}",
        "instruments": ["oli", "tirs"]
        if acquired.sensor >= 8
        else ["tm"]
        if acquired.sensor < 7
        else ["etm+"],
        "gsd": float(grid.resolution.x),
        "eo:cloud_cover": round(cover, 2),
        "landsat:collection_category": "T1",
        "landsat:correction": "L2SP",
        "icectl:missing": round(1.0 - float(seen.mean()), 4),
        "icectl:synthetic": True,
        **acquired.properties,
    }
    moment = datetime.combine(acquired.day, time(10, 30), UTC)
    return Scene(name, moment, paths, properties, {**bands, "qa_pixel": QA_PIXEL})


@dataclass(frozen=True, slots=True)
class Sky:
    """One look through the sky: opacity of clouds (0 to 1), their shadow (0 to 1), and seen pixels."""

    opacity: F64
    shadow: F64
    seen: Bools

    @property
    def cloud(self) -> Bools:
        """Where a mask of clouds would be set: any opacity that changes the ground's colour."""
        return self.opacity > 0.01

    @property
    def dark(self) -> Bools:
        """Where a mask of cloud shadows would be set."""
        return (self.shadow > 0.01) & ~self.cloud

    @property
    def dilated(self) -> Bools:
        """Three pixels around clouds, as CFMask's dilated cloud."""
        return np.asarray(ndimage.binary_dilation(self.cloud, iterations=3) & ~self.cloud)


def look(
    seed: int,
    day: int,
    shape: tuple[int, int],
    resolution: float,
    cover: float,
    azimuth: float,
    elevation: float,
) -> Sky:
    """Return the sky of one day, with clouds over the share `cover` of the scene.

    Shadows fall away from the sun by the cloud's height over the tangent of the sun's elevation.
    """
    rng = generator(seed, "sky", day)
    if cover <= 0:
        clear = np.zeros(shape)
        return Sky(clear, clear, np.ones(shape, bool))
    field = fractal(rng, shape, 3.3, 5000 / resolution, 60 / resolution)
    opacity = np.clip((field - np.quantile(field, 1 - min(cover, 1.0))) / 0.5, 0, 1)
    reach = rng.uniform(900, 2200) / np.tan(np.deg2rad(max(elevation, 20.0))) / resolution
    bearing = np.deg2rad(azimuth + 180.0)
    shift = (-reach * np.cos(bearing), reach * np.sin(bearing))
    shadow = ndimage.shift(opacity, shift, order=1, mode="mirror")
    return Sky(opacity, np.clip(shadow, 0, 1), np.ones(shape, bool))


def scan_line_gaps(seed: int, day: int, shape: tuple[int, int]) -> Bools:
    """Return the pixels that Landsat 7 misses since its scan-line corrector failed (2003-05-31).

    Wedges every 33 lines, tilted against the rows, that widen to one side from nothing to a dozen pixels.
    """
    rng = generator(seed, "gaps", day)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    side = columns / max(shape[1] - 1, 1)
    width = 2.0 + 9.0 * (side if rng.random() < 0.5 else 1 - side)
    line = rows + np.tan(np.deg2rad(9.0)) * columns + rng.uniform(0, 33)
    return np.asarray(np.mod(line, 33.0) < width)


def missing_wedge(seed: int, day: int, shape: tuple[int, int]) -> Bools:
    """Return the pixels beyond the edge of the swath: a corner cut by a line about 9° off the columns."""
    rng = generator(seed, "wedge", day)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    across = columns - np.tan(np.deg2rad(9.0)) * rows
    cut = np.quantile(across, rng.uniform(0.05, 0.35))
    return np.asarray(across < cut if rng.random() < 0.5 else across > across.max() - (cut - across.min()))
