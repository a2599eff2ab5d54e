"""Shared raster and vector I/O: grids, windowed reads, GeoTIFFs that appear whole, tiles, outlines."""

from __future__ import annotations

from icectl.raster.blending import blend_profile, predict_blended
from icectl.raster.grid import Grid, describe, grid_from_bbox, grid_of, same_grid, utm_crs
from icectl.raster.read import Info, Masked, read, read_on, require_valid
from icectl.raster.tiles import Window, plan
from icectl.raster.vectors import rasterize, read_vectors, write_vectors
from icectl.raster.write import BlockWriter, write_cog

__all__ = [
    "BlockWriter",
    "Grid",
    "Info",
    "Masked",
    "Window",
    "blend_profile",
    "describe",
    "grid_from_bbox",
    "grid_of",
    "plan",
    "predict_blended",
    "rasterize",
    "read",
    "read_on",
    "read_vectors",
    "require_valid",
    "same_grid",
    "utm_crs",
    "write_cog",
    "write_vectors",
]
