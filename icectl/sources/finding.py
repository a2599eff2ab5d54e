"""What a service has for a glacier: search, the filters that need no pixels, and their account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from icectl.errors import DataError, UsageError
from icectl.settings import Glacier
from icectl.sources.area import Area, area_of
from icectl.sources.options import SceneQuery
from icectl.sources.picks import Pick, picks
from icectl.sources.products import (
    PRODUCTS,
    SERVICES,
    Product,
    Service,
    product_for,
    screened,
    service_for,
    wanted,
)
from icectl.sources.remote import Patience
from icectl.sources.search import Tally, connect, expect_public_links, filtered, missing, search


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
