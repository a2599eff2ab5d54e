"""Optical flow between two frames: Farnebäck 2003, through OpenCV.

It expects grey values of 0 to 255. On values in [0, 1] OpenCV returns zero flow and no error, so frames are
always scaled first, both by one common range.
"""

from typing import NamedTuple

import cv2
import numpy as np

from icectl.arrays import F32, U8
from icectl.errors import DataError, UsageError

ARROW_STEP = 40
"""Pixels between arrows (Müller 2023, figure 3)."""


class Arrows(NamedTuple):
    """Arrows for a map, in pixels: where they stand (column x, row y) and where they point."""

    x: F32
    y: F32
    dx: F32
    dy: F32


def to_bytes(*frames: F32, low: float | None = None, high: float | None = None) -> list[U8]:
    """Scale frames to 0–255 by one common range; missing pixels become the lower end.

    Parameters
    ----------
    low, high
        The range; without them the lowest and highest valid value of all frames.
    """
    finite = [f[np.isfinite(f)] for f in frames]
    if not any(f.size for f in finite):
        return [np.zeros(f.shape, np.uint8) for f in frames]
    bottom = min(float(f.min()) for f in finite if f.size) if low is None else low
    top = max(float(f.max()) for f in finite if f.size) if high is None else high
    gain = 255.0 / (top - bottom) if top > bottom else 0.0
    scaled = (np.clip((np.nan_to_num(f, nan=bottom) - bottom) * gain, 0, 255) for f in frames)
    return [np.rint(f).astype(np.uint8) for f in scaled]


def optical_flow(first: F32, second: F32, low: float | None = None, high: float | None = None) -> F32:
    """Return how the picture moves from `first` to `second`, with the values of Müller 2023.

    They are a pyramid of 0.5 in 6 levels, a window of 13, 10 iterations, polynomials over 5 pixels, σ 1.1.

    Parameters
    ----------
    first, second
        ``(rows, columns)`` in any unit; NaN where missing.
    low, high
        Range that is scaled to 0–255; by default what the two frames hold.

    Returns
    -------
    ``(rows, columns, 2)`` float32: displacement in pixels to the right and *down*; NaN where either
    frame is missing.

    Raises
    ------
    DataError
        If the frames differ in shape or are under 16 pixels on a side.
    """
    if first.shape != second.shape or min(first.shape) < 16:
        raise DataError(
            f"no flow between frames of {first.shape} and {second.shape} pixels",
            "both need one shape of at least 16×16",
        )
    a, b = to_bytes(first, second, low=low, high=high)
    flow = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 6, 13, 10, 5, 1.1, 0)  # type: ignore[call-overload,unused-ignore]
    result = np.asarray(flow, dtype=np.float32)
    result[np.isnan(first) | np.isnan(second)] = np.nan
    return result


def arrows(flow: F32, step: int = ARROW_STEP) -> Arrows:
    """Return one arrow every `step` pixels: the mean flow of its cell.

    Cells without a valid pixel carry no arrow.
    """
    if step < 1:
        raise UsageError(f"arrows every {step} px are not possible", "use 1 or more")
    rows, columns = flow.shape[:2]
    found: list[tuple[float, float, float, float]] = []
    for top in range(0, max(rows - step // 2, 1), step):
        for left in range(0, max(columns - step // 2, 1), step):
            cell = flow[top : top + step, left : left + step].reshape(-1, 2)
            valid = cell[~np.isnan(cell).any(axis=1)]
            if len(valid):
                dx, dy = valid.mean(axis=0)
                height, width = flow[top : top + step, left : left + step].shape[:2]
                found.append((left + (width - 1) / 2, top + (height - 1) / 2, float(dx), float(dy)))
    table = np.asarray(found, dtype=np.float32).reshape(-1, 4)
    return Arrows(table[:, 0], table[:, 1], table[:, 2], table[:, 3])
