"""Samples a second of the pooled loader against one ``torch.load`` a patch file, on the same windows.

A cube of 35 frames is written to a temporary folder, the largest of the paper's size; patch files are written
for some of its windows, as the paper's code does, and read warm, in random order. One thread.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from common import Row, bound, finish, paired, sizes
from odc.geo.geobox import GeoBox

from icectl.splits import WindowGrid
from icectl.tasks.snow.dataset import CubeWriter, open_dataset
from icectl.tasks.snow.masks.windows import WindowBatches


def make_cube(folder: Path, frames: int, side: int):
    """Write a complete random cube and open it."""
    grid = GeoBox((side, side), Affine(30, 0, 700_005, 0, -30, 3_500_025), "EPSG:32643")
    times = [date(2013 + k // 4, 3 * (k % 4) + 1, 1) for k in range(frames)]
    writer = CubeWriter(folder / "dataset.zarr", times, grid, {})
    rng = np.random.default_rng(0)
    for top in range(0, side, 100):
        strip = rng.random((frames, min(100, side - top), side), dtype=np.float32)
        writer.write(slice(top, top + strip.shape[1]), strip, np.ones(strip.shape, np.uint8))
    writer.close()
    return open_dataset(folder)


def write_files(folder: Path, batches: WindowBatches, count: int) -> list[Path]:
    """Write `count` windows as one file each: a pair of past and future tensors."""
    folder.mkdir()
    files: list[Path] = []
    for batch in batches.epoch(0):
        for past, future in zip(batch["past"], batch["future"], strict=True):
            files.append(folder / f"{len(files)}.pt")
            torch.save((past.clone(), future.clone()), files[-1])
            if len(files) == count:
                return files
    return files


def rate_of_files(files: list[Path], batch_size: int, samples: int) -> float:
    """Return samples a second of reading files in random order into batches."""
    order = np.random.default_rng(1).integers(0, len(files), samples)
    started = time.perf_counter()
    for first in range(0, samples, batch_size):
        pairs = [torch.load(files[k]) for k in order[first : first + batch_size]]
        torch.stack([p for p, _ in pairs])
        torch.stack([f for _, f in pairs])
    return samples / (time.perf_counter() - started)


def rate_of_loader(batches: WindowBatches, samples: int) -> float:
    """Return samples a second of the pooled loader, reading of the cube included."""
    seen, epoch, started = 0, 1, time.perf_counter()
    while seen < samples:
        for batch in batches.epoch(epoch):
            seen += len(batch["index"])
            if seen >= samples:
                break
        epoch += 1
    return seen / (time.perf_counter() - started)


def measure(side: int, frames: int = 35, samples: int = 100_000, count: int = 4_000) -> list[Row]:
    """Measure one size of the cube."""
    with tempfile.TemporaryDirectory() as name:
        cube = make_cube(Path(name), frames, side)
        size = sum(f.stat().st_size for f in cube.path.rglob("*") if f.is_file()) / 1e6
        grid = WindowGrid(*cube.shape)
        batches = WindowBatches(cube, grid, np.ones(grid.shape, bool), 100, seed=0, reuse=True)
        files = write_files(Path(name) / "files", batches, count)
        rate_of_files(files, 100, len(files))  # warm
        pairs = [  # in turns, so that other work on the machine meets both
            (rate_of_loader(batches, samples), rate_of_files(files, 100, count)) for _ in range(3)
        ]
    label = f"{grid.count:,} windows of {frames} × {side} × {side}"
    row = paired(
        label, pairs, against="one torch.load a patch file", better="more", unit="samples/s",
        floor=20 if side == 800 else None, kind="loop",
    )  # fmt: skip
    if side < 800:
        return [row]
    return [row, bound(f"cube of {frames} × {side} × {side} on disk", size, 100, "MB")]


if __name__ == "__main__":
    torch.set_num_threads(1)
    finish("loader", [row for side in sizes(200, 400, 800) for row in measure(side)], ("torch", "zarr"))
