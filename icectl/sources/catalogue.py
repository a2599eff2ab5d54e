"""The catalogue of a folder of scenes: ``items.json``, a STAC ItemCollection.

Every source leaves one, so that a later stage (and QGIS or any STAC tool) finds the files, their
times, grids, scale and nodata. Reading trusts nothing: a catalogue may have been made by others.
Only local files are ever named by it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from icectl.errors import DataError, brief
from icectl.raster import Grid, Info
from icectl.sources.scene import Band, Scene, in_order
from icectl.sources.stated import (
    LEVEL_1C,
    TOP_OF_ATMOSPHERE,
    above_the_atmosphere,
    common,
    said_by_collections,
    stated,
)
from icectl.workspace import safe_name, write_json

if TYPE_CHECKING:
    import pystac

__all__ = ["CATALOGUE", "Band", "Scene", "read_catalogue", "write_catalogue"]

CATALOGUE = "items.json"
"""Name of the catalogue inside a folder of scenes."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*:")
_RASTER = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_MEDIA = {
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".gtif": "image/tiff; application=geotiff",
    ".gtiff": "image/tiff; application=geotiff",
    ".jp2": "image/jp2",
    ".vrt": "image/vnd.gdal.vrt",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gpkg": "application/geopackage+sqlite3",
    ".csv": "text/csv",
}


def write_catalogue(folder: Path, scenes: Iterable[Scene]) -> Path:
    """Write ``folder/items.json`` for `scenes`, whole or not at all, and return its path.

    Files inside `folder` get relative links, so that the folder may be moved; others absolute ones.
    Rasters are opened for their grid (``proj:transform``, ``proj:shape``, ``proj:code``).

    DataError: an unsafe or repeated id, or an asset that is not there.
    """
    import pystac

    ordered = in_order(scenes, str(folder / CATALOGUE))
    items = pystac.ItemCollection([_item(scene, folder) for scene in ordered])
    write_json(folder / CATALOGUE, items.to_dict())
    return folder / CATALOGUE


def read_catalogue(folder: Path) -> list[Scene]:
    """Return the scenes of ``folder/items.json`` by time.

    Raises
    ------
    DataError
        If the file is missing, not a STAC ItemCollection, names an id that cannot name a file, a link
        that leaves the folder or is no local path, or a file that is not there.
    """
    import pystac

    path = folder / CATALOGUE
    data = _read_json(path)
    features = data.get("features") if isinstance(data, dict) else None
    if not isinstance(features, list) or data.get("type") != "FeatureCollection":
        raise DataError(f"{path} is not a STAC ItemCollection", "fetch the scenes again")
    scenes, said = [], said_by_collections(folder)
    for number, feature in enumerate(features):
        try:
            item = pystac.Item.from_dict(feature, preserve_dict=False)
        except Exception as error:  # pystac raises many kinds for malformed items
            raise DataError(f"{path}: item {number} is not a STAC item: {brief(error)}") from error
        item.extra_fields["icectl:item_assets"] = said.get(str(item.collection_id), {})
        scenes.append(_scene(item, folder, str(path)))
    return in_order(scenes, str(path))


def _item(scene: Scene, folder: Path) -> pystac.Item:
    import pystac

    grids = {name: _grid_fields(scene.asset(name), scene.id) for name in scene.assets}
    footprint = next((fields.pop("footprint") for fields in grids.values() if "footprint" in fields), None)
    item = pystac.Item(
        id=scene.id,
        geometry=None if footprint is None else rectangle(footprint),
        bbox=footprint,
        datetime=scene.time,
        properties={k: v for k, v in scene.properties.items() if k != "datetime"},
        stac_extensions=[_PROJECTION, _RASTER],
    )
    for name, path in scene.assets.items():
        fields = {k: v for k, v in grids[name].items() if k != "footprint"}
        band, nodata = scene.band(name), fields.pop("nodata", None)
        known = {"scale": band.scale, "offset": band.offset}
        known["nodata"] = nodata if band.nodata is None else band.nodata
        if stated_ones := {key: value for key, value in known.items() if value is not None}:
            fields["raster:bands"] = [stated_ones]
        if band.number != 1:
            fields["icectl:band"] = band.number
        media = _MEDIA.get(path.suffix.lower())
        item.add_asset(name, pystac.Asset(_href(path, folder), media_type=media, extra_fields=fields))
    return item


def _grid_fields(path: Path, scene: str) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"scene '{scene}' names {path}, which is not there")
    if not _MEDIA.get(path.suffix.lower(), "").startswith("image/"):
        return {}
    info = Info(path)
    fields: dict[str, Any] = {"proj:shape": list(info.shape)}
    if info.nodata is not None and info.nodata == info.nodata:
        fields["nodata"] = info.nodata
    if info.grid is not None:
        epsg = info.grid.crs.to_epsg()
        fields["proj:code"] = f"EPSG:{epsg}" if epsg else None
        fields["proj:transform"] = list(info.grid.affine)[:6]
        fields["footprint"] = list(_box_of(info.grid))
    return fields


@lru_cache(64)  # a series has few grids and thousands of rasters
def _box_of(grid: Grid) -> list[float]:
    """Return the box of a grid in degrees as RFC 7946 writes it: west is greater than east across 180°."""
    box = grid.geographic_extent.boundingbox
    if box.right - box.left <= 180:
        return list(box)
    if box.right > 180:
        return [box.left, box.bottom, box.right - 360, box.top]
    lon = np.unique(np.asarray(grid.geographic_extent.geom.exterior.coords)[:, 0])
    gap = int(np.argmax(np.diff(lon)))  # the side of the globe that the grid does not touch
    if lon[gap + 1] - lon[gap] <= 180:
        return list(box)
    return [float(lon[gap + 1]), box.bottom, float(lon[gap]), box.top]


def rectangle(box: list[float]) -> dict[str, Any]:
    """Return a bounding box as a GeoJSON polygon; as two where it reaches across 180°."""
    west, south, east, north = box

    def ring(left: float, right: float) -> list[list[list[float]]]:
        return [[[left, south], [right, south], [right, north], [left, north], [left, south]]]

    if west <= east:
        return {"type": "Polygon", "coordinates": ring(west, east)}
    return {"type": "MultiPolygon", "coordinates": [ring(west, 180.0), ring(-180.0, east)]}


def _href(path: Path, folder: Path) -> str:
    """Return a relative link for a file inside `folder`, an absolute path for any other."""
    inside, outside = path.absolute(), folder.absolute()
    return f"./{inside.relative_to(outside).as_posix()}" if inside.is_relative_to(outside) else str(inside)


def _scene(item: pystac.Item, folder: Path, where: str) -> Scene:
    safe_name(item.id, f"the id of a scene in {where}")
    time = item.datetime or item.common_metadata.start_datetime
    if time is None:
        raise DataError(f"{where}: scene '{item.id}' has no time")
    assets = {
        name: _local(asset.href, folder, f"{where}: scene '{item.id}'") for name, asset in item.assets.items()
    }
    bands = {name: _band(asset.extra_fields, common(item, name)) for name, asset in item.assets.items()}
    properties = {k: v for k, v in item.properties.items() if k != "datetime"}
    if above_the_atmosphere({"collection": item.collection_id, "properties": properties}):
        properties[TOP_OF_ATMOSPHERE] = LEVEL_1C
    return Scene(item.id, time, assets, properties, bands)


def _local(href: str, folder: Path, where: str) -> Path:
    """Return the file a link names; refuse links that leave the folder or this machine."""
    if _SCHEME.match(href) or href.startswith(("/vsi", "\\", "//")) or "\0" in href:
        raise DataError(
            f"{where} links to '{href}', which is no file of this folder", "fetch the scenes again"
        )
    path = Path(href) if os.path.isabs(href) else folder / unquote(href)
    if not os.path.isabs(href):
        path = Path(os.path.normpath(path.absolute()))
        if not path.is_relative_to(os.path.normpath(folder.absolute())):
            raise DataError(f"{where} links to '{href}', which leaves the folder", "fetch the scenes again")
    if not path.is_file():
        raise DataError(f"{where} names {path}, which is not there", "fetch the scenes again (--force)")
    return path


def _band(fields: Mapping[str, Any], common: Mapping[str, Any]) -> Band:
    """Read what an asset says of its numbers, in any version of STAC, and which band of its file is meant."""
    number = fields.get("icectl:band", 1)
    return replace(stated(fields, common), number=number if isinstance(number, int) and number > 0 else 1)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path.parent} holds no catalogue ({path.name})", "fetch the scenes first"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}", "fetch the scenes again (--force)") from error
