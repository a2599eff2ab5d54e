"""The flow view: a series of scenes in which the ice carries its texture along, with the velocity known."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np

from icectl.arrays import Bools
from icectl.errors import UsageError
from icectl.raster import write_cog
from icectl.sources.catalogue import write_catalogue
from icectl.sources.synthetic.fjord import fjord
from icectl.sources.synthetic.landsat import Look, acquire, write_look
from icectl.sources.synthetic.noise import fractal, generator
from icectl.sources.synthetic.optics import BANDS
from icectl.sources.synthetic.scenery import Cover, ndsi, reflectance
from icectl.sources.synthetic.texture import pattern
from icectl.sources.synthetic.world import World

START = date(2015, 11, 6)
"""Day of the first frame."""


def write_flow_scenes(
    world: World,
    folder: Path,
    *,
    frames: int = 12,
    interval: int = 40,
    bands: tuple[str, ...] = BANDS,
    cloud: float = 0.08,
) -> Path:
    """Write a series of `frames` scenes from `START` on into `folder`, with its catalogue.

    Each scene has the assets of `bands`, ``qa_pixel`` and ``qa_aerosol``. ``truth/vx.tif`` (east) and
    ``truth/vy.tif`` (north) hold the surface velocity in m a⁻¹ (years of 365 days); ``ice.tif`` is where
    there is ice. Models never read the truth.

    Parameters
    ----------
    interval
        Mean days between frames; the spacing is uneven, as real series are.
    cloud
        Mean cloud cover, 0 to 1.
    """
    if frames < 2:
        raise UsageError(f"{frames} frame(s) show no motion", "ask for two or more")
    folder.mkdir(parents=True, exist_ok=True)
    ice, water = _shores(world)
    scenes = []
    for day in flow_days(world.seed, frames, interval):
        scenes.append(
            write_look(_frame(world, day, ice, water, bands, cloud), folder, world.grid, world.seed)
        )
    for name, field in (("vx", world.ice.vx), ("vy", world.ice.vy)):
        write_cog(
            folder / "truth" / f"{name}.tif",
            np.where(ice, field, 0).astype("float32"),
            world.grid,
            tags={"units": "m a-1"},
        )
    write_cog(folder / "ice.tif", ice.astype("uint8"), world.grid)
    write_catalogue(folder, scenes)
    return folder


def flow_days(seed: int, frames: int, interval: int) -> list[date]:
    """Return the days of acquisition: multiples of 8 days (two satellites), unevenly spaced."""
    rng = generator(seed, "frames")
    wanted = np.cumsum(np.concatenate([[0.0], interval * rng.uniform(0.6, 1.4, frames - 1)]))
    steps = np.maximum.accumulate(np.round(wanted / 8).astype(int) + np.arange(frames) * (interval < 16))
    return [START + timedelta(days=8 * int(step)) for step in steps]


def _shores(world: World) -> tuple[Bools, Bools]:
    """Return where ice and open water are; a calving front stays where it stands on the first day."""
    if world.setting == "alpine":
        return world.glacier, np.zeros(world.shape, bool)
    place = fjord(world)
    return place.ice(START), place.water(START)


def _frame(world: World, day: date, ice: Bools, water: Bools, bands: tuple[str, ...], cloud: float) -> Look:
    """Return one frame: carried pattern, fresh snow and wind of its own, haze on some days."""
    rng = generator(world.seed, "frame", day.toordinal())
    cover = Cover(ice, water, None, pattern(world, day.toordinal()))
    ground = reflectance(world, day, tuple(dict.fromkeys((*bands, "green", "swir16"))), cover)
    snow = (ndsi(ground) > 0.4) & ~water
    fresh = 0.03 * fractal(rng, world.shape, 1.5, 30, 2)
    haze = int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))
    hazy = {}
    for band in bands:
        veil = 0.03 * (haze - 1) * np.exp(-BANDS.index(band) / 2.0)  # scattering fades with wavelength
        hazy[band] = np.clip(ground[band] * (1 + fresh) * (1 - veil) + veil, 0.001, 1.2)
    seen = acquire(world, day, 8, hazy, snow, water, cloud=cloud, wedges=0.0)
    return Look(
        day=day, sensor=8, reflectance=seen.reflectance, sky=seen.sky, snow=snow, water=water,
        properties=seen.properties, haze=haze,
    )  # fmt: skip
