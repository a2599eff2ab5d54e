"""Files beside products, for other programs: a STAC item, and styles for QGIS."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
from jinja2 import Environment, PackageLoader
from pyproj import Transformer

from icectl.errors import DataError
from icectl.raster import Info, grid_of
from icectl.report.colours import scale_for
from icectl.report.layers import Reader
from icectl.report.panels import Layer, Map, Panel, TimeMaps
from icectl.sources.catalogue import rectangle
from icectl.workspace import write_json

ITEM = "item.json"
MAX_ASSETS = 500
_STEPS = 9
_SIDE = 1000

TYPES = {
    ".tif": ("image/tiff; application=geotiff; profile=cloud-optimized", "cloud-optimised GeoTIFF"),
    ".nc": ("application/x-netcdf", "NetCDF"),
    ".zarr": ("application/vnd+zarr", "Zarr store"),
    ".gpkg": ("application/geopackage+sqlite3", "GeoPackage"),
    ".geojson": ("application/geo+json", "GeoJSON, in longitude and latitude"),
    ".shp": ("application/octet-stream", "Shapefile"),
    ".csv": ("text/csv", "table"),
    ".png": ("image/png", "picture"),
    ".svg": ("image/svg+xml", "figure"),
}
"""Media type and name of each kind of product."""


def products(folder: Path) -> Iterator[Path]:
    """Yield the products below `folder`, those in folders of their own last; a Zarr store is one."""
    inner = []
    for path in sorted(folder.iterdir()):
        if path.suffix in TYPES:
            yield path
        elif path.is_dir() and not path.name.startswith("."):
            inner.append(path)
    for path in inner:
        yield from products(path)


def write_item(
    folder: Path, name: str, facts: Mapping[str, str], dates: Sequence[str] = (), title: str = ""
) -> Path:
    """Write a STAC item of everything in `folder`.

    `name`: the item's id. `facts`: what made the products; they become properties ``icectl:…``. `dates`:
    ISO dates of the scenes behind them; without any, the item is dated now.
    """
    import pystac

    now = datetime.now(UTC).replace(microsecond=0)
    times = sorted(_time(date) for date in dates) or [now]
    spans = {"start_datetime": times[0], "end_datetime": times[-1]} if len(times) > 1 else {}
    bounds = _bounds(folder)
    item = pystac.Item(
        id=name,
        geometry=rectangle(list(bounds)) if bounds else None,
        bbox=list(bounds) if bounds else None,
        datetime=times[-1],
        properties={
            "title": title or name,
            "created": now.isoformat().replace("+00:00", "Z"),
            **{key: pystac.utils.datetime_to_str(time) for key, time in spans.items()},
            **{f"icectl:{key}": value for key, value in facts.items() if value},
        },
    )
    for number, path in enumerate(products(folder)):
        if number == MAX_ASSETS:
            item.properties["icectl:assets"] = f"the first {MAX_ASSETS} files"
            break
        inside = path.relative_to(folder).as_posix()
        media, kind = TYPES[path.suffix]
        item.add_asset(inside, pystac.Asset(f"./{inside}", title=kind, media_type=media, roles=["data"]))
    write_json(folder / ITEM, item.to_dict(include_self_link=False))
    return folder / ITEM


def _time(date: str) -> datetime:
    time = datetime.fromisoformat(date)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _bounds(folder: Path) -> tuple[float, ...] | None:
    """Return west, south, east and north in degrees of the first product that has a place."""
    for path in products(folder):
        if path.suffix == ".tif":
            with suppress(DataError):  # no CRS
                return tuple(round(v, 6) for v in grid_of(path).geographic_extent.boundingbox.bbox)
        elif path.suffix in (".gpkg", ".geojson"):
            info = pyogrio.read_info(path, layer=pyogrio.list_layers(path)[0][0])
            if info["crs"] and info["features"] and not str(info["crs"]).startswith("LOCAL_CS"):
                move = Transformer.from_crs(info["crs"], "EPSG:4326", always_xy=True)
                return tuple(round(v, 6) for v in move.transform_bounds(*info["total_bounds"]))
    return None


def write_styles(folder: Path, panels: Sequence[Panel]) -> None:
    """Write a QGIS style beside each raster that `panels` show, with the page's colours, and beside lines.

    A raster that no panel shows has the style of one of its name, or of its quantity (up to a comma).
    """
    reader, styles = Reader([folder]), dict[str, str]()
    for panel in panels:
        if isinstance(panel, Map):
            layer: Layer | None = panel.layer
        elif isinstance(panel, TimeMaps) and panel.frames:
            layer = panel.frames[0].prediction
        else:
            continue
        if layer is None or Path(layer.file).suffix != ".tif":
            continue
        path = folder.absolute() / layer.file
        if path.is_relative_to(folder.absolute()) and path.is_file():
            values = reader.read(layer, _SIDE).values
            scale = scale_for([values], panel.colours, panel.low, panel.high)
            levels = np.linspace(scale.low, scale.high, _STEPS).tolist()
            steps = list(zip(levels, scale.hexes(_STEPS), strict=True))
            style = _style(scale=scale, band=layer.band, steps=steps)
            path.with_suffix(".qml").write_text(style, encoding="utf-8")
            styles.setdefault(_kind(path), style)
    for path in products(folder):
        style = ""
        if path.suffix == ".tif" and not path.with_suffix(".qml").exists():
            style = styles.get(_kind(path), "")
        elif path.suffix in (".gpkg", ".shp"):
            symbol = "fill" if "Polygon" in str(pyogrio.list_layers(path)[0][1]) else "line"
            style = _style(symbol=symbol, looks=_LOOKS[symbol])
        if style:
            path.with_suffix(".qml").write_text(style, encoding="utf-8")


def _kind(path: Path) -> str:
    """Return what a raster is a map of: its quantity up to a comma, else its name."""
    return Info(path).tags.get("quantity", path.name).partition(",")[0]


_LOOKS = {
    "fill": {"style": "no", "outline_color": "200,82,0,255", "outline_width": "0.4"},
    "line": {"line_color": "200,82,0,255", "line_width": "0.6"},
}
"""Orange lines, and outlines without a fill for polygons."""


def _style(**parts: Any) -> str:
    styles = Environment(loader=PackageLoader("icectl", "report"), autoescape=True, trim_blocks=True)
    return styles.get_template("style.qml.j2").render(**parts)
