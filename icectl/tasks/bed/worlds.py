"""The synthetic glacier for the bed task: one world to test on, others to train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio

from icectl.run import Run
from icectl.tasks.bed.options import FetchOptions
from icectl.tasks.bed.readers.outlines import read_outlines
from icectl.tasks.bed.readers.thickness_samples import Known, on_working_grid


def write_worlds(run: Run, options: FetchOptions) -> Path:
    """Write ``test/`` (the world of the run's seed) and ``train/NN/`` (other worlds: other ground)."""
    from icectl.sources.synthetic.dem import write_dem
    from icectl.sources.synthetic.world import World

    shape = (options.world_size, options.world_size)
    with run.progress("worlds", options.worlds) as advance:
        for number in range(options.worlds):
            folder = run.out / "test" if number == 0 else run.out / "train" / f"{number:02d}"
            if not (folder / "truth" / "thickness.tif").is_file():
                write_dem(World(seed=run.seed * 1000 + number, shape=shape), folder)
            advance()
    return run.out


def known_of(folder: Path) -> Iterator[Known]:
    """Yield the glaciers of a synthetic world with their exact thickness and speed."""
    from icectl.raster import grid_of, rasterize

    grid = grid_of(folder / "dem.tif")
    surface, thickness, vx, vy = (
        _read(folder / name) for name in ("dem.tif", "truth/thickness.tif", "vx.tif", "vy.tif")
    )
    found = read_outlines(folder / "outlines.gpkg")
    for name, shape in zip(found.ids, found.geometries, strict=True):
        ice = np.asarray(rasterize([shape], grid), dtype=bool)
        rows, cols = np.flatnonzero(ice.any(1)), np.flatnonzero(ice.any(0))
        if len(rows) < 3 or len(cols) < 3:
            continue
        part = np.s_[max(0, rows[0] - 8) : rows[-1] + 9, max(0, cols[0] - 8) : cols[-1] + 9]
        known = Known(
            name, "synthetic", surface[part], ice[part], float(grid.affine.a),
            np.where(ice, thickness, np.nan)[part], np.hypot(vx, vy)[part],
        )  # fmt: skip
        made = on_working_grid(known)
        if made.ice.sum() >= 40:
            yield made


def _read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    with rasterio.open(path) as source:
        return np.asarray(source.read(1), dtype=np.float64)
