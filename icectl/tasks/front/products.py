"""Fronts as GIS files: lines and polygons with CALFIN's fields, as GeoPackage and Shapefile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.gis import lon_lat, to_map, write_layer
from icectl.tasks.front.lines import Line
from icectl.tasks.front.pairs import SLC_FAILED
from icectl.tasks.front.polygons import write_polygons

if TYPE_CHECKING:
    from icectl.run import Run
    from icectl.tasks.front.options import PredictOptions

GREENLAND = "EPSG:3413"
GREENLAND_BOX = (-75.0, 59.0, -10.0, 84.0)
"""West, south, east, north in degrees: scenes centred in it get EPSG:3413."""

AUTO, AUTO_GAPS, WEAK = 10, 13, 20
"""QualFlag: automatic; automatic with Landsat 7's scan-line gaps (both CALFIN's); weak (ours)."""

METHOD = "icectl"


def write_products(
    run: Run, options: PredictOptions, data: FrontData, records: Sequence[dict[str, Any]]
) -> list[Path]:
    """Write ``fronts.gpkg`` (layers fronts, polygons, images) and the Shapefiles.

    All images of a data set share one CRS in the product: the one asked for, EPSG:3413 in
    Greenland, else the first image's own. Images without CRS give pixel coordinates.
    """
    by_id = {entry.id: entry for entry in data.entries}
    crs = product_crs(data.entries, options.product_crs)
    if crs is None:
        run.warn(
            "the images have no CRS: products are in pixels (x = column, y = −row from the upper left corner)"
        )
    rows, shapes = [], []
    for record in records:
        entry = by_id[record["image"]]
        for number, front in enumerate(record["fronts"]):
            line = np.asarray(front["line"], float)
            rows.append(fields_of(entry, line, front, run.glacier.title or run.glacier.name, number))
            shapes.append(shapely.LineString(to_map(line, entry.place, crs)))
    stem = f"termini_{_years(data.entries)}_{run.glacier.name}"
    written = [write_layer(run.out / "fronts.gpkg", rows, shapes, crs, "fronts", FIELDS, "LineString")]
    written.append(write_layer(run.out / f"{stem}.shp", rows, shapes, crs, stem, FIELDS, "LineString"))
    _write_images(run.out / "fronts.gpkg", data.entries, records, crs)
    if options.fjord is not None:
        written += write_polygons(run, options, data, records, crs, stem)
    else:
        run.notes["polygons"] = "no fjord boundary (--fjord), no polygons"
        run.say("no fjord boundary (--fjord): lines only, no polygons")
    run.notes["crs"] = crs or "pixels"
    return written


def product_crs(entries: Sequence[Entry], chosen: str | None) -> str | None:
    """Return the CRS of the products, or None for pixel coordinates."""
    placed = [entry for entry in entries if entry.place is not None]
    if len(placed) < len(entries) or not placed:
        return None
    if chosen is not None:
        return chosen
    west, south, east, north = GREENLAND_BOX
    longitude, latitude = lon_lat(placed[0], np.array([np.array(placed[0].shape) / 2]))
    inside = west <= longitude <= east and south <= latitude <= north
    place = placed[0].place
    return GREENLAND if inside else place.crs if place else None


def fields_of(entry: Entry, line: Line, front: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    """Return CALFIN's fields of one front; GlacierID counts fronts within the image."""
    longitude, latitude = lon_lat(entry, line)
    centre = to_map(line, entry.place, entry.place.crs if entry.place else None).mean(axis=0)
    glacier = entry.facts.get("glacier", name)
    return {
        "GlacierID": number,
        "Center_X": float(centre[0]),
        "Center_Y": float(centre[1]),
        "Latitude": latitude,
        "Longitude": longitude,
        "QualFlag": quality(entry, bool(front["fallback"])),
        "Satellite": entry.facts.get("sensor", ""),
        "Date": entry.time.strftime("%Y-%m-%d") if entry.dated else "",
        "ImageID": entry.id,
        "GrnlndcN": "",
        "OfficialN": glacier,
        "AltName": "",
        "RefName": glacier,
        "Author": METHOD,
        "Confidence": float(front["confidence"]),
        "Enlarged": float(front["enlarged"]),
    }


def quality(entry: Entry, weak: bool) -> int:
    """Return CALFIN's flag (10; 13 with scan-line gaps), or 20 where the thresholds were lowered."""
    gaps = entry.facts.get("sensor") == "LE07" and entry.time > SLC_FAILED
    return WEAK if weak else AUTO_GAPS if gaps else AUTO


def _years(entries: Sequence[Entry]) -> str:
    years = sorted(entry.time.year for entry in entries if entry.dated)
    return f"{years[0]}-{years[-1]}" if years else "undated"


FIELDS = {
    "GlacierID": "int32", "Center_X": "float64", "Center_Y": "float64", "Latitude": "float64",
    "Longitude": "float64", "QualFlag": "int32", "Satellite": "str", "Date": "str", "ImageID": "str",
    "GrnlndcN": "str", "OfficialN": "str", "AltName": "str", "RefName": "str", "Author": "str",
    "Confidence": "float64", "Enlarged": "float64",
}  # fmt: skip


def _write_images(
    path: Path, entries: Sequence[Entry], records: Sequence[dict[str, Any]], crs: str | None
) -> None:
    """Add the layer ``images``: one row an image, those without a front too."""
    by_id = {entry.id: entry for entry in entries}
    rows, shapes = [], []
    for record in records:
        entry = by_id[record["image"]]
        height, width = entry.shape
        corners = np.array([[0, 0], [0, width], [height, width], [height, 0]], float) - 0.5
        shapes.append(shapely.Polygon(to_map(corners, entry.place, crs)))
        date = entry.time.strftime("%Y-%m-%d") if entry.dated else ""
        notes = "; ".join(record["notes"])
        rows.append({"ImageID": entry.id, "Date": date, "Status": record["status"], "Notes": notes})
    fields = {"ImageID": "str", "Date": "str", "Status": "str", "Notes": "str"}
    write_layer(path, rows, shapes, crs, "images", fields, "Polygon", append=True)
