"""The snow view: Landsat-like scenes of an alpine world through the seasons, clouds and gaps included."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from icectl.arrays import F64
from icectl.errors import UsageError
from icectl.raster import write_cog
from icectl.sources.catalogue import write_catalogue
from icectl.sources.scene import Scene
from icectl.sources.synthetic.landsat import acquire, write_look
from icectl.sources.synthetic.noise import generator
from icectl.sources.synthetic.scenery import ndsi, reflectance
from icectl.sources.synthetic.world import World


def write_snow_scenes(
    world: World,
    folder: Path,
    start: date = date(2014, 1, 1),
    end: date = date(2022, 1, 1),
    *,
    cloud: float = 0.2,
    truth: bool = True,
) -> Path:
    """Write a series of scenes from `start` to `end` (exclusive) into `folder`, with its catalogue.

    Each scene has ``green`` and ``swir16`` (Collection-2 numbers) and ``qa_pixel``; one in four is of
    Landsat 7, with scan-line gaps. ``truth/ndsi.tif`` holds the
    cloud-free NDSI, one band a scene in the catalogue's order; nothing but an evaluation may read it.

    Parameters
    ----------
    cloud
        Mean cloud cover, 0 to 1; single scenes scatter between clear and overcast.
    """
    folder.mkdir(parents=True, exist_ok=True)
    days = list(acquisition_days(world.seed, start, end))
    if not days:
        raise UsageError(f"there is no acquisition between {start} and {end}", "choose a longer span")
    scenes: list[Scene] = []
    clear: list[F64] = []
    for number, day in enumerate(days):
        ground = reflectance(world, day, ("green", "swir16"))
        clear.append(ndsi(ground))
        seen = acquire(world, day, satellite(number), ground, clear[-1] > 0.4, cloud=cloud)
        scenes.append(write_look(seen, folder, world.grid, world.seed))
    if truth:
        names = [scene.id for scene in scenes]
        write_cog(
            folder / "truth" / "ndsi.tif", np.stack(clear).astype("float32"), world.grid, descriptions=names
        )
    write_catalogue(folder, scenes)
    return folder


def satellite(number: int) -> int:
    """Return the number of the Landsat that takes the scene of that `number`."""
    return 7 if number % 4 == 3 else 8


def acquisition_days(seed: int, start: date, end: date) -> Iterator[date]:
    """Yield the days of acquisition: one a month, with a few days of scatter."""
    year, month = start.year, start.month
    while date(year, month, 1) < end:
        following = date(year + month // 12, month % 12 + 1, 1)
        length = (following - date(year, month, 1)).days
        rng = generator(seed, "day", year, month, 0)
        day = date(year, month, 1) + timedelta(days=int(rng.uniform(0.2, 0.8) * length))
        if start <= day < end:
            yield day
        year, month = following.year, following.month
