"""Large scenes through a network: time of a pixel and peak memory of prepare and predict as scenes grow.

Takes minutes, so only ``make bench-large`` runs it. Two dates of a ready snow index; `snow-mlp` learns in
a few updates to forecast one mask from one: neither time nor memory depends on how good it is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from _loads import growth, icectl
from affine import Affine
from common import QUICK, finish

from icectl.raster import BlockWriter, Grid

START, SIDES = 100, {"prepare": (200, 400), "predict": (150, 300)} if QUICK else {
    "prepare": (4000, 8000), "predict": (2000, 4000)
}  # fmt: skip
"""A side that is start-up alone, and those whose time is not."""
TRAIN = ("train", "snow-mlp", "--glacier", "demo", "--past", "1", "--future", "1", "--patch", "40")
CADENCE = ("--cadence", "scenes")
SMALL = ("--updates", "10")


def scenes(folder: Path, side: int) -> None:
    """Write two dates of an index of hills, block by block."""
    grid = Grid((side, side), Affine(30, 0, 400_000, 0, -30, 5_200_000), "EPSG:32643")
    for number, day in enumerate(("20190115", "20190415")):
        with BlockWriter(folder / f"ndsi_{day}.tif", grid, bands=1, dtype="float32") as writer:
            for top in range(0, side, 500):
                row, col = np.mgrid[top : min(top + 500, side), 0:side]
                index = np.round(0.4 + 0.4 * np.cos(row / 700 + number) * np.cos(col / 900), 2)
                writer.write(index.astype(np.float32), top, 0)


def main() -> None:
    """Measure each verb at two sizes, less the start-up."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        icectl(folder, *TRAIN, *SMALL)
        (run,) = folder.glob("icectl-workspace/runs/snow-mlp/demo/*")
        for side in sorted({START, *SIDES["prepare"], *SIDES["predict"]}):
            (folder / f"scenes-{side}").mkdir()
            scenes(folder / f"scenes-{side}", side)
        for verb, more in (("prepare", ()), ("predict", ("--moments", "last", "--run", run.name))):
            words = [
                (side, ("snow-mlp", "--scenes", f"scenes-{side}", *CADENCE)) for side in (START, *SIDES[verb])
            ]
            if verb == "predict":
                for _, given in words:
                    icectl(folder, "prepare", *given)
            found = {side**2: icectl(folder, verb, *given, *more) for side, given in words}
            start = found.pop(START**2)
            rows += growth(f"{verb} snow-mlp", found, 1.25, start, "pixels")
    finish("loads_scene", rows, ("numpy", "rasterio", "torch", "zarr"))


if __name__ == "__main__":
    main()
