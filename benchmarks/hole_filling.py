"""Biharmonic fill of a hole beside scikit-image's, square and irregular, and how far apart the two are.

``skimage.restoration.inpaint_biharmonic`` solves the same equations and then clips to the
range of the known heights: clipped alike the answers agree to rounding, and the note says how far.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from common import Row, compare, finish, sizes
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic

from icectl.tasks.bed.fill.smooth import biharmonic


def relief(size: int) -> np.ndarray:
    """Return rough mountains of a few hundred metres."""
    rng = np.random.default_rng(0)
    broad, fine = (ndimage.gaussian_filter(rng.normal(size=(size, size)), s) for s in (20, 4))
    return 2000 + 20_000 * broad + 1_000 * fine


def holes(size: int, side: int) -> dict[str, np.ndarray]:
    """Return a square hole in the middle of the map, and an irregular one of about its area."""
    start = (size - side) // 2
    box = np.zeros((size, size), dtype=bool)
    box[start : start + side, start : start + side] = True
    y, x = np.indices((size, size)) - size / 2
    ragged = 1 + 0.25 * np.sin(5 * np.arctan2(y, x)) + 0.1 * np.sin(11 * np.arctan2(y, x))
    return {"square": box, "irregular": np.hypot(y, x) < side / np.sqrt(np.pi) * ragged}


def main() -> None:
    """Measure three sizes of the hole."""
    rows: list[Row] = []
    for side in sizes(48, 96, 144):
        heights = relief(3 * side)
        for name, hole in holes(3 * side, side).items():
            ours, other = partial(biharmonic, heights, hole), partial(inpaint_biharmonic, heights, hole)
            known = heights[~hole]
            apart = float(np.abs(np.clip(ours(), known.min(), known.max()) - other()).max())
            label = f"{name} hole of {hole.sum():,} px in {3 * side}×{3 * side}"
            rows.append(
                compare(label, ours, other, against="scikit-image inpaint_biharmonic", rounds=3, calls=3,
                        warm_up=False, note=f"{apart:.1g} m apart")
            )  # fmt: skip
    finish("hole_filling", rows, ("scikit-image", "scipy"))


if __name__ == "__main__":
    main()
