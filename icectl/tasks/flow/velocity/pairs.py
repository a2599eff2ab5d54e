"""Which pairs of frames are matched for the velocity."""

from __future__ import annotations

import numpy as np

from icectl.arrays import F32, Bools
from icectl.tasks.flow.options import PredictOptions

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
