"""Where the scenes of the snow task come from: a folder, the synthetic glacier, or a STAC service."""

from datetime import date
from pathlib import Path

from icectl.raster import write_cog
from icectl.run import Run
from icectl.sources.options import source_of
from icectl.tasks.snow.dataset import DEM
from icectl.tasks.snow.options import FetchOptions

ASSETS = ("green", "swir16", "qa_pixel")


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
    return run.out


def _from_synthetic(run: Run, options: FetchOptions) -> Path:
    from icectl.sources.synthetic import World, write_snow_scenes

    start = options.start or date(2014, 1, 1)
    end = options.end or date(start.year + options.years, start.month, start.day)
    world = World(seed=options.world, shape=(options.size, options.size))
    run.say(f"writing the synthetic glacier from {start} to {end}, {options.size} × {options.size} pixels")
    write_cog(run.out / DEM, world.surface.astype("float32"), world.grid, descriptions=["elevation"])
    return write_snow_scenes(world, run.out, start, end)
