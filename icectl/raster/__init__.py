"""Shared raster and vector I/O: grids, windowed reads, GeoTIFFs that appear whole, tiles, outlines."""

from icectl.raster.blending import blend_profile, predict_blended
from icectl.raster.cf import open_cube
from icectl.raster.grid import (
    Grid,
    assigned_grid,
    describe,
    grid_from_bbox,
    grid_of,
    same_grid,
    upright,
    utm_crs,
)
from icectl.raster.ground import (
    Ground,
    ground_areas,
    ground_grid,
    ground_lines,
    ground_metres,
    ground_steps,
    line_distances,
    local_projection,
    off_ground,
)
from icectl.raster.kinds import Quantity
from icectl.raster.onto import read_on, warp
from icectl.raster.quantity import Field, Numbers, Reader, read_quantity
from icectl.raster.read import read
from icectl.raster.stored import Info, Masked
from icectl.raster.tiles import Window, plan, row_strips
from icectl.raster.vectors import rasterize, read_vectors, write_vectors
from icectl.raster.write import BlockWriter, write_cog

__all__ = [
    "BlockWriter", "Field", "Grid", "Ground", "Info", "Masked", "Numbers", "Quantity", "Reader", "Window",
    "assigned_grid", "blend_profile", "describe", "grid_from_bbox", "grid_of", "ground_areas",
    "ground_grid", "ground_lines", "ground_metres", "ground_steps", "line_distances", "local_projection",
    "off_ground", "open_cube", "plan", "predict_blended", "rasterize", "read", "read_on", "read_quantity",
    "read_vectors", "row_strips", "same_grid", "upright", "utm_crs", "warp", "write_cog", "write_vectors",
]  # fmt: skip
