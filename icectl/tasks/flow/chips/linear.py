"""The baseline that a network has to beat: softmax weights of past frames, linear in eight features of each.

Chips are normalised, so that a mixture's correlation with the target follows from the correlations of the
frames with each other and with the target: w·c / √(w·G·w). Nothing of the calendar enters, and eight numbers
are all that is fitted.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from icectl.arrays import F32, F64, I64

FEATURES = ("log age", "age", "contrast", "brightness", "mean, best and last agreement", "cloud")
"""Of each past frame: age is the time to the target, agreement its correlation with the other
past frames, the best of them, and the last."""

COUNT = 8
"""Features in all."""

DRAWS = 4
"""Random subsets of the past that are drawn for each sequence and target."""

RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Chips:
    """What the weights are made from, of n sequences over T dates.

    `alike`: ``(n, T, T)`` correlations of the chips with each other; `contrast`, `brightness` and `cloud`:
    ``(n, T)`` standard deviation and mean of a chip (in the range of its band), and its share of cloud;
    `days`: ``(T,)``.
    """

    alike: F64
    contrast: F64
    brightness: F64
    cloud: F64
    days: F64


def describe(chips: F32, span: F64, cloud: F64, days: F64) -> Chips:
    """Describe chips ``(n, T, rows, cols)``; `span` ``(n,)`` is the range of each one's band."""
    flat = chips.reshape(*chips.shape[:2], -1).astype(np.float64)
    mean, deviation = flat.mean(-1), flat.std(-1)
    unit = (flat - mean[..., None]) / np.maximum(deviation * np.sqrt(flat.shape[-1]), 1e-9)[..., None]
    wide = np.maximum(span, 1e-9)[:, None]
    return Chips(unit @ unit.swapaxes(1, 2), deviation / wide, mean / wide, cloud, days)


def features(of: Chips, seen: I64, target: int) -> F64:
    """Return the features ``(n, k, 8)`` of the frames numbered `seen`, of a forecast of frame `target`."""
    k = len(seen)
    age = np.abs(of.days[seen] - of.days[target])
    among = of.alike[:, seen][:, :, seen]
    others = among - np.eye(k)
    best = np.where(np.eye(k, dtype=bool), -1, among).max(-1)
    contrast = np.log(of.contrast[:, seen] + 1e-3)
    bright = of.brightness[:, seen]
    columns = np.stack(
        [
            np.broadcast_to(np.log1p(age), contrast.shape),
            np.broadcast_to(age / 100, contrast.shape),
            contrast - contrast.mean(-1, keepdims=True),
            bright - bright.mean(-1, keepdims=True),
            4 * others.sum(-1) / max(k - 1, 1),
            4 * best,
            4 * among[:, :, int(np.argmin(age))],
            of.cloud[:, seen],
        ],
        axis=-1,
    )
    return np.asarray(columns)


def mixed(of: Chips, seen: I64, target: int, scores: F64) -> F64:
    """Correlate with the target the mixture of the frames by the softmax of `scores` ``(n, k)``: ``(n,)``."""
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    among = of.alike[:, seen][:, :, seen]
    power = np.einsum("nk,nkl,nl->n", weights, among, weights)
    return np.asarray((weights * of.alike[:, seen, target]).sum(-1) / np.sqrt(np.maximum(power, 1e-12)))


def fit(of: Chips, targets: tuple[int, ...], seed: int = 0) -> F64:
    """Fit the eight weights on targets whose past is drawn from the other targets.

    `of`: chips of the training part; `targets`: frames that may be targets, and past of one another;
    `seed`: of the subsets.

    Returns ``(8,)``; see `FEATURES`.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for target in targets:
        others = np.array([t for t in targets if t != target])
        for _ in range(DRAWS):
            size = int(rng.integers(min(2, len(others)), len(others) + 1))
            seen = np.sort(rng.choice(others, size=size, replace=False))
            drawn.append((seen, target, features(of, seen, target)))

    def loss(weights: F64) -> float:
        found = [mixed(of, seen, target, values @ weights).mean() for seen, target, values in drawn]
        return float(RIDGE * (weights**2).sum() - np.mean(found))

    return np.asarray(minimize(loss, np.zeros(COUNT), method="BFGS", options={"maxiter": 60}).x)
