"""Fetching scenes from a STAC API: search, filter, read the area's windows, leave COGs and a catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from math import cos, radians
from pathlib import Path

from icectl.contract import Estimate
from icectl.errors import DataError, IcectlError, WorkError
from icectl.run import Run
from icectl.sources.area import grid_for, placed
from icectl.sources.catalogue import write_catalogue
from icectl.sources.finding import Found, find_scenes, nothing_left
from icectl.sources.options import SceneQuery, source_of
from icectl.sources.products import CHECKED, Service, type_of
from icectl.sources.remote import Patience, silent_libraries
from icectl.sources.scene import Scene
from icectl.sources.search import Tally
from icectl.sources.signing import Signer
from icectl.workspace import remove

MANY_FAILURES = 8
"""So many scenes failed and none succeeded: the service is down, and the rest is not tried."""


def fetch_scenes(
    run: Run, query: SceneQuery, bands: tuple[str, ...], *, patience: Patience | None = None
) -> Path:
    """Fetch every scene of a glacier that passes the filters into ``run.out``.

    Each scene gets a folder of COGs on one common grid, ``<id>/<id>_<asset>.tif``; ``items.json`` lists
    them with times, scale, offset and nodata. A fetch that was killed goes on where it stopped. The
    product's own quality layer (``qa_pixel``, or ``scl`` for Sentinel-2) always comes along.

    Parameters
    ----------
    run
        Where and for which glacier; `run.scenes` must not be set.
    query
        Service, dates and filters.
    bands
        Assets by Landsat's names, e.g. ``("green", "swir16", "qa_pixel")``; ``("dem",)`` for elevation.
    patience
        Timeouts, attempts and how much is read at a time.

    Returns
    -------
    Path
        ``run.out``.

    Raises
    ------
    DataError
        No scene is left (the message says which filter took how many), the items lie in several zones,
        or an asset links to something else than a web address.
    WorkError
        The service does not answer, or scenes could not be fetched after all attempts.
    """
    patience = patience or Patience()
    with silent_libraries():
        found = find_scenes(run.glacier, source_of(run, query), query, bands, patience)
        run.say(f"{found.collection}: {len(found.scenes)} scenes to look at ({found.tally.sentence()})")
        scenes = _bring_all(run, query, found, patience)
    if not scenes:
        raise nothing_left(found, query)
    write_catalogue(run.out, scenes)
    remove(run.out / CHECKED)
    run.notes["fetch"] = {
        "service": found.service.name,
        "collection": found.collection,
        "scenes": len(scenes),
        "found": found.tally.found,
        "left_out": dict(found.tally.taken),
    }
    run.say(f"{len(scenes)} scenes in {run.out} ({found.tally.sentence()})")
    return run.out


def _bring_all(run: Run, query: SceneQuery, found: Found, patience: Patience) -> list[Scene]:
    """Fetch the scenes in parallel, and say at the end what could not be fetched."""
    from icectl.sources.download import Fetcher

    keys = [(item, key) for pick in found.scenes for item in pick.items for key in pick.keys.values()]
    grid = grid_for(found.area, [placed(item, key) for item, key in keys])
    inside = 100.0 if getattr(query, "cloud_of", "area") == "scene" else query.max_cloud
    fetcher = Fetcher(
        out=run.out, grid=grid, inside=found.area.inside(grid), product=found.product,
        collection=found.collection, max_cloud=inside, max_missing=query.max_missing,
        signer=Signer(found.service.signed, patience), patience=patience,
        client=found.client, service=found.service,
    )  # fmt: skip
    scenes: list[Scene] = []
    failures: list[IcectlError] = []
    with run.progress("fetching", total=len(found.scenes)) as advance, _pool(patience) as pool:
        jobs = [pool.submit(fetcher.bring, pick) for pick in found.scenes]
        for job in as_completed(jobs):
            _collect(job, scenes, failures, found.tally)
            advance()
            if len(failures) >= MANY_FAILURES and not scenes:
                break
    if failures:
        raise _incomplete(failures, len(found.scenes), found.service)
    return scenes


def _collect(
    job: Future[Scene | str], scenes: list[Scene], failures: list[IcectlError], tally: Tally
) -> None:
    try:
        got = job.result()
    except (WorkError, DataError) as error:
        failures.append(error)
        return
    if isinstance(got, Scene):
        scenes.append(got)
    else:
        tally.taken[got] += 1


def _incomplete(failures: list[IcectlError], total: int, service: Service) -> IcectlError:
    """Word the error of a fetch in which scenes failed."""
    first = failures[0]
    return WorkError(
        f"{len(failures)} of {total} scenes could not be fetched from {service.name}: {first.message}",
        first.hint or "start the same command again: it goes on where it stopped",
    )


@contextmanager
def _pool(patience: Patience) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool whose waiting jobs are dropped when the body ends, by whatever cause."""
    pool = ThreadPoolExecutor(patience.parallel, thread_name_prefix="fetch")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def estimate_fetch(
    run: Run, query: SceneQuery, bands: tuple[str, ...], *, patience: Patience | None = None
) -> Estimate:
    """Say what a fetch would download and write: searches, but reads no pixels.

    The bytes are those of the uncompressed windows of all scenes that pass the filters of the
    catalogue; how many are too cloudy in the area shows only when their quality layer is read.
    """
    patience = patience or Patience()
    with silent_libraries():
        found = find_scenes(run.glacier, source_of(run, query), query, bands, patience)
    west, south, east, north = found.area.bbox
    first = found.scenes[0]
    sizes = [placed(first.items[0], key).pixel for key in first.keys.values()]
    metres = found.area.resolution or max((s for s in sizes if s and s > 1), default=30.0)
    rows = (north - south) * 111_320 / metres
    columns = (east - west) * 111_320 * cos(radians((north + south) / 2)) / metres
    width = {"uint8": 1, "uint16": 2}
    each = sum(width.get(type_of(found.product, band), 4) for band in first.keys)
    size = round(rows * columns * each * len(found.scenes))
    note = f"{len(found.scenes)} scenes of {found.collection} ({found.tally.sentence()})"
    note += ", before the cloud filter" if found.product.quality else ""
    return Estimate(downloads=size, writes=size, note=note)
