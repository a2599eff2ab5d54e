"""From pixels to maps: coordinates of lines, and layers of GIS files."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely
from pyproj import Transformer

from icectl.errors import silenced
from icectl.raster.vectors import undated
from icectl.tasks.front.dataset import Entry, Place
from icectl.tasks.front.line.lines import Line
from icectl.workspace import write_json

PIXELS = (
    'ENGCRS["pixels of the image",EDATUM["upper left corner"],CS[Cartesian,2],'
    'AXIS["column (x)",east],AXIS["row, negated (y)",north],LENGTHUNIT["pixel",1]]'
)
"""A local CRS for images without one: x is the column and y the row, negated, so that north is up."""


def to_map(line: Line, place: Place | None, crs: str | None) -> Any:
    """Return (N, 2) x and y of a line given in (row, column) pixel centres."""
    columns, rows = line[:, 1] + 0.5, line[:, 0] + 0.5
    if place is None or crs is None:
        return np.stack([columns, -rows], axis=1)
    a, b, c, d, e, f = place.transform
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    if place.crs != crs:
        x, y = Transformer.from_crs(place.crs, crs, always_xy=True).transform(x, y)
    return np.stack([x, y], axis=1)


def lon_lat(entry: Entry, points: Line) -> tuple[float, float]:
    """Return longitude and latitude of the mean of some points; NaN without a CRS."""
    if entry.place is None:
        return float("nan"), float("nan")
    x, y = to_map(points, entry.place, "EPSG:4326").mean(axis=0)
    return float(x), float(y)


_TYPES: dict[str, Any] = {"str": object, "int32": np.int32, "float64": np.float64, "date": "datetime64[D]"}


def write_layer(
    path: Path,
    rows: Sequence[dict[str, Any]],
    shapes: Sequence[Any],
    crs: str | None,
    layer: str,
    fields: Mapping[str, str],
    kind: str,
    append: bool = False,
) -> Path:
    """Write one layer; fields of type ``"date"`` are dates, and a layer without features keeps its fields."""
    columns = [np.array([row[name] for row in rows], _TYPES[dtype]) for name, dtype in fields.items()]
    encoded = np.array([shapely.to_wkb(shape) for shape in shapes], object)
    with silenced("pyogrio", below=logging.WARNING), undated(path) as options:  # its count of records
        pyogrio.raw.write(
            path, encoded, columns, list(fields), geometry_type=kind, crs=crs or PIXELS, layer=layer,
            append=append, **options,
        )  # fmt: skip
    return path


def write_geojson(
    path: Path, rows: Sequence[dict[str, Any]], shapes: Sequence[Any], crs: str, fields: Mapping[str, str]
) -> Path:
    """Write features as GeoJSON in longitude and latitude (RFC 7946)."""
    features: Any = {"type": "FeatureCollection", "features": []}
    if rows:
        frame = geopandas.GeoDataFrame(list(rows), geometry=list(shapes), crs=crs)[[*fields, "geometry"]]
        features = json.loads(frame.to_crs("EPSG:4326").to_json(default=str))
    write_json(path, features)
    return path
