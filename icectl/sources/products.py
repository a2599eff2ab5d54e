"""Services and products: where catalogues are, what assets are called there, what numbers mean.

Assets go by Landsat's names in icectl (``green``, ``swir16``, ``qa_pixel`` …); every product says what
they are called in its items. Items of the Planetary Computer often leave out type, nodata or scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from icectl.errors import DataError, UsageError, did_you_mean
from icectl.sources.names import QA_PIXEL, SURFACE_REFLECTANCE
from icectl.sources.scene import Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A STAC API: its address, the collection taken by default, and whether links must be signed."""

    name: str
    url: str
    collection: str
    signed: bool = False


SERVICES = {
    "planetary-computer": Service(
        name="planetary-computer",
        url="https://planetarycomputer.microsoft.com/api/stac/v1",
        collection="landsat-c2-l2",
        signed=True,
    ),
    "earth-search": Service(
        name="earth-search",
        url="https://earth-search.aws.element84.com/v1",
        collection="sentinel-2-c1-l2a",  # its Landsat files lie in a bucket where the reader pays
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Facts of a collection.

    Parameters
    ----------
    names
        What an asset is called in the items, the first that is there; by default as here.
    quality
        The layer of flags that says where cloud and fill are; empty where there is none.
    dtype, band
        Type, and scale, offset and nodata, where the item does not say.
    timeless
        True for elevation: no dates, and all tiles make one scene.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quality: str = ""
    dtype: str = "uint16"
    band: Band = field(default_factory=Band)
    timeless: bool = False

    def candidates(self, band: str) -> tuple[str, ...]:
        """Return what `band` may be called in an item, in order of preference."""
        return self.names.get(band, (band,))


_LANDSAT = Product(quality="qa_pixel", band=SURFACE_REFLECTANCE)
_SENTINEL2 = Product(
    names={
        "coastal": ("B01", "coastal"),
        "blue": ("B02", "blue"),
        "green": ("B03", "green"),
        "red": ("B04", "red"),
        "nir08": ("B8A", "nir08"),
        "swir16": ("B11", "swir16"),
        "swir22": ("B12", "swir22"),
        "scl": ("SCL", "scl"),
    },
    quality="scl",
    band=Band(scale=1e-4, nodata=0),
)
_RADAR = Product(dtype="float32", band=Band(nodata=-32768))
_ELEVATION = Product(names={"dem": ("data",)}, dtype="float32", timeless=True)

PRODUCTS = {
    "landsat-c2-l2": _LANDSAT,
    "sentinel-2-l2a": _SENTINEL2,
    "sentinel-2-c1-l2a": _SENTINEL2,
    "sentinel-1-rtc": _RADAR,
    "cop-dem-glo-30": _ELEVATION,
    "cop-dem-glo-90": _ELEVATION,
}

_QUALITY = {
    "qa_pixel": Band(nodata=1),
    "scl": Band(nodata=0),
    "qa_aerosol": Band(nodata=1),
    "qa_radsat": Band(),
}
_QUALITY_TYPE = {"scl": "uint8", "qa_aerosol": "uint8"}
FLAGS = frozenset(_QUALITY)
"""Assets that hold flags or classes: never averaged, never scaled."""


def service_for(name: str, api: str | None = None) -> Service:
    """Return the service called `name`, at the address `api` if one is given."""
    if name not in SERVICES:
        raise UsageError(f"'{name}' is no STAC service", did_you_mean(name, SERVICES))
    found = SERVICES[name]
    if api is None:
        return found
    return Service(name=name, url=api.rstrip("/"), collection=found.collection, signed=found.signed)


def product_for(collection: str, bands: tuple[str, ...]) -> Product:
    """Return the facts of `collection`; one not known takes asset names as they are."""
    unknown = Product(quality=next((name for name in ("qa_pixel", "scl") if name in bands), ""))
    return PRODUCTS.get(collection, unknown)


def wanted(product: Product, bands: tuple[str, ...]) -> tuple[str, ...]:
    """Return the assets to fetch: `bands`, with the product's own quality layer in place of another's."""
    own = [band for band in bands if band not in ("qa_pixel", "scl")]
    if not own:
        raise UsageError("no band to fetch is named", "name at least one, e.g. green")
    return (*dict.fromkeys(own), *([product.quality] if product.quality else []))


def type_of(product: Product, band: str) -> str:
    """Return the type of an asset where its item does not say."""
    return _QUALITY_TYPE.get(band, "uint16" if band in FLAGS else product.dtype)


def meaning(item: Any, key: str, band: str, product: Product, collection: str) -> Band:
    """Return scale, offset and nodata of one asset.

    Sentinel-2's numbers carry an offset of −1000 since processing baseline 04.00, unless Earth Search
    has taken it off (``earthsearch:boa_offset_applied``; its ``raster:bands`` say −0.1 all the same).

    Parameters
    ----------
    item
        The `pystac.Item`.
    key, band
        The asset's name in the item, and in icectl.
    """
    if band in FLAGS:
        return QA_PIXEL if band == "qa_pixel" else _QUALITY[band]
    listed = _listed(item.assets[key].extra_fields)
    nodata = product.band.nodata if listed.nodata is None else listed.nodata
    if collection.startswith("sentinel-2"):
        return Band(scale=1e-4, offset=_sentinel2_offset(item, listed, collection), nodata=nodata)
    if listed.scale is None:
        return Band(scale=product.band.scale, offset=product.band.offset, nodata=nodata)
    return Band(scale=listed.scale, offset=listed.offset or 0.0, nodata=nodata)


def _sentinel2_offset(item: Any, listed: Band, collection: str) -> float:
    from icectl.imagery.reflectance import sentinel2

    baseline = item.properties.get("s2:processing_baseline")
    applied = bool(item.properties.get("earthsearch:boa_offset_applied")) and "c1" not in collection
    if baseline is not None:
        return sentinel2(str(baseline), applied).offset
    if listed.offset is None:
        raise DataError(
            f"item {item.id} does not say its Sentinel-2 processing baseline",
            "its offset cannot be known; take another collection or service",
        )
    return 0.0 if applied else listed.offset


def _listed(fields: Mapping[str, Any]) -> Band:
    """Read ``raster:bands`` (STAC 1.0) or ``bands`` (1.1) of an asset."""
    bands = fields.get("raster:bands") or fields.get("bands") or [{}]
    first = bands[0] if isinstance(bands, list) and isinstance(bands[0], Mapping) else {}
    values = {name: first.get(name, first.get(f"raster:{name}")) for name in ("scale", "offset", "nodata")}
    return Band(**{name: _number(value) for name, value in values.items()})


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
