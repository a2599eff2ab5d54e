"""Fronts as GIS files: lines and polygons with CALFIN's fields (GeoPackage, Shapefile, GeoJSON)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from icectl.raster import ground_lines
from icectl.run import Run
from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.files.fjord import fjord_mask
from icectl.tasks.front.files.gis import lon_lat, to_map, write_geojson, write_layer
from icectl.tasks.front.files.pairs import VECTORS, gaps
from icectl.tasks.front.files.records import Record, lines_in, probabilities
from icectl.tasks.front.line.lines import Line
from icectl.tasks.front.line.polygons import cut, outline
from icectl.tasks.front.options import PredictOptions

GREENLAND = "EPSG:3413"
GREENLAND_BOX = (-75.0, 59.0, -10.0, 84.0)
"""West, south, east, north in degrees: scenes centred in it get EPSG:3413."""

AUTO, AUTO_GAPS, WEAK = 10, 13, 20
"""QualFlag: automatic; automatic with Landsat 7's scan-line gaps (both CALFIN's); in doubt (ours)."""

METHOD = "icectl"


def write(run: Run, options: PredictOptions, data: FrontData, records: Sequence[Record]) -> list[Path]:
    """Write ``fronts.gpkg`` (layers fronts, polygons, images), ``fronts.geojson`` and the Shapefiles.

    All images with a CRS share one in the product: the one asked for, EPSG:3413 in Greenland, else the
    first image's own. Images without a CRS give pixel coordinates; beside images with one, in files of
    their own, ``fronts_pixels.gpkg`` and ``…_pixels.shp``. GeoJSON is in longitude and latitude, as its
    standard demands; without a CRS there is none.
    """
    placed = {entry.id for entry in data.entries if entry.place is not None}
    crs = product_crs(data.entries, options.product_crs)
    groups = [(crs, "", [r for r in records if r["image"] in placed])] if placed else []
    if len(placed) < len(data.entries):
        pixels = [r for r in records if r["image"] not in placed]
        groups.append((None, "_pixels" if placed else "", pixels))
        run.warn(
            (f"{len(data.entries) - len(placed)} of {len(data.entries)}" if placed else "the")
            + " images have no CRS: their products are in pixels (x = column, y = −row from the upper left)"
            + (", in files of their own (…_pixels)" if placed else "")
        )
    run.notes["polygons"] = 0
    if options.fjord is None:
        run.notes["polygons"] = "no fjord boundary (--fjord), no polygons"
        run.say("no fjord boundary (--fjord): lines only, no polygons")
    run.notes["crs"] = crs or "pixels"
    return [path for group in groups for path in _write_group(run, options, data, *group)]


def _write_group(
    run: Run,
    options: PredictOptions,
    data: FrontData,
    crs: str | None,
    end: str,
    records: Sequence[Record],
) -> list[Path]:
    """Write the files of the images that share a CRS, or that have none."""
    images = {record["image"] for record in records}
    entries = [entry for entry in data.entries if entry.id in images]
    by_id = {entry.id: entry for entry in entries}
    numbers = glacier_numbers(data.entries)
    rows, shapes = [], []
    for record in records:
        entry = by_id[record["image"]]
        for front in record["fronts"]:
            line = np.asarray(front["line"], float)
            rows.append(fields_of(entry, line, front, run.glacier.title or run.glacier.name, numbers, crs))
            shapes.append(shapely.LineString(to_map(line, entry.place, crs)))
    stem, package = f"termini_{_years(entries)}_{run.glacier.name}{end}", run.out / f"fronts{end}.gpkg"
    written = [write_layer(package, rows, shapes, crs, "fronts", FIELDS, "LineString")]
    written.append(write_layer(run.out / f"{stem}.shp", rows, shapes, crs, stem, FIELDS, "LineString"))
    if crs is not None:
        written.append(write_geojson(run.out / "fronts.geojson", rows, shapes, crs, FIELDS))
    _write_images(package, entries, records, crs)
    if options.fjord is not None and not (end and options.fjord.suffix.lower() in VECTORS):
        written += _write_polygons(run, options.fjord, by_id, records, crs, stem, package)
    return written


def glacier_numbers(entries: Sequence[Entry]) -> dict[str, int]:
    """Return a number of each glacier: the table's ``glacier_id`` if it is one, else by order of names."""
    names = sorted({entry.glacier for entry in entries})
    numbers = {name: number for number, name in enumerate(names, 1)}
    for entry in entries:
        said = entry.facts.get("glacier_id", "")
        if said.isdigit():
            numbers[entry.glacier] = int(said)
    return numbers


def product_crs(entries: Sequence[Entry], chosen: str | None) -> str | None:
    """Return the CRS of the products of images that have one, or None where none has."""
    placed = [entry for entry in entries if entry.place is not None]
    if not placed:
        return None
    if chosen is not None:
        return chosen
    west, south, east, north = GREENLAND_BOX
    longitude, latitude = lon_lat(placed[0], np.array([np.array(placed[0].shape) / 2]))
    inside = west <= longitude <= east and south <= latitude <= north
    place = placed[0].place
    return GREENLAND if inside else place.crs if place else None


def fields_of(
    entry: Entry,
    line: Line,
    front: Record,
    name: str,
    numbers: Mapping[str, int],
    crs: str | None,
) -> dict[str, Any]:
    """Return CALFIN's fields of one front; its centre is in the product's CRS."""
    longitude, latitude = lon_lat(entry, line)
    centre = to_map(line, entry.place, crs).mean(axis=0)
    glacier = entry.facts.get("glacier", name)
    return {
        "GlacierID": numbers[entry.glacier],
        "Center_X": float(centre[0]),
        "Center_Y": float(centre[1]),
        "Latitude": latitude,
        "Longitude": longitude,
        "QualFlag": quality(entry, bool(front["doubt"])),
        "Satellite": entry.facts.get("sensor", ""),
        "Date": entry.time.date() if entry.dated else None,
        "ImageID": entry.id,
        "GrnlndcN": "",
        "OfficialN": glacier,
        "AltName": "",
        "RefName": glacier,
        "Author": METHOD,
        "Confidence": float(front["confidence"]),
        "Doubt": "; ".join(front["doubt"])[:254],
        "FlowDir": float("nan") if front["bearing"] is None else float(front["bearing"]),
        "Enlarged": float(front["enlarged"]),
    }


def quality(entry: Entry, weak: bool) -> int:
    """Return CALFIN's flag (10; 13 with scan-line gaps), or 20 where the front is in doubt."""
    striped = "yes" in (entry.facts.get("slc_off"), gaps(entry.facts.get("sensor", ""), entry.time))
    return WEAK if weak else AUTO_GAPS if striped else AUTO


def _years(entries: Sequence[Entry]) -> str:
    years = sorted(entry.time.year for entry in entries if entry.dated)
    return f"{years[0]}-{years[-1]}" if years else "undated"


FIELDS = {
    "GlacierID": "int32", "Center_X": "float64", "Center_Y": "float64", "Latitude": "float64",
    "Longitude": "float64", "QualFlag": "int32", "Satellite": "str", "Date": "date", "ImageID": "str",
    "GrnlndcN": "str", "OfficialN": "str", "AltName": "str", "RefName": "str", "Author": "str",
    "Confidence": "float64", "Doubt": "str", "FlowDir": "float64", "Enlarged": "float64",
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
        date = entry.time.date() if entry.dated else None
        notes = "; ".join(record["notes"])
        rows.append({"ImageID": entry.id, "Date": date, "Status": record["status"], "Notes": notes})
    fields = {"ImageID": "str", "Date": "date", "Status": "str", "Notes": "str"}
    write_layer(path, rows, shapes, crs, "images", fields, "Polygon", append=True)


def _write_polygons(
    run: Run,
    fjord: Path,
    by_id: Mapping[str, Entry],
    records: Sequence[Record],
    crs: str | None,
    stem: str,
    package: Path,
) -> list[Path]:
    """Add the layer ``polygons`` to the GeoPackage and write the ``…_closed`` Shapefile."""
    rows, shapes, failed = [], [], []
    for record in records:
        entry = by_id[record["image"]]
        ice = probabilities(run.out, entry.id)[1]
        inside = fjord_mask(fjord, entry)
        for line in lines_in(record)[:1]:
            parts = cut(inside, line, ice)
            if parts is None:
                failed.append(entry.id)
                continue
            for kind, mask in zip(("glacier", "ocean"), parts, strict=True):
                shape = _placed(outline(mask), entry, crs)
                area = shape.area if crs is None else ground_lines([shape], crs)[0][0].area
                date = entry.time.date() if entry.dated else None
                rows.append({"ImageID": entry.id, "Date": date, "Class": kind, "Area": area})
                shapes.append(shape)
    if failed:
        run.warn(f"{len(failed)} fronts do not part the fjord and give no polygon ({', '.join(failed[:5])})")
    run.notes["polygons"] += len(rows)
    fields = {"ImageID": "str", "Date": "date", "Class": "str", "Area": "float64"}
    closed = run.out / f"{stem}_closed.shp"
    write_layer(package, rows, shapes, crs, "polygons", fields, "MultiPolygon", append=True)
    write_layer(closed, rows, shapes, crs, closed.stem, fields, "MultiPolygon")
    return [closed]


def _placed(shape: Any, entry: Entry, crs: str | None) -> Any:
    def move(xy: Any) -> Any:
        return to_map(np.asarray(xy)[:, ::-1] - 0.5, entry.place, crs)

    moved = shapely.make_valid(shapely.transform(shape, move))
    parts = [p for p in shapely.get_parts(moved) if p.geom_type in ("Polygon", "MultiPolygon")]
    return shapely.MultiPolygon([q for p in parts for q in shapely.get_parts(p)])
