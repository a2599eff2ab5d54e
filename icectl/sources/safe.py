"""What Sentinel-2's own folders say of their numbers: processing level, scale and offset.

The product's metadata (``MTD_MSIL2A.xml``, ``MTD_MSIL1C.xml``) tell the quantification value and, since
processing baseline 04.00, the offset of each band; without them the folder's name tells level and baseline.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icectl.sources.scene import Band
from icectl.sources.stated import sentinel2_offset

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
    """Return the metadata file of the product that a file belongs to."""
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
