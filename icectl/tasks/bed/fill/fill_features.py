"""What a network mixes into a fill: smooth fills of three orders, and how rough the ground around is.

Which order of smoothness continues the ground best depends on it: a noisy elevation model asks for the
harmonic fill, which looks at heights at the rim alone, a smooth one for the triharmonic, which continues
slope and curvature too. All is computed from what is visible.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from icectl.tasks.bed.fill import smooth as fill
from icectl.tasks.bed.fill.inputs import Masked, averaged

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST = 12_000
"""Hidden pixels above which the differences between fills, which are smooth, are made on a coarser grid."""

LAGS = (1, 2, 4, 8)


def mixed_patch(
    heights: NDArray[np.floating], hidden: Bools, size: int | None = None, base: Floats | None = None
) -> Masked:
    """Return the channels of step (a) that begins at a biharmonic fill, averaged to `size` pixels a side.

    Parameters
    ----------
    heights
        ``(y, x)`` metres; values under `hidden` are not read.
    hidden
        ``(y, x)`` True where the ground is hidden; at least one pixel must be known.
    size
        Side of the result; both sides of `heights` must be this many blocks. None: no averaging.
    base
        The biharmonic fill, where it has been made already: on a large hole it is most of the work.
    """
    known = heights[~hidden]
    level, scale = float(known.mean()), float(known.std()) + 1.0
    base, membrane, plate = fills(heights, hidden, base)
    depth = ndimage.distance_transform_edt(hidden)
    deepest = max(float(depth.max()), 1.0)
    planes = [
        (base - level) / scale,
        np.clip((membrane - base) / scale, -3.0, 3.0),
        np.clip((plate - base) / scale, -3.0, 3.0),
        depth / deepest,
    ]
    numbers = features(heights, ~hidden, deepest, scale)
    if size is not None:
        planes = [averaged(plane, size) for plane in planes]
        hidden = averaged(hidden.astype(np.float64), size) > 0
    constant = [np.full(hidden.shape, number) for number in numbers]
    return Masked(np.stack([*planes, *constant, hidden]).astype(np.float32), level, scale)


def features(heights: NDArray[np.floating], known: Bools, deepest: float, scale: float) -> list[float]:
    """Return what says which order suits: ratios of roughness at growing lags, the hole's size, curvature.

    Roughness at a lag is the root mean square of second differences of known heights. A ratio is 0 on a plane
    of noise, and 1.4 (ln 4) on ground that is smooth at that lag.
    """
    rough = [np.log(_second_differences(heights, known, lag) + 0.05) for lag in LAGS]
    ratios = [b - a for a, b in itertools.pairwise(rough)]
    return [*ratios, float(np.log(2 * deepest / 24.0)), float(rough[2] - np.log(scale) + 1.0)]


def _second_differences(heights: NDArray[np.floating], known: Bools, lag: int) -> float:
    total, count = 0.0, 0
    for axis in (0, 1):
        if heights.shape[axis] <= 2 * lag:
            continue
        left, middle, right = (
            np.moveaxis(heights, axis, 0)[i * lag : heights.shape[axis] - (2 - i) * lag] for i in range(3)
        )
        a, b, c = (np.moveaxis(known, axis, 0)[i * lag : known.shape[axis] - (2 - i) * lag] for i in range(3))
        change = (left - 2.0 * middle + right)[a & b & c]
        total, count = total + float((change**2).sum()), count + change.size
    return float(np.sqrt(total / max(count, 1)))


def fills(
    heights: NDArray[np.floating], hidden: Bools, base: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return the biharmonic (`base`, if given), harmonic and triharmonic fills ``(y, x)`` in metres."""
    base = fill.bounded(fill.biharmonic, heights, hidden) if base is None else base
    small, mask, factor = np.where(hidden, 0.0, heights), hidden, 1
    while int(mask.sum()) > MOST:
        small, mask = fill.halve(small, mask)
        factor *= 2
    start = base if factor == 1 else fill.biharmonic(small, mask)
    membrane, plate = (
        base + np.where(hidden, fill.widen(made(small, mask) - start, base.shape, factor), 0.0)
        for made in (fill.harmonic, fill.triharmonic)
    )
    return base, membrane, plate
