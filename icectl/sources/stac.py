"""Fetching scenes from a STAC API: search, filter, read the area's windows, leave COGs and a catalogue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from math import cos, radians
from pathlib import Path
from typing import Any

from icectl.contract import Estimate
from icectl.errors import DataError, IcectlError, UsageError, WorkError
from icectl.run import Run
from icectl.settings import Glacier
from icectl.sources.area import Area, area_of, grid_for, placed
from icectl.sources.catalogue import write_catalogue
from icectl.sources.options import SceneQuery, source_of
from icectl.sources.picks import Pick, picks
from icectl.sources.products import (
    CHECKED,
    PRODUCTS,
    SERVICES,
    Product,
    Service,
    product_for,
    screened,
    service_for,
    type_of,
    wanted,
)
from icectl.sources.remote import Patience, silent_libraries
from icectl.sources.scene import Scene
from icectl.sources.search import Tally, connect, expect_public_links, filtered, missing, search
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
    pool = ThreadPoolExecutor(patience.parallel, thread_name_prefix="fetch")
    with run.progress("fetching", total=len(found.scenes)) as advance:
        try:
            for job in as_completed([pool.submit(fetcher.bring, pick) for pick in found.scenes]):
                try:
                    got = job.result()
                except (WorkError, DataError) as error:
                    failures.append(error)
                else:
                    if isinstance(got, Scene):
                        scenes.append(got)
                    else:
                        found.tally.taken[got] += 1
                advance()
                if len(failures) >= MANY_FAILURES and not scenes:
                    break
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if failures:
        raise WorkError(
            f"{len(failures)} of {len(found.scenes)} scenes could not be fetched from {found.service.name}: "
            f"{failures[0].message}",
            failures[0].hint or "start the same command again: it goes on where it stopped",
        )
    return scenes


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search left, and what it was for."""

    service: Service
    collection: str
    product: Product
    area: Area
    client: Any
    scenes: list[Pick]
    tally: Tally


def find_scenes(
    glacier: Glacier, source: str, query: SceneQuery, bands: tuple[str, ...], patience: Patience
) -> Found:
    """Search a service and apply every filter that needs no pixels.

    Raises
    ------
    UsageError
        `source` is no STAC service, or the glacier has no place.
    DataError
        Nothing is left.
    """
    if source not in SERVICES:
        raise UsageError(
            f"scenes from '{source}' are not fetched from a STAC service",
            f"choose --source {' or '.join(SERVICES)}",
        )
    service = service_for(source, query.api)
    collection = query.collection or service.collection
    product = product_for(collection, bands)
    if query.same_track and glacier.wrs2 is None:
        raise UsageError(
            f"glacier '{glacier.name}' has no WRS-2 path and row", "set wrs2 = [path, row] in its file"
        )
    area, tally = area_of(glacier), Tally()
    client = connect(service, patience)
    items = search(client, service, collection, area, query, product.timeless)
    if collection not in PRODUCTS and items:
        product = screened(product, items[0].assets)
    assets = wanted(product, bands)
    track = glacier.wrs2 if query.same_track else None
    kept = filtered(items, tally, area, query, product, assets, track)
    secure = service.url.startswith("https")
    scenes = picks(kept, tally, product, collection, assets, secure, query.limit)
    for pick in scenes:
        expect_public_links(pick.items, pick.keys.values(), service)
    found = Found(
        service=service, collection=collection, product=product, area=area,
        client=client, scenes=scenes, tally=tally,
    )  # fmt: skip
    if not scenes:
        lacking = missing(items[0], product, assets) if items else []
        raise nothing_left(found, query, lacking, sorted(items[0].assets) if items else [])
    return found


def nothing_left(
    found: Found, query: SceneQuery, lacking: list[str] | None = None, present: list[str] | None = None
) -> DataError:
    """Word the error of an empty result: which filter took how many, and which to loosen."""
    taken = found.tally.taken
    hint = "look at the dates and the box of the glacier"
    if taken:
        worst = taken.most_common(1)[0][0]
        if "cloud" in worst:
            hint = f"raise --max-cloud (now {query.max_cloud:g})"
        elif "missing" in worst:
            hint = f"raise --max-missing (now {query.max_missing:g})"
        elif "assets" in worst and lacking:
            hint = f"there is no {', '.join(lacking)}; the items hold {', '.join((present or [])[:20])}"
        else:
            hint = f"loosen the filter that left out most ({worst})"
    return DataError(
        f"no scene of {found.collection} is left for {found.area.name}: {found.tally.sentence()}", hint
    )
