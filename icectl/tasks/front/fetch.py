"""Stage one: where images and labels come from. Leaves ``items.json`` with assets image and label."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from icectl.run import Run
from icectl.sources.catalogue import Scene, read_catalogue, write_catalogue
from icectl.sources.names import RADAR
from icectl.sources.options import source_of
from icectl.tasks.front.files.archive import fetch_calfin
from icectl.tasks.front.files.caffe import fetch_caffe, root_of
from icectl.tasks.front.files.pairs import as_scene, find_pairs, gaps
from icectl.tasks.front.options import FetchOptions

_LANDSAT = {"4": "LT04", "5": "LT05", "7": "LE07", "8": "LC08", "9": "LC09"}


def fetch(run: Run, options: FetchOptions) -> Path:
    """Fetch, or take a user's folder, and leave a catalogue in ``run.out``."""
    source = source_of(run, options)
    if options.source == "caffe" or (run.scenes is not None and root_of(run.scenes) is not None):
        scenes = fetch_caffe(run)
        run.say(f"{len(scenes)} images of the CaFFe archive with fronts")
    elif source == "folder":
        scenes = _from_folder(run, options)
    elif source == "synthetic":
        scenes = _from_synthetic(run, options)
    elif source == "calfin":
        scenes = fetch_calfin(run)
    else:
        scenes = _from_stac(run, options)
    write_catalogue(run.out, scenes)
    run.notes["images"] = len(scenes)
    return run.out


def _from_synthetic(run: Run, options: FetchOptions) -> list[Scene]:
    """Write the synthetic fjords, each in a folder of its own."""
    from icectl.sources.synthetic import World, write_front_scenes

    start = options.start or date(2014, 1, 1)
    made = options.world
    end = options.end or date(start.year + made.years, start.month, start.day)
    scenes = []
    for seed in range(made.first, made.first + made.count):
        run.say(f"writing the synthetic fjord {seed}, {start} to {end}, {made.size} px a side")
        world = World(seed=seed, shape=(made.size, made.size), setting="fjord")
        folder = write_front_scenes(world, run.out / f"fjord-{seed}", start, end)
        scenes += [_with_facts(scene, f"fjord-{seed}") for scene in read_catalogue(folder)]
    return scenes


def _from_stac(run: Run, options: FetchOptions) -> list[Scene]:
    """Fetch one band through the shared STAC path, cut to the glacier's box."""
    from icectl.sources.stac import fetch_scenes

    bands = (options.asset,) if options.asset in RADAR else (options.asset, "qa_pixel")
    fetch_scenes(run, options, bands)
    return [_with_facts(scene, run.glacier.name) for scene in read_catalogue(run.out)]


def _with_facts(scene: Scene, glacier: str) -> Scene:
    """Return a scene with what evaluation asks for: glacier, sensor, year, scan-line gaps."""
    sensor = sensor_code(str(scene.properties.get("platform", "")))
    facts = {"glacier": glacier, "sensor": sensor, "year": str(scene.time.year)}
    facts["slc_off"] = gaps(sensor, scene.time)
    return replace(scene, properties={**scene.properties, "icectl:facts": facts, "icectl:dated": True})


def sensor_code(platform: str) -> str:
    """Return the code that file names and CALFIN's field ``Satellite`` have for a STAC platform.

    >>> sensor_code("landsat-7"), sensor_code("SENTINEL-1A"), sensor_code("other")
    ('LE07', 'S1A', 'other')
    """
    name = platform.lower()
    if name.startswith("landsat-") and name[8:] in _LANDSAT:
        return _LANDSAT[name[8:]]
    if name.startswith("sentinel-"):
        return f"S{name[9:].upper()}"
    return platform


def _from_folder(run: Run, options: FetchOptions) -> list[Scene]:
    assert run.scenes is not None
    pairs = find_pairs(
        run.scenes, options.labels, options.table, options.wrs_glaciers, options.asset, run.out
    )
    if spans := [pair.id for pair in pairs if pair.span]:
        run.warn(
            f"{len(spans)} images are dated by a month or a year alone ({', '.join(spans[:5])}): "
            "the date of their fronts is its first day"
        )
    run.say(
        f"{len(pairs)} image{'s' * (len(pairs) != 1)}" + (" with labels" if options.labels else ", no labels")
    )
    return [as_scene(pair) for pair in pairs]
