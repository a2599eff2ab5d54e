"""Baselines that see what the model sees, and marks that see more.

All are compared with the chip of t2, which was found by tracking t0 → t1 → t2. A baseline uses frames up
to t0. A mark uses t1 or t2 itself; who beats only the baselines with such knowledge has shown nothing.
"""

import numpy as np

from icectl.arrays import F32, F64, I64
from icectl.imagery.filters import high_pass
from icectl.tasks.flow.chips.linear import Chips, describe, features, fit, mixed
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.metrics import correlation
from icectl.tasks.flow.options import AHEAD
from icectl.tasks.flow.split import TRAIN, Parts

BASELINES = {
    "persistence": "Persistence (t0)",
    "high-pass": "High-pass filter (t0)",
    "mean": "Mean of the past chips",
    "normalised": "Mean of the normalised past chips",
    "linear": "Linear weights of past chips, fitted",
    "median": "Median of the past chips",
    "carried": "Last displacement carried on",
}
MARKS = {"t1": "Copy of t1", "best": "Best past chip, chosen by t2"}
NOTES = {
    "high-pass": "both chips filtered",
    "linear": "softmax of eight features of each frame",
    "carried": "t0's chip against the frame of t2 where the last tracked velocity puts it",
    "t1": "sees t1",
    "best": "sees t2",
}

MAX_FITTED = 400
"""Sequences that the linear weights are fitted on."""


def baselines(sequences: Sequences, chosen: I64, start: int, past: int, linear: F64) -> dict[str, F64]:
    """Score every baseline and mark on one window of the chosen sequences.

    `start` and `past`: first frame of the window and number of past frames; t0 is ``start + past - 1``.
    `linear`: weights that `fitted` returned.

    Returns ``(n,)`` correlations with t2 by name.
    """
    t0 = start + past - 1
    chips = sequences.chips(chosen, slice(start, t0 + AHEAD + 1))
    seen, truth = chips[:, :past], chips[:, -1]
    each = correlation(seen, truth[:, None])
    sharp = [np.stack([high_pass(c) for c in frames]) for frames in (seen[:, -1], truth)]
    told = _described(sequences, chosen, slice(start, t0 + AHEAD + 1), chips)
    numbers, last = np.arange(past), past + AHEAD - 1
    return {
        "persistence": each[:, -1],
        "high-pass": correlation(*sharp),
        "mean": correlation(seen.mean(axis=1), truth),
        "normalised": mixed(told, numbers, last, np.zeros((len(chosen), past))),
        "linear": mixed(told, numbers, last, features(told, numbers, last) @ linear),
        "median": correlation(np.median(seen, axis=1), truth),
        "carried": _carried(sequences, chosen, start, past, seen[:, -1]),
        "t1": correlation(chips[:, -2], truth),
        "best": each.max(axis=1),
    }


def fitted(sequences: Sequences, parts: Parts, seed: int) -> F64:
    """Fit the linear weights on the training part: its targets, or all dates of its ground."""
    chosen = parts.sequences(TRAIN)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(MAX_FITTED, len(chosen))).round().astype(np.int64)]
    span = slice(0, parts.targets[TRAIN][-1] + 1 if parts.targets else sequences.times)
    told = _described(sequences, chosen, span, sequences.chips(chosen, span))
    return fit(told, tuple(range(span.stop)), seed)


def _described(sequences: Sequences, chosen: I64, span: slice, chips: F32) -> Chips:
    band = sequences.array("sequence_band")[chosen]
    wide = (sequences.array("high") - sequences.array("low"))[band].astype(np.float64)
    cloud = sequences.array("cloud_share")[chosen, span].astype(np.float64)
    return describe(chips, wide, cloud, sequences.days[span].astype(np.float64))


def _carried(sequences: Sequences, chosen: I64, start: int, past: int, last: F32) -> F64:
    """Correlate t0's chip with the frame of t2 at the place the last trusted velocity leads to.

    Velocity: between the last two frames seen where the chip was found for certain, 0 without such.
    The place is kept inside the frame.
    """
    t0, days, size = start + past - 1, sequences.days, sequences.size
    position, trusted = sequences.array("position")[chosen], sequences.array("trusted")[chosen]
    band = sequences.array("sequence_band")[chosen]
    velocity, everyone = np.zeros((len(chosen), 2)), np.arange(len(chosen))
    last_seen = np.full(len(chosen), start)
    for t in range(start + 1, t0 + 1):
        span = np.maximum(days[t] - days[last_seen], 1e-9)[:, None]
        step = (position[:, t] - position[everyone, last_seen]) / span
        velocity = np.where(trusted[:, t, None], step, velocity)
        last_seen = np.where(trusted[:, t], t, last_seen)
    target = np.rint(position[:, t0] + velocity * float(days[t0 + AHEAD] - days[t0])).astype(np.int64)
    target = np.clip(target, 0, np.array(sequences.grid.shape) - size)
    frame = sequences.frame(t0 + AHEAD)
    found = [frame[b, y : y + size, x : x + size] for b, (y, x) in zip(band, target, strict=True)]
    return correlation(last, np.stack(found))
