"""Time of the biharmonic fill of a hole beside scikit-image's, and how far apart they are.

python benchmarks/hole_filling.py [--side 96] [--size 256] [--repeats 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic

from icectl.tasks.bed.fill import biharmonic, harmonic, inverse_distance


def relief(size: int) -> np.ndarray:
    """Return rough mountains of a few hundred metres."""
    rng = np.random.default_rng(0)
    broad, fine = (ndimage.gaussian_filter(rng.normal(size=(size, size)), s) for s in (20, 4))
    return 2000 + 20_000 * broad + 1_000 * fine


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median processor time of one call; others on the machine do not count."""
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def main() -> None:
    """Print one line of JSON for each hole and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    wanted = parser.parse_args()
    heights = relief(wanted.size)
    start = (wanted.size - wanted.side) // 2
    box = np.zeros(heights.shape, dtype=bool)
    box[start : start + wanted.side, start : start + wanted.side] = True
    disc = np.hypot(*(np.indices(heights.shape) - wanted.size / 2)) < wanted.side / 2
    for name, hole in (("box", box), ("disc", disc)):
        public = seconds(lambda h=hole: inpaint_biharmonic(heights, h), wanted.repeats)
        expected = inpaint_biharmonic(heights, hole)
        for method in (biharmonic, harmonic, inverse_distance):
            mine = seconds(lambda m=method, h=hole: m(heights, h), wanted.repeats)
            line = {
                "hole": name,
                "pixels": int(hole.sum()),
                "method": method.__name__,
                "seconds": round(mine, 5),
            }
            if method is biharmonic:
                off = float(np.abs(method(heights, hole) - expected).max())
                line |= {
                    "scikit_image": round(public, 5),
                    "times_faster": round(public / mine, 1),
                    "apart_m": off,
                }
            print(json.dumps(line))


if __name__ == "__main__":
    main()
