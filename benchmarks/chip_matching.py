"""Chips matched per second: icectl against a loop of OpenCV, and against scikit-image.

    OMP_NUM_THREADS=1 python benchmarks/chip_matching.py [--frames FOLDER]

1,525 chips of 128 px, float32, in search windows of 160, 192 and 256 px. The rival is a loop of
``cv2.matchTemplate`` (``TM_CCOEFF_NORMED``) with one OpenCV thread and two Python threads, which beats
scikit-image and hand-made FFTs by far. With ``--frames``, pairs of real frames are matched too, cloudy
ones included, and the share of chips with OpenCV's whole-pixel peak is printed: of those whose chip and
match both vary by more than two grey levels, with the scene's mean removed before OpenCV sees it (float32
sums of its own cannot tell apart the scores of a flat chip on a bright scene).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from common import compare, finish
from scipy import ndimage
from skimage.feature import match_template

from icectl.imagery.chips import grid_starts
from icectl.imagery.matching import match_chips

CHIP, COUNT, FEW = 128, 1525, 20
TEXTURE = 2.0
PACKAGES = ("opencv-python-headless", "scikit-image", "numpy")

Pair = tuple[str, np.ndarray, np.ndarray, np.ndarray]


def opencv(a: np.ndarray, b: np.ndarray, starts: np.ndarray, radius: int) -> np.ndarray:
    """Return the shifts that a loop of ``cv2.matchTemplate`` finds, in two threads."""

    def one(at: np.ndarray) -> tuple[int, int]:
        y, x = at
        window = b[y - radius : y + CHIP + radius, x - radius : x + CHIP + radius]
        scores = cv2.matchTemplate(window, a[y : y + CHIP, x : x + CHIP], cv2.TM_CCOEFF_NORMED)
        col, row = cv2.minMaxLoc(scores)[3]
        return row - radius, col - radius

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(2) as pool:
        return np.array(list(pool.map(one, starts)))


def skimage(a: np.ndarray, b: np.ndarray, starts: np.ndarray, radius: int) -> None:
    """Match a few chips by scikit-image."""
    for y, x in starts:
        window = b[y - radius : y + CHIP + radius, x - radius : x + CHIP + radius]
        match_template(window, a[y : y + CHIP, x : x + CHIP])


def synthetic() -> Pair:
    """Return a texture of 3,000 × 3,000 px that moves by (7, −4) px, with noise of its own."""
    rng = np.random.default_rng(0)
    layers = [ndimage.gaussian_filter(rng.standard_normal((3000, 3000)), s) * s for s in (1.5, 4, 12)]
    a = (128 + 20 * sum(layers)).astype(np.float32)
    b = np.roll(a, (7, -4), (0, 1)) + 5 * rng.standard_normal(a.shape).astype(np.float32)
    return "synthetic", a, b, np.ones(a.shape, dtype=bool)


def frames(folder: Path) -> Iterator[Pair]:
    """Yield pairs of neighbouring frames of a folder of pictures."""
    paths = sorted(folder.glob("2*.jpg"))
    read = [cv2.imread(str(p)).astype(np.float32) for p in paths]
    valid = (np.min([f.max(axis=2) for f in read], axis=0) > 8).astype(np.uint8)
    valid = cv2.erode(valid, np.ones((9, 9))) > 0
    grey = [f.mean(axis=2) for f in read]
    for i in range(len(grey) - 1):
        yield f"{paths[i].stem}, {paths[i + 1].stem}", grey[i], grey[i + 1], valid


def agreement(a: np.ndarray, b: np.ndarray, starts: np.ndarray, radius: int) -> tuple[int, int]:
    """Return how many textured chips there are, and how many of them have OpenCV's peak."""
    shift = match_chips(a, b, starts, CHIP, (CHIP + 2 * radius) / CHIP).shift
    truth = opencv(a - a.mean(), b - a.mean(), starts, radius)
    spread = [
        min(a[y : y + CHIP, x : x + CHIP].std(), b[y + dy : y + dy + CHIP, x + dx : x + dx + CHIP].std())
        for (y, x), (dy, dx) in zip(starts, truth, strict=True)
    ]
    textured, same = np.array(spread) > TEXTURE, (shift == truth).all(axis=1)
    return int(textured.sum()), int((same & textured).sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=Path, help="folder of dated pictures (a real series)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows, counts = [], []
    pairs = [synthetic(), *(frames(given.frames) if given.frames else ())]
    for name, a, b, valid in pairs:
        for window in (160, 192, 256) if name == "synthetic" else (192,):
            radius, scale = (window - CHIP) // 2, window / CHIP
            starts = grid_starts(valid, CHIP, COUNT, radius)
            ours = partial(match_chips, a, b, starts, CHIP, scale)
            label = f"{COUNT} chips in {window} px, {name}"
            rows.append(
                compare(label, ours, partial(opencv, a, b, starts, radius), against="cv2 loop, 2 threads",
                        rounds=given.rounds, floor=1.0)
            )  # fmt: skip
            if name == "synthetic":
                few = starts[:: COUNT // FEW][:FEW]
                one, other = partial(match_chips, a, b, few, CHIP, scale), partial(skimage, a, b, few, radius)
                rows.append(compare(f"{FEW} of them", one, other, against="scikit-image", rounds=1))
            counts.append(agreement(a, b, starts, radius))
            print(
                f"{label}: same peak {counts[-1][1]} of {counts[-1][0]}, ratio {rows[-1].ratio:.2f}",
                flush=True,
            )
    total, same = np.sum(counts, axis=0)
    print(f"same whole-pixel peak: {same} of {total} textured chips ({same / total:.3%})")
    finish("chip_matching", rows, PACKAGES)


if __name__ == "__main__":
    main()
