"""Stage one: where images and labels come from. Leaves ``items.json`` with assets image and label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from icectl.errors import UsageError
from icectl.sources.catalogue import Scene, write_catalogue
from icectl.tasks.front.pairs import Pair, find_pairs

if TYPE_CHECKING:
    from icectl.run import Run
    from icectl.tasks.front.options import FetchOptions, PrepareOptions


def fetch(run: Run, options: FetchOptions) -> Path:
    """Fetch, or take a user's folder, and write the catalogue into ``run.out``."""
    source = options.source
    if source == "auto":
        source = "folder" if run.scenes is not None else run.glacier.source or "synthetic"  # type: ignore[assignment]
    if source == "folder":
        scenes = _from_folder(run, options)
    elif source == "synthetic":
        from icectl.tasks.front.fjord import write_fjord

        scenes = write_fjord(run, options)
    elif source == "calfin":
        from icectl.tasks.front.archive import fetch_calfin

        scenes = fetch_calfin(run)
    else:
        from icectl.tasks.front.stac import fetch_scenes

        scenes = fetch_scenes(run, options, source)
    write_catalogue(run.out, scenes)
    run.notes["images"] = len(scenes)
    return run.out


def _from_folder(run: Run, options: FetchOptions) -> list[Scene]:
    if run.scenes is None:
        raise UsageError("a folder of images is needed", "name it with --scenes")
    prepare: PrepareOptions | Any = run.options.get("prepare")
    places = getattr(prepare, "wrs_glaciers", {})
    pairs = find_pairs(run.scenes, options.labels, options.table, places)
    run.say(f"{len(pairs)} images" + (" with labels" if options.labels else ", no labels"))
    return [as_scene(pair) for pair in pairs]


def as_scene(pair: Pair) -> Scene:
    """Return a pair as a catalogue entry."""
    assets = {"image": pair.image.absolute()}
    if pair.label is not None:
        assets["label"] = pair.label.absolute()
    properties = {"icectl:facts": dict(pair.facts), "icectl:dated": pair.dated}
    return Scene(pair.id, pair.time, assets, properties)
