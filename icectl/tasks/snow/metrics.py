"""Squared and absolute errors of forecasts, gathered tile by tile, with bootstrap intervals.

Errors are summed over tiles of one patch a side. The bootstrap draws whole tiles, since pixels beside each
other are not independent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from icectl.arrays import F32, F64, U8, Array
from icectl.errors import DataError
from icectl.imagery.composite import Flag
from icectl.raster import Window, read
from icectl.run import Run
from icectl.tasks.snow.baselines import baselines
from icectl.tasks.snow.dataset import Cube, countable
from icectl.tasks.snow.masks.moments import Moment
from icectl.tasks.snow.options import THRESHOLD

_STRIP = 128

MEASURES = ("mse", "mae", "mse_thresholded", "mae_thresholded", "brier")
"""Mean squared and absolute error, of forecasts as they are and set to 0 below the threshold; Brier score."""

BINS = 10
"""Bins of the reliability diagram."""


def thresholded(forecast: F32) -> F32:
    """Return the forecast with values below the snow threshold set to 0 (Müller 2023, section 3.2)."""
    return np.where(forecast >= THRESHOLD, forecast, np.float32(0))


def chance(forecast: Array, typical: float) -> Array:
    """Return the chance of snow that a forecast of the NDSI means: its share of what snow typically shows."""
    return np.clip(forecast / typical, 0.0, 1.0)


@dataclass
class Scores:
    """Running sums of errors by forecaster.

    `tile`: side of a tile in pixels; `shape`: rows and columns of the scene; `leads`: number of future
    frames; `typical`: mean NDSI of snow, by which a forecast becomes a chance of snow.

    `sums`: by forecaster: (measures, leads, tiles); `weight`: (leads, tiles): weights summed; `bins`: by
    forecaster (3, `BINS`): weights, chances and snow summed, by the chance that was forecast; `days`: by
    day and forecaster: squared errors and weights summed.
    """

    tile: int
    shape: tuple[int, int]
    leads: int
    typical: float = 0.6
    sums: dict[str, F64] = field(default_factory=dict)
    bins: dict[str, F64] = field(default_factory=dict)
    days: dict[date, dict[str, F64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        high, self._wide = (-(-n // self.tile) for n in self.shape)
        self.tiles = high * self._wide
        self.weight = np.zeros((self.leads, self.tiles))

    def add(
        self,
        top: int,
        truth: F32,
        weight: F32,
        forecasts: Mapping[str, F32],
        days: Sequence[date] | None = None,
    ) -> None:
        """Add a strip from row `top`: all arrays (leads, rows, columns); weight 0 where nothing counts.

        `days` of the leads are given where scores by season and year are wanted.
        """
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
                errors = self._errors(name, forecast[lead][used], truth[lead][used], w)
                sums = self.sums.setdefault(name, np.zeros((len(MEASURES), self.leads, self.tiles)))
                for k, error in enumerate(errors):
                    sums[k, lead] += np.bincount(where, w * error, self.tiles)
                if days is not None:
                    of_day = self.days.setdefault(days[lead], {}).setdefault(name, np.zeros(2))
                    of_day += (w @ errors[0], w.sum())

    def _errors(self, name: str, forecast: F32, truth: F32, weight: F64) -> tuple[F64, ...]:
        """Return the error of every pixel (n,) by each measure, and note the chances for the reliability."""
        plain, cut = (values.astype(np.float64) - truth for values in (forecast, thresholded(forecast)))
        likely, snow = chance(forecast.astype(np.float64), self.typical), truth >= THRESHOLD
        place = np.minimum((likely * BINS).astype(int), BINS - 1)
        bins = self.bins.setdefault(name, np.zeros((3, BINS)))
        for row, values in zip(bins, (weight, weight * likely, weight * snow), strict=True):
            row += np.bincount(place, values, BINS)
        return plain**2, np.abs(plain), cut**2, np.abs(cut), (likely - snow) ** 2

    def grouped(self, name: str, key: Callable[[date], str]) -> dict[str, float]:
        """Return the mean squared error of days that ``key(day)`` puts together."""
        sums: dict[str, F64] = {}
        for day, found in sorted(self.days.items()):
            sums[key(day)] = sums.get(key(day), np.zeros(2)) + found[name]
        return {group: float(error / weight) for group, (error, weight) in sums.items()}

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

    def by_tile(self, name: str, measure: str) -> F64:
        """Return (tiles, 2) of errors and weights summed over the leads, where anything counts."""
        weight = self.weight.sum(axis=0)
        sums = self.sums[name][MEASURES.index(measure)].sum(axis=0)
        return np.asarray(np.stack([sums, weight], axis=1)[weight > 0], dtype=np.float64)


def score(
    run: Run,
    cube: Cube,
    moments: Sequence[Moment],
    weights: Callable[[int], F32],
    linear: Array,
    tile: int,
    count_filled: bool,
) -> tuple[Scores, Scores]:
    """Gather the errors of the hindcasts and of all baselines, strip by strip.

    `moments`: moments with a truth; their forecasts lie in ``run.inputs["predict"]``.
    `weights`: ``weights(start)``: (rows, columns), how much each pixel counts.
    `linear`: (F, 2P + 2) coefficients of the linear baseline.
    `tile`: side of the tiles that errors are gathered in.
    `count_filled`: whether filled and interpolated pixels count.

    Returns scores of the frames that count, and of interpolated pixels apart.

    DataError: a hindcast is missing.
    """
    shape, leads = cube.shape[1:], len(moments[0].future)
    typical = typical_snow(cube, moments[0])
    observed, interpolated = (Scores(tile, shape, leads, typical) for _ in range(2))
    with run.progress("scoring", total=len(moments) * shape[0]) as advance:
        for moment in moments:
            weight, path = weights(moment.start), hindcast(run, moment)
            for top in range(0, shape[0], _STRIP):
                rows = slice(top, min(top + _STRIP, shape[0]))
                if weight[rows].any():
                    truth, flags, forecasts = _strip(run.plugin.name, cube, moment, rows, path, linear)
                    known = ~np.isnan(truth) & ~np.isnan(forecasts[run.plugin.name])
                    truth = np.nan_to_num(truth)
                    counts = countable(flags, count_filled) & known
                    observed.add(top, truth, counts * weight[rows], forecasts, moment.future)
                    made_up = (flags == Flag.INTERPOLATED) & known
                    interpolated.add(top, truth, made_up * weight[rows], forecasts)
                advance(rows.stop - rows.start)
    return observed, interpolated


def typical_snow(cube: Cube, moment: Moment) -> float:
    """Return the mean NDSI of snow in the past frames of a moment; 0.6 where there is no snow."""
    values = cube.read(slice(None), moment.frames)
    snow = values[values >= THRESHOLD]
    return float(snow.mean(dtype=np.float64)) if snow.size else 0.6


def hindcast(run: Run, moment: Moment) -> Path:
    """Return the file of one hindcast."""
    path = run.inputs["predict"] / f"{moment.stem}.tif"
    if not path.is_file():
        raise DataError(f"{path} is missing", "run `icectl predict` again without --moments last")
    return path


def _strip(
    name: str, cube: Cube, moment: Moment, rows: slice, path: Path, linear: Array
) -> tuple[F32, U8, dict[str, F32]]:
    """Return truth and flags (F, rows, columns), and the forecasts of the model and all baselines."""
    future = slice(moment.frames.stop, moment.frames.stop + len(moment.future))
    past, truth, flags = cube.read(rows, moment.frames), cube.read(rows, future), cube.flags(rows, future)
    window = Window(rows.start, 0, rows.stop - rows.start, cube.shape[2])
    forecast = np.ma.filled(read(path, window, band=None), np.nan).astype(np.float32)
    others = baselines(np.nan_to_num(past), moment.past, moment.future, linear)
    return truth, flags, {name: forecast, **others}


def skill(score: float, reference: float) -> float | None:
    """Return 1 − score / reference: 1 is perfect, 0 no better; None where the reference makes no error."""
    return 1 - score / reference if reference > 0 else None
