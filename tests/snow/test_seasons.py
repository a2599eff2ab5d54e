"""Times of year, and when the frames to come fall."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from icectl.tasks.snow.masks.moments import (
    as_trained,
    forecast,
    phases,
    same_season,
    season_index,
    steps_differ,
)


def days(*texts):
    return [date.fromisoformat(text) for text in texts]


QUARTERS = days("2019-01-01", "2019-04-01", "2019-07-01", "2019-10-01")


def test_quarters_match_their_season():
    future = days("2021-01-01", "2021-04-01", "2021-07-01", "2021-10-01")
    assert season_index(QUARTERS, future) == [0, 1, 2, 3]


def test_of_two_frames_of_a_season_the_latest_is_taken():
    half_years = days("2018-01-01", "2018-07-01", "2019-01-01", "2019-07-01")
    assert season_index(half_years, days("2020-01-01", "2020-07-01", "2021-01-01")) == [2, 3, 2]


def test_december_is_near_january():
    assert season_index(days("2019-06-15", "2019-12-28"), days("2021-01-03")) == [1]


def test_the_same_season_reaches_over_the_new_year():
    days = [date(2013, 12, 30), date(2014, 6, 1), date(2015, 1, 3), date(2015, 3, 1)]
    assert same_season(days, 0, range(4)) == [0, 2]
    assert same_season(days, 2, [1, 3]) == []


def test_phase_is_a_share_of_the_year():
    assert phases(days("2020-01-01", "2021-07-02")) == pytest.approx([0, 0.498], abs=2e-3)


@pytest.mark.parametrize("step", [5, 8, 16, 91])
def test_a_series_of_equal_steps_goes_on(step):
    """Steps below a month were counted as whole ones, and the second frame then dated a year later."""
    series = [date(2021, 1, 1) + timedelta(days=step * k) for k in range(20)]
    ahead = as_trained(series, 4, 4, series)
    assert [(day - series[-1]).days for day in ahead] == [step, 2 * step, 3 * step, 4 * step]


def test_quarters_go_on_as_quarters_and_not_by_days():
    series = [date(2019 + k // 4, 3 * (k % 4) + 1, 1) for k in range(9)]  # to 2021-01-01
    assert as_trained(series, 4, 2, series) == days("2021-04-01", "2021-07-01")
    assert as_trained(days("2021-01-31"), 4, 2, series) == days("2021-04-30", "2021-07-31")


def test_other_steps_than_those_of_the_training_are_said():
    weeks = [date(2021, 1, 1) + timedelta(days=7 * k) for k in range(6)]
    assert "7 days apart, those of the training 91" in steps_differ(weeks, 4, QUARTERS)
    assert steps_differ(QUARTERS, 4, QUARTERS) == steps_differ(weeks[:1], 1, QUARTERS) == ""


def test_forecasts_are_dated_as_far_ahead_as_the_training_pairs():
    trained = days("2019-07-01", "2021-07-01")
    assert as_trained(trained[:1], 1, 1, trained) == days("2021-07-01")
    assert as_trained(trained, 1, 1, trained) == days("2023-07-01")
    series = [*QUARTERS, *days("2021-01-01", "2021-04-01", "2021-07-01", "2021-10-01")]
    assert as_trained(series, 4, 4, series) == days("2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01")
    assert as_trained(series[:4], 4, 4, series) == series[4:]
    moment = forecast(trained, 1, 1, trained)
    assert (moment.stem, moment.future) == ("forecast_2023-07-01", (date(2023, 7, 1),))
    said = "the forecast from 2021-07-01 is of 2023-07-01, as far ahead as in training"
    assert moment.sentence(trained) == said
    gaps = days("2018-07-01", *("2019-07-01", "2021-07-01"))
    assert forecast(gaps, 1, 1, gaps).sentence(gaps) == f"{said}; the series has frames 365 to 731 days apart"
