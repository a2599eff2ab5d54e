"""From items to scenes: duplicates of a day are dropped, and neighbouring frames of a pass joined."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from icectl.errors import DataError
from icectl.sources.products import Product, meaning
from icectl.sources.remote import scrub
from icectl.sources.scene import Band
from icectl.sources.search import Item, Tally, key_of, link, moment
from icectl.sources.stated import LEVEL_1C, TOP_OF_ATMOSPHERE, above_the_atmosphere

_TIERS = {"T1": 0, "T2": 1, "RT": 2}
_KEPT = ("platform", "instruments", "constellation", "gsd", "created", "updated", "processing:level")
_KEPT_GROUPS = ("landsat:", "eo:", "view:", "s2:", "sat:", "sar:", "mgrs:", "earthsearch:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One scene to fetch: the items that make it (the first one's pixels come first).

    `id` and `time`: of the first item. `items`: usually one; several frames of one pass where the area
    reaches over their border. `keys`: what each asset is called in the items. `bands`: scale, offset and
    nodata of each asset.
    """

    id: str
    time: datetime
    items: tuple[Item, ...]
    keys: dict[str, str]
    bands: dict[str, Band]

    def properties(self) -> dict[str, Any]:
        """Return what is kept of the first item's properties: known kinds, no links with secrets."""
        kept: dict[str, Any] = {}
        for name, value in self.items[0].properties.items():
            if name in _KEPT or name.startswith(_KEPT_GROUPS):
                kept[name] = scrub(value) if isinstance(value, str) else value
        first = self.items[0]
        if above_the_atmosphere({"collection": first.collection_id, "properties": first.properties}):
            kept[TOP_OF_ATMOSPHERE] = LEVEL_1C
        return kept | {"icectl:items": [item.id for item in self.items]}

    def renewed(self, items: dict[str, Item], secure: bool) -> Pick:
        """Return the same pick with items asked for again."""
        return replace(
            self, items=tuple(_linked(items.get(i.id, i), self.keys.values(), secure) for i in self.items)
        )


def picks(
    items: list[Item],
    tally: Tally,
    product: Product,
    collection: str,
    bands: tuple[str, ...],
    secure: bool,
    limit: int | None = None,
) -> list[Pick]:
    """Group items into scenes, by time.

    Of items of one platform, day and place (path and row, or tile) the best is kept: the higher tier,
    then the later processing. What remains of one platform, day and track is one scene.

    `secure`: whether links must be ``https``; `limit`: most scenes, spread evenly over the list.

    DataError: an asset links to something else than a web address.
    """
    best: dict[Hashable, Item] = {}
    if not product.timeless:
        for item in sorted(items, key=_rank):
            best.setdefault(_place(item), item)
    chosen = tally.keep(items, "duplicates of one day", lambda item: best.get(_place(item), item) is item)
    groups: dict[Hashable, list[Item]] = {}
    for item in sorted(chosen, key=_rank):
        group = collection if product.timeless else (_pass(item), _sizes(item, product, collection, bands))
        groups.setdefault(group, []).append(item)
    scenes = sorted(
        (_pick(group, product, collection, bands, secure) for group in groups.values()),
        key=lambda pick: (pick.time, pick.id),
    )
    if limit is not None and len(scenes) > limit:
        tally.taken["beyond --limit"] += len(scenes) - limit
        scenes = [scenes[number * len(scenes) // limit] for number in range(limit)]
    return scenes


def _pick(group: list[Item], product: Product, collection: str, bands: tuple[str, ...], secure: bool) -> Pick:
    first = group[0]
    keys = {band: key_of(first, product, band) or band for band in bands}
    if any(key not in item.assets for item in group for key in keys.values()):
        raise DataError(f"items of one pass name their assets differently: {', '.join(i.id for i in group)}")
    return Pick(
        id=first.id,
        time=moment(first),
        items=tuple(_linked(item, keys.values(), secure) for item in group),
        keys=keys,
        bands={band: meaning(first, key, band, product, collection) for band, key in keys.items()},
    )


def _linked(item: Item, keys: Any, secure: bool) -> Item:
    """Give the assets links that may be read."""
    for key in keys:
        item.assets[key].href = link(item, key, secure)
    return item


def _rank(item: Item) -> tuple[int, str, str]:
    """Order items best first: by tier, then the latest processing, then id."""
    p = item.properties
    made = str(p.get("s2:processing_baseline", "")) + str(p.get("created") or p.get("updated") or "")
    newest_first = "".join(chr(0x10FFFF - ord(letter)) for letter in made)
    return _TIERS.get(str(p.get("landsat:collection_category")), 0), newest_first, item.id


def _pass(item: Item) -> Hashable:
    """Return what frames of one pass of a satellite share: platform, day, path or orbit."""
    p = item.properties
    track = p.get("landsat:wrs_path") or p.get("sat:relative_orbit")
    return str(p.get("platform")), moment(item).date(), str(track)


def _place(item: Item) -> Hashable:
    """Return what duplicates share: the pass, and the frame or tile in it."""
    p = item.properties
    tile = p.get("landsat:wrs_row") or p.get("s2:mgrs_tile") or p.get("grid:code")
    return (_pass(item), str(tile)) if tile else item.id


def _sizes(item: Item, product: Product, collection: str, bands: tuple[str, ...]) -> Hashable:
    """Return the scaling of all bands: only numbers that mean the same may be joined."""
    return tuple(meaning(item, key_of(item, product, b) or b, b, product, collection) for b in bands)
