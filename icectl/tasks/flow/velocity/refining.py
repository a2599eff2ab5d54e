"""Velocities measured again in frames that the first estimate has brought together.

Square chips see a mean over their width, which is low in the middle of a narrow tongue; and over long
spans sheared ice no longer looks like itself, so that the fastest is measured over short spans alone, in
which still light holds it back. Both frames of a pair are therefore deformed by half of the displacement
that is known so far, and matched again (`icectl.imagery.deform`); what is found is added. A
displacement then also belongs to the place half-way, not to where the chip started.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from icectl.arrays import F32, F64, I64, Bools
from icectl.imagery.coherence import emphasise
from icectl.imagery.deform import deform, match_aligned
from icectl.imagery.filters import wallis
from icectl.imagery.missing import nearest
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.velocity.averaging import YEAR, Mean, combine
from icectl.tasks.flow.velocity.confirm import coherent, median
from icectl.tasks.flow.velocity.displacement import FILTER_WIDTH, likeness
from icectl.tasks.flow.velocity.smoothing import calm, rough

PASSES = 2
"""More passes gain little more, and their noise adds up."""

WIDE = 21
"""Width of the filter in pixels before frequencies are weighed: they choose among longer waves too."""

REACH = 2
"""Pixels that what is left is sought in every direction."""

SLACK = 0.5
"""Pixels over the longest span that a cell may differ from its neighbours whatever they say."""


WORSE = 1.5
"""How many times larger the error may be than before, for what was measured again to be taken."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of frames, and what is known of each.

    Attributes
    ----------
    frames, seen
        ``(time, rows, cols)`` values, and the pixels that are valid and not hidden.
    pairs
        ``(first, second)`` frames.
    spans
        ``(pairs,)`` days.
    offsets, errors
        ``(pairs, 2)`` motion of stable ground, and ``(pairs,)`` error of a displacement by it, in pixels.
    """

    frames: F32
    seen: Bools
    pairs: Sequence[tuple[int, int]]
    spans: F64
    offsets: F64
    errors: F64


def refine(
    stack: Pairs, kind: Bools, cells: I64, mean: Mean, options: PredictOptions, tick: Callable[[], None]
) -> tuple[Mean, F64, F64]:
    """Measure the velocities on the pixels `kind` again; also each pair's, in pixels a year, and its error.

    Parameters
    ----------
    cells
        ``(rows, cols, 2)`` the cells' pixels.
    mean
        What the pairs told so far; it stays where nothing new is found, or with a much larger error, and
        off `kind`.
    tick
        Called after each pair and pass.
    """
    own = kind[cells[..., 0], cells[..., 1]]
    known = own & np.isfinite(mean.down)
    if not known.any():
        nothing = np.full((len(stack.pairs), *cells.shape), np.nan)
        return mean, nothing, nothing[..., 0]
    sigma = options.velocity_chip / np.sqrt(12)  # a Gaussian as wide as the square: equal second moments
    finer = max(round(2 * options.spacing / options.velocity_chip), 1)
    places = _places(cells, finer, options.spacing)
    slack = SLACK * YEAR / max(float(stack.spans.max()), 1.0)
    at = tuple(np.moveaxis(places, -1, 0))
    inside = kind[at]
    field = _everywhere(_soothed(_vector(mean), known, slack), known, cells, kind.shape, 0.0)
    masks = {frame: stack.seen[frame] & kind for frame in {f for pair in stack.pairs for f in pair}}
    shown = {frame: (wallis(stack.frames[frame], WIDE, mask), mask) for frame, mask in masks.items()}
    for _ in range(PASSES):
        layers, weights, errors = [], [], []
        for k in range(len(stack.pairs)):
            layer, weight, error = _again(stack, k, shown, inside, field, places, sigma, options)
            layers.append(layer)
            weights.append(weight)
            errors.append(error)
            tick()
        pairs = stack, np.stack(layers), np.stack(weights)
        found = _settle(_average(*pairs, np.stack(errors), options), sigma, options.spacing / finer)
        better = np.isfinite(found.down)[..., None]
        values = np.where(better, _vector(found), field[at])
        field = _everywhere(_soothed(values, inside, slack), inside, places, kind.shape, sigma)
    per_year = YEAR / np.maximum(stack.spans, 1e-9)
    again = np.stack(layers)[:, ::finer, ::finer] * per_year[:, None, None, None]
    own_error = np.hypot(np.stack(errors)[:, ::finer, ::finer], stack.errors[:, None, None])
    comparable = _average(*pairs, stack.errors[:, None, None], options).error  # as that of `mean`
    return _merge(found, mean, finer, comparable), again, own_error * per_year[:, None, None]


def _places(cells: I64, finer: int, spacing: int) -> I64:
    """Return the cells with `finer` − 1 places between neighbours, ``(rows, cols, 2)``."""
    axes = []
    for first, count in zip(cells[0, 0], cells.shape[:2], strict=True):
        axes.append(np.rint(first + np.arange((count - 1) * finer + 1) * spacing / finer).astype(np.int64))
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def _vector(mean: Mean) -> F64:
    return np.stack([mean.down, mean.right], axis=-1)


def _soothed(values: F64, known: Bools, slack: float) -> F64:
    """Put the median of eight neighbours where a cell is an outlier among them: it would lead them astray.

    The normalised median test (Westerweel and Scarano 2005, doi:10.1007/s00348-005-0016-6).
    """
    padded = np.pad(
        np.where(known[..., None], values, np.nan), ((1, 1), (1, 1), (0, 0)), constant_values=np.nan
    )
    near = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    near = np.delete(near.reshape(*values.shape, 9), 4, axis=-1)
    middle = median(near)
    spread = median(np.abs(near - middle[..., None]))
    off = np.any(np.abs(values - middle) > 2 * (spread + slack), axis=-1, keepdims=True)
    return np.where(off, middle, values)


def _everywhere(values: F64, known: Bools, places: I64, shape: tuple[int, ...], sigma: float) -> F32:
    """Return a field at all pixels ``(rows, cols, 2)``: nearest where unknown, smooth, linear between."""
    filled = nearest(values, known).astype(np.float32)
    steps = [(line[-1] - line[0]) / max(len(line) - 1, 1) for line in (places[:, 0, 0], places[0, :, 1])]
    steps = [max(float(step), 1.0) for step in steps]
    if sigma > 0:
        filled = cv2.GaussianBlur(
            filled, (0, 0), sigma / steps[1], sigmaY=sigma / steps[0], borderType=cv2.BORDER_REPLICATE
        )
    rows, cols = (
        ((np.arange(n) - first) / step).astype(np.float32)
        for n, first, step in zip(shape, places[0, 0], steps, strict=True)
    )
    there = np.tile(cols, (len(rows), 1)), np.repeat(rows[:, None], len(cols), axis=1)
    return np.asarray(cv2.remap(filled, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _again(
    stack: Pairs,
    k: int,
    shown: Mapping[int, tuple[F32, Bools]],
    own: Bools,
    field: F32,
    places: I64,
    sigma: float,
    options: PredictOptions,
) -> tuple[F64, F64, F64]:
    """Match pair `k` again: displacements less the ground's motion ``(rows, cols, 2)``, weights and errors.

    `shown` holds the filtered frames and their masks, `own` says which places are measured.
    """
    at = tuple(np.moveaxis(places, -1, 0))
    moved = field * np.float32(stack.spans[k] / YEAR) + stack.offsets[k].astype(np.float32)
    images, both = zip(
        *(deform(*shown[f], part * moved) for f, part in zip(stack.pairs[k], (-0.5, 0.5), strict=True)),
        strict=True,
    )
    moved = moved[at]
    images, variance = emphasise(images, both)
    first, second = (wallis(image, FILTER_WIDTH, mask) for image, mask in zip(images, both, strict=True))
    del images
    found = match_aligned(first, second, both, places[own], sigma, REACH)
    left = np.full((*own.shape, 2), np.nan)
    left[own] = found.subpixel
    wrong = ~coherent(left[..., 0], left[..., 1], float(options.velocity_reach), own)
    left[wrong] = np.nan
    weight = np.zeros(own.shape)
    weight[own] = likeness(found.score)
    weight[wrong] = 0
    shared = likeness(np.array([_correlation(first, second, both)], np.float32))[0]
    variance *= shared / (4 * np.pi * sigma**2)  # pixels under a Gaussian: (∫w)² / ∫w²
    error = np.sqrt(variance / np.where(weight > 0, weight, np.inf))
    return left + moved - stack.offsets[k], weight, error


def _correlation(first: F32, second: F32, masks: tuple[Bools, Bools]) -> float:
    """Return the correlation of two images of mean 0 where both count."""
    a, b = (image[masks[0] & masks[1]] for image in (first, second))
    return float((a * b).sum() / np.sqrt(max(float((a * a).sum() * (b * b).sum()), 1e-30)))


def _average(stack: Pairs, layers: F64, weights: F64, errors: F64, options: PredictOptions) -> Mean:
    """Average the pairs, in pixels a year."""
    per_year = YEAR / np.maximum(stack.spans, 1e-9)
    chips = np.where(weights > 0, options.velocity_chip, 0)
    velocity = layers * per_year[:, None, None, None]
    return combine(velocity, weights, chips, errors * per_year[:, None, None], stack.spans)


def _settle(found: Mean, sigma: float, step: float) -> Mean:
    """Take noise out where it outweighs what the ice does, and tell errors by the neighbours too.

    `sigma`, `step`: width of the chips' Gaussian, and pixels between the places. Neighbours half a chip apart
    widen the Gaussian to twice its width; noises of chips d pixels apart correlate by exp(−d² / 4σ²).
    """
    half = np.sqrt(3) * sigma
    values, left = calm(_vector(found), found.error, half / step, sigma / step)
    lag = max(round(half / step), 1)
    alike = np.exp(-((np.array([1, 2]) * lag * step) ** 2) / (4 * sigma**2))
    error = np.fmax(left, rough(values, lag, alike))
    return replace(found, down=values[..., 0], right=values[..., 1], error=error)


def _merge(found: Mean, mean: Mean, finer: int, error: F64) -> Mean:
    """Take what was found at the cells, and what was known before elsewhere.

    `error`: that of what was found, reckoned as that of `mean` was.
    """
    better = np.isfinite(found.down[::finer, ::finer]) & (error[::finer, ::finer] <= WORSE * mean.error)
    both = ((getattr(found, f.name)[::finer, ::finer], getattr(mean, f.name)) for f in fields(Mean))
    return Mean(*(np.where(better, new, old) for new, old in both))
