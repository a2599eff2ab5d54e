"""Displacement of sheared ice by icectl, OpenPIV, scikit-image and plain OpenCV: error and processor time.

    OMP_NUM_THREADS=1 python benchmarks/studies/velocity_others.py

Two frames of a texture 512 pixels wide: a tongue of 200 pixels moves by a parabola of 6 pixels at most, the
ground beside it stands still, and both frames have noise of their own. Each method matches chips of 24 pixels
every 12, icectl also its own of 12. Errors are of cells on the tongue, in pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.velocity.measure import centres, measure

SIDE, CHIP, STEP, REACH, FASTEST, HALF = 512, 24, 12, 8, 6.0, 100
Found = tuple[np.ndarray, np.ndarray]


def frames(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two frames, and the true displacement down of each pixel half-way between them."""
    rng = np.random.default_rng(seed)
    base = sum(ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), s) * s for s in (1.5, 4, 10))
    across = (np.arange(SIDE) - SIDE / 2) / HALF
    down = np.broadcast_to(FASTEST * np.clip(1 - across**2, 0, None), (SIDE, SIDE))
    rows, cols = np.mgrid[:SIDE, :SIDE].astype(float)
    made = [
        ndimage.map_coordinates(base, [rows - part * down, cols], order=3, mode="reflect")
        + noise * base.std() * rng.standard_normal(base.shape)
        for part in (-0.5, 0.5)
    ]
    return *(np.asarray(100 + 20 * one, np.float32) for one in made), down


def places() -> np.ndarray:
    """Return centres of chips on a regular grid, ``(rows, cols, 2)``."""
    line = np.arange(CHIP + REACH, SIDE - CHIP - REACH, STEP)
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1)


def ours(a: np.ndarray, b: np.ndarray, chip: int = 12) -> Found:
    """Measure as ``predict`` does: one pair, a year apart."""
    options = PredictOptions(velocity_chip=chip, spacing=STEP, velocity_reach=REACH)
    every, none = np.ones((2, SIDE, SIDE), bool), np.zeros((2, SIDE, SIDE), bool)
    days = np.array([0, 365], np.float32)
    found = measure(np.stack([a, b]), every, none, None, days, (1.0, 1.0), options, pairs=[(0, 1)])
    return centres((SIDE, SIDE), options), -found.vy


def chips(one: Callable[[np.ndarray, np.ndarray, int, int], float]) -> Callable[..., Found]:
    """Return a method that matches chip by chip."""

    def match(a: np.ndarray, b: np.ndarray) -> Found:
        at = places()
        return at, np.array([[one(a, b, *cell) for cell in row] for row in at])

    return match


def opencv(a: np.ndarray, b: np.ndarray, row: int, col: int) -> float:
    """Match one chip by ``matchTemplate`` and a parabola."""
    half, wide = CHIP // 2, CHIP // 2 + REACH
    window = b[row - wide : row + wide, col - wide : col + wide]
    chip = a[row - half : row + half, col - half : col + half]
    scores = cv2.matchTemplate(window, chip, cv2.TM_CCOEFF_NORMED)
    x, y = cv2.minMaxLoc(scores)[3]
    if not 0 < y < 2 * REACH:
        return y - REACH
    low, top, high = scores[y - 1 : y + 2, x]
    return y - REACH + 0.5 * (low - high) / min(low - 2 * top + high, -1e-9)


def skimage(a: np.ndarray, b: np.ndarray, row: int, col: int) -> float:
    """Register one chip by phase correlation to a twentieth of a pixel."""
    half = CHIP // 2
    part = slice(row - half, row + half), slice(col - half, col + half)
    return -phase_cross_correlation(a[part], b[part], upsample_factor=20, normalization=None)[0][0]


def openpiv(a: np.ndarray, b: np.ndarray) -> Found:
    """Match by OpenPIV's extended search area."""
    from openpiv.pyprocess import extended_search_area_piv, get_coordinates

    area = CHIP + 2 * REACH
    sizes = {"search_area_size": area, "overlap": area - STEP}
    _, v, _ = extended_search_area_piv(
        a.astype(np.float32), b.astype(np.float32), window_size=CHIP, sig2noise_method="peak2peak", **sizes
    )
    x, y = get_coordinates(a.shape, **sizes)
    return np.stack([y, x], -1).astype(int), v


def main() -> None:
    """Measure and print."""
    methods = {"icectl, 12 px": ours, "icectl, 24 px": partial(ours, chip=CHIP)}
    methods |= {"OpenCV": chips(opencv), "scikit-image": chips(skimage), "OpenPIV": openpiv}
    for noise in (0.1, 0.5):
        print(f"noise {noise:g} of the texture: median and 90th percentile of the error, pixels; ms a cell")
        for name, method in methods.items():
            errors, cost = [], []
            for seed in range(2):
                a, b, down = frames(seed, noise)
                start = time.process_time()
                try:
                    at, found = method(a, b)
                except ImportError:
                    break
                cost.append(1e3 * (time.process_time() - start) / found.size)
                true = down[at[..., 0], at[..., 1]]
                off = np.abs(found - true)[true > FASTEST / 4]
                errors.append(np.nan_to_num(off, nan=np.inf))
            if errors:
                median, worst = np.percentile(np.concatenate(errors), [50, 90])
                print(f"  {name:13} {median:.3f}  {worst:.3f}  {np.mean(cost):.2f}")
            else:
                print(f"  {name:13} is not installed")


if __name__ == "__main__":
    main()
