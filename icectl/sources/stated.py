"""What STAC metadata say of numbers: scale, offset and nodata, wherever version 1.0 or 1.1 puts them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icectl.errors import DataError
from icectl.sources.scene import Band


def stated(asset: Mapping[str, Any], common: Mapping[str, Any] | None = None, number: int = 1) -> Band:
    """Return what an asset says of its numbers; None where it says nothing.

    Parameters
    ----------
    asset
        The asset's fields: ``raster:bands`` (STAC 1.0), ``bands`` (1.1), or ``raster:scale``, ``scale`` …
        on the asset itself, as CDSE writes them.
    common
        The same asset in the collection's ``item_assets``, for what the item leaves out.
    number
        The band of a file of several, from 1; where fewer are listed, the first speaks for all.

    Examples
    --------
    >>> stated({"raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0})
    Band(scale=0.0001, offset=-0.1, nodata=0.0, number=1)
    """
    places = [place for fields in (asset, common or {}) for place in _places(fields, number)]
    found: dict[str, float | None] = {}
    for name in ("scale", "offset", "nodata"):
        values = (place.get(name, place.get(f"raster:{name}")) for place in places)
        found[name] = next((number for number in map(_number, values) if number is not None), None)
    return Band(scale=found["scale"], offset=found["offset"], nodata=found["nodata"])


def common(item: Any, key: str) -> Mapping[str, Any]:
    """Return what an item's collection says of an asset, if whoever read it has put that there."""
    fields = item.extra_fields.get("icectl:item_assets", {}).get(key, {})
    return fields if isinstance(fields, Mapping) else {}


def said_by_collections(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the ``item_assets`` of the STAC collections in a folder (``collection.json``), by their ids."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(folder.glob("*collection*.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # not every JSON file of such a name is STAC
        if isinstance(about, dict) and about.get("type") == "Collection":
            assets = about.get("item_assets")
            found[str(about.get("id"))] = assets if isinstance(assets, dict) else {}
    return found


def _places(fields: Mapping[str, Any], number: int) -> list[Mapping[str, Any]]:
    """Return where a field of a band may stand, the nearest first."""
    listed = (fields.get("raster:bands"), fields.get("bands"))
    own = [
        bands[number - 1 if number <= len(bands) else 0]
        for bands in listed
        if isinstance(bands, list) and bands
    ]
    return [*(first for first in own if isinstance(first, Mapping)), fields]


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def sentinel2_offset(baseline: str, applied: bool = False) -> float:
    """Return the offset of Sentinel-2 Level-2A reflectance by its processing baseline, e.g. ``"05.09"``.

    Since baseline 04.00 (25 January 2022) the numbers carry an offset of −1000, so that dark pixels are not
    cut off at zero; `applied` says that the archive has taken it off.

    DataError: `baseline` is none.

    Examples
    --------
    >>> sentinel2_offset("05.09"), sentinel2_offset("03.01")
    (-0.1, 0.0)
    """
    number = _number(baseline)
    if number is None:
        raise DataError(
            f"'{baseline}' is no Sentinel-2 processing baseline",
            "it looks like '04.00'; see the item's properties",
        )
    return -0.1 if number >= 4.0 and not applied else 0.0


def corrected(band: Band, properties: Mapping[str, Any], collection: str, what: str) -> Band:
    """Return a Sentinel-2 band with the offset that its processing baseline demands.

    Numbers carry an offset of −1000 since baseline 04.00, unless Earth Search has taken it off
    (``earthsearch:boa_offset_applied``; its ``raster:bands`` say −0.1 all the same).

    DataError: neither the baseline nor the offset is said.
    """
    baseline = properties.get("s2:processing_baseline", properties.get("processing:version"))
    applied = bool(properties.get("earthsearch:boa_offset_applied")) and "c1" not in collection
    if baseline is not None:
        scale = 1e-4 if band.scale is None else band.scale
        return Band(scale=scale, offset=sentinel2_offset(str(baseline), applied), nodata=band.nodata)
    if band.offset is None:
        raise DataError(
            f"{what} does not say its Sentinel-2 processing baseline",
            "its offset cannot be known; take another collection or service",
        )
    return Band(
        scale=1e-4 if band.scale is None else band.scale,
        offset=0.0 if applied else band.offset,
        nodata=band.nodata,
    )
