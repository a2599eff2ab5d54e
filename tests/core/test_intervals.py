"""Bootstrap intervals: agreement with closed forms, shared draws, and units kept whole."""

from __future__ import annotations

import numpy as np
import pytest

from icectl.intervals import gain_interval, grouped, mean_interval


def test_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(5, 2, 4_000)
    units = grouped(values, np.arange(4_000))
    low, high = mean_interval(units, draws=2_000)
    half = 1.96 * values.std() / np.sqrt(4_000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)


def test_interval_of_a_gain_is_that_of_the_normal_distribution():
    values = np.random.default_rng(3).normal(5, 2, 4_000)
    model, rival = grouped(values, np.arange(4_000)), grouped(np.full(4_000, 8.0), np.arange(4_000))
    low, high = gain_interval(model, rival, draws=2_000)
    half = 100 * 1.96 * values.std() / np.sqrt(4_000) / 8
    middle = 100 * (1 - values.mean() / 8)
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.15 * half)


def test_units_of_repeated_values_count_once():
    values = np.random.default_rng(1).normal(0, 1, 50).repeat(20)
    apart = mean_interval(grouped(values, np.arange(1_000)), draws=1_000)
    together = mean_interval(grouped(values, np.arange(50).repeat(20)), draws=1_000)
    assert (together[1] - together[0]) / (apart[1] - apart[0]) == pytest.approx(np.sqrt(20), rel=0.2)


def test_gain_over_a_rival_shares_its_draws():
    error = np.random.default_rng(2).exponential(1, 300)
    units = grouped(error, np.arange(300))
    low, high = gain_interval(units * [0.8, 1], units, draws=500)
    assert (low, high) == pytest.approx((20, 20))
    low, high = gain_interval(units * [0.81, 1], units, draws=500, of=np.sqrt)
    assert (low, high) == pytest.approx((10, 10))
    low, high = gain_interval(units * [1.5, 1], units, draws=500, higher_is_better=True)
    assert (low, high) == pytest.approx((50, 50))


def test_missing_values_are_not_counted():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    assert grouped(values, np.array([7, 7, 9, 9])).tolist() == [[1, 1], [3, 1]]


def test_too_little_gives_no_interval():
    one = np.array([[1.0, 1.0]])
    many = np.ones((5, 2))
    assert mean_interval(one, draws=100) is None
    assert mean_interval(many, draws=0) is None
    assert gain_interval(many * [1, 0], many, draws=100) is None


@pytest.mark.filterwarnings("error")
def test_units_without_a_value_give_no_interval_and_no_warning():
    """Chips without any correlation: a warning of a library reached the user."""
    none, one = np.zeros((5, 2)), np.array([[1.0, 1.0], [0, 0], [0, 0], [0, 0]])
    assert mean_interval(none, draws=100) is None
    assert mean_interval(one, draws=100) is None
    assert gain_interval(none, none, draws=100) is None
