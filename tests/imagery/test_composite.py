"""Periods, means, medians and interpolation against closed forms, numpy and pandas."""

from datetime import date, datetime

import numpy as np
import pytest
from series import composite

from icectl.errors import DataError, UsageError
from icectl.imagery.composite import (
    Flag,
    combine,
    composite_strips,
    interpolate,
)
from icectl.imagery.periods import plan_periods

NAN = np.float32(np.nan)


def frame(*values):
    return np.array([values], dtype=np.float32)


def test_the_papers_series_has_35_quarters():
    # 2013-01-01 to 2022-01-01 is 36 quarters; Landsat 8 has no scene in the first.
    times = [date(2013 + k // 12, k % 12 + 1, 15) for k in range(3, 108)]
    periods = plan_periods(times, 3, date(2013, 1, 1), date(2022, 1, 1))
    assert len(periods) == 35
    assert periods[0].start == date(2013, 4, 1)
    assert periods[-1].start == date(2021, 10, 1)
    assert all(len(p.scenes) == 3 for p in periods)


def test_empty_periods_at_the_ends_are_dropped_and_inner_ones_kept():
    times = [date(2014, 5, 1), date(2015, 2, 1)]
    periods = plan_periods(times, 3, date(2013, 1, 1), date(2018, 1, 1))
    assert [p.start for p in periods] == [date(2014, m, 1) for m in (4, 7, 10)] + [date(2015, 1, 1)]
    assert [len(p.scenes) for p in periods] == [1, 0, 0, 1]


@pytest.mark.parametrize("months", [1, 2, 3, 4, 6, 12])
def test_periods_agree_with_pandas(months):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(months)
    days = sorted(date.fromordinal(date(2013, 1, 1).toordinal() + int(d)) for d in rng.integers(0, 3000, 60))
    edges = pandas.date_range("2013-01-01", periods=200, freq=f"{months}MS")
    expected = pandas.cut(pandas.to_datetime(days), edges, right=False).value_counts()
    expected = expected.to_numpy()[np.flatnonzero(expected)[0] : np.flatnonzero(expected)[-1] + 1]
    periods = plan_periods(days, months, date(2013, 1, 1))
    assert [len(p.scenes) for p in periods] == expected.tolist()
    assert {p.start for p in periods} <= {e.date() for e in edges}


def test_scenes_may_come_in_any_order_and_as_datetimes():
    times = [datetime(2019, 8, 1, 5), datetime(2019, 2, 1), datetime(2019, 7, 1)]
    assert [p.scenes for p in plan_periods(times, 3)] == [(1,), (), (2, 0)]


def test_bad_periods_are_refused():
    with pytest.raises(UsageError, match="0 months"):
        plan_periods([date(2019, 1, 1)], 0)
    with pytest.raises(UsageError, match="not after the start"):
        plan_periods([date(2019, 1, 1)], 3, date(2019, 1, 1), date(2018, 1, 1))
    with pytest.raises(DataError, match="none of 1 scenes"):
        plan_periods([date(2019, 1, 1)], 3, date(2020, 1, 1))


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_statistics_agree_with_numpy(statistic, count):
    rng = np.random.default_rng(count)
    stack = rng.normal(size=(count, 9, 11)).astype(np.float32)
    stack[rng.random(stack.shape) < 0.3] = np.nan
    stack[:, 0, 0] = np.nan
    values, flags = combine([(s, None) for s in stack], statistic)
    seen = ~np.isnan(stack).all(axis=0)
    expected = getattr(np, f"nan{statistic}")(stack[:, seen].astype(np.float64), axis=0)
    np.testing.assert_allclose(values[seen], expected, atol=1e-6)
    assert np.isnan(values[~seen]).all()
    np.testing.assert_array_equal(flags, seen.astype(np.uint8))


def test_it_is_a_true_mean_and_not_a_running_half():
    values, _ = combine([(frame(v), None) for v in (0.0, 0.0, 0.9)])
    assert values[0, 0] == pytest.approx(0.3)


def test_a_measured_value_wins_over_a_made_up_one():
    scenes = [
        (frame(1.0, 5.0, NAN), np.array([[False, True, False]])),
        (frame(9.0, 7.0, NAN), np.array([[True, True, False]])),
    ]
    values, flags = combine(scenes)
    np.testing.assert_array_equal(values, frame(1.0, 6.0, NAN))
    assert flags.tolist() == [[Flag.OBSERVED, Flag.FILLED, 0]]


def test_interpolation_agrees_with_numpy_and_never_extrapolates():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(12, 6, 7)).astype(np.float32)
    values[rng.random(values.shape) < 0.5] = np.nan
    before, flags = values.copy(), np.zeros(values.shape, np.uint8)
    interpolate(values, flags)
    t = np.arange(12)
    for y in range(6):
        for x in range(7):
            good = ~np.isnan(before[:, y, x])
            expected = np.interp(t, t[good], before[good, y, x], left=np.nan, right=np.nan)
            np.testing.assert_allclose(values[:, y, x], expected, atol=1e-6)
    np.testing.assert_array_equal(flags == Flag.INTERPOLATED, np.isnan(before) & ~np.isnan(values))


def test_a_wholly_cloudy_scene_makes_its_period_an_interpolated_one():
    scenes = [frame(0.0), frame(NAN), frame(1.0), frame(NAN)]
    times = [date(2019, m, 1) for m in (1, 4, 7, 10)]
    series = composite(scenes, times)
    assert series.values.ravel().tolist() == [0.0, 0.5, 1.0]
    assert series.flags.ravel().tolist() == [1, 4, 1]
    assert [p.scenes for p in series.periods] == [(0,), (), (1,)]


def test_strips_do_not_change_the_result():
    rng = np.random.default_rng(2)
    scenes = rng.normal(size=(6, 30, 8)).astype(np.float32)
    scenes[rng.random(scenes.shape) < 0.4] = np.nan
    made_up = rng.random(scenes.shape) < 0.2
    times = [date(2019, 1 + 2 * k, 1) for k in range(6)]
    whole = composite(list(scenes), times, 2, "median", made_up)
    periods = plan_periods(times, 2)
    parts = list(
        composite_strips(lambda i, r: (scenes[i][r], made_up[i][r]), periods, (30, 8), "median", strip=7)
    )
    assert [p[0].start for p in parts] == [0, 7, 14, 21, 28]
    np.testing.assert_array_equal(np.concatenate([p[1] for p in parts], axis=1), whole.values)
    np.testing.assert_array_equal(np.concatenate([p[2] for p in parts], axis=1), whole.flags)
