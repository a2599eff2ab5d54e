"""What one image file says of itself: its grid, its date, its asset, what its numbers mean."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icectl.errors import DataError
from icectl.sources.names import ASSETS, Named, Period, by_name, parse_date
from icectl.sources.scene import Band

DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Only these and GeoTIFF are opened: GDAL would follow links inside other formats."""

_DATE_TAGS = ("ACQUISITION_DATE", "DATE_ACQUIRED", "ACQUISITIONDATETIME", "DATETIME", "DATE", "QUARTER")
_LARGEST_ITEM = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One opened file: what its name says, what it is, and where it lies."""

    path: Path
    named: Named
    crs: str | None
    resolution: tuple[float, float]
    shape: tuple[int, int]
    properties: Mapping[str, Any]


def describe(
    path: Path,
    folder: Path,
    pattern: re.Pattern[str] | None,
    asset: str,
    items: Mapping[str, Mapping[str, Any]],
) -> ImageFile:
    """Open one file and settle its asset, its date and its grid."""
    header = _header(path)
    named = by_name(path.relative_to(folder).with_suffix("").as_posix(), pattern)
    item: Mapping[str, Any] = {} if pattern is not None else items.get(path.name, {})
    period = (
        (_item_period(item) or _tag_period(header["tags"]) or named.period)
        if pattern is None
        else named.period
    )
    if period is None and pattern is None:
        period = _parse_tag(header["tags"].get("TIFFTAG_DATETIME"))
    if period is None and not named.static:
        raise DataError(
            f"{path} says nothing of its date",
            "name files like 20190710_green.tif or 2019Q3.tif, "
            r"or give a pattern such as (?P<date>\d{8})_(?P<asset>\w+)",
        )
    described = next((ASSETS[w] for w in header["descriptions"] if w in ASSETS), asset)
    if header["count"] > 1 and (named.asset or described) != "image":
        raise DataError(
            f"{path} holds {header['count']} bands where one ('{named.asset or described}') was expected",
            "write each band to a file of its own (gdal_translate -b N)",
        )
    return ImageFile(
        path=path.absolute(),
        named=replace(
            named,
            asset=named.asset or described,
            period=period,
            static=named.static and period is None,
            band=_band(named.band, header, item, path),
        ),
        crs=header["crs"],
        resolution=header["resolution"],
        shape=header["shape"],
        properties=_properties(item, period, named),
    )


def _header(path: Path) -> dict[str, Any]:
    """Read the facts of a raster and its last block, which a truncated file lacks."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver=DRIVERS.get(path.suffix.lower(), "GTiff")) as raster:
                rows, columns = (
                    -(-size // block) - 1
                    for size, block in zip(raster.shape, raster.block_shapes[0], strict=True)
                )
                raster.read(1, window=raster.block_window(1, rows, columns))
                return {
                    "crs": None if raster.crs is None else raster.crs.to_string(),
                    "resolution": (abs(raster.transform.a), abs(raster.transform.e)),
                    "shape": raster.shape,
                    "count": raster.count,
                    "descriptions": [str(d).lower() for d in raster.descriptions if d],
                    "tags": {**raster.tags(1), **raster.tags()},
                    "integer": raster.dtypes[0] not in ("float32", "float64"),
                    "scale": (raster.scales[0], raster.offsets[0]),
                    "nodata": raster.nodata,
                }
    except RasterioError as error:
        raise DataError(f"{path} is damaged or no image: {error}", "copy or download it again") from error


def _band(named: Band, header: Mapping[str, Any], item: Mapping[str, Any], path: Path) -> Band:
    """Settle scale, offset and nodata: the file's own tags, the item beside it, then its name."""
    nodata = named.nodata if header["nodata"] is None else header["nodata"]
    if header["scale"] != (1.0, 0.0):
        return Band(scale=header["scale"][0], offset=header["scale"][1], nodata=nodata)
    for entry in item.get("assets", {}).values():
        bands = entry.get("raster:bands") if isinstance(entry, Mapping) else None
        if bands and _basename(entry) == path.name and "scale" in bands[0]:
            return Band(
                scale=float(bands[0]["scale"]), offset=float(bands[0].get("offset", 0.0)), nodata=nodata
            )
    if named.scale is None and not header["integer"]:
        return Band(scale=1.0, offset=0.0, nodata=nodata)
    return replace(named, nodata=nodata)


def items_beside(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the STAC items (of any version) in `folder`, by the names of the files that they list."""
    items: dict[str, Mapping[str, Any]] = {}
    for candidate in sorted(folder.glob("*.json")):
        if candidate.stat().st_size > _LARGEST_ITEM:
            continue
        try:
            item = json.loads(candidate.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # not every JSON file beside an image speaks of it
        if isinstance(item, dict) and item.get("type") == "Feature" and isinstance(item.get("assets"), dict):
            entries = [entry for entry in item["assets"].values() if isinstance(entry, dict)]
            items |= {_basename(entry): item for entry in entries}
    return items


def _basename(entry: Mapping[str, Any]) -> str:
    """Return the file name at the end of an asset's link."""
    return str(entry.get("href", "")).rsplit("/", 1)[-1]


def _item_period(item: Mapping[str, Any]) -> Period | None:
    """Read the time of a STAC item: its datetime, or its span."""
    properties = item.get("properties")
    if not isinstance(properties, Mapping):
        return None
    return _parse_tag(properties.get("datetime") or properties.get("start_datetime"))


def _tag_period(tags: Mapping[str, str]) -> Period | None:
    """Read the first tag that tells the date of acquisition."""
    upper = {key.upper(): value for key, value in tags.items()}
    periods = (_parse_tag(upper.get(name)) for name in _DATE_TAGS)
    return next((period for period in periods if period is not None), None)


def _parse_tag(value: Any) -> Period | None:
    """Read a date written as ISO 8601, as TIFF writes it (``2019:07:10 10:20:30``), or compactly."""
    return None if value is None else parse_date(str(value).replace(":", "-", 2).replace("T", " "))


def _properties(item: Mapping[str, Any], period: Period | None, named: Named) -> dict[str, Any]:
    """Keep what an item says of its scene, and the span of a composite."""
    known = {
        k: v
        for k, v in (item.get("properties") or {}).items()
        if k in ("platform", "eo:cloud_cover", "view:sun_elevation")
    }
    if named.platform:
        known["platform"] = named.platform
    if period is not None and period.end is not None:
        known |= {"start_datetime": period.start.isoformat(), "end_datetime": period.end.isoformat()}
    return known
