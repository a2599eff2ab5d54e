"""What STAC metadata and Sentinel-2's own folders say of numbers: scale, offset, nodata, processing level."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icectl.errors import DataError
from icectl.sources.scene import Band


def stated(asset: Mapping[str, Any], common: Mapping[str, Any] | None = None, number: int = 1) -> Band:
    """Return what an asset says of its numbers; None where it says nothing.

    `asset`: the asset's fields: ``raster:bands`` (STAC 1.0), ``bands`` (1.1), or ``raster:scale``,
        ``scale`` … on the asset itself, as CDSE writes them.
    `common`: the same asset in the collection's ``item_assets``, for what the item leaves out.
    `number`: the band of a file of several, from 1; where fewer are listed, the first speaks for all.

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
        offset = sentinel2_offset(str(baseline), applied)
    elif band.offset is not None:
        offset = 0.0 if applied else band.offset
    else:
        raise DataError(
            f"{what} does not say its Sentinel-2 processing baseline",
            "its offset cannot be known; take another collection or service",
        )
    return Band(scale=1e-4 if band.scale is None else band.scale, offset=offset, nodata=band.nodata)


LEVEL_1C = "Sentinel-2 Level-1C"
"""The product whose numbers are reflectance at the top of the atmosphere."""

TOP_OF_ATMOSPHERE = "icectl:top_of_atmosphere"
"""The property of a scene whose bands are no surface reflectance."""

_IN_NAME = re.compile(r"_MSI(?P<level>L1C|L2A)_")
_BASELINE = re.compile(r"_N(\d{2})(\d{2})_R\d{3}_")
_QUANTIFICATION = re.compile(r"<(?:BOA_)?QUANTIFICATION_VALUE[^>]*>\s*([\d.]+)\s*<")
_OFFSET = re.compile(r'<(?:RADIO|BOA)_ADD_OFFSET band_id="(\d+)">\s*(-?[\d.]+)\s*<')
_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_LAYER = re.compile(r"_(B\d[\dA])(?:_\d\dm)?$", re.IGNORECASE)
_ABOVE = 5  # from an image in GRANULE/…/IMG_DATA/R20m up to the product's folder
_LARGEST = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a product's folder says: `level` is ``"L1C"``, ``"L2A"`` or empty; `band` may be empty too."""

    level: str = ""
    band: Band = field(default_factory=Band)


def delivered(path: Path) -> Delivered:
    """Return level, scale and offset of a band of Sentinel-2 by the folder that it lies in.

    The product's metadata (``MTD_MSIL2A.xml``, ``MTD_MSIL1C.xml``) tell the quantification value and, since
    processing baseline 04.00, the offset of each band; without them the folder's name tells both.

    `path`: a file such as ``T43RFP_20220701T053641_B03_20m.jp2``, in a product's folder or not.
    """
    metadata = _metadata(path)
    name = _IN_NAME.search(str(path))
    level = f"L{metadata.stem[-2:]}".upper() if metadata else name["level"] if name else ""
    if metadata is not None and (found := _stated(metadata, path)) is not None:
        return Delivered(level=level, band=found)
    if match := _BASELINE.search(str(path)):
        offset = sentinel2_offset(f"{match[1]}.{match[2]}")
        return Delivered(level=level, band=Band(scale=1e-4, offset=offset, nodata=0))
    return Delivered(level=level)


def above_the_atmosphere(item: Mapping[str, Any]) -> bool:
    """Tell whether a STAC item is of a collection or a product of Sentinel-2's Level-1C."""
    properties = item.get("properties") or {}
    said = (item.get("collection"), properties.get("s2:product_type"), properties.get("product:type"))
    return any(
        re.search(r"(?:sentinel-?2.*|s2)(?:l1c|msi1c|-l1c|msi-?l1c)", str(one).lower()) for one in said
    )


def _metadata(path: Path) -> Path | None:
    for folder in path.absolute().parents[:_ABOVE]:
        found = next((p for p in sorted(folder.glob("MTD_MSIL??.xml")) if p.is_file()), None)
        if found is not None:
            return found if found.stat().st_size <= _LARGEST else None
        if folder.suffix == ".SAFE":
            return None
    return None


def _stated(metadata: Path, path: Path) -> Band | None:
    """Read the quantification value and the band's offset; None where the file says no such thing."""
    text = metadata.read_text(encoding="utf-8", errors="replace")
    quantification, layer = _QUANTIFICATION.search(text), _LAYER.search(path.stem)
    if quantification is None or layer is None or float(quantification[1]) <= 0:
        return None
    offsets = {int(number): float(value) for number, value in _OFFSET.findall(text)}
    offset = offsets.get(_BANDS.index(layer[1].upper()), 0.0)
    scale = 1 / float(quantification[1])
    return Band(scale=scale, offset=offset * scale, nodata=0)
