"""Chips matched per second: icectl against a loop of OpenCV, and against scikit-image.

    OMP_NUM_THREADS=1 python benchmarks/chip_matching.py [--frames FOLDER]

1,525 chips of 128 px, float32, in search windows of 160, 192 and 256 px, beside a loop of
``cv2.matchTemplate`` (``TM_CCOEFF_NORMED``) with one OpenCV thread and two Python threads, which beats
scikit-image and hand-made FFTs by far. With ``--frames``, pairs of real frames are matched too, cloudy
ones included, and the share of chips with OpenCV's whole-pixel peak is printed: of those whose chip and
match both vary by more than two grey levels, with the scene's mean removed before OpenCV sees it (float32
sums of its own cannot tell apart the scores of a flat chip on a bright scene). Beside it stand the chips
whose two peaks are tied in float64, and how often OpenCV agrees with itself after a change of brightness.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from common import Row, compare, finish, paired, seconds, sizes
from scipy import ndimage
from skimage.feature import match_template

from icectl.imagery.chips import grid_starts
from icectl.imagery.matching import match_chips

CHIP, COUNT, FEW = 128, 1525, 20
TEXTURE = 2.0
TIE = 5e-5
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


def agreement(a: np.ndarray, b: np.ndarray, starts: np.ndarray, radius: int) -> tuple[int, int, int, int]:
    """Count textured chips, those with OpenCV's peak, ties, and those where OpenCV agrees with itself.

    In a tie both peaks correlate alike within `TIE`, computed in float64. OpenCV itself is asked again
    with the scene one grey level brighter, which changes nothing but how its float32 sums round.
    """
    shift = match_chips(a, b, starts, CHIP, (CHIP + 2 * radius) / CHIP).shift
    truth = opencv(a - a.mean(), b - b.mean(), starts, radius)
    again = opencv(a - a.mean() + 1, b - b.mean() + 1, starts, radius)
    textured = same = ties = itself = 0
    for at, ours, theirs, other in zip(starts, shift, truth, again, strict=True):
        chip, match = cut(a, at), cut(b, at + theirs)
        if min(chip.std(), match.std()) > TEXTURE:
            textured, itself = textured + 1, itself + int((theirs == other).all())
            equal = bool((ours == theirs).all())
            same += int(equal)
            scores = [np.corrcoef(chip.ravel(), cut(b, at + s).ravel())[0, 1] for s in (ours, theirs)]
            ties += int(not equal and abs(scores[0] - scores[1]) < TIE)
    return textured, same, ties, itself


def cut(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return one chip in float64."""
    return image[at[0] : at[0] + CHIP, at[1] : at[1] + CHIP].astype(np.float64)


def measure(pair: Pair, windows: tuple[int, ...], rounds: int) -> tuple[list[Row], list[tuple[int, ...]]]:
    """Match one pair in each window; return the rows, and how many chips agree with OpenCV."""
    name, a, b, valid = pair
    rows, counts = [], []
    for window in windows:
        radius, scale = (window - CHIP) // 2, window / CHIP
        starts = grid_starts(valid, CHIP, COUNT, radius)
        few = starts[:: max(1, len(starts) // FEW)][:FEW]
        counts.append(agreement(a, b, starts, radius))
        note = f"same peak {counts[-1][1]} of {counts[-1][0]}, {counts[-1][2]} ties"
        label = f"{len(starts)} chips in {window} px, {name}"
        ours, other = partial(match_chips, a, b, starts, CHIP, scale), partial(opencv, a, b, starts, radius)
        rows.append(compare(label, ours, other, against="cv2 loop, 2 threads", rounds=rounds, note=note))
        if name == "synthetic":
            pair_of = (seconds(ours) / len(starts), seconds(partial(skimage, a, b, few, radius)) / len(few))
            pairs = [(1e3 * pair_of[0], 1e3 * pair_of[1])]
            more = {"unit": "ms a chip", "note": f"scikit-image matched {len(few)} of them"}
            rows.append(paired(label, pairs, against="scikit-image match_template", **more))
    return rows, counts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=Path, help="folder of dated pictures (a real series)")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows, counts = measure(synthetic(), sizes(160, 192, 256), given.rounds)
    for pair in frames(given.frames) if given.frames else ():
        more, other = measure(pair, (192,), given.rounds)
        rows, counts = rows + more, counts + other
    total, same, ties, itself = np.sum(counts, axis=0)
    print(f"same whole-pixel peak: {same} of {total} textured chips ({same / total:.3%}), {ties} ties")
    print(f"OpenCV with itself, one grey level brighter: {itself} ({itself / total:.3%})")
    finish("chip_matching", rows, PACKAGES)


if __name__ == "__main__":
    main()
