"""Real images and synthetic fjords in one training folder: ``python benchmarks/studies/mixed_fronts.py``.

``images/`` and ``labels/`` pair by name, and ``table.csv`` names the glacier of each image, as
``icectl train front-unet --scenes OUT/images --labels OUT/labels --table OUT/table.csv`` wants them.
Synthetic fjords lie as the real crops do, ice flowing up; each image has a pixel size, grey levels, noise
and blur of its own, since real images differ in these more than 123 of one archive do.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import cv2
import geopandas
import numpy as np
import numpy.typing as npt

from icectl.raster import grid_of, read
from icectl.sources.catalogue import read_catalogue
from icectl.sources.synthetic import World, write_front_scenes

SIDE, RESOLUTION = 288, 30.0
BANDS = ("green", "red", "nir08")
Image = npt.NDArray[np.float64]


def main() -> None:
    """Copy the real images, and draw synthetic ones beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--worlds", type=int, default=30)
    parser.add_argument("--first", type=int, default=1000, help="seed of the first world")
    given = parser.parse_args()
    rows = ["image,glacier,flow"]
    for folder, source in (("images", given.images), ("labels", given.labels)):
        (given.out / folder).mkdir(parents=True)
        for path in source.iterdir():
            shutil.copy(path, given.out / folder / path.name)
    for seed in range(given.first, given.first + given.worlds):
        rows += write_world(seed, given.out)
    (given.out / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_world(seed: int, out: Path) -> list[str]:
    """Write three dates of one synthetic fjord; return their rows of the table."""
    rng = np.random.default_rng(seed)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        world = World(seed=seed, shape=(SIDE, SIDE), resolution=RESOLUTION, setting="fjord")
        write_front_scenes(world, Path(folder), date(2014, 1, 1), date(2015, 1, 1), bands=BANDS, cloud=0.05)
        scenes = read_catalogue(Path(folder))
        for number in rng.choice(len(scenes), min(4, len(scenes)), replace=False):
            name = f"synthetic{seed}_{scenes[number].time:%Y%m%d}"
            image, line = _drawn(scenes[number].assets, rng)
            cv2.imwrite(str(out / "images" / f"{name}_Subset.png"), image)
            cv2.imwrite(str(out / "labels" / f"{name}_Front.png"), line)
            rows.append(f"{name},synthetic{seed % 10},up")
    return rows


def _drawn(assets: Mapping[str, Path], rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return image and label of one scene, turned so that ice flows up, at a pixel size drawn at random."""
    path = assets[str(rng.choice(BANDS))]
    values = np.ma.filled(read(path).astype(float), np.nan)
    gaps = ~np.isfinite(values)
    levels = _levels(np.where(gaps, np.nanmedian(values), values), rng)
    front = geopandas.read_file(assets["front"]).geometry.iloc[0]
    points = np.array([~grid_of(path).affine * (x, y) for x, y, *_ in front.coords])
    factor = float(np.exp(rng.uniform(np.log(0.7), np.log(2.2))))
    size = (round(SIDE * factor),) * 2
    small = cv2.resize(levels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    small = np.where(cv2.resize(gaps.astype(np.float32), size) > 0.5, 0, small)
    label = np.full(size, 255, np.uint8)
    cv2.polylines(label, [np.round(points * factor - 0.5).astype(np.int32)], False, 0, 1)
    image = np.clip(small, 0, 255).astype(np.uint8)
    mirror = bool(rng.integers(2))
    return tuple(np.ascontiguousarray(a[::-1] if mirror else a[::-1, ::-1]) for a in (image, label))


def _levels(values: Image, rng: np.random.Generator) -> Image:
    """Return grey levels 0–255: another contrast each time, sometimes speckle, haze or blur."""
    low, high = np.percentile(values, [rng.uniform(0, 2), rng.uniform(96, 100)])
    levels = np.clip((values - low) / max(high - low, 1e-6), 0, 1) ** np.exp(rng.uniform(-0.8, 0.8))
    if rng.random() < 0.2:
        levels *= rng.gamma(4.0, 0.25, levels.shape)
    if rng.random() < 0.3:
        levels = cv2.GaussianBlur(levels, (0, 0), rng.uniform(0.5, 1.5))
    bright, dark = rng.uniform(180, 255), rng.uniform(0, 60)
    return np.asarray(dark + (bright - dark) * levels + rng.normal(0, rng.uniform(0, 5), levels.shape))


if __name__ == "__main__":
    main()
