"""Glacier outlines with their ids: RGI 6 and 7, GLIMS, or any vector file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from icectl.errors import DataError, UsageError, did_you_mean
from icectl.raster import Grid, read_vectors

ID_COLUMNS = ("RGIId", "RGIID", "rgi_id", "GLIMS_ID", "glac_id", "GLIMSId", "glims_id", "id", "ID", "name")
"""Columns that name a glacier, the strongest first (RGI 6, RGI 7, GLIMS and shortened forms)."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Glaciers of one file: ids, geometries in the file's CRS, and that CRS as WKT."""

    source: str
    ids: tuple[str, ...]
    geometries: tuple[Any, ...]
    crs: str

    def __len__(self) -> int:
        return len(self.ids)

    def on(self, crs: object) -> Outlines:
        """Return the outlines in another CRS."""
        import geopandas as gpd

        if not self.geometries:
            return self
        moved = gpd.GeoSeries(list(self.geometries), crs=self.crs).to_crs(crs)
        return Outlines(self.source, self.ids, tuple(shapely.make_valid(moved.to_numpy())), str(crs))

    def choose(self, ids: tuple[str, ...] = (), region: str | None = None) -> Outlines:
        """Return the glaciers of those ids, or of that RGI region; of neither: all.

        Raises
        ------
        UsageError
            An id or a region that the file does not hold; the hint names near ones.
        """
        keep = list(range(len(self.ids)))
        if region is not None:
            keep = [i for i in keep if region_of(self.ids[i]) == region.zfill(2)]
            if not keep:
                found = sorted({r for r in map(region_of, self.ids) if r})
                raise UsageError(
                    f"{self.source} holds no glacier of RGI region {region}",
                    f"it holds region {', '.join(found)}" if found else "its ids name no region",
                )
        if ids:
            known = {short_id(self.ids[i]): i for i in keep}
            missing = [name for name in ids if short_id(name) not in known]
            if missing:
                raise UsageError(
                    f"no glacier '{missing[0]}' in {self.source}", did_you_mean(missing[0], self.ids[:5000])
                )
            keep = [known[short_id(name)] for name in ids]
        return Outlines(
            self.source, tuple(self.ids[i] for i in keep), tuple(self.geometries[i] for i in keep), self.crs
        )


def read_outlines(path: Path) -> Outlines:
    """Read glacier outlines, merged by id; heights are dropped, crossing rings mended, points left out.

    Raises
    ------
    DataError
        The file is missing, empty, without CRS, or holds no polygon.
    """
    frame = read_vectors(path)
    frame = frame[frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])]
    if frame.empty:
        raise DataError(f"{path} holds no polygon", "outlines must be polygons")
    column = next((c for c in ID_COLUMNS if c in frame.columns and frame[c].notna().any()), None)
    names = [f"{Path(path).stem}-{i + 1:05d}" for i in range(len(frame))]
    if column is not None:
        given = [str(v).strip() for v in frame[column]]
        names = [
            g if g and g.lower() not in ("none", "nan") else n for g, n in zip(given, names, strict=True)
        ]
    merged: dict[str, list[Any]] = {}
    for name, shape in zip(names, frame.geometry.to_numpy(), strict=True):
        merged.setdefault(name, []).append(shape)
    shapes = [parts[0] if len(parts) == 1 else shapely.union_all(parts) for parts in merged.values()]
    return Outlines(Path(path).name, tuple(merged), tuple(shapes), frame.crs.to_wkt())


def region_of(name: str) -> str:
    """Return the two digits of an RGI id's region, or nothing.

    >>> region_of("RGI60-11.01421"), region_of("RGI2000-v7.0-G-11-00005"), region_of("G220869E60822N")
    ('11', '11', '')
    """
    match = re.match(r"RGI\d{2}-(\d{2})\.", name) or re.match(r"RGI2000-v[\d.]+-[GC]-(\d{2})-", name)
    return match[1] if match else ""


def short_id(name: str) -> str:
    """Return an id as it is compared: RGI 5 and 6 without their version, letters in lower case.

    >>> short_id("RGI60-01.16195") == short_id("rgi50-01.16195") == short_id("01.16195")
    True
    """
    text = str(name).strip().lower()
    return re.sub(r"^rgi\d{2}-", "", text)


def inside(outlines: Outlines, grid: Grid) -> tuple[Outlines, list[str], list[str]]:
    """Sort outlines by where they lie: (inside `grid`, ids that cross its border, ids off it).

    The outlines must be in the CRS of the grid.
    """
    frame = shapely.from_wkt(grid.extent.wkt)
    within = shapely.contains_properly(frame, np.array(outlines.geometries, dtype=object))
    meets = shapely.intersects(frame, np.array(outlines.geometries, dtype=object))
    crossing = [n for n, w, m in zip(outlines.ids, within, meets, strict=True) if m and not w]
    off = [n for n, m in zip(outlines.ids, meets, strict=True) if not m]
    kept = Outlines(
        outlines.source,
        tuple(n for n, w in zip(outlines.ids, within, strict=True) if w),
        tuple(g for g, w in zip(outlines.geometries, within, strict=True) if w),
        outlines.crs,
    )
    return kept, crossing, off
