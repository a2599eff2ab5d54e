"""Squared and absolute errors of forecasts, gathered tile by tile, with bootstrap intervals.

Errors are summed over tiles of one patch a side. The bootstrap draws whole tiles, since pixels beside each
other are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from icectl.intervals import gain_interval
from icectl.tasks.snow.dataset import Floats
from icectl.tasks.snow.options import THRESHOLD

MEASURES = ("mse", "mae", "mse_thresholded", "mae_thresholded")
"""Mean squared and absolute error, of forecasts as they are and set to 0 below the threshold."""


def thresholded(forecast: Floats) -> Floats:
    """Return the forecast with values below the snow threshold set to 0 (Müller 2023, section 3.2)."""
    return np.where(forecast >= THRESHOLD, forecast, np.float32(0))


@dataclass
class Scores:
    """Running sums of errors by forecaster.

    Parameters
    ----------
    tile
        Side of a tile in pixels.
    shape
        Rows and columns of the scene.
    leads
        Number of future frames.

    Attributes
    ----------
    sums
        By forecaster: (measures, leads, tiles).
    weight
        (leads, tiles): weights summed.
    """

    tile: int
    shape: tuple[int, int]
    leads: int
    sums: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        high, self._wide = (-(-n // self.tile) for n in self.shape)
        self.tiles = high * self._wide
        self.weight = np.zeros((self.leads, self.tiles))

    def add(self, top: int, truth: Floats, weight: Floats, forecasts: Mapping[str, Floats]) -> None:
        """Add a strip from row `top`: all arrays (leads, rows, columns); weight 0 where nothing counts."""
        _, rows, cols = truth.shape
        index = (top + np.arange(rows))[:, None] // self.tile * self._wide + np.arange(cols)[
            None, :
        ] // self.tile
        for lead in range(self.leads):
            used = weight[lead] > 0
            if not used.any():
                continue
            where, w = index[used], weight[lead][used].astype(np.float64)
            self.weight[lead] += np.bincount(where, w, self.tiles)
            for name, forecast in forecasts.items():
                sums = self.sums.setdefault(name, np.zeros((len(MEASURES), self.leads, self.tiles)))
                for k, values in enumerate((forecast[lead], thresholded(forecast[lead]))):
                    error = values[used].astype(np.float64) - truth[lead][used]
                    sums[2 * k, lead] += np.bincount(where, w * error**2, self.tiles)
                    sums[2 * k + 1, lead] += np.bincount(where, w * np.abs(error), self.tiles)

    @property
    def empty(self) -> bool:
        """Whether nothing was counted."""
        return not self.weight.any()

    def overall(self, name: str) -> dict[str, float]:
        """Return each measure of forecaster `name` over all leads."""
        total = self.weight.sum()
        return {m: float(self.sums[name][k].sum() / total) for k, m in enumerate(MEASURES)}

    def per_lead(self, name: str, measure: str) -> list[float | None]:
        """Return a measure for each lead; None where nothing was counted."""
        sums, weight = self.sums[name][MEASURES.index(measure)].sum(axis=1), self.weight.sum(axis=1)
        return [float(s / w) if w else None for s, w in zip(sums, weight, strict=True)]

    def intervals(self, draws: int, confidence: float, seed: int = 0) -> dict[str, dict[str, list[float]]]:
        """Return intervals ``[low, high]`` of each measure by forecaster (percentile bootstrap, Efron)."""
        weight = self.weight.sum(axis=0)
        used = np.flatnonzero(weight)
        if draws == 0 or len(used) < 2:
            return {}
        rng = np.random.default_rng([seed, 30])
        times = rng.multinomial(len(used), np.full(len(used), 1 / len(used)), size=draws)
        total = times @ weight[used]
        edges = [(1 - confidence) / 2, (1 + confidence) / 2]
        found: dict[str, dict[str, list[float]]] = {}
        for name, sums in self.sums.items():
            drawn = times @ sums.sum(axis=1)[:, used].T / total[:, None]
            low, high = np.quantile(drawn, edges, axis=0)
            found[name] = {m: [float(low[k]), float(high[k])] for k, m in enumerate(MEASURES)}
        return found

    def gain(self, name: str, rival: str, draws: int, confidence: float, seed: int = 0) -> list[float] | None:
        """Return the interval of by how many per cent the MSE of `name` is below that of `rival`."""
        weight = self.weight.sum(axis=0)
        used = weight > 0
        own, other = (
            np.stack([self.sums[n][MEASURES.index("mse")].sum(axis=0)[used], weight[used]], axis=1)
            for n in (name, rival)
        )
        return gain_interval(own, other, draws=draws, confidence=confidence, seed=seed)


def skill(score: float, reference: float) -> float | None:
    """Return 1 − score / reference: 1 is perfect, 0 no better; None where the reference makes no error."""
    return 1 - score / reference if reference > 0 else None
