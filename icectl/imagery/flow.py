"""Optical flow between two frames: Farnebäck 2003 and DIS (Kroeger et al. 2016), through OpenCV.

Both expect grey values of 0 to 255. On values in [0, 1] OpenCV's Farnebäck returns zero flow and no
error, so frames are always scaled first, both by one common range.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from icectl.errors import DataError, UsageError
from icectl.imagery.missing import FloatImage

Method = Literal["farneback", "dis"]
ARROW_STEP = 40
"""Pixels between arrows (Müller 2023, figure 3)."""


class Arrows(NamedTuple):
    """Arrows for a map, in pixels: where they stand (column x, row y) and where they point."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    dx: npt.NDArray[np.float32]
    dy: npt.NDArray[np.float32]


def to_bytes(
    *frames: FloatImage, low: float | None = None, high: float | None = None
) -> list[npt.NDArray[np.uint8]]:
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


def optical_flow(
    first: FloatImage,
    second: FloatImage,
    method: Method = "farneback",
    low: float | None = None,
    high: float | None = None,
) -> FloatImage:
    """Return how the picture moves from `first` to `second`.

    Parameters
    ----------
    first, second
        ``(rows, columns)`` in any unit; NaN where missing.
    method
        ``"farneback"`` with the paper's values (pyramid 0.5, 6 levels, window 13, 10 iterations,
        polynomials over 5 pixels, σ 1.1), or ``"dis"`` (medium preset), some four times faster.
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
    UsageError
        For an unknown method.
    """
    if first.shape != second.shape or min(first.shape) < 16:
        raise DataError(
            f"no flow between frames of {first.shape} and {second.shape} pixels",
            "both need one shape of at least 16×16",
        )
    a, b = to_bytes(first, second, low=low, high=high)
    if method == "farneback":
        flow = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 6, 13, 10, 5, 1.1, 0)  # type: ignore[call-overload,unused-ignore]
    elif method == "dis":
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None)
    else:
        raise UsageError(f"'{method}' is no optical flow", "known: dis, farneback")
    result = np.asarray(flow, dtype=np.float32)
    result[np.isnan(first) | np.isnan(second)] = np.nan
    return result


def arrows(flow: FloatImage, step: int = ARROW_STEP) -> Arrows:
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
