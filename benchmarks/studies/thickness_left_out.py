"""Thickness of glaciers left out, one at a time: the law, its baselines, and the intervals' coverage.

    python benchmarks/studies/thickness_left_out.py MEASURED [MODELLED] [--trees]

MEASURED and MODELLED are folders of glaciers of known thickness (``--thickness-data``). South Glacier
(RGI60-01.16195) trains nothing and is the last row. ``--trees`` adds gradient-boosted trees of scikit-learn
(the extra ``bench``) on the same features, with the level taken from the law.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.bed.readers.thickness_samples import Known, read_known, sample_of
from icectl.tasks.bed.thickness import law, physics
from icectl.tasks.bed.thickness.law import Sample

Floats = NDArray[np.float64]
TEST = "RGI60-01.16195"


def main() -> None:
    """Print a table a glacier, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("modelled", type=Path, nargs="?")
    parser.add_argument("--trees", action="store_true")
    asked = parser.parse_args()
    glaciers = list(read_known(asked.measured))
    training = [sample_of(g) for g in glaciers if g.name != TEST]
    if asked.modelled:
        training += [sample_of(g) for g in read_known(asked.modelled) if g.name != TEST]
    rows = []
    for glacier in sorted(glaciers, key=lambda g: (g.name == TEST, g.name)):
        one = sample_of(glacier)
        others = [s for s in training if s.name != one.name]
        rows.append((glacier.name, score(glacier, one, others, asked.trees)))
        print(rows[-1][0], *(f"{k} {v:.2f}" for k, v in rows[-1][1].items()), flush=True)
    for name in rows[0][1]:
        values = [found[name] for who, found in rows if who != TEST]
        print(
            f"{name:28s} mean {np.mean(values):.3f}  sd {np.std(values):.3f}  median {np.median(values):.3f}"
        )
    if asked.modelled:
        modelled([s for s in training if s.kind == "modelled"], asked.modelled)


def score(glacier: Known, one: Sample, others: Sequence[Sample], trees: bool) -> dict[str, float]:
    """Return errors over the mean thickness, correlations and coverage of one glacier left out."""
    fitted = law.fit_law(others)
    truth, known = one.thickness, glacier.ice & np.isfinite(glacier.thickness)
    made = fitted.full(one.features, one.region) * one.thinning
    low, high = fitted.interval(made, one.region, law.size_of(one.features))
    found = {
        "law": error(made, truth),
        "correlation": float(np.corrcoef(made, truth)[0, 1]),
        "rmse_m": error(made, truth) * float(truth.mean()),
        "covered": float(((truth >= low) & (truth <= high)).mean()),
        "width": float((high - low).mean() / truth.mean()),
        "winkler": winkler(low, high, truth) / float(truth.mean()),
        "level": float(np.log(made.mean() / truth.mean())),
        "plasticity": error(
            physics.perfect_plasticity(glacier.surface, glacier.ice, glacier.resolution)[known], truth
        ),
        "flux": error(0.50 * np.exp(one.features[:, 0]), truth),
        "two features": error(two_features(one, others), truth),
    }
    factor = fitted.volume_factor(one.region, law.size_of(one.features))
    found["mean covered"] = float(abs(found["level"]) <= np.log(factor))
    if trees:
        boosted = boost(one, others, fitted)
        found["trees"] = error(boosted, truth)
        found["trees correlation"] = float(np.corrcoef(boosted, truth)[0, 1])
    return found


def error(made: Floats, truth: Floats) -> float:
    """Return the RMSE over the mean thickness."""
    return float(np.sqrt(np.mean((made - truth) ** 2)) / truth.mean())


def winkler(low: Floats, high: Floats, truth: Floats, miss: float = 0.1) -> float:
    """Return the mean interval score (Winkler 1972): width, and 2 / 0.1 times what a miss is off by."""
    off = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float(np.mean(high - low + 2 / miss * off))


def two_features(one: Sample, others: Sequence[Sample]) -> Floats:
    """Return the log-linear law in flux thickness and distance to the edge, with one level for all."""
    used = [s for s in others if s.kind == "measured"]
    x = np.concatenate([_two(s)[:: max(1, len(s.thickness) // 200)] for s in used])
    y = np.concatenate([np.log(s.thickness + 3.0)[:: max(1, len(s.thickness) // 200)] for s in used])
    return np.asarray(np.maximum(np.exp(_two(one) @ np.linalg.lstsq(x, y, rcond=None)[0]) - 3.0, 0.0))


def _two(one: Sample) -> Floats:
    return np.column_stack([np.ones(len(one.thickness)), one.features[:, :2]])


def boost(one: Sample, others: Sequence[Sample], fitted: law.Law) -> Floats:
    """Return thickness by gradient-boosted trees of the shape within a glacier, on the law's level."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    used = [s for s in others if s.kind == "measured"]
    x = np.concatenate([s.features for s in used])
    y = np.concatenate([np.log(s.thickness + 3.0) - np.log(s.thickness + 3.0).mean() for s in used])
    weight = np.concatenate([np.full(len(s.thickness), 1 / len(s.thickness)) for s in used])
    model = HistGradientBoostingRegressor(
        max_iter=80, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=60, l2_regularization=10
    )
    shape = model.fit(x, y, sample_weight=weight).predict(one.features)
    level = np.log(fitted.full(one.features, one.region) * one.thinning + 3.0).mean()
    return np.asarray(np.maximum(np.exp(shape - shape.mean() + level) - 3.0, 0.0))


def modelled(samples: Sequence[Sample], folder: Path, blocks: int = 6) -> None:
    """Print the error on modelled glaciers, left out in blocks of neighbouring ids, beside plasticity's."""
    names = sorted(s.name for s in samples)
    block = {name: i * blocks // len(names) for i, name in enumerate(names)}
    laws = [law.fit_law([s for s in samples if block[s.name] != b], calibrate=False) for b in range(blocks)]
    squares: dict[str, list[Floats]] = {"law": [], "plasticity": []}
    shares = []
    for glacier in read_known(folder):
        known = glacier.ice & np.isfinite(glacier.thickness)
        one, truth = sample_of(glacier), glacier.thickness[known]
        made = laws[block[glacier.name]].full(one.features, one.region) * one.thinning
        plastic = physics.perfect_plasticity(glacier.surface, glacier.ice, glacier.resolution)[known]
        squares["law"].append((made - truth) ** 2)
        squares["plasticity"].append((plastic - truth) ** 2)
        shares.append((error(made, truth), error(plastic, truth)))
    rmse = {k: float(np.sqrt(np.mean([v.mean() for v in each]))) for k, each in squares.items()}
    mine, theirs = np.mean(shares, axis=0)
    print(f"modelled, {len(names)} glaciers in {blocks} blocks: RMSE {rmse['law']:.1f} m, plasticity "
          f"{rmse['plasticity']:.1f} m; over the mean {mine:.2f}, {theirs:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
