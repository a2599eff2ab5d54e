"""Velocity of the ice from matched pairs of frames.

Cells on a regular grid are matched in every chosen pair of frames (`displacement`), the motion of stable
ground is removed, the pairs are averaged (`averaging`), and all is matched again in frames that the result
has brought together (`refining`). Years have 365 days, as in ITS_LIVE.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from icectl.arrays import F32, F64, I64, Bools
from icectl.errors import DataError
from icectl.tasks.flow.chips.frames import sound
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.velocity.averaging import AGREEMENT, YEAR, Mean, combine
from icectl.tasks.flow.velocity.confirm import believed, supporters
from icectl.tasks.flow.velocity.displacement import displace
from icectl.tasks.flow.velocity.refining import Pairs, refine

PIXEL_ERROR = 0.2
"""Error of one displacement in pixels where no stable ground tells it: a cautious figure for matching."""

LEAST_STABLE = 20
"""Cells of stable ground below which its motion is not trusted."""


@dataclass(frozen=True, slots=True)
class Velocity:
    """A velocity field on a grid of cells.

    Attributes
    ----------
    vx, vy
        ``(rows, cols)`` to the east and to the north, in metres (or pixels) per year.
    error
        ``(rows, cols)`` standard error of either component.
    count
        ``(rows, cols)`` pairs that contributed.
    chip
        ``(rows, cols)`` side of the chips that were matched in pixels; 0 where none was.
    corner
        Row and column of the pixel that the first cell is centred on.
    pairs
        ``(first, second)`` frames that were matched.
    layers
        ``(pairs, rows, cols, 2)`` what each pair says of vx and vy; NaN where nothing.
    layer_errors
        ``(pairs, rows, cols)`` standard error of either component in a pair: that of stable ground, with what
        the correlation there leaves open where it was matched again, else larger where chips are less alike.
    masked
        Cells left out since their pairs disagree, or since they are too fast.
    stable
        Mean offset removed from the pairs in pixels (rows, cols), or None.
    """

    vx: F64
    vy: F64
    error: F64
    count: I64
    chip: I64
    corner: int
    pairs: tuple[tuple[int, int], ...]
    layers: F64
    layer_errors: F64
    masked: int
    stable: tuple[float, float] | None


def measure(
    frames: F32,
    valid: Bools,
    cloud: Bools,
    ice: Bools | None,
    days: F32,
    steps: tuple[Any, Any],
    options: PredictOptions,
    tick: Callable[[], None] = lambda: None,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> Velocity:
    """Measure the velocity from frames ``(time, rows, cols)``; `steps` are the sides of a pixel across and
    down, numbers or one a cell.

    `tick` is called after each pair; `pairs` are matched in place of those that `options` choose.
    """
    ground = sound(valid)
    kinds = [ground] if ice is None else [ground & ice, ground & ~ice]
    cells = centres(frames.shape[1:], options)
    stable = None if ice is None else kinds[1][cells[..., 0], cells[..., 1]]
    pairs = choose_pairs(days, cloud, valid, options) if pairs is None else pairs
    count, shape = len(pairs), cells.shape[:2]
    spans, errors, offsets = np.zeros(count), np.zeros(count), np.zeros((count, 2))
    layers, likeness = np.full((count, *shape, 2), np.nan), np.zeros((count, *shape))
    chips = np.zeros((count, *shape), np.int64)
    for k, (first, second) in enumerate(pairs):
        seen = ground & ~cloud[first], ground & ~cloud[second]
        found = displace(frames[first], frames[second], seen, kinds, cells, options)
        offsets[k], errors[k] = _stable_motion(found.pixels, stable)
        spans[k] = days[second] - days[first]
        layers[k], likeness[k], chips[k] = found.pixels - offsets[k], found.weight, found.chip
        tick()
    per_year = YEAR / np.maximum(spans, 1e-9)
    mean = combine(
        layers * per_year[:, None, None, None], likeness, chips, (errors * per_year)[:, None, None], spans
    )
    velocity = layers * per_year[:, None, None, None]
    told_errors = _by_likeness(errors, likeness, stable) * per_year[:, None, None]
    if count:
        stack = Pairs(frames, ground & ~cloud, pairs, spans, offsets, errors)
        mean, again, again_errors = refine(stack, kinds[0], cells, mean, options, tick)
        anew = np.isfinite(again[..., 0])
        velocity = np.where(anew[..., None], again, velocity)
        told_errors = np.where(anew, again_errors, told_errors)
    known = count > 0 and stable is not None and int(stable.sum()) >= LEAST_STABLE
    scale = np.stack(np.broadcast_arrays(steps[0], -np.asarray(steps[1])), axis=-1)  # of vx and vy
    side = np.abs(scale).mean(axis=-1)
    field = np.stack([mean.right, mean.down], axis=-1) * scale
    told = velocity[..., ::-1] * scale
    keep = _kept(mean, velocity, spans, field, side, options)
    field[~keep] = np.nan
    lost = int((np.isfinite(mean.down) & ~keep).sum())
    return Velocity(
        vx=field[..., 0],
        vy=field[..., 1],
        error=np.where(keep, mean.error * side, np.nan),
        count=mean.count,
        chip=mean.chip,
        corner=options.velocity_chip // 2,
        pairs=tuple(pairs),
        layers=told,
        layer_errors=told_errors * side,
        masked=lost,
        stable=(float(offsets[:, 0].mean()), float(offsets[:, 1].mean())) if known else None,
    )


def _kept(mean: Mean, velocity: F64, spans: F64, field: F64, side: F64, options: PredictOptions) -> Bools:
    """Return the cells that are believed; `velocity` of the pairs is in pixels a year, `field` in metres."""
    if not len(spans):
        return np.isfinite(mean.down)
    support = supporters(velocity, np.stack([mean.down, mean.right], axis=-1), spans)
    slack = AGREEMENT * YEAR / max(float(spans.max()), 1e-6) * float(side.mean())
    return believed(field, support, slack, options.max_speed)


def centres(shape: tuple[int, ...], options: PredictOptions) -> I64:
    """Return the cells' pixels ``(rows, cols, 2)`` on a grid that holds whole chips of the smallest size.

    DataError: if the frames are smaller than one chip.
    """
    size = options.velocity_chip
    if size > min(shape):
        raise DataError(
            f"velocity chips of {size} pixels do not fit into frames of {shape[0]} × {shape[1]}",
            f"use --velocity-chip {max(min(shape) // 4, 8)} or less",
        )
    rows, cols = (np.arange(size // 2, n - size + size // 2 + 1, options.spacing) for n in shape)
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), -1)


def _stable_motion(d: F64, stable: Bools | None) -> tuple[F64, float]:
    """Return the median motion of stable ground and its spread (1.4826 MAD), in pixels."""
    if stable is None:
        return np.zeros(2), PIXEL_ERROR
    still = d[stable & np.isfinite(d[..., 0])]
    if len(still) < LEAST_STABLE:
        return np.zeros(2), PIXEL_ERROR
    offset = np.median(still, axis=0)
    return offset, float(1.4826 * np.median(np.abs(still - offset)))


def _by_likeness(errors: F64, likeness: F64, stable: Bools | None) -> F64:
    """Return errors ``(pairs, rows, cols)`` from those ``(pairs,)`` of stable ground, by how alike chips are.

    The variance of a displacement is inverse to ρ² / (1 − ρ²), `likeness`; NaN where there is none.
    """
    scale = np.ones_like(likeness)
    for k, one in enumerate(likeness):
        still = one[stable & (one > 0)] if stable is not None else one[:0]
        if still.size >= LEAST_STABLE:
            scale[k] = np.sqrt(np.median(still) / np.where(one > 0, one, np.nan))
    return errors[:, None, None] * scale


SPREAD = 0.5
"""How far the span of a chosen pair may lie from what is aimed at (natural logarithm)."""


def choose_pairs(days: F32, cloud: Bools, valid: Bools, options: PredictOptions) -> list[tuple[int, int]]:
    """Choose pairs of frames of all spans, from the shortest to the longest, the clearest of each.

    Slow ice needs long spans to move at all; fast ice is strained beyond recognition over them, and needs
    the steps between for its displacement to be followed up.
    """
    spans: dict[tuple[int, int], tuple[float, float]] = {}
    for i in range(len(days)):
        for j in range(i + 1, len(days)):
            span = float(days[j] - days[i])
            if options.shortest <= span <= options.longest:
                both = valid[i] & valid[j]
                clear = float((both & ~cloud[i] & ~cloud[j]).sum()) / max(float(both.sum()), 1.0)
                spans[i, j] = clear**2, span
    if not spans:
        return []
    lengths = [span for _, span in spans.values()]
    chosen: list[tuple[int, int]] = []
    for aim in np.geomspace(max(lengths), min(lengths), min(options.pairs, len(spans))).tolist():
        fit = {
            p: clear * np.exp(-((np.log(span / aim) / SPREAD) ** 2))
            for p, (clear, span) in spans.items()
            if p not in chosen
        }
        chosen.append(max(fit, key=lambda p: (fit[p], p)))
    return sorted(chosen, key=lambda p: (spans[p][1], p))
