"""Times of year, and when the frames to come fall."""

from __future__ import annotations

from datetime import date

import pytest

from icectl.tasks.snow.masks.moments import as_trained, coming, forecast, phases, same_season, season_index


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


def test_a_regular_series_goes_on():
    assert coming(QUARTERS, 4, 2) == days("2020-01-01", "2020-04-01")


def test_two_years_apart_go_on_two_years_later():
    series = [*QUARTERS, *days("2021-01-01", "2021-04-01", "2021-07-01", "2021-10-01")]
    assert coming(series, 4, 4) == days("2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01")


def test_forecasts_are_dated_as_far_ahead_as_the_training_pairs():
    trained = days("2019-07-01", "2021-07-01")
    assert as_trained(trained[:1], 1, 1, trained) == days("2021-07-01")
    assert as_trained(trained, 1, 1, trained) == days("2023-07-01")
    series = [*QUARTERS, *days("2021-01-01", "2021-04-01", "2021-07-01", "2021-10-01")]
    assert as_trained(series, 4, 4, series) == coming(series, 4, 4)
    assert as_trained(series[:4], 4, 4, series) == series[4:]
    moment = forecast(trained, 1, 1, trained)
    assert (moment.stem, moment.future) == ("forecast_2023-07-01", (date(2023, 7, 1),))
    said = "the forecast from 2021-07-01 is of 2023-07-01, as far ahead as in training"
    assert moment.sentence(trained) == said
    gaps = days("2018-07-01", *("2019-07-01", "2021-07-01"))
    assert forecast(gaps, 1, 1, gaps).sentence(gaps) == f"{said}; the series has frames 12 to 24 months apart"


def test_irregular_scenes_come_back_in_order_a_year_later():
    found = coming(days("2018-01-05", "2018-03-09", "2018-08-20", "2019-02-02"), 4, 4)
    assert found == sorted(set(found))
    assert found[0] > date(2019, 2, 2)
