"""Where the scenes of the snow task come from: a folder, the synthetic glacier, or a STAC service."""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from icectl.imagery import qa
from icectl.raster import Info, write_cog
from icectl.run import Run
from icectl.sources.delivered import is_image
from icectl.sources.options import source_of
from icectl.sources.scene import Scene
from icectl.tasks.snow.dataset import DEM
from icectl.tasks.snow.options import FetchOptions

ASSETS = ("green", "swir16", "qa_pixel")

_CLOUDS = re.compile(r"cloud|cld|prob|(?<![a-z])(clm|clp|udm2?)(?![a-z])")
"""What layers of clouds are called that are none of the known ones."""


def fetch(run: Run, options: FetchOptions) -> Path:
    """Leave a catalogue of scenes in ``run.out`` (``items.json``) and return that folder."""
    source = source_of(run, options)
    if source == "folder":
        return _from_folder(run, options)
    if source == "synthetic":
        return _from_synthetic(run, options)
    from icectl.sources.stac import fetch_scenes

    return fetch_scenes(run, options, ASSETS)


def _from_folder(run: Run, options: FetchOptions) -> Path:
    """Catalogue the user's own files where they are; nothing is copied."""
    from icectl.sources.catalogue import write_catalogue
    from icectl.sources.folder import in_dates, scan_folder

    assert run.scenes is not None
    scenes = scan_folder(
        run.scenes, options.pattern, asset="ndsi", minimum=2, scale=options.scale, offset=options.offset,
        bands=options.bands, wanted=("green", "swir16", "ndsi"), into=run.out,
    )  # fmt: skip
    kept = in_dates(scenes, options, run.scenes)
    write_catalogue(run.out, kept)
    run.say(f"{len(kept)} scenes in {run.scenes}, {kept[0].time:%Y-%m-%d} to {kept[-1].time:%Y-%m-%d}")
    if layer := unread_clouds(kept):
        run.warn(
            f"{layer} seems to tell clouds and is not read: no scene has a quality layer that is known, and "
            "clouds count as ground; write it as …_fmask.tif, 0 where clear and 4 where cloudy"
        )
    return run.out


def unread_clouds(scenes: Sequence[Scene]) -> str | None:
    """Return the name of a layer or band that seems to tell clouds, where no scene has one that is read."""
    coded = all(scene.band("ndsi").scale == 0.01 for scene in scenes)  # percents; clouds are codes above
    if coded or any(set(qa.READERS) & set(scene.assets) for scene in scenes):
        return None
    used = {path for scene in scenes for path in scene.assets.values()}
    beside = {p for folder in {path.parent for path in used} for p in folder.iterdir() if is_image(p)}
    bands = [str(word) for path in scenes[0].assets.values() for word in Info(path).descriptions if word]
    names = [*sorted(path.name for path in beside - used), *bands]
    return next((name for name in names if _CLOUDS.search(name.lower())), None)


def _from_synthetic(run: Run, options: FetchOptions) -> Path:
    from icectl.sources.synthetic import World, write_snow_scenes

    start = options.start or date(2014, 1, 1)
    made = options.world
    end = options.end or date(start.year + made.years, start.month, start.day)
    world = World(seed=made.number, shape=(made.size, made.size))
    run.say(f"writing the synthetic glacier from {start} to {end}, {made.size} × {made.size} pixels")
    write_cog(run.out / DEM, world.surface.astype("float32"), world.grid, descriptions=["elevation"])
    return write_snow_scenes(world, run.out, start, end)
