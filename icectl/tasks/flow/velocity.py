"""Velocity of the ice from matched pairs of frames.

Cells on a regular grid are matched in every chosen pair of frames (`displacement`), the motion of stable
ground is removed, the pairs are averaged (`averaging`), and all is matched again in frames that the result
has brought together (`refining`). Years have 365 days, as in ITS_LIVE.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icectl.errors import DataError
from icectl.run import Run
from icectl.tasks.flow.averaging import YEAR, combine
from icectl.tasks.flow.dataset import Sequences, sound
from icectl.tasks.flow.displacement import displace
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.products import Velocity, write_velocity
from icectl.tasks.flow.refining import Pairs, refine

PIXEL_ERROR = 0.2
"""Error of one displacement in pixels where no stable ground tells it: a cautious figure for matching."""

LEAST_STABLE = 20
"""Cells of stable ground below which its motion is not trusted."""

SPREAD = 0.5
"""How far the span of a chosen pair may lie from what is aimed at (natural logarithm)."""

F64 = NDArray[np.float64]


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
    elif not found.pairs:
        apart = f"{options.shortest:g} to {options.longest:g} days"
        run.warn(f"no velocity: no two frames lie {apart} apart (--shortest, --longest)")
    else:
        run.warn(f"no velocity: no chip was matched in any of {len(found.pairs)} pairs")
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
    ground = sound(valid)
    kinds = [ground] if ice is None else [ground & ice, ground & ~ice]
    cells = centres(frames.shape[1:], options)
    stable = None if ice is None or not options.stable else kinds[1][cells[..., 0], cells[..., 1]]
    pairs = choose_pairs(days, cloud, valid, options)
    count, shape = len(pairs), cells.shape[:2]
    spans, errors, offsets = np.zeros(count), np.zeros(count), np.zeros((count, 2))
    layers, likeness = np.full((count, *shape, 2), np.nan), np.zeros((count, *shape))
    chips = np.zeros((count, *shape), np.int64)
    with run.progress("matching frames", total=count) as advance:
        for k, (first, second) in enumerate(pairs):
            seen = ground & ~cloud[first], ground & ~cloud[second]
            found = displace(frames[first], frames[second], seen, kinds, cells, options)
            offsets[k], errors[k] = _stable_motion(found.pixels, stable)
            spans[k] = days[second] - days[first]
            layers[k], likeness[k], chips[k] = found.pixels - offsets[k], found.weight, found.chip
            advance()
    per_year = YEAR / np.maximum(spans, 1e-9)
    mean = combine(layers * per_year[:, None, None, None], likeness, chips, errors * per_year, spans)
    if count:
        stack = Pairs(frames, ground & ~cloud, pairs, spans, offsets, errors)
        mean = refine(run, stack, kinds[0], cells, mean, options)
    known = count > 0 and stable is not None and int(stable.sum()) >= LEAST_STABLE
    corner = float(options.velocity_chip // 2)
    return Velocity(
        vx=mean.right * steps[0],
        vy=-mean.down * steps[1],
        error=mean.error * float(np.mean(steps)),
        count=mean.count,
        chip=mean.chip,
        top=corner,
        left=corner,
        pairs=tuple(pairs),
        stable=(float(offsets[:, 0].mean()), float(offsets[:, 1].mean())) if known else None,
    )


def centres(shape: tuple[int, ...], options: PredictOptions) -> NDArray[np.int64]:
    """Return the cells' pixels ``(rows, cols, 2)`` on a grid that holds whole chips of the smallest size.

    Raises
    ------
    DataError
        If the frames are smaller than one chip.
    """
    size = options.velocity_chip
    if size > min(shape):
        raise DataError(
            f"velocity chips of {size} pixels do not fit into frames of {shape[0]} × {shape[1]}",
            f"use --velocity-chip {max(min(shape) // 4, 8)} or less",
        )
    rows, cols = (np.arange(size // 2, n - size + size // 2 + 1, options.spacing) for n in shape)
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), -1)


def choose_pairs(
    days: NDArray[np.float32], cloud: NDArray[np.bool_], valid: NDArray[np.bool_], options: PredictOptions
) -> list[tuple[int, int]]:
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


def _stable_motion(d: F64, stable: NDArray[np.bool_] | None) -> tuple[F64, float]:
    """Return the median motion of stable ground and its spread (1.4826 MAD), in pixels."""
    if stable is None:
        return np.zeros(2), PIXEL_ERROR
    still = d[stable & np.isfinite(d[..., 0])]
    if len(still) < LEAST_STABLE:
        return np.zeros(2), PIXEL_ERROR
    offset = np.median(still, axis=0)
    return offset, float(1.4826 * np.median(np.abs(still - offset)))
