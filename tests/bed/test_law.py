"""The thickness law: what it learns, how sure it is, and that real glaciers come before synthetic ones."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from icectl.errors import DataError
from icectl.tasks.bed.thickness.features import FEATURES
from icectl.tasks.bed.thickness.law import Law, Sample, answer_kind, basis, fit_law, law_of


def glacier(
    number: int, region: str = "11", kind: str = "measured", level: float = 0.0, noise: float = 0.1
) -> Sample:
    """A glacier whose thickness is that of its flux times e to the level, with noise."""
    rng = np.random.default_rng([number, len(region), len(kind)])
    features = rng.normal(size=(200, len(FEATURES)))
    features[:, 0] = np.log(80.0) + 0.4 * features[:, 0]
    features[:, -1] = np.log(1500.0)
    thickness = np.exp(features[:, 0] + level + noise * rng.normal(size=200))
    return Sample(f"RGI60-{region}.{number:05d}", kind, region, features, thickness, np.ones(200))


def test_measured_come_before_modelled_and_both_before_synthetic() -> None:
    assert answer_kind(["synthetic", "modelled", "measured"]) == "measured"
    assert answer_kind(["synthetic", "modelled"]) == "modelled"
    assert answer_kind(["synthetic"]) == "synthetic"
    real = [glacier(i, kind="modelled") for i in range(6)]
    odd = [glacier(i, kind="synthetic", level=2.0) for i in range(6)]
    assert fit_law(real + odd).facts() == fit_law(real).facts()


def test_the_level_is_that_of_the_region_and_new_regions_are_less_sure() -> None:
    thin = [glacier(i, "11", level=-0.6) for i in range(8)]
    thick = [glacier(i, "12", level=0.6) for i in range(8)]
    law = fit_law(thin + thick)
    levels = {region: law.level(region, np.log(1500.0)) for region in ("11", "12", "05")}
    assert levels["11"][0] < levels["05"][0] < levels["12"][0]
    assert levels["12"][0] - levels["11"][0] == pytest.approx(1.2, abs=0.25)
    assert levels["05"][1] > levels["11"][1]
    made = law.full(thick[0].features, "12")
    assert made.mean() == pytest.approx(thick[0].thickness.mean(), rel=0.15)


def test_what_small_glaciers_say_of_their_region_fades_for_large_ones() -> None:
    law = fit_law([*(glacier(i, "11", level=-0.8) for i in range(8)), *(glacier(i, "12") for i in range(8))])
    small, near, far = (law.level("11", np.log(1500.0) + k) for k in (0.0, 1.0, 6.0))
    elsewhere = law.level("05", np.log(1500.0))
    assert small[0] < near[0] < far[0] == pytest.approx(elsewhere[0], abs=1e-3)
    assert small[1] < near[1] < far[1] == pytest.approx(elsewhere[1], abs=1e-3)
    # exact for one glacier: the posterior of a normal mean under a normal prior
    one = replace(law, start=0.0, known=(("11", 7.0, -1.0),), noise=0.4)
    mean, variance = one.level("11", 7.0)
    assert mean == pytest.approx(-0.5 / (0.5 + 0.16))
    assert variance == pytest.approx(0.5 + 0.16 - 0.5**2 / (0.5 + 0.16))
    assert one.level("11", 8.0)[0] == pytest.approx(-(0.25 + 0.25 * np.exp(-0.5)) / 0.66)


def test_modelled_glaciers_do_not_shift_the_level_of_measured_ones() -> None:
    measured = [glacier(i, level=-0.5) for i in range(6)]
    modelled = [glacier(100 + i, kind="modelled", level=0.5) for i in range(60)]
    alone, joined = fit_law(measured), fit_law(measured + modelled)
    assert joined.kind == "measured"
    one = measured[0]
    both = [law.full(one.features, "11").mean() for law in (joined, alone)]
    assert both[0] == pytest.approx(both[1], rel=0.2)


def test_intervals_hold_on_glaciers_that_were_never_seen() -> None:
    rng = np.random.default_rng(5)
    levels = rng.normal(0, 0.4, 60)
    made = [glacier(i, level=levels[i], noise=0.3) for i in range(60)]
    law, unseen = fit_law(made[:30]), made[30:]
    covered, volumes = [], []
    for one in unseen:
        answer = law.full(one.features, one.region)
        low, high = law.interval(answer, one.region, np.log(1500.0))
        assert (low <= answer + 1e-9).all()
        assert (low >= 0).all()
        assert (high >= low).all()
        covered.append(((one.thickness >= low) & (one.thickness <= high)).mean())
        ratio = abs(np.log(one.thickness.mean() / answer.mean()))
        volumes.append(ratio <= np.log(law.volume_factor(one.region, np.log(1500.0))))
    assert 0.82 <= np.mean(covered) <= 0.97
    assert 0.8 <= np.mean(volumes) <= 1.0


def test_a_glacier_left_out_is_left_out_under_every_kind_of_truth() -> None:
    """Its modelled twin, wrong by far, must not make the error of the glacier left out: it is not there."""
    measured = [glacier(i) for i in range(6)]
    odd = Sample(measured[0].name, "modelled", "11", *(getattr(glacier(0, level=3.0), n)
                 for n in ("features", "thickness", "thinning")))  # fmt: skip
    stranger = replace(odd, name="another")
    with_twin, with_stranger = fit_law([*measured, odd]), fit_law([*measured, stranger])
    assert with_twin.weights == with_stranger.weights
    assert with_twin.bounds != with_stranger.bounds


def test_modelled_glaciers_teach_a_function_that_bends_and_measured_ones_the_level() -> None:
    """Thickness grows with the distance to the margin up to a point: seen at modelled glaciers alone."""

    def bent(number: int, kind: str, level: float, n: int) -> Sample:
        rng = np.random.default_rng([number, n])
        features = rng.normal(size=(n, len(FEATURES)))
        thickness = 500.0 * np.exp(np.minimum(features[:, 1] + 0.5, 0.0) + level)
        return Sample(f"{kind}{number}", kind, "11", features, thickness, np.ones(n))

    modelled = [bent(i, "modelled", 0.0, 400) for i in range(200)]
    law = fit_law([*modelled, *(bent(i, "measured", -0.7, 4) for i in range(6))])
    x = np.zeros((3, len(FEATURES)))
    x[:, 1] = -1.5, -0.5, 1.4
    low, middle, high = law.full(x, "11")
    assert middle / low == pytest.approx(np.e, rel=0.15)
    assert high / middle == pytest.approx(1.0, abs=0.15)
    assert middle == pytest.approx(500.0 * np.exp(-0.7), rel=0.15)


def test_a_law_survives_json() -> None:
    law = fit_law([glacier(i) for i in range(7)])
    again = law_of(json.loads(json.dumps(law.facts())))
    assert isinstance(again, Law)
    assert again == law
    assert len(again.weights) == basis(np.zeros(len(FEATURES)), np.array(law.mean), np.array(law.spread)).size
    for old in ({"kind": "measured", "shape": [1.0]}, {**law.facts(), "mean": law.mean[1:]}):
        with pytest.raises(DataError, match="earlier icectl"):
            law_of(old)
