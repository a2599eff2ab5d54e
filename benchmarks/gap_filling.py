"""Gap filling with the 5×5 kernel: icectl, a loop over pixels, scipy's generic filter, GDAL.

    python benchmarks/gap_filling.py

20 % of the pixels are missing, at random, in blocks and in scan lines. The loop and scipy's
``generic_filter`` compute the same values (checked here); ``rasterio.fill`` is another method
(inverse distance) for the same purpose.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from common import Row, compare, finish, sizes
from rasterio.fill import fillnodata
from scipy import ndimage

from icectl.imagery.gaps import TAPS, fill_gaps

KERNEL = np.outer(TAPS, TAPS)
FLAT = KERNEL.ravel()


def scene(size: int, seed: int = 0) -> np.ndarray:
    """Return a smooth picture with 20 % gaps of three kinds."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(size=(size, size)), 4).astype(np.float32)
    gap = rng.random(image.shape) < 0.10
    gap[::50] = True
    gap[size // 4 : size // 4 + size // 3, size // 4 : size // 4 + size // 4] = True
    image[gap] = np.nan
    return image


def loop(image: np.ndarray) -> np.ndarray:
    """Fill pixel by pixel, as the definition says."""
    result = image.astype(np.float64)
    while np.isnan(result).any():
        padded = np.pad(result, 2, constant_values=np.nan)
        for row, column in np.argwhere(np.isnan(result)):
            window = padded[row : row + 5, column : column + 5]
            weights = np.where(np.isnan(window), 0, KERNEL)
            total = weights.sum()
            if total > 0:
                result[row, column] = (np.where(np.isnan(window), 0, window) * weights).sum() / total
    return result


def _weighted(window: np.ndarray) -> float:
    valid = ~np.isnan(window)
    total = FLAT[valid].sum()
    return float((window[valid] * FLAT[valid]).sum() / total) if total else np.nan


def generic(image: np.ndarray) -> np.ndarray:
    """Fill by ``scipy.ndimage.generic_filter``, pass after pass."""
    result = image.astype(np.float64)
    while (missing := np.isnan(result)).any():
        mean = ndimage.generic_filter(result, _weighted, size=5, mode="constant", cval=np.nan)
        result[missing] = mean[missing]
    return result


def gdal(image: np.ndarray) -> np.ndarray:
    """Fill by GDAL's inverse distance search."""
    return fillnodata(np.where(np.isnan(image), 0, image), mask=~np.isnan(image), max_search_distance=400)


def scattered(size: int) -> np.ndarray:
    """Return a picture with a fifth of its pixels missing at random: one pass fills them."""
    image = scene(size)
    image[np.isnan(image)] = 0
    image[np.random.default_rng(1).random(image.shape) < 0.2] = np.nan
    return image


OTHERS = (  # floors are those asked for of large images; small ones show how the ratio grows
    ("loop over pixels", loop, 200, "loop", 3),
    ("scipy generic_filter", generic, 10, "tool", 1),
    ("rasterio.fill", gdal, 1, "tool", 5),
)


def main() -> None:
    """Measure three sizes of both kinds of gaps."""
    rows: list[Row] = []
    for size in sizes(200, 400, 800):
        for kind, image in (("of three kinds", scene(size)), ("scattered", scattered(size))):
            label = f"{size}×{size}, {np.isnan(image).mean():.0%} gaps {kind}"
            ours = partial(fill_gaps, image)
            np.testing.assert_allclose(ours()[0], loop(image), atol=1e-6)
            for against, other, floor, table, rounds in OTHERS:
                if other is generic and kind != "scattered" and size > 200:
                    continue  # pass after pass over the whole image: minutes
                asked = floor if size == 800 or table == "tool" else None
                more = (
                    {"rounds": min(rounds, 2), "calls": 5} if size == 800 else {"rounds": rounds, "calls": 20}
                )
                rows.append(
                    compare(label, ours, partial(other, image), against=against, floor=asked, kind=table,
                            warm_up=other is gdal, **more)
                )  # fmt: skip
    finish("gap_filling", rows, ("scipy", "rasterio", "opencv-python-headless"))


if __name__ == "__main__":
    main()
