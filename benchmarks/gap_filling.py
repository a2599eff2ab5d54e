"""Gap filling with the 5×5 kernel: icectl, a loop over pixels, scipy's generic filter, GDAL.

    python benchmarks/gap_filling.py

20 % of the pixels are missing, at random, in blocks and in scan lines. The loop and scipy's
``generic_filter`` compute the same values (checked here); ``rasterio.fill`` is another method
(inverse distance) for the same purpose.
"""

from __future__ import annotations

import numpy as np
from common import compare, finish, seconds
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


def main() -> None:
    """Measure three sizes."""
    rows = []
    for size in (100, 200, 800):
        image = scene(size)
        share = f"{size}×{size}, {np.isnan(image).mean():.0%} gaps"
        ours = fill_gaps(image)[0]
        slow = {"rounds": 3, "calls": 20, "warm_up": False}
        fill_gaps(image)
        rows.append(
            compare(share, lambda i=image: fill_gaps(i), lambda i=image: loop(i),
                    against="loop over pixels", kind="loop", floor=200 if size == 800 else None, **slow)
        )  # fmt: skip
        np.testing.assert_allclose(ours, loop(image), atol=1e-6)
        if size < 800:
            rows.append(
                compare(share, lambda i=image: fill_gaps(i), lambda i=image: generic(i),
                        against="scipy generic_filter", floor=10, rounds=1, calls=20, warm_up=False)
            )  # fmt: skip
        rows.append(
            compare(
                share,
                lambda i=image: fill_gaps(i),
                lambda i=image: gdal(i),
                against="rasterio.fill",
                rounds=5,
            )
        )
    # Scattered gaps need one pass only; on them generic_filter is fairest to itself.
    image = scene(800)
    image[np.isnan(image)] = 0
    image[np.random.default_rng(1).random(image.shape) < 0.2] = np.nan
    for against, other, floor, kind, calls in (
        ("loop over pixels", loop, 200, "loop", 20),
        ("scipy generic_filter", generic, 10, "tool", 20),
        ("rasterio.fill", gdal, 1, "tool", 2),
    ):
        rows.append(
            compare("800×800, 20 % scattered", lambda: fill_gaps(image), lambda o=other: o(image),
                    against=against, floor=floor, kind=kind, rounds=3, calls=calls, warm_up=False)
        )  # fmt: skip
    big = scene(4000)
    print(f"4000×4000 with {np.isnan(big).mean():.0%} gaps: {seconds(lambda: fill_gaps(big)):.2f} s")
    finish("gap_filling", rows, ("scipy", "rasterio", "opencv-python-headless"))


if __name__ == "__main__":
    main()
