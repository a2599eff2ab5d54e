"""From elevation models, outlines and glaciers of known thickness to one data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from icectl.arrays import U8, Bools
from icectl.errors import DataError, UsageError
from icectl.raster import rasterize, read_vectors
from icectl.run import Run
from icectl.sources.published import resolve
from icectl.tasks.bed.dataset import MAX_PIXELS, Writer
from icectl.tasks.bed.fill import ice
from icectl.tasks.bed.fill.patches import RULES, draw_patches, sentence
from icectl.tasks.bed.options import FetchOptions, PrepareOptions
from icectl.tasks.bed.readers import thickness_samples as known
from icectl.tasks.bed.readers.dem import Terrain, check_slopes, open_dem
from icectl.tasks.bed.readers.thickness_samples import sample_of
from icectl.tasks.bed.split import Drawn, split

HALF = 0.5
"""Share of suspected ice that must be unlisted before the outlines count as incomplete."""


@dataclass(frozen=True, slots=True)
class Source:
    """One elevation model to learn from, with its outlines (None: no ice at all)."""

    dem: Path
    outlines: Path | None


def sources(run: Run) -> list[Source]:
    """Return what to learn from: the user's files, else what was fetched, else the glacier's own files.

    UsageError: the numbers of elevation models and outline files do not match, or there is nothing.
    """
    given = run.given(FetchOptions)
    dems, outlines = given.train_dem, given.train_outlines
    if dems:
        if len(outlines) not in (0, 1, len(dems)):
            raise UsageError(
                f"{len(dems)} --train-dem and {len(outlines)} --train-outlines do not match",
                "give one file of outlines for each, or one for all",
            )
        outlines = tuple(resolve(path, run.say) for path in outlines)
        each: list[Path | None] = [None] * len(dems)
        if outlines:
            each = [*outlines] * (len(dems) if len(outlines) == 1 else 1)
        return [Source(d, o) for d, o in zip(dems, each, strict=True)]
    fetched = run.inputs.get("fetch")
    if fetched is not None and any(fetched.glob("train/*/dem.tif")):
        found = sorted(fetched.glob("train/*/dem.tif"))
        return [Source(f, f.with_name("outlines.gpkg")) for f in found]
    if fetched is not None and any(fetched.glob("*/*_dem.tif")):
        return [Source(fetched, run.glacier.outline)]
    if run.glacier.dem is not None:
        return [Source(run.glacier.dem, run.glacier.outline)]
    raise UsageError("there is no ground to learn from", "give --train-dem FILE and --train-outlines FILE")


def prepare(run: Run, options: PrepareOptions) -> Path:
    """Write the data set of both steps into ``run.out``; see `icectl.tasks.bed.dataset`.

    DataError: no terrain leaves a patch; the message says how many each rule left out.
    """
    writer = Writer(run.out)
    rng = np.random.default_rng([run.seed, 6])
    failures: list[DataError] = []
    todo = sources(run)
    with run.progress("terrain", len(todo)) as advance:
        for source in todo:
            try:
                _terrain(run, options, source, writer, rng)
            except DataError as error:
                if len(todo) == 1:
                    raise
                failures.append(error)
                run.warn(f"{source.dem.name} is left out: {error.message}")
            advance()
    if not writer.terrains:
        raise failures[0] if failures else DataError("no terrain is left to learn from")
    for glacier in known_glaciers(options, run):
        writer.add_sample(sample_of(glacier, MAX_PIXELS, rng), glacier.area)
    facts = {"table": _table(writer.terrains), "held_out": list(options.hold_out)}
    writer.close(facts)
    run.notes["patches"] = facts["table"]
    run.notes["glaciers"] = {k: sum(g["kind"] == k for g in writer.glaciers) for k in known.KINDS}
    return run.out


def _terrain(
    run: Run,
    options: PrepareOptions,
    source: Source,
    writer: Writer,
    rng: np.random.Generator,
) -> None:
    terrain = open_dem(source.dem, options.dem_crs).whole(options.train_resolution)
    check_slopes(terrain.heights, terrain.resolution, terrain.name)
    for note in terrain.notes:
        run.warn(note)
    cover, rule = covered(terrain, source.outlines, options)
    found, toll = draw_patches(terrain.heights, cover, options, rng)
    drawn = split((found, toll, terrain.heights.shape), options, run.seed)
    writer.add_terrain(terrain, cover, drawn, rule)
    run.say(_said(writer.terrains[-1]["name"], terrain, drawn, options, rule))


def covered(terrain: Terrain, outlines: Path | None, options: PrepareOptions) -> tuple[U8, str]:
    """Return the cover of a terrain and, in words, what was done about unlisted ice."""
    listed = _burnt(outlines, terrain)
    excluded = _burnt(options.exclude, terrain) if options.exclude else None
    if options.unlisted_ice == "none" or not listed.any():
        if options.unlisted_ice == "mask":
            ice.rule_from_listed(terrain.heights, listed)
        return ice.cover(terrain.heights, listed, excluded), "outlines taken as complete"
    rule = ice.rule_from_listed(terrain.heights, listed)
    share = ice.unlisted_share(terrain.heights, terrain.resolution, listed, rule)
    if options.unlisted_ice == "auto" and share <= HALF:
        return (
            ice.cover(terrain.heights, listed, excluded),
            f"outlines taken as complete: {100 * (1 - share):.0f} % of the suspected ice is listed",
        )
    found = ice.suspected(terrain.heights, terrain.resolution, rule)
    words = f"{100 * share:.0f} % of the suspected ice is unlisted: {rule.sentence()}"
    return ice.cover(terrain.heights, listed, excluded, found), words


def _burnt(outlines: Path | None, terrain: Terrain) -> Bools:
    if outlines is None:
        return np.zeros(terrain.heights.shape, dtype=bool)
    frame = read_vectors(outlines, crs=terrain.grid.crs.to_wkt())
    return np.asarray(rasterize(frame, terrain.grid, all_touched=True), dtype=bool)


def known_glaciers(options: PrepareOptions, run: Run) -> Iterator[known.Known]:
    """Yield all glaciers of known thickness but those held out; the fetched synthetic worlds among them."""
    banned = options.hold_out
    for folder in options.thickness_data:
        yield from known.without(known.read_known(folder), banned)
    fetched = run.inputs.get("fetch")
    if fetched is not None and (fetched / "train").is_dir():
        worlds = (known.world_samples(one) for one in sorted((fetched / "train").iterdir()) if one.is_dir())
        yield from known.without(chain.from_iterable(worlds), banned)


def _said(name: str, terrain: Terrain, drawn: Drawn, options: PrepareOptions, rule: str) -> str:
    metres = options.patch_size * terrain.resolution, options.hole_size * terrain.resolution
    return (
        f"{name}: patches of {metres[0]:,.0f} m (hole {metres[1]:,.0f} m) and smaller at "
        f"{terrain.resolution:g} m; {sentence(drawn.toll)}; {drawn.toll['kept']:,} of the rest kept; {rule}"
    )


def _table(terrains: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many each rule left out, one row an elevation model."""
    return [
        {
            "dem": t["name"],
            "resolution": t["resolution"],
            **{rule: t["toll"][rule] for rule in RULES},
            "train": sum(p["part"] == "train" for p in t["patches"]),
            "validation": sum(p["part"] == "valid" for p in t["patches"]),
            "test": sum(p["part"] == "test" for p in t["patches"]),
            "unlisted ice": t["rule"],
        }
        for t in terrains
    ]
