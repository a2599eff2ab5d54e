"""Velocity of the ice from matched pairs of frames.

Chips on a regular grid are matched in every chosen pair of frames, outliers are filtered, the
motion of stable ground is removed, and the pairs are averaged with weights of time² (the error of a
pair's velocity falls with its time span). Years have 365 days, as in ITS_LIVE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icectl.imagery.chips import startable
from icectl.imagery.filters import local_mean
from icectl.imagery.matching import match_chips, search_radius, texture
from icectl.run import Run
from icectl.tasks.flow.dataset import Sequences, sound
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.outliers import coherent
from icectl.tasks.flow.products import write_velocity

YEAR = 365.0
PIXEL_ERROR = 0.2
"""Error of one displacement in pixels where no stable ground tells it: a cautious figure for matching."""

LEAST_STABLE = 20
"""Cells of stable ground below which its motion is not trusted."""

CLOUDED = 0.5
"""Share of cloud in a chip of either frame from which it is not matched."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Velocity:
    """A velocity field on a grid of `spacing` pixels.

    Attributes
    ----------
    vx, vy
        ``(rows, cols)`` to the east and to the north, in metres (or pixels) per year.
    error
        ``(rows, cols)`` standard error of either component.
    count
        ``(rows, cols)`` pairs that contributed.
    top, left
        Pixel of the first chip's centre.
    pairs
        ``(first, second)`` frames that were matched.
    stable
        Mean offset removed from the pairs in pixels (rows, cols), or None.
    """

    vx: F64
    vy: F64
    error: F64
    count: NDArray[np.int64]
    top: float
    left: float
    pairs: tuple[tuple[int, int], ...]
    stable: tuple[float, float] | None


def map_velocity(run: Run, sequences: Sequences, options: PredictOptions) -> Velocity:
    """Match pairs of frames; write ``velocity.nc`` and the COGs ``vx``, ``vy``, ``v`` and ``v_error``."""
    frames = sequences.data["frame"].mean("band").values.astype(np.float32)
    valid, cloud = sequences.array("valid"), sequences.array("cloud")
    ice = sequences.array("ice") if "ice" in sequences.data else None
    steps = abs(sequences.grid.transform.a), abs(sequences.grid.transform.e)
    found = measure(run, frames, valid, cloud, ice, sequences.days, steps, options)
    write_velocity(run.out, found, sequences, options)
    speed = np.hypot(found.vx, found.vy)
    if np.isfinite(speed).any():
        unit = "m" if sequences.data.attrs["units"] == "m" else "px"
        run.say(f"velocity from {len(found.pairs)} pairs: median speed {np.nanmedian(speed):.1f} {unit}/yr")
    return found


def measure(
    run: Run,
    frames: NDArray[np.float32],
    valid: NDArray[np.bool_],
    cloud: NDArray[np.bool_],
    ice: NDArray[np.bool_] | None,
    days: NDArray[np.float32],
    steps: tuple[float, float],
    options: PredictOptions,
) -> Velocity:
    """Measure the velocity from frames ``(time, rows, cols)``; `steps` is the pixel size along x and y."""
    size, spacing = options.velocity_chip, options.spacing
    ground = sound(valid)
    free = startable(ground, size)
    rows, cols = (np.arange(0, n - size + 1, spacing) for n in frames.shape[1:])
    starts = np.stack(np.meshgrid(rows, cols, indexing="ij"), -1)
    usable = free[starts[..., 0], starts[..., 1]]
    stable = None if ice is None or not options.stable else usable & ~_touches(ice, starts, size)
    pairs = choose_pairs(days, cloud, valid, options)
    layers, weights, offsets, errors = [], [], [], []
    with run.progress("matching frames", total=len(pairs)) as advance:
        for first, second in pairs:
            clear = usable & _clear(cloud[first], cloud[second], starts, size)
            d = _displacement(frames[first], frames[second], ground, starts, clear, options)
            offset, error = _stable_motion(d, stable)
            span = float(days[second] - days[first])
            layers.append((d - offset) / span * YEAR)
            weights.append(np.where(np.isfinite(d[..., 0]), span**2, 0.0))
            offsets.append(offset)
            errors.append(error * YEAR / span)
            advance()
    vy, vx, scatter, count = _average(np.array(layers), np.array(weights), np.array(errors), starts.shape[:2])
    known = stable is not None and int(stable.sum()) >= LEAST_STABLE
    mean = np.mean(offsets, axis=0) if known and offsets else None
    return Velocity(
        vx * steps[0], -vy * steps[1], scatter * float(np.mean(steps)), count, (size - 1) / 2, (size - 1) / 2,
        tuple(pairs), None if mean is None else (float(mean[0]), float(mean[1])),
    )  # fmt: skip


def choose_pairs(
    days: NDArray[np.float32], cloud: NDArray[np.bool_], valid: NDArray[np.bool_], options: PredictOptions
) -> list[tuple[int, int]]:
    """Choose pairs of frames: the longest spans first, weighed by the ground that is clear in both."""
    ranked = []
    for i in range(len(days)):
        for j in range(i + 1, len(days)):
            span = float(days[j] - days[i])
            if options.shortest <= span <= options.longest:
                both = valid[i] & valid[j]
                clear = float((both & ~cloud[i] & ~cloud[j]).sum()) / max(float(both.sum()), 1.0)
                ranked.append((-(clear**2) * span, i, j))
    return [(i, j) for _, i, j in sorted(ranked)[: options.pairs]]


def _touches(ice: NDArray[np.bool_], starts: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    near = ~startable(~ice, size)
    return np.asarray(near[starts[..., 0], starts[..., 1]])


def _clear(
    a: NDArray[np.bool_], b: NDArray[np.bool_], starts: NDArray[np.int64], size: int
) -> NDArray[np.bool_]:
    """Chips that are clear enough in both frames."""
    odd = size + 1 - size % 2
    hidden = np.maximum(local_mean(a, odd), local_mean(b, odd))
    return np.asarray(hidden[starts[..., 0] + size // 2, starts[..., 1] + size // 2] < CLOUDED)


def _displacement(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    valid: NDArray[np.bool_],
    starts: NDArray[np.int64],
    clear: NDArray[np.bool_],
    options: PredictOptions,
) -> F64:
    """Match one pair; return ``(rows, cols, 2)`` displacements in pixels, NaN where none is trusted."""
    size, scale = options.velocity_chip, options.velocity_scale
    found = match_chips(
        texture(a, size, scale, valid), texture(b, size, scale, valid), starts[clear], size, scale
    )
    d = np.full((*starts.shape[:2], 2), np.nan)
    d[clear] = found.subpixel
    radius = search_radius(size, scale)
    edge = (np.abs(d) >= radius).any(axis=-1)  # a peak on the border of the window is none
    d[edge] = np.nan
    d[~coherent(d[..., 0], d[..., 1], float(radius))] = np.nan
    return d


def _stable_motion(d: F64, stable: NDArray[np.bool_] | None) -> tuple[F64, float]:
    """Return the median motion of stable ground and its spread (1.4826 MAD), in pixels."""
    if stable is None:
        return np.zeros(2), PIXEL_ERROR
    still = d[stable & np.isfinite(d[..., 0])]
    if len(still) < LEAST_STABLE:
        return np.zeros(2), PIXEL_ERROR
    offset = np.median(still, axis=0)
    return offset, float(1.4826 * np.median(np.abs(still - offset)))


def _average(
    layers: F64, weights: F64, errors: F64, shape: tuple[int, ...]
) -> tuple[F64, F64, F64, NDArray[np.int64]]:
    """Weighted mean of the pairs' velocities; error: the greater of expected and observed scatter."""
    if not len(layers):
        none = np.full(shape, np.nan)
        return none, none.copy(), none.copy(), np.zeros(shape, np.int64)
    total = weights.sum(axis=0)
    safe = np.maximum(total, 1e-12)
    value = np.nansum(layers * weights[..., None], axis=0) / safe[..., None]
    value[total == 0] = np.nan
    expected = np.sqrt((weights**2 * errors[:, None, None] ** 2).sum(axis=0)) / safe
    count = (weights > 0).sum(axis=0)
    scatter = np.nansum(weights * ((layers - value) ** 2).mean(axis=-1), axis=0) / safe
    observed = np.sqrt(scatter / np.maximum(count - 1, 1)) * (count > 1)
    error = np.where(total > 0, np.maximum(expected, observed), np.nan)
    return value[..., 0], value[..., 1], error, count
