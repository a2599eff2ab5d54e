"""Large scenes: time of a pixel and peak memory of prepare and predict as scenes grow, up to 30,000 × 30,000.

Takes the better part of an hour, so only ``make bench-large`` runs it. Dates of a ready snow index; networks
learn in a few updates to forecast one mask from one: neither time nor memory depends on how good they are.
`snow-mlp` shows what a network costs; a `unet` of two channels what everything else does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import rasterio
from _loads import Used, growth, icectl
from affine import Affine
from common import QUICK, Row, finish

START = 100
"""A side that is start-up alone."""
PREPARED, PREDICTED, LIGHT = ((200, 400), (150, 300), (300, 600)) if QUICK else (
    (4000, 8000), (2000, 4000), (7500, 15_000, 30_000)
)  # fmt: skip
SMALL = ("--updates", "10", "--past", "1", "--future", "1")
TRAINED = {
    "snow-mlp": ("--patch", "40"),
    "unet": ("--patch", "64", "--widths", "2", "--guides", "season", "--head", "plain"),
}


def scenes(folder: Path, side: int) -> None:
    """Write two dates of an index of hills, strip by strip."""
    folder.mkdir()
    row, col = np.mgrid[0:512, 0:side]
    about = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "float32"}
    about |= {"crs": "EPSG:32643", "transform": Affine(15, 0, 400_000, 0, -15, 5_200_000), "nodata": np.nan}
    about |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    for number, day in enumerate(("20190115", "20190415")):
        hills = np.round(0.4 + 0.4 * np.cos(row / 700 + number) * np.cos(col / 900), 2).astype(np.float32)
        with rasterio.open(folder / f"ndsi_{day}.tif", "w", bigtiff="if_safer", **about) as file:
            for top in range(0, side, 512):
                part = np.roll(hills, top // 3, axis=1)[: side - top]
                file.write(part, 1, window=((top, top + len(part)), (0, side)))


def used(folder: Path, model: str, verb: str, side: int, *more: str) -> Used:
    """Run a verb on the scenes of one size."""
    return icectl(folder, verb, model, "--scenes", f"scenes-{side}", "--cadence", "scenes", *more)


def rows_of(folder: Path, model: str, verb: str, sides: tuple[int, ...], *more: str) -> list[Row]:
    """Measure a verb at several sizes, less the start-up; what it needs is made before."""
    if verb == "predict":
        for side in (START, *sides):
            used(folder, model, "prepare", side)
    start = used(folder, model, verb, START, *more)
    return growth(
        f"{verb} {model}", {n**2: used(folder, model, verb, n, *more) for n in sides}, 1.25, start, "pixels"
    )


def main() -> None:
    """Measure prepare, and predict with a network that costs and with one that hardly does."""
    rows, runs = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for side in sorted({START, *PREPARED, *PREDICTED, *LIGHT}):
            scenes(folder / f"scenes-{side}", side)
        for model, words in TRAINED.items():
            icectl(folder, "train", model, "--glacier", "demo", *SMALL, *words)
            (runs[model],) = folder.glob(f"icectl-workspace/runs/{model}/demo/*")
        rows += rows_of(folder, "snow-mlp", "prepare", PREPARED)
        last = ("--moments", "last", "--run")
        rows += rows_of(folder, "snow-mlp", "predict", PREDICTED, *last, runs["snow-mlp"].name)
        rows += rows_of(folder, "unet", "predict", LIGHT, *last, runs["unet"].name)
    finish("loads_scene", rows, ("numpy", "rasterio", "torch", "zarr"))


if __name__ == "__main__":
    main()
