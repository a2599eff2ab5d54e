"""The two measures of GLAFT on one map, by icectl and by the package `glaft` itself.

    python benchmarks/studies/velocity_quality.py ../shared/data/glaft_kaskawulsh

Prints what each says of the same vx and vy (metres a day), and how far apart they are. `glaft` (extra
``bench``) draws a subset of nothing: both see every pixel.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import geopandas
import numpy as np
import rasterio
from rasterio.features import geometry_mask
from scipy import ndimage, signal

from icectl.arrays import F64, Bools
from icectl.tasks.flow.velocity.quality import Peak, peak, static

SMOOTH = 1500.0
"""Metres over which the direction of flow is smoothed by a median, and `WIDEST` cells at most."""

WIDEST = 35


def strain(vx: F64, vy: F64, ice: Bools, side: float) -> Peak:
    """Measure the variability of longitudinal (x) and shear (y) strain rate along the flow.

    Parameters
    ----------
    vx, vy
        ``(rows, cols)``, NaN where unknown; rows run south.
    ice
        Where the measure is taken.
    side
        Side of a cell in metres.

    Returns
    -------
    In the unit of velocity a metre, by Sobel's sums of eight differences as in GLAFT (eight times the
    derivative).
    """
    u, v = (np.where(ice & np.isfinite(vx) & np.isfinite(vy), one, np.nan) for one in (vx, vy))
    across, along = (
        [ndimage.sobel(one, axis=axis, mode="constant", cval=np.nan) / side for one in (u, v)]
        for axis in (1, 0)
    )
    exx, eyy = across[0], -along[1]
    exy = 0.5 * (-along[0] + across[1])
    kernel = min(int(SMOOTH / side) // 2 * 2 + 1, WIDEST)
    angle = signal.medfilt2d(np.arctan2(vy, vx), max(kernel, 1))
    longitudinal = exx * np.cos(angle) ** 2 + eyy * np.sin(angle) ** 2 + exy * np.sin(2 * angle)
    shear = 0.5 * (eyy - exx) * np.sin(2 * angle) + exy * np.cos(2 * angle)
    use = np.isfinite(longitudinal) & np.isfinite(shear)
    return peak(longitudinal[use], shear[use])


def inside(path: Path, file: rasterio.DatasetReader) -> np.ndarray:
    """Return the pixels of a raster inside the polygons of a file."""
    shapes = geopandas.read_file(path).to_crs(file.crs).geometry
    return geometry_mask(shapes, file.shape, file.transform, invert=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    names = [next(folder.glob(f"*_{one}.tif")) for one in ("vx", "vy")]
    still, ice = (next(folder.glob(f"{one}*.shp")) for one in ("bedrock", "glacier"))
    with rasterio.open(names[0]) as file:
        masks = [inside(path, file) for path in (still, ice)]
        side = file.transform.a
        fields = [file.read(1).astype(float)]
    with rasterio.open(names[1]) as file:
        fields.append(file.read(1).astype(float))
    fields = [np.where(field <= -9998, np.nan, field) for field in fields]
    start = time.process_time()
    one, two = static(*fields, masks[0]), strain(*fields, masks[1], side)
    ours = (one.x, one.y, two.x, two.y)
    print(f"icectl  {time.process_time() - start:.1f} s: " + ", ".join(f"{v:.4g}" for v in ours))
    try:
        import glaft
    except ImportError:
        print("glaft is not installed: pip install 'icectl[bench]'")
        return
    start = time.process_time()
    theirs = []
    for kind, area in (("static_area", still), ("on_ice_area", ice)):
        test = glaft.Velocity(vxfile=str(names[0]), vyfile=str(names[1]), **{kind: str(area)})
        if kind == "static_area":
            test.static_terrain_analysis()
            theirs += [test.metric_static_terrain_x, test.metric_static_terrain_y]
        else:
            test.longitudinal_shear_analysis()
            theirs += [test.metric_alongflow_normal, test.metric_alongflow_shear]
    print(f"glaft   {time.process_time() - start:.1f} s: " + ", ".join(f"{v:.4g}" for v in theirs))
    labels = ("static x", "static y", "longitudinal strain", "shear strain")
    for label, a, b in zip(labels, ours, theirs, strict=True):
        print(f"{label}: {100 * (a / b - 1):+.1f} %")


if __name__ == "__main__":
    main()
