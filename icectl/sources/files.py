"""What one image file says of itself: its grid, its date, its assets, what its numbers mean."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from icectl.errors import DataError
from icectl.raster import Grid, Info
from icectl.raster.stored import check_end
from icectl.sources.dates import Period, parse_date
from icectl.sources.delivered import headed
from icectl.sources.names import (
    ASSETS,
    MODIS_SNOW,
    QUALITY,
    SNOW_COVER,
    SURFACE_REFLECTANCE,
    UNUSED,
    Named,
    by_description,
    by_name,
    numbered,
)
from icectl.sources.scene import Band
from icectl.sources.stated import (
    LEVEL_1C,
    TOP_OF_ATMOSPHERE,
    above_the_atmosphere,
    corrected,
    delivered,
    said_by_collections,
    stated,
)

DRIVERS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jp2": "JP2OpenJPEG", ".vrt": "VRT",
    ".img": "HFA", ".dat": "ENVI", ".bsq": "ENVI", ".bil": "ENVI", ".bip": "ENVI",
}  # fmt: skip
"""Formats by suffix; all others are opened as GeoTIFF alone: GDAL would follow links inside other formats."""

_ACQUIRED = ("ACQUISITIONDATETIME", "ACQUISITION_DATE", "DATE_ACQUIRED")
_DATE_TAGS = (*_ACQUIRED, "EXIF_DATETIMEORIGINAL", "DATETIME", "DATE", "QUARTER")
FLOATS = ("float32", "float64")
_LARGEST_ITEM = 4_000_000
_KEPT = (
    "platform", "eo:cloud_cover", "view:sun_elevation", "s2:processing_baseline",
    "earthsearch:boa_offset_applied",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One asset of a file: what its name says, what it is, and where it lies."""

    path: Path
    named: Named
    crs: str | None
    resolution: tuple[float, float]
    shape: tuple[int, int]
    properties: Mapping[str, Any]
    floating: bool = False
    called: str = ""
    grid: Grid | None = None


def describe(
    path: Path,
    folder: Path,
    pattern: re.Pattern[str] | None,
    items: Mapping[str, Mapping[str, Any]],
    bands: Sequence[str] = (),
) -> list[ImageFile]:
    """Open one file and settle its date, its grid, and the assets that it holds.

    `path`, `folder`: the file, and the folder that is scanned.
    `pattern`: the user's pattern for names, or None.
    `items`: STAC items beside the file, by the names of the files that they list.
    `bands`: what the bands of a stack are, in their order, where the user says it.

    Returns one for a file of one band or a picture; one for each band of a stack. `named.asset` is None
    where nothing tells what it is.
    """
    info = _header(path)
    if info.controlled:
        raise DataError(f"{path} has no coordinate reference system", info.advice)
    named = by_name(path.relative_to(folder).with_suffix("").as_posix(), pattern)
    item: Mapping[str, Any] = {} if pattern is not None else items.get(path.name, {})
    key = _key_in(item, path.name)
    entry: Mapping[str, Any] = {} if key is None else item["assets"][key]
    if named.asset is None and pattern is None and not _bands_in(entry, info):
        named = replace(named, asset=_asset_in(item, key) or numbered(path.stem))
    period = _period_of(path, pattern, named, item, info)
    found = [] if pattern is not None else _by_date(named, info)
    if period is None and not named.static and not found:
        raise DataError(
            f"{path} says nothing of its date",
            "name files like 20190710_green.tif or 2019Q3.tif, or say where the date is, e.g. "
            r"--pattern '(?P<date>\d{8})_(?P<asset>\w+)', or '(?P<day>\d\d).(?P<month>\d\d).(?P<year>\d{4})'",
        )
    if not found:
        layers = _assets(named, info, bands or _bands_in(entry, info), path)
        found = [replace(one, period=period, static=one.static and period is None) for one in layers]
    return [
        ImageFile(
            path=path.absolute(),
            named=replace(one, band=_band(one, info, item, entry, path)),
            crs=info.crs,
            resolution=(1.0, 1.0)
            if info.grid is None
            else (abs(info.grid.affine.a), abs(info.grid.affine.e)),
            shape=info.shape,
            properties=_properties(item, one.period, named, path),
            floating=info.dtype in FLOATS,
            called=str(info.descriptions[one.band.number - 1] or ""),
            grid=info.grid,
        )
        for one in found
    ]


def _by_date(named: Named, info: Info) -> list[Named]:
    """Return the bands of a stack that are called by differing dates, or dates and assets; else nothing."""
    found = []
    for number, text in enumerate(map(str, info.descriptions), 1):
        own = by_name(text)
        found.append(
            replace(
                named,
                asset=named.asset or own.asset or numbered(f"{info.path.stem} {text}"),
                scene=f"{named.scene}_{number}",
                period=own.period,
                static=False,
                band=replace(named.band if named.asset else own.band, number=number),
            )
        )
    told = {(one.period.start, one.asset): one.period.end for one in found if one.period is not None}
    of_days = len({start for start, _ in told}) > 1 or None in told.values()
    return found if len(told) == len(found) > 1 and of_days else []


def opened_as(path: Path) -> str:
    """Return the format that a file is opened as: by its suffix, or ENVI's where its header lies beside."""
    suffix = path.suffix.lower()
    return "ENVI" if suffix == ".img" and headed(path) else DRIVERS.get(suffix, "GTiff")


def _header(path: Path) -> Info:
    driver = opened_as(path)
    try:
        info = Info(path, driver)
        check_end(path, driver)
    except DataError as error:
        if "cannot be read" not in error.message:
            raise
        raise DataError(
            f"{path} is damaged or no image: {error.message}", "copy or download it again"
        ) from error
    return info


def _period_of(
    path: Path, pattern: re.Pattern[str] | None, named: Named, item: Mapping[str, Any], info: Info
) -> Period | None:
    """Return the date by the item, the file's tags, its name, and last the time the file was made.

    A tag that may be of the file's making does not outweigh a day in its name.
    """
    if pattern is not None:
        return named.period
    told = named.period is not None and named.period.end is None
    found = _item_period(item) or tag_period(info.tags, _ACQUIRED if told else _DATE_TAGS) or named.period
    if found is None and (found := _parse_tag(info.tags.get("TIFFTAG_DATETIME"))):
        _say_made(path.parent)
    return found


@cache
def _say_made(folder: Path) -> None:
    """Tell once of files that are dated by when they were made."""
    logging.getLogger("icectl").warning(
        f"{folder} tells no date of files but when they were written (TIFFTAG_DATETIME), which is taken; "
        "put dates into their names if they were acquired at another time"
    )


def _assets(named: Named, info: Info, bands: Sequence[str], path: Path) -> list[Named]:
    """Return what a file holds: one asset, or those of a stack's bands by their descriptions."""
    called = [str(text or "").lower() for text in info.descriptions]
    data = [number for number in range(1, info.count + 1) if number != info.alpha]
    if len(data) == 1 or named.asset == UNUSED:
        asset = named.asset or next((ASSETS[word] for word in called if word in ASSETS), None)
        return [replace(named, asset=asset, band=replace(named.band, number=data[0]))]
    own = [number for number in data if ASSETS.get(called[number - 1]) == named.asset]
    if named.asset is not None and len(own) == 1:
        return [replace(named, band=replace(named.band, number=own[0]))]
    if named.asset is not None and named.asset != "image":
        raise DataError(
            f"{path} holds {info.count} bands where one ('{named.asset}') was expected",
            "write each band to a file of its own (gdal_translate -b N)",
        )
    found = tuple(ASSETS.get(word.lower(), word.lower()) for word in bands) or by_description(
        info.descriptions, path.stem
    )
    if all(asset == UNUSED for asset in found):
        return [replace(named, asset=named.asset or "image")]  # a picture, or a stack that nothing names
    named = replace(named, scene=path.stem)
    return [
        replace(named, asset=asset, band=replace(named.band, number=number), static=False)
        for number, asset in enumerate(found[: info.count], 1)
    ]


def _band(named: Named, info: Info, item: Mapping[str, Any], entry: Mapping[str, Any], path: Path) -> Band:
    """Settle scale, offset and nodata: the file's own tags, the item beside it, then its name."""
    number = named.band.number
    listed = stated(entry, entry.get("icectl:common"), number)
    nodata = info.nodata if info.nodata is not None else listed.nodata
    nodata = named.band.nodata if nodata is None else nodata
    known = Band(nodata=nodata, number=number)
    if named.asset in QUALITY:
        return known
    scale, offset = info.scales[number - 1], info.offsets[number - 1]
    if (scale, offset) != (1.0, 0.0):
        return replace(known, scale=scale, offset=offset)
    properties = dict(item.get("properties") or {})
    if named.product == "Sentinel-2" and (found := delivered(path).band).scale is not None:
        nothing = found.nodata if known.nodata is None else known.nodata
        return replace(known, scale=found.scale, offset=found.offset, nodata=nothing)
    if "s2:processing_baseline" in properties:
        found = corrected(listed, properties, str(item.get("collection", "")), str(path))
        return replace(known, scale=found.scale, offset=found.offset)
    if listed.scale is not None:
        return replace(known, scale=listed.scale, offset=listed.offset or 0.0)
    percent = info.dtype not in FLOATS  # MODIS' own; whoever made floats of it may have divided by 100
    if named.band.scale is not None and (percent or named.band != MODIS_SNOW):
        return replace(known, scale=named.band.scale, offset=named.band.offset)
    said = str(info.descriptions[number - 1] or "").upper()
    words = (said, _key_in(item, path.name) or "")
    if percent and any(word.lower().startswith(SNOW_COVER) for word in words):
        return replace(known, scale=MODIS_SNOW.scale, offset=MODIS_SNOW.offset)
    surface = re.search(r"(?:^|_)SR_B\d$", said or path.stem.upper())
    if surface or str(item.get("collection")) == "landsat-c2-l2":
        return replace(known, scale=SURFACE_REFLECTANCE.scale, offset=SURFACE_REFLECTANCE.offset)
    return known


def items_beside(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the STAC items (of any version) in `folder`, by the names of the files that they list."""
    items: dict[str, Mapping[str, Any]] = {}
    said = said_by_collections(folder.parent) | said_by_collections(folder)
    for candidate in sorted(folder.glob("*.json")):
        if candidate.stat().st_size > _LARGEST_ITEM:
            continue
        try:
            item = json.loads(candidate.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # not every JSON file beside an image speaks of it
        features = item.get("features") if isinstance(item, dict) else None
        for one in features if isinstance(features, list) else [item]:
            if isinstance(one, dict) and one.get("type") == "Feature" and isinstance(one.get("assets"), dict):
                shared = said.get(str(one.get("collection")), {})
                for key, entry in one["assets"].items():
                    if isinstance(entry, dict):
                        entry["icectl:common"] = shared.get(key) if isinstance(shared.get(key), dict) else {}
                        items[_basename(entry)] = one
    return items


def _basename(entry: Mapping[str, Any]) -> str:
    return str(entry.get("href", "")).partition("?")[0].rsplit("/", 1)[-1]


def _bands_in(entry: Mapping[str, Any], info: Info) -> tuple[str, ...]:
    """Return what an item calls the bands of a file of several, if it names an asset that is known."""
    lists = [entry.get(field) for field in ("bands", "eo:bands")]
    listed = next((one for one in lists if isinstance(one, list) and len(one) == info.count > 1), [])
    keys = ("eo:common_name", "common_name", "name", "description")
    words = [
        next((str(one[k]) for k in keys if one.get(k)), "") if isinstance(one, Mapping) else ""
        for one in listed
    ]
    found = by_description(words, info.path.stem)
    return found if any(asset != UNUSED for asset in found) else ()


def _key_in(item: Mapping[str, Any], name: str) -> str | None:
    """Return the key of the asset of an item whose link ends in a file's name."""
    assets = item.get("assets", {})
    return next((k for k, e in assets.items() if isinstance(e, Mapping) and _basename(e) == name), None)


def _asset_in(item: Mapping[str, Any], key: str | None) -> str | None:
    """Return what an item calls the asset of a key, by its common name or that key, where it is known."""
    if key is None:
        return None
    assets = {name: entry for name, entry in item["assets"].items() if isinstance(entry, Mapping)}
    bands = [assets[key].get(field) for field in ("eo:bands", "bands")]
    firsts = [one[0] for one in bands if isinstance(one, list) and one and isinstance(one[0], Mapping)]
    common = next((one.get("eo:common_name") or one.get("common_name") for one in firsts), None)
    asset = ASSETS.get(str(common).lower()) or ASSETS.get(str(key).lower())
    found = by_description([str(k) for k in assets], str(item.get("id", "")))[list(assets).index(key)]
    return asset or (None if found == UNUSED else found)


def _item_period(item: Mapping[str, Any]) -> Period | None:
    """Read the time of a STAC item: its datetime, or its span."""
    properties = item.get("properties")
    if not isinstance(properties, Mapping):
        return None
    return _parse_tag(properties.get("datetime") or properties.get("start_datetime"))


def tag_period(tags: Mapping[str, str], names: Sequence[str] = _DATE_TAGS) -> Period | None:
    """Read the first tag of those `names` that tells the date of acquisition."""
    upper = {key.upper(): value for key, value in tags.items()}
    periods = (_parse_tag(upper.get(name)) for name in names)
    return next((period for period in periods if period is not None), None)


def _parse_tag(value: Any) -> Period | None:
    """Read a date written as ISO 8601, as TIFF writes it (``2019:07:10 10:20:30``), or compactly."""
    text = "" if value is None else str(value)
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        text = text if moment.tzinfo is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    return parse_date(text)


def _properties(item: Mapping[str, Any], period: Period | None, named: Named, path: Path) -> dict[str, Any]:
    """Keep what an item says of its scene, and the span of a composite."""
    known = {k: v for k, v in (item.get("properties") or {}).items() if k in _KEPT}
    if named.platform:
        known["platform"] = named.platform
    if named.product and named.band.scale is None and named.asset not in QUALITY:
        known["icectl:product"] = named.product
    if (named.product == "Sentinel-2" and delivered(path).level == "L1C") or above_the_atmosphere(item):
        known[TOP_OF_ATMOSPHERE] = LEVEL_1C
    if period is not None and period.end is not None:
        known |= {"start_datetime": period.start.isoformat(), "end_datetime": period.end.isoformat()}
    return known
