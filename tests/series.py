"""A whole series of scenes in memory, composited as a stage does it strip by strip."""

from types import SimpleNamespace

import numpy as np

from icectl.imagery.composite import composite_strips
from icectl.imagery.periods import plan_periods


def composite(scenes, times, months=3, statistic="mean", made_up=None):
    """Return values, flags ``(periods, rows, columns)`` and periods; scenes without a value do not count."""
    usable = [i for i, scene in enumerate(scenes) if not np.isnan(scene).all()]

    def read(index, rows):
        scene = usable[index]
        return scenes[scene][rows], None if made_up is None else made_up[scene][rows]

    periods = plan_periods([times[i] for i in usable], months)
    strips = list(composite_strips(read, periods, scenes[0].shape, statistic))
    values, flags = (np.concatenate([strip[k] for strip in strips], axis=1) for k in (1, 2))
    return SimpleNamespace(values=values, flags=flags, periods=periods)
