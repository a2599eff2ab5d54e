"""Whole-scene prediction of 4 × 4000 × 4000: peak memory, and the same result whatever the tile.

A small network (two convolutions) reads four bands from a COG and writes four, window 128, overlap 32,
read and written in tiles of 512, 768 and 1024. Memory is the process's peak above the bare import of torch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from affine import Affine
from common import Row, bound, finish, in_fresh_process, sizes

from icectl.raster import BlockWriter, Grid, Window, read

BARE = "import torch\nprint('{}')"

PREDICT = """
import json, sys, time
import torch
from icectl.raster import BlockWriter, grid_of, predict_blended, read
source, target, tile = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(0)
layers = [torch.nn.Conv2d(4, 16, 3, padding=1), torch.nn.GELU(), torch.nn.Conv2d(16, 4, 3, padding=1)]
network = torch.nn.Sequential(*layers).eval()
def apply(batch):
    with torch.inference_mode():
        return network(torch.from_numpy(batch)).numpy()
grid = grid_of(source)
started = time.perf_counter()
with BlockWriter(target, grid, bands=4, dtype="float32") as writer:
    predict_blended(lambda w: read(source, w, band=None).filled(0), apply, tuple(grid.shape), 128, 32, tile,
                    writer.write)
print(json.dumps({"seconds": time.perf_counter() - started}))
"""


def scene(path: Path, side: int) -> None:
    """Write four bands of noise, block by block."""
    grid = Grid((side, side), Affine(30, 0, 500_015, 0, -30, 4_000_015), "EPSG:32643")
    rng = np.random.default_rng(0)
    with BlockWriter(path, grid, bands=4, dtype="float32") as writer:
        for row in range(0, side, 500):
            writer.write(rng.random((4, min(500, side - row), side), np.float32), row, 0)


def largest_difference(a: Path, b: Path, side: int) -> float:
    """Return the largest absolute difference of two rasters, border included."""
    rows = [Window(row, 0, min(500, side - row), side) for row in range(0, side, 500)]
    parts = [np.abs(read(a, w, band=None).data - read(b, w, band=None).data).max() for w in rows]
    return float(max(parts))


def memory(source: Path, target: Path, side: int, tile: int, bare: float) -> Row:
    """Predict in a process of its own; return its peak above the import of torch."""
    found = in_fresh_process(PREDICT, str(source), str(target), str(tile))
    note = f"{found['seconds']:.0f} s"
    label = f"memory above torch, 4 × {side}², --tile {tile}"
    return bound(label, found["peak_mb"] - bare, 1500, "MB", note=note)


def main() -> None:
    """Measure three sizes, and at the largest three tiles."""
    rows: list[Row] = []
    bare = in_fresh_process(BARE)["peak_mb"]
    every = sizes(1000, 2000, 4000)
    with tempfile.TemporaryDirectory() as folder:
        for side in every:
            source = Path(folder) / f"scene{side}.tif"
            scene(source, side)
            tiles = (512, 768, 1024) if side == every[-1] else (512,)
            results = {tile: Path(folder) / f"{side}-{tile}.tif" for tile in tiles}
            rows += [memory(source, results[tile], side, tile, bare) for tile in tiles]
        for tile in (768, 1024):
            apart = largest_difference(results[512], results[tile], side)
            rows.append(
                bound(f"--tile {tile} against 512, 4 × {side}²: largest difference", max(apart, 1e-12), 1e-5,
                      "", note=f"{apart:g}")
            )  # fmt: skip
    finish("whole_scene", rows, ("torch", "rasterio"))


if __name__ == "__main__":
    main()
