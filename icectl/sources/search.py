"""Searching a STAC API, and filtering what it answers.

A server is asked for collection, box and dates, which every STAC API understands, and for platforms
where it says that it conforms to the query extension. Everything is filtered again on this side: some
servers ignore what they do not understand.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from icectl.errors import DataError, IcectlError, WorkError
from icectl.sources.area import Area
from icectl.sources.bounds import Refused, expect_public, parts_of
from icectl.sources.options import SceneQuery, between, months_of
from icectl.sources.products import Product, Service
from icectl.sources.remote import Patience, chain, reason, session
from icectl.workspace import safe_name

Item: TypeAlias = Any
"""A `pystac.Item`."""

MOST_ITEMS = 50_000
"""No area of one glacier has more; a server that goes on for ever is stopped here."""

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time of an item that says none; no satellite of ours flew yet."""


@dataclass(slots=True)
class Tally:
    """How many items each filter took."""

    found: int = 0
    taken: Counter[str] = field(default_factory=Counter)

    def keep(self, items: Iterable[Item], why: str, test: Callable[[Item], bool]) -> list[Item]:
        """Return the items that pass `test` and count the others under `why`."""
        kept = []
        for item in items:
            if test(item):
                kept.append(item)
            else:
                self.taken[why] += 1
        return kept

    def sentence(self) -> str:
        """Return the counts in words, in the order the filters ran."""
        parts = [f"{count} {why}" for why, count in self.taken.items() if count]
        return f"{self.found} found" + (f", of which {', '.join(parts)}" if parts else "")


def connect(service: Service, patience: Patience) -> Any:
    """Open a STAC API (`pystac_client.Client`) with timeouts and retries.

    WorkError: it does not answer, or what answers is no STAC API.
    """
    from pystac_client import Client
    from pystac_client.stac_api_io import StacApiIO

    def ask() -> Any:
        transport = StacApiIO(timeout=patience.timeout)
        bounded = session(patience, service.url)
        bounded.headers = transport.session.headers
        transport.session = bounded
        return Client.open(service.url, stac_io=transport, timeout=patience.timeout)

    return _asking(service, ask)


def _asking(service: Service, ask: Callable[[], Any]) -> Any:
    """Call `ask`; whatever goes wrong in talking to a server becomes one sentence."""
    try:
        return ask()
    except IcectlError:
        raise
    except Exception as error:  # pystac, pystac-client, requests and json each raise their own
        status = getattr(error, "status_code", None)
        network = any(isinstance(one, OSError) and not isinstance(one, ValueError) for one in chain(error))
        said = f"it answers with error {status}" if status else "what it answers is not as STAC has it"
        said = reason(error) if network else said
    raise WorkError(
        f"{service.url} cannot be searched: {said[:300]}",
        "check the network and try again, or work from files you have with --scenes DIR",
    )


def search(
    client: Any, service: Service, collection: str, area: Area, query: SceneQuery, timeless: bool
) -> list[Item]:
    """Return the items that the server finds, each once, sorted by time and id.

    WorkError: the server fails, or has no such collection.
    """
    asked: dict[str, Any] = {"collections": [collection], "limit": 250}
    if not timeless and (query.start or query.end):
        last = None if query.end is None else query.end - timedelta(days=1)
        asked["datetime"] = f"{query.start or '..'}/{last or '..'}"
    if query.platform and client.conforms_to("QUERY"):
        asked["query"] = {"platform": {"in": [name.lower() for name in query.platform]}}
    unique: dict[str, Item] = {}
    for box in area.asked:
        unique |= _asking(service, partial(_collected, client, service, bbox=box, **asked))
    said = _item_assets(client, collection) if unique else {}
    for item in unique.values():
        item.extra_fields["icectl:item_assets"] = said
    return sorted(unique.values(), key=lambda item: (moment(item), item.id))


def _item_assets(client: Any, collection: str) -> dict[str, Any]:
    """Return what a collection says of its items' assets; nothing where the server does not tell."""
    try:
        about = client.get_collection(collection)
        found = {} if about is None else about.extra_fields.get("item_assets")
        found = found or (about.to_dict().get("item_assets") if about is not None else None)
    except (
        Exception
    ):  # pystac-client, requests and json each raise their own; items may say it all themselves
        return {}
    return found if isinstance(found, dict) else {}


def _collected(client: Any, service: Service, **asked: Any) -> dict[str, Item]:
    """Return the items of all pages by id; a server whose next page brings nothing new is cut off."""
    unique: dict[str, Item] = {}
    for page in client.search(max_items=MOST_ITEMS, **asked).pages():
        before = len(unique)
        unique.update({item.id: item for item in page.items})
        if len(unique) == before:
            raise WorkError(
                f"{service.url} sends a page of results again and again",
                "narrow --start and --end, or take another --source",
            )
    return unique


def fresh(client: Any, service: Service, collection: str, ids: list[str]) -> dict[str, Item]:
    """Ask again for items by id: their links may carry a signature that has run out."""
    asked = {"collections": [collection], "ids": ids}
    return {item.id: item for item in _asking(service, lambda: list(client.search(**asked).items()))}


def moment(item: Item) -> datetime:
    """Return an item's time (UTC); the start of its range, or the epoch where it has none."""
    time = item.datetime or item.common_metadata.start_datetime or UNDATED
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def filtered(
    items: list[Item],
    tally: Tally,
    area: Area,
    query: SceneQuery,
    product: Product,
    bands: tuple[str, ...],
    track: tuple[int, int] | None,
) -> list[Item]:
    """Apply every filter that needs no pixels, and count what each takes.

    `track`: WRS-2 path and row to keep, or None.
    """
    tally.found += len(items)
    if not product.timeless:
        items = tally.keep(items, "without a date", lambda item: moment(item) != UNDATED)
        items = tally.keep(items, "outside the dates", lambda item: between(moment(item).date(), query))
    items = tally.keep(items, "outside the area", lambda item: area.meets(item.geometry))
    if query.platform:
        names = {name.lower() for name in query.platform}
        items = tally.keep(
            items, "of other platforms", lambda item: str(item.properties.get("platform")).lower() in names
        )
    if getattr(query, "cloud_of", "area") == "scene":
        items = tally.keep(
            items,
            "too cloudy as a whole",
            lambda item: item.properties.get("eo:cloud_cover", 0) <= query.max_cloud,
        )
    if query.season and not product.timeless:
        months = months_of(query.season)
        items = tally.keep(items, "outside the season", lambda item: moment(item).month in months)
    if track is not None:
        items = tally.keep(items, "of other paths and rows", lambda item: path_row(item) == track)
    return tally.keep(items, "without the assets asked for", lambda item: not missing(item, product, bands))


def path_row(item: Item) -> tuple[int, int] | None:
    """Return a Landsat item's WRS-2 path and row."""
    try:
        return int(item.properties["landsat:wrs_path"]), int(item.properties["landsat:wrs_row"])
    except (KeyError, TypeError, ValueError):
        return None


def key_of(item: Item, product: Product, band: str) -> str | None:
    """Return what asset `band` is called in `item`, or None if it has none."""
    return next((name for name in product.candidates(band) if name in item.assets), None)


def missing(item: Item, product: Product, bands: tuple[str, ...]) -> list[str]:
    """Return those of `bands` that an item does not have."""
    return [band for band in bands if key_of(item, product, band) is None]


def expect_public_links(items: Iterable[Item], keys: Iterable[str], service: Service) -> None:
    """Refuse assets on private addresses, unless the user named that host as the service.

    DataError: names the host.
    """
    named = str(urlsplit(service.url).hostname)
    for item in items:
        for key in keys:
            try:
                expect_public(item.assets[key].href, named)
            except Refused as error:
                raise DataError(f"item {item.id}: {error}", "do not trust this catalogue") from None


def link(item: Item, key: str, secure: bool) -> str:
    """Return the address of an asset; refuse what is no plain web address.

    A catalogue is somebody else's text: a ``file://`` link would make us read this machine's files.

    `secure`: take ``https`` only, as where the catalogue itself is read by ``https``.

    DataError: the asset lies elsewhere; the link is named without its query.
    """
    safe_name(item.id, "the id of an item")
    asset = item.assets[key]
    others = asset.extra_fields.get("alternate")
    listed = list(others.values()) if isinstance(others, dict) else []
    with suppress(ValueError):  # half an address is refused below
        asset.href = asset.get_absolute_href() or asset.href
    links = [asset.href, *(a.get("href") for a in listed if isinstance(a, dict))]
    allowed = {"https"} if secure else {"https", "http"}
    for href in links:
        if isinstance(href, str) and parts_of(href).scheme in allowed and parts_of(href).hostname:
            return href
    shown, schemes = str(links[0]).partition("?")[0], "/".join(sorted(allowed))
    raise DataError(
        f"asset '{key}' of item {item.id} links to '{shown}', which is no {schemes} address",
        "take another service or collection; planetary-computer has none that need an account",
    )
