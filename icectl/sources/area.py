"""The area of a fetch, and the grid its scenes are written on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely.geometry import Polygon, mapping, shape

from icectl.arrays import Bools
from icectl.errors import DataError, UsageError
from icectl.raster import Grid, grid_from_bbox, rasterize, read_vectors
from icectl.raster.vectors import box_in_degrees
from icectl.settings import Glacier
from icectl.sources.stated import common

MOST_PIXELS = 2**34
"""No area of one glacier has more; items may say anything of their pixels."""

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Where to fetch: a box in degrees, an outline or none, and the products' CRS and pixel, if given.

    The eastern edge of a box across 180° lies beyond 180.
    """

    name: str
    bbox: Box
    outline: Any = None
    crs: str | None = None
    resolution: float | None = None

    def inside(self, grid: Grid) -> Bools:
        """Return which pixels of `grid` lie in the area: in the outline, or all of them."""
        if self.outline is None:
            return np.ones(grid.shape, bool)
        return rasterize(self.outline, grid, all_touched=True, what=f"the outline of {self.name}")

    @property
    def asked(self) -> list[list[float]]:
        """The boxes to ask a server for: two across 180°, which not every server takes as one."""
        west, south, east, north = self.bbox
        if east <= 180:
            return [[west, south, east, north]]
        return [[west, south, 180.0, north], [-180.0, south, east - 360, north]]

    def meets(self, geometry: dict[str, Any] | None) -> bool:
        """Tell whether a GeoJSON footprint meets the area's box (True where there is no footprint)."""
        if geometry is None:
            return True
        try:
            footprint, box = _in_one_piece(shape(geometry)), shapely.box(*self.bbox)
            turns = (shapely.transform(box, lambda xy, t=turn: np.add(xy, (t, 0))) for turn in (-360, 0, 360))
            return any(bool(footprint.intersects(turned)) for turned in turns)
        except (shapely.errors.ShapelyError, KeyError, TypeError, ValueError, IndexError, AttributeError):
            return False


def _in_one_piece(footprint: Any) -> Any:
    """Return a footprint that is wider than half the globe as one that reaches across 180°."""
    west, _, east, _ = footprint.bounds
    if east - west <= 180:
        return footprint
    return shapely.transform(footprint, lambda xy: np.where(xy[:, :1] < 0, np.add(xy, (360, 0)), xy))


def over_all(item: Any, grid: Grid) -> Any:
    """Return an item; one without a footprint, or with one across 180°, as one that covers all of `grid`."""
    if item.geometry is not None:
        west, _, east, _ = shape(item.geometry).bounds
        if east - west <= 180:
            return item
    lon, lat = grid.extent.geom.segmentize(grid.extent.length / 100).exterior.xy
    if not grid.crs.geographic:
        lon, lat = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True).transform(lon, lat)
    x = np.asarray(lon)
    covering = item.clone()
    covering.geometry = mapping(Polygon(np.stack([x % 360 if np.ptp(x) > 180 else x, lat], axis=1)))
    return covering


def area_of(glacier: Glacier) -> Area:
    """Return the area of a glacier: its box, or that of its outline.

    UsageError: it has neither.
    """
    outline = None if glacier.outline is None else read_vectors(glacier.outline, crs="EPSG:4326")
    bbox = glacier.bbox
    if bbox is None and outline is not None:
        bbox = box_in_degrees(outline)
    if bbox is None:
        raise UsageError(
            f"glacier '{glacier.name}' has neither a box nor an outline, so nothing can be searched for it",
            "add one with `icectl glaciers add`, or name a folder of scenes with --scenes",
        )
    return Area(name=glacier.name, bbox=bbox, outline=outline, crs=glacier.crs, resolution=glacier.resolution)


@dataclass(frozen=True, slots=True)
class Placed:
    """CRS, transform and ground sampling distance (m) of an asset; None where its item does not say."""

    crs: str | None
    transform: Affine | None
    gsd: float | None = None

    @property
    def pixel(self) -> float | None:
        """Side of a pixel in units of the CRS: the finer one, or as ``gsd`` says."""
        if self.transform is not None:
            return min(abs(self.transform.a), abs(self.transform.e))
        if self.gsd is None or self.crs is None:
            return None
        return self.gsd / 111_320 if CRS.from_user_input(self.crs).is_geographic else self.gsd


def placed(item: Any, key: str) -> Placed:
    """Read an asset's CRS (code, WKT 2 or PROJJSON), ``proj:transform`` and ``gsd``.

    What the asset says wins, then what its collection says of all such assets, then the item.
    """
    fields = {**item.properties, **common(item, key), **item.assets[key].extra_fields}
    values = fields.get("proj:transform")
    transform = _by_shape(item, fields)
    if isinstance(values, list) and len(values) >= 6:
        usable = all(isinstance(value, int | float) and abs(value) < 1e12 for value in values)
        transform = Affine(*values[:6]) if usable else transform
    gsd = fields.get("gsd")
    return Placed(
        _crs_of(fields),
        transform if transform is None or transform.a else None,
        float(gsd) if isinstance(gsd, int | float) and gsd > 0 else None,
    )


def _by_shape(item: Any, fields: Mapping[str, Any]) -> Affine | None:
    """Return a transform by ``proj:shape`` and ``proj:bbox``, or the item's box where it is in degrees."""
    shape, box = fields.get("proj:shape"), fields.get("proj:bbox")
    if box is None and _crs_of(fields) == "EPSG:4326":
        box = item.bbox
    if shape is None or box is None:
        return None
    try:
        (rows, columns), (west, south, east, north) = map(float, shape), map(float, box)
    except (TypeError, ValueError):
        return None
    if not (rows > 0 and columns > 0 and east > west and north > south):
        return None
    return Affine((east - west) / columns, 0, west, 0, (south - north) / rows, north)


def _crs_of(fields: Mapping[str, Any]) -> str | None:
    """Return a CRS as ``EPSG:n`` where it has a code, else as WKT; None where nothing says it."""
    said = fields.get("proj:code") or fields.get("proj:epsg")
    said = said or fields.get("proj:wkt2") or fields.get("proj:projjson")
    if not said:
        return None
    try:
        found = CRS.from_user_input(said)
    except CRSError:
        return None
    authority = found.to_authority()
    return ":".join(authority) if authority else found.to_wkt()


def grid_for(area: Area, places: Sequence[Placed]) -> Grid:
    """Return the grid that all scenes are written on.

    It has the glacier's CRS, or the one that all items share; the glacier's pixel, or the largest of
    the items' bands; and pixel edges where those of the items lie (Landsat's lie at 15 mod 30).

    `places`: where every asset that is to be fetched lies, item by item.

    DataError: the items lie in several zones and the glacier has no CRS, or no item says its CRS.
    """
    codes = Counter(place.crs for place in places if place.crs)
    crs = area.crs or _only_zone(area, codes)
    anchor = next((p.transform for p in places if p.crs == crs and _square(p.transform)), None)
    sizes = [p.pixel for p in places if p.crs == crs and p.pixel]
    resolution = area.resolution or (max(sizes) if sizes else None)
    if resolution is None:
        raise DataError(
            f"the pixel size of {area.name} is not known: no item in {crs} says its own",
            "set 'resolution' in the glacier's file",
        )
    grid = grid_from_bbox(area.bbox, crs, resolution, anchor)
    if grid.shape[0] * grid.shape[1] > MOST_PIXELS:
        raise DataError(
            f"{area.name} would be of {grid.shape[0]} × {grid.shape[1]} pixels of {resolution:g}",
            "set 'resolution' in the glacier's file, or take a smaller box",
        )
    return grid


def _only_zone(area: Area, codes: Counter[str]) -> str:
    if len(codes) == 1:
        return next(iter(codes))
    if not codes:
        raise DataError(
            f"no item of {area.name} says its CRS", "set 'crs' and 'resolution' in the glacier's file"
        )
    listed = ", ".join(f"{code} ({count})" for code, count in codes.most_common())
    raise DataError(
        f"the scenes of {area.name} lie in several zones: {listed}",
        f'choose one: set crs = "{codes.most_common(1)[0][0]}" in the glacier\'s file; the others are then '
        "resampled onto it",
    )


def _square(transform: Affine | None) -> bool:
    return transform is not None and transform.b == transform.d == 0 and transform.a == -transform.e


def resampling_for(place: Placed, grid: Grid, flags: bool) -> str:
    """Return how an asset comes onto `grid`: as it is, by nearest, mean or bilinear.

    Flags are never mixed. Quantities are taken as they are where pixels coincide, averaged where they
    grow, and interpolated otherwise.
    """
    if flags:
        return "nearest"
    size = abs(grid.affine.a)
    if place.transform is None or place.pixel is None or place.crs != str(grid.crs):
        return "bilinear"
    shifts = ((grid.affine.c - place.transform.c) / size, (grid.affine.f - place.transform.f) / size)
    alike = abs(abs(place.transform.a) - abs(place.transform.e)) < 1e-6 * size
    if alike and abs(place.pixel - size) < 1e-6 * size and all(abs(s - round(s)) < 1e-3 for s in shifts):
        return "nearest"
    return "average" if size > 1.5 * place.pixel else "bilinear"
