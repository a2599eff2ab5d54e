"""Two thousand scenes of one place: the time of a scene and peak memory beside those of five hundred.

Takes minutes, so only ``make bench-large`` runs it. Scenes of 64 × 64 are a week apart; each command is a
process of its own, on one core.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
from _loads import growth, icectl
from affine import Affine
from common import QUICK, bound, finish

from icectl.raster import Grid, write_cog

START, SOME, MANY = (10, 40, 80) if QUICK else (10, 500, 2000)
WORDS = ("prepare", "convlstm", "--cadence", "scenes", "--scenes")


def scenes(folder: Path, count: int) -> None:
    """Write `count` scenes, one a week."""
    rng, first = np.random.default_rng(0), dt.date(1984, 1, 1)
    grid = Grid((64, 64), Affine(30, 0, 400_000, 0, -30, 5_200_000), "EPSG:32632")
    for number in range(count):
        day = first + dt.timedelta(days=7 * number)
        snow = np.clip(rng.normal(0.4, 0.3, grid.shape), 0, 1).astype(np.float32)
        write_cog(folder / f"ndsi_{day:%Y%m%d}.tif", snow, grid)


def main() -> None:
    """Measure three numbers of scenes, and the largest again, when it is done."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, found = Path(temporary), {}
        for count in (START, SOME, MANY):
            (folder / f"{count}-scenes").mkdir()
            scenes(folder / f"{count}-scenes", count)
            found[count] = icectl(folder, *WORDS, f"{count}-scenes")
        again = icectl(folder, *WORDS, f"{MANY}-scenes")
    start = found.pop(START)
    name = "prepare convlstm, scenes of 64 × 64"
    rows = [
        bound(
            f"{name}, {MANY:,} of them", found[MANY].processor / MANY, 0.1, "s a scene", note=str(found[MANY])
        ),
        *growth(name, found, 1.25, start, "scenes"),
        bound(f"{name}: seeing that {MANY:,} are done", again.seconds, 5, "s", note=str(again)),
    ]
    finish("loads_series", rows, ("numpy", "rasterio", "zarr"))


if __name__ == "__main__":
    main()
