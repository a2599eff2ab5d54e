"""Outlines, fronts and points: reading, mending, burning into a grid, and writing whole files."""

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
import shapely
from pyproj.exceptions import ProjError
from rasterio.features import rasterize as burn

from icectl.arrays import F64, Bools
from icectl.errors import DataError, UsageError, brief
from icectl.raster.files import replacing
from icectl.raster.grid import Grid, describe
from icectl.workspace import set_aside, settle

Frame: TypeAlias = Any
"""A `geopandas.GeoDataFrame`; its stubs are partial, so type checkers see Any."""

DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON"}


def read_vectors(
    path: str | Path, crs: str | None = None, layer: str | None = None, kind: str | None = None
) -> Frame:
    """Read a vector file as two-dimensional, valid geometries.

    Heights are dropped; crossing rings are mended; empty geometries and the crumbs of mending
    (lines left of a polygon) are left out.

    Parameters
    ----------
    path
        GeoPackage, Shapefile, GeoJSON or whatever GDAL reads.
    crs
        The CRS of the result; the file's own by default.
    layer
        The layer, where there are several; also ``FILE|layername=NAME``, as QGIS writes it.
    kind
        ``"polygons"``, ``"lines"`` or ``"points"``: of several layers the only one of that kind is taken.

    Raises
    ------
    DataError
        The file is missing, damaged, without CRS, or has no usable geometry.
    """
    if layer is None and "|layername=" in str(path):
        file, _, layer = str(path).partition("|layername=")
        path = Path(file)
    if not Path(path).exists():
        raise DataError(f"{path} does not exist", "check the path")
    try:
        layer = layer or layer_of(path, kind)
        frame = gpd.read_file(path, layer=layer, engine="pyogrio")
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        reason = brief(error).partition("; It might help")[0]
        raise DataError(f"{path} cannot be read as vectors: {reason}", _unread(Path(path))) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise DataError(f"{path} holds no geometry", "give a file of outlines, lines or points")
    if frame.crs is None:
        raise DataError(
            f"{path} has no CRS",
            "add the .prj file of a Shapefile, or write its CRS: ogr2ogr -a_srs EPSG:… NEW.gpkg FILE",
        )
    if frame.crs.is_geographic:
        frame = beside_180(_in_range(frame, path))
    if not (count := len(frame)):
        raise DataError(f"{path} holds no feature", "name another file: this one is empty")
    frame = mended(frame)
    if frame.empty:
        hint = f"all {count} are empty or invalid: draw or export them again"
        raise DataError(f"{path} holds no usable geometry", hint)
    if crs is None:
        return frame
    try:
        frame = frame.to_crs(crs)
    except ProjError as error:
        hint = "images have places on the ground with a CRS: `icectl predict` takes --crs and --bounds"
        raise DataError(f"{path} has no place on the ground: its CRS is '{frame.crs.name}'", hint) from error
    return beside_180(frame) if frame.crs.is_geographic else frame


def _unread(path: Path) -> str:
    """Return what to do about a file that cannot be read as vectors."""
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        return "write it as a GeoPackage, e.g. geopandas.read_parquet(FILE).to_file('NEW.gpkg')"
    if path.is_dir():
        return "it is a folder: name the file in it"
    try:
        with rasterio.open(path):
            return "it is a raster: make polygons of a mask first (gdal_polygonize.py MASK outlines.gpkg)"
    except rasterio.errors.RasterioError:
        whole = "all its files are needed (.shp, .shx, .dbf, .prj): " if path.suffix.lower() == ".shp" else ""
        return f"{whole}copy or download it again"


_KINDS = {"polygons": "polygon", "lines": "linestring", "points": "point"}


def layer_of(path: str | Path, kind: str | None) -> str | None:
    """Return the layer to read: the only one, or the only one of a kind; refuse to choose among several."""
    layers = [(str(name), str(what or "").lower()) for name, what in pyogrio.list_layers(path)]
    if len(layers) <= 1:
        return None
    fitting = [name for name, what in layers if what and (kind is None or _KINDS[kind] in what)]
    fitting = fitting or [name for name, what in layers if what in ("unknown", "geometry")]
    if len(fitting) <= 1:
        return fitting[0] if fitting else None
    raise DataError(
        f"{path} holds several layers{f' of {kind}' if kind else ''}: {', '.join(fitting)}",
        f"name one: '{path}|layername={fitting[0]}', or join them: ogrmerge.py -single -o NEW.gpkg FILE",
    )


def _in_range(frame: Frame, path: str | Path) -> Frame:
    """Return shapes in degrees, turned where they count from 0 to 360; refuse what are no degrees."""
    west, south, east, north = (float(v) for v in np.nan_to_num(frame.total_bounds))
    if south < -90.001 or north > 90.001 or west < -360 or east > 540:
        raise DataError(
            f"{path} is said to be in degrees, but reaches from {west:.6g}, {south:.6g} "
            f"to {east:.6g}, {north:.6g}",
            "its coordinates are swapped, or of another CRS: assign that (ogr2ogr -a_srs EPSG:… NEW FILE)",
        )
    if west < 180:
        return frame
    return frame.set_geometry(frame.geometry.translate(xoff=-360))


def beside_180(frame: Frame) -> Frame:
    """Return shapes in degrees that reach over 180° in one piece: eastern longitudes go on beyond 180."""
    bounds = frame.geometry.bounds
    over = ((bounds["maxx"] - bounds["minx"]) > 180).to_numpy()
    if not over.any():
        return frame

    def eastward(xy: F64) -> F64:
        return np.stack([np.where(xy[:, 0] < 0, xy[:, 0] + 360, xy[:, 0]), xy[:, 1]], axis=1)

    shapes = np.asarray(shapely.force_2d(frame.geometry.array), dtype=object)
    moved = [shapely.union_all(shapely.get_parts(shapely.transform(s, eastward))) for s in shapes[over]]
    shapes[over] = moved
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))


def box_in_degrees(frame: Frame) -> tuple[float, float, float, float]:
    """Return west, south, east, north of shapes in degrees; east lies beyond 180 where they reach across it.

    >>> frame = gpd.GeoSeries([shapely.box(179, 66, 180, 67), shapely.box(-180, 66, -179, 67)])
    >>> box_in_degrees(frame.to_frame("geometry").set_geometry("geometry"))
    (179.0, 66.0, 181.0, 67.0)
    """
    bounds = frame.geometry.bounds.to_numpy(copy=True)
    if bounds[:, 2].max() - bounds[:, 0].min() > 180:
        bounds[bounds[:, 2] <= 0] += (360, 0, 360, 0)
    west, south = bounds[:, :2].min(axis=0)
    east, north = bounds[:, 2:].max(axis=0)
    return (float(west), float(south), float(east), float(north))


def mended(frame: Frame) -> Frame:
    """Return the rows of `frame` with flat, valid, non-empty geometry of their own dimension."""
    shapes = shapely.force_2d(frame.geometry.array)
    shapes = np.array([_mend(shape) for shape in shapes], dtype=object)
    out = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))
    return out[~(out.geometry.isna() | out.geometry.is_empty)].copy()


def _mend(shape: Any) -> Any:
    if shape is None or shape.is_empty or (shape.is_valid and shape.geom_type != "GeometryCollection"):
        return shape
    dimension = shapely.get_dimensions(shape)
    # A collection may hold polygons and crumbs of lines: only the former are an outline.
    parts = [_rings_mended(part) for part in shapely.get_parts(shapely.get_parts(shape))]
    parts = [piece for part in parts for piece in shapely.get_parts(shapely.get_parts(part))]
    return shapely.union_all([part for part in parts if shapely.get_dimensions(part) == dimension])


def _rings_mended(shape: Any) -> Any:
    """Return a simple shape made valid. Holes leave their shell: beyond it they add nothing."""
    if shape.geom_type != "Polygon":
        return shapely.make_valid(shape, method="structure", keep_collapsed=False)
    rings = [shapely.Polygon(ring) for ring in (shape.exterior, *shape.interiors)]
    shell, *holes = shapely.make_valid(rings, method="structure", keep_collapsed=False)
    return shapely.difference(shell, shapely.union_all(holes)) if holes else shell


def rasterize(
    shapes: Frame | Iterable[Any], grid: Grid, *, all_touched: bool = False, what: str = "the outline"
) -> Bools:
    """Burn geometries into a grid.

    Parameters
    ----------
    shapes
        A GeoDataFrame or GeoSeries, reprojected as needed, or shapely geometries in the grid's CRS.
    all_touched
        Take every pixel touched, not only those whose centre lies inside (lines need it).
    what
        The name of the shapes in errors.

    Returns
    -------
    numpy.ndarray
        Boolean, of the grid's shape.

    Raises
    ------
    DataError
        No geometry, or none that meets the grid.
    """
    geometry = getattr(shapes, "geometry", None)
    if geometry is not None:
        shapes = geometry.to_crs(str(grid.crs)) if geometry.crs is not None else geometry
    usable = [shape for shape in shapes if shape is not None and not shape.is_empty]
    if not usable:
        raise DataError(f"{what} is empty", "give a file with at least one geometry")
    frame = shapely.box(*grid.boundingbox.bbox)
    if not any(shape.intersects(frame) for shape in usable):
        where = ", ".join(f"{value:.6g}" for value in shapely.total_bounds(np.array(usable, dtype=object)))
        raise DataError(
            f"{what} (bounds {where}) lies outside the raster ({describe(grid)})",
            "check its CRS, and that both are of one place",
        )
    burnt = burn(usable, out_shape=grid.shape, transform=grid.affine, all_touched=all_touched, dtype="uint8")
    return np.asarray(burnt, dtype=bool)


def write_vectors(path: str | Path, frame: Frame, layer: str | None = None) -> Path:
    """Write a GeoDataFrame as a GeoPackage, Shapefile or GeoJSON that appears whole or not at all.

    A Shapefile is several files: the old ``.shp`` is removed first and the new one put in place
    last, so no reader meets a mixture. Its field names are cut to ten characters, kept distinct.

    Raises
    ------
    UsageError
        The suffix is none of ``.gpkg``, ``.shp``, ``.geojson``.
    DataError
        The frame has no CRS, or an empty or invalid geometry.
    WorkError
        The file cannot be written.
    """
    path = Path(path)
    driver = DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise UsageError(f"{path.name}: no vector format '{path.suffix}'", f"known: {', '.join(DRIVERS)}")
    _check_writable(path, frame)
    if driver == "ESRI Shapefile":
        frame = frame.rename(columns=_short_names([c for c in frame.columns if c != frame.geometry.name]))
    with replacing(path) as made:
        try:
            with undated(made) as options:
                frame.to_file(made, driver=driver, layer=layer or path.stem, engine="pyogrio", **options)
        except RuntimeError as error:  # all of pyogrio's
            raise OSError(errno.EIO, brief(error)) from error
        if driver == "ESRI Shapefile":
            set_aside(path, made.parent)
            for part in sorted(made.parent.glob(f"{made.stem}.*")):
                if part != made:
                    settle(part, path.with_suffix(part.suffix))
    return path


_NO_DATE = "1970-01-01"


@contextmanager
def undated(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what to hand to pyogrio so that the same work gives the same bytes: GDAL dates what it writes."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{_NO_DATE}T00:00:00.000Z"})
    try:
        yield {"layer_options": {"DBF_DATE_LAST_UPDATE": _NO_DATE}} if path.suffix.lower() == ".shp" else {}
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _check_writable(path: Path, frame: Frame) -> None:
    if frame.crs is None:
        raise DataError(f"the shapes for {path} have no CRS", "set one with .set_crs()")
    shapes = frame.geometry
    bad = shapes.isna() | shapes.is_empty | ~shapes.is_valid
    if bad.any():
        first = shapes[bad].iloc[0]
        reason = "empty" if first is None or first.is_empty else shapely.is_valid_reason(first)
        raise DataError(f"{int(bad.sum())} of {len(shapes)} shapes for {path} cannot be written: {reason}")


def _short_names(names: list[str]) -> dict[str, str]:
    """Map field names to at most ten characters, numbered where two would meet."""
    out: dict[str, str] = {}
    for name in names:
        short, number = re.sub(r"\W", "_", name)[:10], 1
        while short.lower() in {used.lower() for used in out.values()}:
            number += 1
            short = f"{name[: 10 - len(str(number))]}{number}"
        out[name] = short
    return out
