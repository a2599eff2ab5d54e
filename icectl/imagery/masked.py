"""Matching of chips of which only a part counts: normalised cross-correlation of masked images.

Where a glacier is narrower than a chip, the chip holds still ground whose texture may be stronger
than that of the ice, and the best match is then "it stood still". Masks leave such pixels out of
every sum, of chip and search window alike (Padfield 2012, Masked object registration in the Fourier
domain, equation 8; here by direct correlation, since the windows of a velocity are small).
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from icectl.arrays import F32, I64, Bools
from icectl.errors import DataError, UsageError
from icectl.imagery.correlation import NONE
from icectl.imagery.matching import Matches, joined, parabola, quality
from icectl.imagery.threads import in_threads

LEAST_SHARE = 0.25
"""Share of a chip that must count for it to be matched at all."""

LEAST_OVERLAP = 0.7
"""Share of a chip's own pixels that must meet pixels that count, for a position to be scored."""

BATCH = 256
"""Chips handed to a thread at once."""


def match_masked(
    reference: ArrayLike,
    moving: ArrayLike,
    masks: tuple[Bools, Bools],
    centres: ArrayLike,
    size: int,
    reach: int,
) -> Matches:
    """Find the masked chip around each centre in a masked scene.

    Parameters
    ----------
    reference, moving
        Scenes ``(rows, cols)`` of one shape, best with their local mean removed (`filters`).
    masks
        Pixels of either scene that count; NaN never does.
    centres
        ``(n, 2)`` integer rows and columns inside the scenes; a chip's top left corner lies
        ``size // 2`` before it. A chip may reach beyond the scene, where nothing counts.
    size, reach
        Width of the chips, and how far they are sought in every direction, in pixels.

    Raises
    ------
    UsageError
        If a chip or the reach is too small.
    DataError
        If the scenes differ in shape.
    """
    if size < 4 or reach < 1:
        raise UsageError(f"chips of {size} pixels sought {reach} pixels far", "use at least 4 and 1")
    a, b = (np.asarray(scene, np.float32) for scene in (reference, moving))
    if a.shape != b.shape or a.ndim != 2:
        raise DataError(
            f"scenes of shape {a.shape} and {b.shape} cannot be matched", "bring them to one grid"
        )
    border = reach + size
    first, second = (_framed(s, m, border) for s, m in zip((a, b), masks, strict=True))
    corners = np.asarray(centres, np.int64).reshape(-1, 2) - size // 2 + border

    def work(part: I64) -> Matches:
        scores = np.empty((len(part), 2 * reach + 1, 2 * reach + 1), np.float32)
        for i, (row, col) in enumerate(part.tolist()):
            chip = np.s_[row : row + size, col : col + size]
            window = np.s_[row - reach : row + size + reach, col - reach : col + size + reach]
            scores[i] = surface(first[0][chip], first[1][chip], second[0][window], second[1][window])
        return peaks(scores, reach)

    parts = np.array_split(corners, max(-(-len(corners) // BATCH), 1))
    return joined(in_threads(work, parts))


def surface(chip: F32, chip_mask: F32, window: F32, window_mask: F32) -> F32:
    """Score a masked chip at every position in a masked window.

    Masks are 0 or 1 and images 0 where they are 0. `NONE` where too little of the chip counts.
    """
    count = float(chip_mask.sum())
    shape = window.shape[0] - chip.shape[0] + 1, window.shape[1] - chip.shape[1] + 1
    if count < LEAST_SHARE * chip.size:
        return np.full(shape, NONE, np.float32)
    if count == chip.size and window_mask.all():
        return np.asarray(cv2.matchTemplate(window, chip, cv2.TM_CCOEFF_NORMED).clip(-1, 1))
    n, a, b, ab, aa, bb = (
        cv2.matchTemplate(w, c, cv2.TM_CCORR)
        for w, c in (
            (window_mask, chip_mask), (window_mask, chip), (window, chip_mask), (window, chip),
            (window_mask, chip * chip), (window * window, chip_mask),
        )
    )  # fmt: skip
    enough = n > LEAST_OVERLAP * count - 0.5
    n = np.maximum(n, 1)
    spread = np.maximum(aa - a * a / n, 0) * np.maximum(bb - b * b / n, 0)
    enough &= spread > 1e-10 * max(float((chip * chip).sum() * (window * window).max()), 1e-20)
    scores = (ab - a * b / n) / np.sqrt(np.where(enough, spread, 1))
    return np.asarray(np.where(enough, np.clip(scores, -1, 1), NONE), np.float32)


def _framed(scene: F32, mask: Bools, border: int) -> tuple[F32, F32]:
    """Set to 0 what does not count, and put a border of 0 around; also the mask as 0 and 1."""
    good = mask & np.isfinite(scene)
    filled = np.where(good, scene, np.float32(0))
    frame = (border,) * 4
    return tuple(  # type: ignore[return-value]
        np.asarray(cv2.copyMakeBorder(f, *frame, cv2.BORDER_CONSTANT, value=0))
        for f in (filled, good.astype(np.float32))
    )


def peaks(scores: F32, reach: int) -> Matches:
    """Return the best position of each chip; one at the border of its window is no peak.

    Parameters
    ----------
    scores
        ``(n, 2 reach + 1, 2 reach + 1)``, `NONE` where a position may not be used.
    """
    n, width = len(scores), 2 * reach + 1
    at = np.stack(np.divmod(scores.reshape(n, -1).argmax(axis=1), width), axis=1).astype(np.int64)
    peak = scores[np.arange(n), at[:, 0], at[:, 1]]
    found = (peak > NONE) & (at > 0).all(axis=1) & (at < width - 1).all(axis=1)
    inner = at.clip(1, width - 2)
    rows, cols = (inner[:, axis, None, None] + np.mgrid[-1:2, -1:2][axis] for axis in (0, 1))
    around = scores[np.arange(n)[:, None, None], rows, cols]
    shift = np.where(found[:, None], at - reach, 0)
    nan = np.where(found, 0, np.nan).astype(np.float32)
    snr, ratio = quality(scores, shift, peak, 1)
    subpixel = (shift + parabola(around) + nan[:, None]).astype(np.float32)
    return Matches(shift, subpixel, peak + nan, snr + nan, ratio + nan, found)
