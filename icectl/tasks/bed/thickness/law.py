"""The thickness law: log-linear in physics and place within a glacier, with the level by region and size.

``ln(h / thinning + 3 m) = w · x + level``. The shape ``w`` is a ridge regression of what differs within each
glacier; the level a linear mixed model over glaciers: a constant, the size, an effect of each RGI region, and
for modelled thickness an offset and a slope by size of their own, all with the uncertainty that is left.
Errors on glaciers left out, one at a time, give the intervals (a conformal prediction with glaciers as the
unit; Lei et al. 2018, *J. Am. Stat. Assoc.* 113).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHAPE = 4
"""Features of the law: flux thickness, distance to the margin, height and its square."""

OFFSET = 3.0
"""Metres added before a logarithm, so that thin ice does not rule."""

REGION, SIZE, KIND, CONSTANT = 0.5, 0.3, 0.5, 5.0
"""Prior deviations of the level (in ln) by region, by size, by kind of truth, and of its constant."""

NOISE = {"measured": 0.4, "modelled": 0.3, "synthetic": 0.3}
"""How far the level of one glacier lies off its region's and size's (in ln), by kind."""

RIDGE = 3e-3
SOFT = 10.0
"""Metres added before the logarithm of an error: intervals of thin ice are in metres."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels of one glacier of known thickness.

    `features` is ``(n, c)``, `thickness` (m) and `thinning` are ``(n,)``; `size` is ln(√area in m).
    """

    name: str
    kind: str
    region: str
    features: Floats
    thickness: Floats
    thinning: Floats

    @property
    def size(self) -> float:
        """Logarithm of the glacier's size √area (m)."""
        return float(self.features[0, -1])


@dataclass(frozen=True, slots=True)
class Level:
    """Mean and variance (of ln) of the level in a region: ``constant + slope · (size − middle)``."""

    constant: float
    slope: float
    middle: float
    variance: float


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law, in plain numbers.

    `levels` holds one level a region, and ``""`` for regions without a glacier to learn from. `bounds` are
    the 5 % and 95 % quantiles of errors on glaciers left out, in units of their expected error; `volume` the
    90 % quantile of the absolute error of a glacier's mean, likewise; `local` the variance within a glacier.
    """

    kind: str
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    shape: tuple[float, ...]
    levels: dict[str, Level]
    local: float = 0.2
    bounds: tuple[float, float] = (-1.645, 1.645)
    volume: float = 1.645
    glaciers: int = 0

    def level(self, region: str, size: float) -> tuple[float, float]:
        """Return mean and variance of the level of a glacier of a region and of ln(√area)."""
        one = self.levels.get(region, self.levels[""])
        return one.constant + one.slope * (size - one.middle), one.variance

    def relative(self, features: NDArray[np.floating]) -> Floats:
        """Return ``w · x`` for features ``(…, c)``."""
        x = (np.asarray(features, dtype=np.float64)[..., :SHAPE] - self.mean) / self.spread
        return np.asarray(x @ np.array(self.shape))

    def full(self, features: NDArray[np.floating], region: str) -> Floats:
        """Return thickness (m) before it thins out at the margin, for features ``(…, c)``."""
        flat = np.asarray(features).reshape(-1, np.shape(features)[-1])
        level, _ = self.level(region, float(flat[0, -1]))
        return np.maximum(np.exp(self.relative(features) + level) - OFFSET, 0.0)

    def error(self, region: str, size: float) -> float:
        """Return the expected error (of ln) of a pixel of a glacier."""
        return float(np.sqrt(self.level(region, size)[1] + self.local))

    def interval(self, thickness: Floats, region: str, size: float) -> tuple[Floats, Floats]:
        """Return the 90 % interval (m) of pixels of a glacier."""
        scale = self.error(region, size)
        low, high = (np.exp(q * scale) * (thickness + SOFT) - SOFT for q in self.bounds)
        return np.maximum(low, 0.0), np.asarray(high)

    def volume_factor(self, region: str, size: float) -> float:
        """Return the factor that the 90 % interval of a glacier's volume extends to, up and down."""
        return float(np.exp(self.volume * np.sqrt(self.level(region, size)[1])))

    def facts(self) -> dict[str, Any]:
        """Return the law as plain JSON; see `law_of`."""
        return asdict(self)


def law_of(facts: dict[str, Any]) -> Law:
    """Return the law that `Law.facts` described."""
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    plain["levels"] = {k: Level(**v) for k, v in facts["levels"].items()}
    return Law(**plain)


def answer_kind(kinds: Sequence[str]) -> str:
    """Return the kind of truth that predictions answer for: measured, else modelled, else synthetic.

    >>> answer_kind(["synthetic", "modelled"])
    'modelled'
    """
    return next((kind for kind in ("measured", "modelled", "synthetic") if kind in kinds), "measured")


def fit_law(samples: Sequence[Sample], calibrate: bool = True) -> Law:
    """Fit a law to glaciers of known thickness; synthetic ones count only where there are no others.

    Parameters
    ----------
    samples
        At least one glacier; those of the best kind decide the shape.
    calibrate
        Leave out each glacier of that kind in turn, for the intervals (needs five).
    """
    kind = answer_kind([s.kind for s in samples])
    used = [s for s in samples if kind == "synthetic" or s.kind != "synthetic"]
    law = _fitted(used, kind)
    best = [s for s in used if s.kind == kind]
    if not calibrate or len(best) < 5:
        return law
    left = [left_out(used, kind, s) for s in best[:60]]
    return calibrated(law, left)


def left_out(samples: Sequence[Sample], kind: str, one: Sample) -> tuple[Floats, float, float]:
    """Return the errors of a glacier by a law that has not seen it, whatever kind of truth it has of it.

    They are the logarithms of true over predicted thickness ``(n,)``, that of the mean, and the variance of
    the level that the law expected.
    """
    law = _fitted([s for s in samples if s.name != one.name], kind)
    made = law.full(one.features, one.region) * one.thinning
    errors = np.log((one.thickness + SOFT) / (made + SOFT))
    mean = float(np.log((one.thickness.mean() + 1.0) / (made.mean() + 1.0)))
    return errors, mean, law.level(one.region, one.size)[1]


def calibrated(law: Law, left: Sequence[tuple[Floats, float, float]]) -> Law:
    """Return `law` with intervals that hold on the glaciers left out, each of which counts alike."""
    local = float(np.mean([errors.var() for errors, _, _ in left]))
    scaled = [errors / np.sqrt(variance + local) for errors, _, variance in left]
    weight = np.concatenate([np.full(len(z), 1.0 / len(z)) for z in scaled])
    pooled = np.concatenate(scaled)
    share = 0.05 * (1 - 1 / len(left))
    bounds = (_quantile(pooled, weight, share), _quantile(pooled, weight, 1 - share))
    means = np.sort([abs(mean) / np.sqrt(variance) for _, mean, variance in left])
    place = min(len(means), int(np.ceil(0.9 * (len(means) + 1)))) - 1
    plain = {name: getattr(law, name) for name in ("kind", "mean", "spread", "shape", "levels")}
    return Law(**plain, local=local, bounds=bounds, volume=float(means[place]), glaciers=len(left))


def _quantile(values: Floats, weight: Floats, share: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][min(len(values) - 1, int(np.searchsorted(total, share)))])


def _fitted(samples: Sequence[Sample], kind: str) -> Law:
    best = [s for s in samples if s.kind == kind] or list(samples)
    every = np.concatenate([s.features[:, :SHAPE] for s in best])
    mean, spread = every.mean(0), np.maximum(every.std(0), 1e-3)
    shape = _shape(best, spread)
    levels = np.array(
        [np.mean(_target(s) - (s.features[:, :SHAPE] - mean) / spread @ shape) for s in samples]
    )
    center, width, weights = (tuple(v.tolist()) for v in (mean, spread, shape))
    return Law(kind, center, width, weights, _levels(samples, levels, kind))


def _target(sample: Sample) -> Floats:
    return np.log(sample.thickness / np.maximum(sample.thinning, 0.1) + OFFSET)


def _shape(samples: Sequence[Sample], spread: Floats) -> Floats:
    """Regress what differs within glaciers, each counting alike, drawn towards the physics alone."""
    matrix, right = np.zeros((SHAPE, SHAPE)), np.zeros(SHAPE)
    for one in samples:
        x = one.features[:, :SHAPE] / spread
        x, y = x - x.mean(0), _target(one)
        matrix += x.T @ x / len(x)
        right += x.T @ (y - y.mean()) / len(x)
    physics = np.eye(SHAPE)[0] * spread[0]
    matrix += (RIDGE * len(samples) + 0.05) * np.eye(SHAPE)
    return np.asarray(np.linalg.solve(matrix, right + (RIDGE * len(samples) + 0.05) * physics))


def _levels(samples: Sequence[Sample], levels: Floats, kind: str) -> dict[str, Level]:
    """Fit the mixed model of levels (a Bayesian linear regression with fixed prior deviations)."""
    regions = sorted({s.region for s in samples if s.region})
    sizes = np.array([s.size for s in samples])
    middle = float(sizes.mean())
    other = np.array([float(s.kind != kind) for s in samples])
    columns = [np.ones(len(samples)), sizes - middle, other, other * (sizes - middle)]
    columns += [np.array([float(s.region == r) for s in samples]) for r in regions]
    x = np.stack(columns, axis=1)
    start = float(np.median(levels))
    precision = np.diag(1.0 / np.array([CONSTANT, SIZE, KIND, SIZE, *[REGION] * len(regions)]) ** 2)
    weight = np.array([NOISE[s.kind] ** -2 for s in samples])
    covariance = np.linalg.inv(precision + x.T @ (x * weight[:, None]))
    found = covariance @ (x.T @ (weight * (levels - start)))
    out = {}
    for number, region in enumerate(["", *regions]):
        row = np.zeros(len(found))
        row[0] = 1.0
        if number:
            row[3 + number] = 1.0
        variance = float(row @ covariance @ row) + NOISE[kind] ** 2 + (0.0 if number else REGION**2)
        out[region] = Level(float(start + row @ found), float(found[1]), middle, variance)
    return out


PHYSICS = Law(
    kind="none",
    mean=(0.0,) * SHAPE,
    spread=(1.0,) * SHAPE,
    shape=(1.0, 0.0, 0.0, 0.0),
    levels={"": Level(float(np.log(0.55)), 0.0, 0.0, 0.54**2)},
    local=0.44**2,
)
"""Mass conservation alone, where nothing real has been learnt from: 0.55 of its thickness, and its errors,
as found on 22 measured glaciers that are not the test's."""
