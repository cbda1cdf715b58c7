"""The statistics against plain computations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.statistics import (
    interquartile_mean,
    iqm,
    mean,
    paired_difference,
    probability_of_improvement,
    relative_difference,
)

SAMPLES = st.lists(st.floats(0, 1e9), min_size=2, max_size=40).map(np.array)


@given(SAMPLES)
def test_mean_lies_in_its_interval(values: np.ndarray) -> None:
    estimate = mean(values)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low <= estimate.value + 1e-6 * abs(estimate.value)
    assert estimate.high >= estimate.value - 1e-6 * abs(estimate.value)


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        estimate = mean(rng.normal(3.0, 1.0, 60))
        hits += estimate.low <= 3.0 <= estimate.high
    assert 180 <= hits <= 200  # 95 % of 200, four standard deviations either side


@given(SAMPLES)
def test_equal_samples_have_no_difference(values: np.ndarray) -> None:
    estimate = paired_difference(values, values)
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_pairing_removes_what_both_share() -> None:
    shared = np.random.default_rng(1).exponential(1e6, 100)
    estimate = paired_difference(shared + 5, shared)
    assert estimate.low == pytest.approx(5) and estimate.high == pytest.approx(5)
    assert estimate.is_positive and not estimate.is_negative


def test_relative_difference_of_twice_the_cost_is_one() -> None:
    values = np.random.default_rng(1).exponential(1.0, 50)
    estimate = relative_difference(2 * values, values)
    assert estimate.value == pytest.approx(1) and estimate.high == pytest.approx(1)


def test_relative_difference_to_nothing_is_not_a_number() -> None:
    assert np.isnan(relative_difference(np.ones(4), np.zeros(4)).value)


@given(SAMPLES)
def test_interquartile_mean_is_the_mean_of_the_middle(values: np.ndarray) -> None:
    ordered = sorted(values)
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    assert interquartile_mean(values) == pytest.approx(sum(middle) / len(middle))


def test_interquartile_mean_agrees_with_rliable() -> None:
    metrics = pytest.importorskip("rliable.metrics")
    scores = np.random.default_rng(1).normal(size=(20, 4))
    assert interquartile_mean(scores.ravel()) == pytest.approx(metrics.aggregate_iqm(scores))


def test_stratified_interval_holds_each_scenario_apart() -> None:
    estimate = iqm([np.full(10, 1.0), np.full(10, 3.0)])
    assert (estimate.value, estimate.low, estimate.high) == (2.0, 2.0, 2.0)


def test_probability_of_improvement_counts_ties_half() -> None:
    assert probability_of_improvement(np.array([1.0, 2, 3]), np.array([2.0, 2, 2])) == 0.5
