"""Alignment of scenes by the enhanced correlation coefficient (Evangelidis and Psarakis 2008).

Müller 2023, section 3, aligns each scene to the temporal mean by a homography. Here the default
reference is the temporal median, every scene starts from the identity, missing pixels take no part,
and a scene on which the iteration does not converge is kept as it was and says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from icectl.arrays import F32, F64, U8, Bools
from icectl.errors import UsageError

Motion = Literal["homography", "translation"]
Reference = Literal["median", "mean"]

_MOTIONS = {"homography": cv2.MOTION_HOMOGRAPHY, "translation": cv2.MOTION_TRANSLATION}

ITERATIONS, GAIN = 10_000, 1e-4
"""The iteration stops after so many, or when the correlation grows by less (the paper's values)."""

MAX_SHIFT: dict[Motion, float] = {"homography": 50.0, "translation": 3.0}
"""Corners that move by more pixels mean that the iteration ran away, or followed a snow line: scenes on one
grid are off by a pixel or two."""

_BATCH = 50
_GREEN_WEIGHT = 0.114  # OpenCV's weight of blue: the paper stacks (green, swir, swir) as BGR


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What came out for one scene.

    Attributes
    ----------
    matrix
        3×3 homography from reference pixels to scene pixels (x, y); the identity if not aligned.
    correlation
        Enhanced correlation coefficient reached, −1 to 1; NaN if the iteration failed.
    before
        The same without any alignment.
    reason
        Why the scene was kept unaligned; empty if it was aligned.
    """

    matrix: F64
    correlation: float
    before: float
    reason: str = ""

    @property
    def aligned(self) -> bool:
        """Whether the scene is to be warped."""
        return not self.reason


def grey(green: F32, swir16: F32) -> F32:
    """Return the one-band image that is aligned: 0.114 green + 0.886 short-wave infrared."""
    return np.asarray(_GREEN_WEIGHT * green + (1 - _GREEN_WEIGHT) * swir16, dtype=np.float32)


def reference_image(
    read: Callable[[int, slice], F32],
    count: int,
    shape: tuple[int, int],
    kind: Reference = "median",
    strip: int = 256,
) -> F32:
    """Return the image that scenes are aligned to, from `count` grey scenes read strip by strip.

    ``"median"`` is the temporal median over valid scenes; ``"mean"`` is the paper's temporal mean
    smoothed by a 3×3 median filter. NaN where no scene is valid.
    """
    if kind not in ("median", "mean"):
        raise UsageError(f"'{kind}' is no alignment reference", "known: mean, median")
    result = np.full(shape, np.nan, dtype=np.float32)
    for top in range(0, shape[0], strip):
        rows = slice(top, min(top + strip, shape[0]))
        stack = np.stack([read(i, rows) for i in range(count)])
        seen = ~np.isnan(stack).all(axis=0)
        reduce = np.nanmedian if kind == "median" else np.nanmean
        result[rows][seen] = reduce(stack[:, seen], axis=0)
    if kind == "mean":
        holes = np.isnan(result)
        result = cv2.medianBlur(np.where(holes, np.float32(0), result), 3)
        result[holes] = np.nan
    return result


def estimate(reference: F32, scene: F32, motion: Motion = "homography") -> Alignment:
    """Find the warp that lays `scene` onto `reference`.

    Parameters
    ----------
    reference, scene
        Grey images of one shape; NaN pixels of either take no part.
    motion
        Family of warps.

    Returns
    -------
    An `Alignment`; it never raises for images that cannot be aligned.

    Raises
    ------
    UsageError
        For an unknown `motion`.
    """
    if motion not in _MOTIONS:
        raise UsageError(f"no alignment by motion '{motion}'", f"known: {', '.join(_MOTIONS)}")
    unit = np.eye(3)
    valid = ~(np.isnan(reference) | np.isnan(scene))
    if valid.sum() < 0.01 * valid.size or min(np.ptp(reference[valid]), np.ptp(scene[valid])) == 0:
        return Alignment(matrix=unit, correlation=np.nan, before=np.nan, reason="too little common ground")
    template, moving, mask = _plain(reference), _plain(scene), valid.astype(np.uint8)
    before = _correlation(template, moving, valid)
    found = _iterate(template, moving, mask, motion)
    if found is None:
        return Alignment(
            matrix=unit, correlation=np.nan, before=before, reason="the iteration did not converge"
        )
    reached, matrix = found
    reason = _refusal(matrix, reached, before, reference.shape, MAX_SHIFT[motion])
    return Alignment(
        matrix=unit if reason else matrix, correlation=float(reached), before=before, reason=reason
    )


def _iterate(template: F32, moving: F32, mask: U8, motion: Motion) -> tuple[float, F64] | None:
    """Run the iteration in batches and return the best correlation and its 3×3 warp, or None.

    OpenCV samples at 1/32 pixel, so near a whole-pixel shift the iteration can swing between two
    warps for ever and end on the worse one. A batch that gains less than `GAIN` ends it.
    """
    rows = 3 if motion == "homography" else 2
    warp, best = np.eye(rows, 3, dtype=np.float32), None
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _BATCH, GAIN)
    for _ in range(ITERATIONS // _BATCH):
        try:
            reached, warp = cv2.findTransformECC(
                template, moving, warp.copy(), _MOTIONS[motion], criteria, mask, 1
            )
        except cv2.error:
            break
        gain = reached - best[0] if best else np.inf
        if gain > 0:
            full = np.vstack([warp, [0, 0, 1]]) if rows == 2 else warp
            best = (float(reached), np.asarray(full, dtype=np.float64))
        if gain < GAIN:
            break
    return best


def _refusal(matrix: F64, reached: float, before: float, shape: tuple[int, ...], limit: float) -> str:
    """Return why a warp is not to be trusted, or an empty string."""
    corners = np.array([[[0, 0], [shape[1], 0], [0, shape[0]], [shape[1], shape[0]]]], dtype=np.float64)
    moved = cv2.perspectiveTransform(corners, matrix)
    shift = float(np.abs(moved - corners).max())
    if not np.isfinite(shift) or shift > limit:
        return f"the warp moves a corner by {shift:.0f} px, more than {limit:.0f}"
    if reached < before - 1e-3:
        return f"the correlation fell from {before:.3f} to {reached:.3f}"
    return ""


def _plain(image: F32) -> F32:
    """Return the image without NaN: its own median stands in (those pixels are masked anyway)."""
    return np.where(np.isnan(image), np.float32(np.nanmedian(image)), image)


def _correlation(a: F32, b: F32, valid: Bools) -> float:
    """Return the zero-mean correlation over the valid pixels."""
    x, y = a[valid] - a[valid].mean(dtype=np.float64), b[valid] - b[valid].mean(dtype=np.float64)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def warp(image: F32, alignment: Alignment) -> F32:
    """Return `image` laid onto the reference (bilinear over valid pixels only).

    A pixel of which less than half the weight is valid becomes missing; so does what comes from
    outside the image.
    """
    if not alignment.aligned:
        return image.copy()
    valid = ~np.isnan(image)
    weights = _warp(valid.astype(np.float32), alignment.matrix)
    values = _warp(np.where(valid, image, np.float32(0)), alignment.matrix)
    enough = weights > 0.499
    return np.where(enough, values / np.where(enough, weights, 1), np.float32(np.nan)).astype(np.float32)


def warp_mask(mask: Bools, alignment: Alignment) -> Bools:
    """Return a boolean layer laid onto the reference: True where any True pixel contributes."""
    if not alignment.aligned:
        return mask.copy()
    return np.asarray(_warp(mask.astype(np.float32), alignment.matrix) > 1e-6)


def _warp(image: F32, matrix: F64) -> F32:
    """Sample `image` at the scene pixel of every reference pixel; zero outside."""
    size = (image.shape[1], image.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(image, matrix, size, flags=flags), dtype=np.float32)
