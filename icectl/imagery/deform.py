"""Matching of frames that have been brought together first, so that only a small shift is left.

Ice that is sheared or stretched looks less and less like itself, and the match of a square chip is then
a mean over speeds that differ. If both frames are first deformed by half of what is known of the
motion, one forwards and one backwards, what is left to match is small and the same over the chip: iterative
image deformation (Scarano 2002, doi:10.1088/0957-0233/13/1/201). Chips weigh their pixels by a Gaussian,
whose response has no negative lobes at short wavelengths, at which square chips make the iteration grow
what it should remove (Astarita 2007, doi:10.1007/s00348-007-0314-2).
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from icectl.arrays import F32, I64, Bools
from icectl.errors import UsageError
from icectl.imagery.correlation import NONE
from icectl.imagery.masked import LEAST_OVERLAP, LEAST_SHARE, peaks
from icectl.imagery.matching import Matches, joined
from icectl.imagery.strips import PIXELS, in_strips
from icectl.imagery.threads import in_threads


def deform(image: F32, mask: Bools, shift: F32) -> tuple[F32, Bools]:
    """Take each pixel from where `shift` points to.

    Parameters
    ----------
    image, mask
        ``(rows, cols)``, and the pixels of it that count.
    shift
        ``(rows, cols, 2)`` pixels down and right, from each pixel to where its value is taken.

    Returns
    -------
    Image and mask, 0 and False where the value would come from beyond the scene.
    """
    rows, share = np.arange(len(image), dtype=np.float32)[:, None], mask.astype(np.float32)
    border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": 0}

    def take(shift: F32, rows: F32) -> tuple[F32, Bools]:
        cols = np.arange(shift.shape[1], dtype=np.float32)
        there = np.float32(cols + shift[..., 1]), np.float32(rows + shift[..., 0])
        values = cv2.remap(image, *there, cv2.INTER_LANCZOS4, **border)
        return np.asarray(values), np.asarray(cv2.remap(share, *there, cv2.INTER_LINEAR, **border) > 0.5)

    values, counts = in_strips(take, shift, rows, halo=0)
    return values, counts


def match_aligned(
    reference: ArrayLike, moving: ArrayLike, masks: tuple[Bools, Bools], at: I64, sigma: float, reach: int
) -> Matches:
    """Find the small shift that is left between two frames at each of n places.

    The masked correlation of `icectl.imagery.masked`, its pixels weighed by a Gaussian around each place;
    every sum is one blur of a strip of the scene, so that a dense grid of places costs little more than one.

    Parameters
    ----------
    reference, moving
        Scenes ``(rows, cols)`` of one shape, best with their local mean removed (`filters`).
    masks
        Pixels of either scene that count.
    at
        ``(n, 2)`` rows and columns, best in the order of their rows.
    sigma, reach
        Width of the Gaussian, and how far is searched in every direction, in pixels.
    """
    if not sigma > 0 or reach < 1:
        raise UsageError(f"weights {sigma} pixels wide, sought {reach} pixels far", "use more than 0 and 1")
    scenes = np.asarray(reference, np.float32), np.asarray(moving, np.float32)
    strips = np.array_split(at, max(min(masks[0].size // PIXELS, len(at)), 1))
    return joined(in_threads(lambda part: _aligned(scenes, masks, part, sigma, reach), strips))


def _aligned(
    scenes: tuple[F32, F32], masks: tuple[Bools, Bools], at: I64, sigma: float, reach: int
) -> Matches:
    """Match at places that lie near each other."""
    width, half = 2 * reach + 1, int(np.ceil(3 * sigma))
    first = np.maximum(at.min(axis=0, initial=2**31) - half - reach, 0)
    near = tuple(
        slice(a, b + half + reach + 1) for a, b in zip(first, at.max(axis=0, initial=0), strict=True)
    )
    counts, others = (mask[near].astype(np.float32) for mask in masks)
    a, b = (np.where(m[near], s[near], np.float32(0)) for s, m in zip(scenes, masks, strict=True))
    rows, cols = (at - first).T
    side = 2 * half + 1

    def around(image: F32) -> F32:
        blurred = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(blurred[rows, cols])

    own, squares = around(counts), a * a
    floor = 1e-10 * max(float(squares.max(initial=0) * (b * b).max(initial=0)), 1e-20)
    wide, wider = (
        cv2.copyMakeBorder(f, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0) for f in (b, others)
    )
    scores = np.full((len(at), width, width), NONE, np.float32)
    for down, right in np.ndindex(width, width):
        part = np.s_[down : down + a.shape[0], right : right + a.shape[1]]
        there, mask = wide[part], wider[part]
        n, own_sum, other_sum, product = (
            around(f) for f in (counts * mask, a * mask, counts * there, a * there)
        )
        enough = (own > LEAST_SHARE) & (n > LEAST_OVERLAP * own)
        n = np.maximum(n, 1e-6)
        spread = np.maximum(around(squares * mask) - own_sum**2 / n, 0)
        spread = spread * np.maximum(around(counts * there * there) - other_sum**2 / n, 0)
        enough &= spread > floor
        score = (product - own_sum * other_sum / n) / np.sqrt(np.where(enough, spread, 1))
        scores[:, down, right] = np.where(enough, score.clip(-1, 1), NONE)
    return peaks(scores, reach)
