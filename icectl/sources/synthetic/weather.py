"""Weather and seasons: where the snow line stands, at every place and day.

The snow line's altitude is

    SLA(x, y, t) = mean + season(t) + trend · (t − 2017) + Σₖ aₖ(t) cos(kₖ·r + φₖ) + noise(x, y, t).

Each amplitude aₖ is a stochastic oscillator (an autoregressive process of order two; Yule 1927) with a
period of two to three years that remembers its phase for several years. So a year is not the year before,
its departure swings, and it differs from valley to valley: whoever sees where the line lay in the past
four seasons, relative to the relief, can tell much of the next four. A single pixel cannot: most of the
time it is plainly above the line or plainly below.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from icectl.arrays import F64
from icectl.sources.synthetic.noise import fractal, generator

MONTH = 365.25 / 12
FIRST_YEAR, SPIN_UP, MONTHS = 1980, 360, 12 * 80
MODES = 16
MEMORY = 180.0
"""Months in which an oscillation loses all but 1/e of itself."""


@dataclass(frozen=True, slots=True)
class Weather:
    """The snow line's departures from its season (m), over ``shape`` pixels of ``resolution`` m."""

    seed: int
    shape: tuple[int, int]
    resolution: float
    strength: float = 150.0
    noise: float = 22.0

    def departure(self, day: date) -> F64:
        """Return the departure (m) at every pixel on `day`; positive when the line stands high."""
        series, waves = _modes(self.seed)
        moment = (day - date(FIRST_YEAR, 1, 1)).days / MONTH
        amplitudes = np.array([np.interp(moment, np.arange(MONTHS), s) for s in series])
        field = np.zeros(self.shape)
        x = np.arange(self.shape[1])[None, :] * self.resolution
        y = np.arange(self.shape[0])[:, None] * self.resolution
        for amplitude, (kx, ky, phase) in zip(amplitudes, waves, strict=True):
            field += amplitude * np.cos(kx * x + ky * y + phase)
        rough = fractal(
            generator(self.seed, "noise", day.toordinal()), self.shape, 4, 4000 / self.resolution, 12
        )
        scale = self.strength / np.sqrt(0.5 * MODES + 0.5)
        return np.asarray(scale * field + self.noise * rough)


@lru_cache(maxsize=16)
def _modes(seed: int) -> tuple[F64, F64]:
    """Return the monthly amplitudes ``(modes, months)`` and the waves (kx, ky in rad/m, phase)."""
    rng = generator(seed, "weather")
    periods = rng.uniform(27, 31, MODES)
    decay, turn = np.exp(-1 / MEMORY), 2 * np.pi / periods
    series = np.zeros((MODES, SPIN_UP + MONTHS))
    shocks = rng.standard_normal(series.shape)
    for t in range(2, series.shape[1]):
        series[:, t] = (
            2 * decay * np.cos(turn) * series[:, t - 1] - decay**2 * series[:, t - 2] + shocks[:, t]
        )
    series /= series.std(axis=1, keepdims=True)
    length, angle = rng.uniform(1800, 5000, MODES), rng.uniform(0, 2 * np.pi, MODES)
    length[0] = np.inf  # one mode is the whole region's
    k = 2 * np.pi / length
    phases = np.where(np.isinf(length), 0.0, rng.uniform(0, 2 * np.pi, MODES))
    return series[:, SPIN_UP:], np.stack([k * np.cos(angle), k * np.sin(angle), phases], axis=1)


def season(day: date, low: float, high: float) -> float:
    """Return the snow line's height in its year (m): lowest in February, highest in August."""
    angle = 2 * np.pi * (day.timetuple().tm_yday - 45) / 365.25
    shape = 0.5 - 0.5 * np.cos(angle - 0.35 * np.sin(angle))
    return float(low + (high - low) * shape)
