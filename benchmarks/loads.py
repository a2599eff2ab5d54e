"""Loads that are rare and must not hurt: two thousand scenes of one place, ten thousand outlines of a region.

Takes many minutes, so only ``make bench-large`` runs it. Each command is a process of its own. Of the
outlines 50 and then 500 are computed with the weights that ship; the second may take 10 % more memory.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from common import QUICK, Row, bound, finish
from scipy import ndimage

from icectl.raster import Grid, write_cog, write_vectors

SCENES, OUTLINES, FEW, MANY = (40, 400, 4, 8) if QUICK else (2000, 10_000, 50, 500)
SIDE, PIXEL, LEFT, TOP, CRS = 1500, 30.0, 400_000.0, 5_200_000.0, "EPSG:32632"


def icectl(folder: Path, *words: str | Path) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of a command in `folder`."""
    command = [sys.executable, "-c", "from icectl.cli import main; main()", *map(str, words)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"icectl {' '.join(map(str, words[:4]))} … failed")
    return time.perf_counter() - started, used.ru_maxrss / 1000


def series(folder: Path) -> list[Row]:
    """Return the time of preparing many scenes, and of seeing that it is done."""
    rng, first = np.random.default_rng(0), dt.date(1984, 1, 1)
    grid = Grid((64, 64), Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP), CRS)
    for number in range(SCENES):
        day = first + dt.timedelta(days=7 * number)
        snow = np.clip(rng.normal(0.4, 0.3, grid.shape), 0, 1).astype(np.float32)
        write_cog(folder / "scenes" / f"ndsi_{day:%Y%m%d}.tif", snow, grid)
    words = ("prepare", "convlstm", "--scenes", "scenes", "--cadence", "scenes")
    took, memory = icectl(folder, *words)
    again, _ = icectl(folder, *words)
    name = f"prepare convlstm, {SCENES:,} scenes of 64 × 64"
    return [
        bound(name, took / SCENES, 0.1, "s a scene", note=f"{took:.0f} s, peak {memory:.0f} MB"),
        bound(f"{name}: seeing that it is done", again, 5, "s"),
    ]


def region(folder: Path) -> list[Row]:
    """Return the times of planning and of computing a part of many outlines, and the memory of more."""
    rng = np.random.default_rng(0)
    ground = 2500 + 2500 * ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 8)
    grid = Grid((SIDE, SIDE), Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP), CRS)
    write_cog(folder / "dem.tif", ground.astype(np.float32), grid)
    side = int(np.ceil(OUTLINES**0.5))
    step = (SIDE - 20) * PIXEL / side
    where = [
        (LEFT + 300 + (i % side + 0.5) * step, TOP - 300 - (i // side + 0.5) * step) for i in range(OUTLINES)
    ]
    shapes = [shapely.Point(x, y).buffer(150) for x, y in where]
    names = [f"RGI60-99.{i:05d}" for i in range(OUTLINES)]
    frame = gpd.GeoDataFrame({"RGIId": names}, geometry=shapes, crs=CRS)
    write_vectors(folder / "outlines.gpkg", frame)
    words = ("predict", "inpaint-gan", "--dem", "dem.tif", "--outlines", "outlines.gpkg")
    planned, _ = icectl(folder, *words, "--dry-run")
    took, memory = {}, {}
    for count in (FEW, MANY):
        chosen = [word for name in names[:count] for word in ("--ids", name)]
        took[count], memory[count] = icectl(folder, *words, *chosen)
    rest = took[MANY] - (took[MANY] - took[FEW]) / (MANY - FEW) * MANY
    return [
        bound(f"dry run of {OUTLINES:,} outlines", planned, 60, "s"),
        bound(f"{OUTLINES:,} outlines, {MANY} computed: all but computing", max(rest, 0.0), 60, "s",
              note=f"{took[MANY]:.0f} s in all"),
        bound(f"peak memory of {MANY} glaciers over {FEW}", memory[MANY] / memory[FEW], 1.1, "times",
              note=f"{memory[MANY]:.0f} MB"),
    ]  # fmt: skip


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "scenes").mkdir()
        rows = [*series(folder), *region(folder)]
    finish("loads", rows, ("torch",))


if __name__ == "__main__":
    main()
