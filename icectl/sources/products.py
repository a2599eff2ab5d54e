"""Services and products: where catalogues are, what assets are called there, what numbers mean.

Assets go by Landsat's names in icectl (``green``, ``swir16``, ``qa_pixel`` …); every product says what
they are called in its items. Items of the Planetary Computer often leave out type, nodata or scale.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from icectl.errors import UsageError, did_you_mean
from icectl.sources.names import HLS, MSI, OLI, QA_PIXEL, SURFACE_REFLECTANCE
from icectl.sources.scene import Band
from icectl.sources.stated import common, corrected, stated


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

    `names`: what an asset is called in the items, the first that is there; by default as here.
    `quality`: the layer of flags that says where cloud and fill are; empty where there is none.
    `dtype`, `band`: type, and scale, offset and nodata, where the item does not say.
    `timeless`: true for elevation: no dates, and all tiles make one scene.
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
    names={asset: (band, asset) for band, asset in MSI.items()},
    quality="scl",
    band=Band(scale=1e-4, nodata=0),
)
_HLS_S30 = Product(
    names={**_SENTINEL2.names, "hls_fmask": ("Fmask",)}, quality="hls_fmask", dtype="int16", band=HLS
)
_HLS_L30 = Product(
    names={"hls_fmask": ("Fmask",), **{asset: (f"B{n:02d}",) for n, asset in enumerate(OLI, 1)}},
    quality="hls_fmask",
    dtype="int16",
    band=HLS,
)
_RADAR = Product(dtype="float32", band=Band(nodata=-32768))
_ELEVATION = Product(names={"dem": ("data",)}, dtype="float32", timeless=True)

PRODUCTS = {
    "landsat-c2-l2": _LANDSAT,
    "sentinel-2-l2a": _SENTINEL2,
    "sentinel-2-c1-l2a": _SENTINEL2,
    "hls2-s30": _HLS_S30,
    "hls2-l30": _HLS_L30,
    "HLSS30_2.0": _HLS_S30,
    "HLSL30_2.0": _HLS_L30,
    "sentinel-1-rtc": _RADAR,
    "cop-dem-glo-30": _ELEVATION,
    "cop-dem-glo-90": _ELEVATION,
}

_QUALITY = {
    "qa_pixel": QA_PIXEL,
    "pixel_qa": QA_PIXEL,
    "scl": Band(nodata=0),
    "fmask": Band(nodata=255),
    "hls_fmask": Band(nodata=255),
    "qa60": Band(),
    "qa_aerosol": Band(nodata=1),
    "qa_radsat": Band(),
}
_QUALITY_TYPE = dict.fromkeys(("scl", "qa_aerosol", "fmask", "hls_fmask"), "uint8")
SCREENS = ("qa_pixel", "scl", "fmask", "hls_fmask")
"""Quality layers that tell cloud and fill, one of which a product has."""

CHECKED = ".checked"
"""Folder of what a fetch knows of scenes already looked at, so that one that goes on asks nothing twice."""

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
    if collection in PRODUCTS:
        return PRODUCTS[collection]
    asked = next((name for name in SCREENS if name in bands), "")
    names = {"hls_fmask": ("hls_fmask", "Fmask"), "scl": ("scl", "SCL"), "qa_pixel": ("qa_pixel", "QA_PIXEL")}
    return Product(quality=asked, names=names)


def screened(product: Product, present: Collection[str]) -> Product:
    """Return `product` with the quality layer that its items hold, where they do not hold its own."""

    def held(layer: str) -> bool:
        return any(name in present for name in product.candidates(layer))

    if not product.quality or held(product.quality):
        return product
    return replace(product, quality=next(filter(held, SCREENS), product.quality))


def wanted(product: Product, bands: tuple[str, ...]) -> tuple[str, ...]:
    """Return the assets to fetch: `bands`, with the product's own quality layer in place of another's."""
    own = [band for band in bands if band not in SCREENS]
    if not own:
        raise UsageError("no band to fetch is named", "name at least one, e.g. green")
    return (*dict.fromkeys(own), *([product.quality] if product.quality else []))


def type_of(product: Product, band: str) -> str:
    """Return the type of an asset where its item does not say."""
    return _QUALITY_TYPE.get(band, "uint16" if band in FLAGS else product.dtype)


def meaning(item: Any, key: str, band: str, product: Product, collection: str) -> Band:
    """Return scale, offset and nodata of one asset.

    What the item says wins, then its collection's ``item_assets``, then what is known of the product.

    `item`: the `pystac.Item`; `key` and `band`: the asset's name in the item, and in icectl.
    """
    if band in FLAGS:
        return _QUALITY[band]
    listed = stated(item.assets[key].extra_fields, common(item, key))
    listed = replace(listed, nodata=product.band.nodata if listed.nodata is None else listed.nodata)
    if collection.startswith("sentinel-2"):
        return corrected(listed, item.properties, collection, f"item {item.id}")
    if listed.scale is None:
        return replace(product.band, nodata=listed.nodata)
    return replace(listed, offset=listed.offset or 0.0)
