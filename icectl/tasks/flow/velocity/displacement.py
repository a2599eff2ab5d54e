"""Displacements between two frames on a regular grid of cells, with chips that grow where small ones fail.

As in autoRIFT (nasa-jpl/autoRIFT; Gardner et al. 2018; Lei et al. 2021): images are filtered so that
local contrast weighs alike everywhere, the smallest chips are matched first, outliers are rejected, and
what was rejected is tried again with chips twice as wide. Beyond that, a chip holds only pixels of its own
kind (ice, or ground off the ice), since valley walls that stand still have the stronger texture.
"""

from dataclasses import dataclass

import numpy as np

from icectl.arrays import F32, F64, I64, Bools
from icectl.imagery.filters import wallis
from icectl.imagery.masked import match_masked
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.velocity.confirm import coherent

FILTER_WIDTH = 5
"""autoRIFT's width of the Wallis filter in pixels: by it a bright wall weighs no more than dull ice."""

SIZES = 3
"""Sizes of chips that are tried, doubling from the smallest."""


@dataclass(frozen=True, slots=True)
class Displacement:
    """What one pair of frames tells on a grid of cells.

    Attributes
    ----------
    pixels
        ``(rows, cols, 2)`` rows down and columns right; NaN where nothing coherent was found.
    chip
        ``(rows, cols)`` side of the chip that found it in pixels; 0 where none did.
    weight
        ``(rows, cols)`` ρ² / (1 − ρ²) of its correlation ρ, which the variance of a displacement is inverse
        to (Cramér-Rao bound of two images with independent noise); 0 where nothing was found.
    """

    pixels: F64
    chip: I64
    weight: F64


def chip_sizes(options: PredictOptions) -> list[int]:
    """Return the sides of chips to try, doubling from the smallest."""
    return [options.velocity_chip * 2**i for i in range(SIZES)]


def displace(
    first: F32,
    second: F32,
    seen: tuple[Bools, Bools],
    kinds: list[Bools],
    centres: I64,
    options: PredictOptions,
) -> Displacement:
    """Match two frames ``(rows, cols)``.

    Parameters
    ----------
    seen
        Pixels of either frame that are valid and not hidden by cloud.
    kinds
        Masks that part the ground; a cell is matched among the pixels of the kind of its centre.
    centres
        ``(rows, cols, 2)`` the cells' pixels.
    """
    shape = centres.shape[:2]
    found = Displacement(np.full((*shape, 2), np.nan), np.zeros(shape, np.int64), np.zeros(shape))
    for kind in kinds:
        own = kind[centres[..., 0], centres[..., 1]]
        masks = seen[0] & kind, seen[1] & kind
        images = [
            wallis(image, FILTER_WIDTH, mask) for image, mask in zip((first, second), masks, strict=True)
        ]
        _grow(found, images, masks, centres, own, options)
    return found


def _grow(
    into: Displacement,
    images: list[F32],
    masks: tuple[Bools, Bools],
    centres: I64,
    own: Bools,
    options: PredictOptions,
) -> None:
    """Match the cells `own` with growing chips."""
    pixels, chip, weight = into.pixels, into.chip, into.weight
    reach = options.velocity_reach
    for size in chip_sizes(options):
        todo = own & ~np.isfinite(pixels[..., 0])
        if not todo.any():
            return
        found = match_masked(images[0], images[1], masks, centres[todo], size, reach)
        pixels[todo] = found.subpixel
        wrong = own & ~coherent(pixels[..., 0], pixels[..., 1], float(reach), own)
        pixels[wrong] = np.nan
        kept = np.isfinite(pixels[todo, 0])
        chip[todo], weight[todo] = size * kept, kept * likeness(found.score)
        chip[wrong], weight[wrong] = 0, 0


def likeness(score: F32) -> F64:
    """ρ² / (1 − ρ²) of correlations ρ, above 0 and finite."""
    square = np.clip(np.nan_to_num(score.astype(np.float64)), 0, 0.99) ** 2
    return np.asarray(np.maximum(square, 1e-4) / (1 - square))
