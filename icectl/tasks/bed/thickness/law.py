"""The thickness law: piecewise linear in physics and place within a glacier; its level is by region and size.

``ln(h / thinning + 3 m) = Σ f(x) + level``, with one piecewise linear function f of each feature, by a ridge
regression. Glaciers whose thickness is known everywhere (modelled ones) teach how thickness differs within
and between glaciers; measured ones, known along a few profiles, teach what differs within them. The level is
a Gaussian process of what the best kind of truth says beyond that: a constant, and an effect of each RGI
region that fades with the difference in size, with the uncertainty that is left. Errors on glaciers left out,
one at a time, give the intervals (a conformal prediction with glaciers as the unit; Lei et al. 2018, *J. Am.
Stat. Assoc.* 113).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from icectl.arrays import F64, Floats
from icectl.errors import DataError
from icectl.tasks.bed.thickness.features import FEATURES

KNOTS = (-1.5, -0.5, 0.5, 1.5)
"""Where the slope of the functions may change, in standard deviations of a feature."""

OFFSET = 3.0
"""Metres added before a logarithm, so that thin ice does not rule."""

LEAST_THINNING = 0.2
"""Share of the thickness left near the margin that a pixel is learnt from with at least."""

CONSTANT, REGION = 0.5, 0.5
"""Prior deviations (of ln) of the level and of each region's effect on it."""

FADING = 1.0
"""Difference in ln size over which the effect of a region fades: large glaciers tell little of small ones."""

NOISE = {"measured": 0.4, "modelled": 0.3, "synthetic": 0.3}
"""How far the level of one glacier lies off its region's (in ln), by kind."""

RIDGE = 1.0
"""Glaciers that the prior, physics alone, counts for."""

SOFT = 10.0
"""Metres added before the logarithm of an error: intervals of thin ice are in metres."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels of one glacier of known thickness.

    `features` is ``(n, c)``, `thickness` (m) and `thinning` are ``(n,)``.
    """

    name: str
    kind: str
    region: str
    features: F64
    thickness: F64
    thinning: F64


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law, in plain numbers.

    `weights` holds those of `basis`. `known` holds region, ln size (m) and the level (of ln, above `start`)
    of each glacier that decides the level, `noise` how far a glacier lies off it. `bounds` are the 5 % and
    95 % quantiles of errors on glaciers left out, in units of their expected error; `volume` the 90 %
    quantile of the absolute error of a glacier's mean, likewise; `local` the variance within a glacier.
    """

    kind: str
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    start: float
    known: tuple[tuple[str, float, float], ...]
    noise: float
    local: float = 0.2
    bounds: tuple[float, float] = (-1.645, 1.645)
    volume: float = 1.645
    glaciers: int = 0

    @property
    def regions(self) -> tuple[str, ...]:
        """The RGI regions of the glaciers that decide the level."""
        return tuple(sorted({region for region, _, _ in self.known} - {""}))

    def level(self, region: str, size: float) -> tuple[float, float]:
        """Return mean and variance of the level of a glacier of a region and ln size (m)."""
        if not self.known:
            return self.start, self.noise**2
        regions = np.array([one[0] for one in self.known])
        sizes, levels = np.array([one[1:] for one in self.known]).T
        near, own = (_alike(regions, sizes, r, s) for r, s in ((regions, sizes), ([region], [size])))
        weights = np.linalg.solve(near + self.noise**2 * np.eye(len(levels)), own)[:, 0]
        whole = CONSTANT**2 + REGION**2 + self.noise**2
        return self.start + float(weights @ levels), whole - float(weights @ own[:, 0])

    def full(self, features: Floats, region: str) -> F64:
        """Return thickness (m) before it thins out at the margin, for features ``(…, c)`` of a glacier."""
        relative = basis(features, np.array(self.mean), np.array(self.spread)) @ np.array(self.weights)
        level, _ = self.level(region, size_of(features))
        return np.asarray(np.maximum(np.exp(relative + level) - OFFSET, 0.0))

    def interval(self, thickness: F64, region: str, size: float) -> tuple[F64, F64]:
        """Return the 90 % interval (m) of pixels of a glacier of a region and ln size (m)."""
        error = np.sqrt(self.level(region, size)[1] + self.local)
        low, high = (np.exp(q * error) * (thickness + SOFT) - SOFT for q in self.bounds)
        return np.maximum(low, 0.0), np.asarray(high)

    def volume_factor(self, region: str, size: float) -> float:
        """Return the factor that the 90 % interval of a glacier's volume extends to, up and down."""
        return float(np.exp(self.volume * np.sqrt(self.level(region, size)[1])))

    def facts(self) -> dict[str, Any]:
        """Return the law as plain JSON; see `law_of`."""
        return asdict(self)


def law_of(facts: dict[str, Any]) -> Law:
    """Return the law that `Law.facts` described."""
    if "known" not in facts or len(facts["mean"]) != len(FEATURES):
        raise DataError("these weights hold a thickness law of an earlier icectl", "train step (b) again")
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    plain["known"] = tuple((str(region), float(size), float(level)) for region, size, level in facts["known"])
    return Law(**plain)


def size_of(features: Floats) -> float:
    """Return the ln size (m) of a glacier by its features ``(…, c)``."""
    return float(np.mean(features[..., -1]))


def _alike(regions: Any, sizes: F64, others: Any, theirs: Any) -> F64:
    """Return the prior covariance of levels: that of a constant, and of a region's effect at like sizes."""
    regions, others = np.asarray(regions)[:, None], np.asarray(others)[None]
    apart = (sizes[:, None] - np.asarray(theirs)[None]) / FADING
    same = (regions == others) & (regions != "")
    return np.asarray(CONSTANT**2 + REGION**2 * same * np.exp(-0.5 * apart**2))


def basis(features: Floats, mean: F64, spread: F64) -> F64:
    """Return the features in standard deviations, and what of them exceeds each knot: ``(…, 5 (c - 1))``.

    The last, the size, is left out: it sets the level.
    """
    z = ((np.asarray(features, dtype=np.float64) - mean) / spread)[..., :-1]
    return np.concatenate([z, *(np.maximum(z - k, 0.0) for k in KNOTS)], axis=-1)


def answer_kind(kinds: Sequence[str]) -> str:
    """Return the kind of truth that predictions answer for: measured, else modelled, else synthetic.

    >>> answer_kind(["synthetic", "modelled"])
    'modelled'
    """
    return next((kind for kind in ("measured", "modelled", "synthetic") if kind in kinds), "measured")


def fit_law(samples: Sequence[Sample], calibrate: bool = True) -> Law:
    """Fit a law to glaciers of known thickness; synthetic ones count only where there are no others.

    `samples`: at least one glacier; those of the best kind decide the level. `calibrate`: leave out each
    glacier of that kind in turn, for the intervals (needs five).
    """
    kind = answer_kind([s.kind for s in samples])
    used = [s for s in samples if kind == "synthetic" or s.kind != "synthetic"]
    mean = np.mean([s.features.mean(0) for s in used], axis=0)
    square = np.mean([((s.features - mean) ** 2).mean(0) for s in used], axis=0)
    spread = np.maximum(np.sqrt(square), 1e-3)
    found = [_moments(s, mean, spread) for s in used]
    law = _fitted(found, kind, mean, spread)
    best = [s for s in used if s.kind == kind]
    if not calibrate or len(best) < 5:
        return law
    without = [_fitted([m for m in found if m.name != s.name], kind, mean, spread) for s in best[:60]]
    return _calibrated(law, [_errors(one, s) for one, s in zip(without, best, strict=False)])


@dataclass(frozen=True, slots=True)
class _Moments:
    """What of a glacier's pixels a regression needs: means of basis `x`, target `y` and their products."""

    name: str
    kind: str
    region: str
    size: float
    x: F64
    y: float
    xx: F64
    xy: F64


def _moments(one: Sample, mean: F64, spread: F64) -> _Moments:
    x = basis(one.features, mean, spread)
    y = np.log(one.thickness / np.maximum(one.thinning, LEAST_THINNING) + OFFSET)
    return _Moments(
        one.name, one.kind, one.region, size_of(one.features), x.mean(0), float(y.mean()),
        x.T @ x / len(x), x.T @ y / len(x),
    )  # fmt: skip


def _fitted(found: Sequence[_Moments], kind: str, mean: F64, spread: F64) -> Law:
    """Regress, each glacier counting alike: measured ones about their own means, others about that of all."""
    whole = [m for m in found if m.kind != "measured"]
    middle = np.mean([m.x for m in whole or found], axis=0)
    height = float(np.mean([m.y for m in whole or found]))
    matrix = RIDGE * np.eye(len(middle))
    right = RIDGE * spread[0] * np.eye(len(middle))[0]
    for m in found:
        x, y = (m.x, m.y) if m.kind == "measured" else (middle, height)
        matrix += m.xx - np.outer(m.x, x) - np.outer(x, m.x) + np.outer(x, x)
        right += m.xy - m.x * y - x * m.y + x * y
    weights = np.linalg.solve(matrix, right)
    start = float(np.mean([m.y - m.x @ weights for m in whole or found]))
    known = tuple((m.region, m.size, float(m.y - m.x @ weights) - start) for m in found if m.kind == kind)
    center, width, found_weights = (tuple(v.tolist()) for v in (mean, spread, weights))
    return Law(kind, center, width, found_weights, start, known, NOISE[kind])


def _errors(law: Law, one: Sample) -> tuple[F64, float, float]:
    """Return a glacier's errors by a law that has not seen it, whatever kind of truth it has of it.

    They are the logarithms of true over predicted thickness ``(n,)``, that of the mean, and the variance of
    the level that the law expected.
    """
    made = law.full(one.features, one.region) * one.thinning
    errors = np.log((one.thickness + SOFT) / (made + SOFT))
    mean = float(np.log((one.thickness.mean() + 1.0) / (made.mean() + 1.0)))
    return errors, mean, law.level(one.region, size_of(one.features))[1]


def _calibrated(law: Law, left: Sequence[tuple[F64, float, float]]) -> Law:
    """Return `law` with intervals that hold on the glaciers left out, each of which counts alike."""
    local = float(np.mean([errors.var() for errors, _, _ in left]))
    scaled = [errors / np.sqrt(variance + local) for errors, _, variance in left]
    weight = np.concatenate([np.full(len(z), 1.0 / len(z)) for z in scaled])
    pooled = np.concatenate(scaled)
    share = 0.05 * (1 - 1 / len(left))
    bounds = (_quantile(pooled, weight, share), _quantile(pooled, weight, 1 - share))
    means = np.sort([abs(mean) / np.sqrt(variance) for _, mean, variance in left])
    place = min(len(means), int(np.ceil(0.9 * (len(means) + 1)))) - 1
    return replace(law, local=local, bounds=bounds, volume=float(means[place]), glaciers=len(left))


def _quantile(values: F64, weight: F64, share: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][min(len(values) - 1, int(np.searchsorted(total, share)))])


PHYSICS = Law(
    kind="none",
    mean=(0.0,) * len(FEATURES),
    spread=(1.0,) * len(FEATURES),
    weights=(1.0, *[0.0] * ((len(FEATURES) - 1) * (1 + len(KNOTS)) - 1)),
    start=float(np.log(0.57)),
    known=(),
    noise=0.50,
    local=0.40**2,
)
"""Mass conservation alone, where nothing real has been learnt from: 0.57 of its thickness before it thins out
at the margin, and its errors, as found on 23 measured glaciers that are not the test's."""
