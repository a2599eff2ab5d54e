"""Where the frames of the flow task come from: a folder, the synthetic glacier, or a STAC service."""

from pathlib import Path

from icectl.run import Run
from icectl.sources.options import source_of
from icectl.tasks.flow.options import BANDS, FetchOptions
from icectl.workspace import portable, reached

MASK = "mask"
"""Stem of a picture, beside the frames, whose bright pixels are the glacier."""

INTERVAL = 24
"""Mean days between frames of the synthetic glacier."""


def fetch(run: Run, options: FetchOptions) -> Path:
    """Leave a catalogue of frames in ``run.out`` (``items.json``) and return that folder."""
    source = source_of(run, options)
    if source == "folder":
        return _from_folder(run, options)
    if source == "synthetic":
        return _from_synthetic(run, options)
    from icectl.sources.stac import fetch_scenes

    aerosol = () if options.aerosol_limit is None else ("qa_aerosol",)
    return fetch_scenes(run, options, (*options.bands, *aerosol))


def ground_mask(folder: Path) -> Path | None:
    """Return the picture of the glacier's ground that was found beside the frames, if any."""
    link = folder / "ground.txt"
    path = reached(link.read_text(encoding="utf-8").strip(), folder) if link.is_file() else None
    return path if path is not None and path.is_file() else None


def _from_folder(run: Run, options: FetchOptions) -> Path:
    """Catalogue the user's own files where they are; nothing is copied."""
    from icectl.sources.catalogue import write_catalogue
    from icectl.sources.folder import in_dates, scan_folder, static_layers

    assert run.scenes is not None
    chosen = () if options.bands == BANDS else options.bands
    scenes = scan_folder(
        run.scenes, options.pattern, georeferenced=False, minimum=2, bands=chosen, wanted=options.bands,
        into=run.out,
    )  # fmt: skip
    kept = in_dates(scenes, options, run.scenes, minimum=2)
    write_catalogue(run.out, kept)
    if spans := [scene.id for scene in kept if "end_datetime" in scene.properties]:
        run.warn(
            f"{len(spans)} frames are dated by a month or a year alone ({', '.join(spans[:5])}): "
            "speeds count from its first day"
        )
    mask = static_layers(run.scenes).get(MASK)
    if mask is not None:
        (run.out / "ground.txt").write_text(f"{portable(mask, run.out)}\n", encoding="utf-8")
    run.say(f"{len(kept)} frames in {run.scenes}, {kept[0].time:%Y-%m-%d} to {kept[-1].time:%Y-%m-%d}")
    return run.out


def _from_synthetic(run: Run, options: FetchOptions) -> Path:
    from icectl.sources.synthetic import World, write_flow_scenes

    made = options.world
    world = World(seed=run.seed, shape=(made.size, made.size), setting=made.setting)
    write_flow_scenes(world, run.out, frames=made.frames, interval=INTERVAL, bands=options.bands)
    (run.out / "ground.txt").write_text("ice.tif\n", encoding="utf-8")
    return run.out
