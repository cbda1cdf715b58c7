"""The vectorised statistics against plain loops, scipy and rliable."""

import warnings

import numpy as np
import pytest
from scipy.stats import trim_mean

from tdx_eval.comparing.statistics import (
    N_RESAMPLES,
    interquartile_mean,
    mean,
    paired_difference,
    probability_of_improvement,
    relative_difference,
    resamples,
)

RNG = np.random.default_rng(7)
OURS = RNG.lognormal(3, 1, 30)
THEIRS = OURS * RNG.uniform(0.8, 1.6, 30)
_TINY = 1e-12  # sums in another order


def by_hand(statistic, *samples) -> tuple[float, float]:
    """Return a percentile interval, one resample at a time."""
    replicates = []
    for pick in resamples(len(samples[0])):
        drawn = [[sample[i] for i in pick] for sample in samples]
        replicates.append(statistic(*drawn))
    low, high = np.percentile(replicates, [2.5, 97.5])
    return float(low), float(high)


def plain_mean(values) -> float:
    return sum(values) / len(values)


def test_interval_of_the_mean_is_that_of_a_plain_loop():
    found = mean(OURS)
    assert found.value == pytest.approx(plain_mean(list(OURS)), rel=_TINY)
    assert (found.low, found.high) == pytest.approx(by_hand(plain_mean, OURS), rel=_TINY)


def test_relative_difference_resamples_pairs():
    found = relative_difference(OURS, THEIRS)
    wanted = by_hand(lambda a, b: sum(a) / sum(b) - 1, OURS, THEIRS)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-9)


def test_probability_of_improvement_counts_ties_half():
    found = probability_of_improvement(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2, 2, 2]))
    assert found.value == (1 + 0.5) / 4


def test_pairs_make_intervals_narrow():
    noise = RNG.lognormal(6, 1, 30)
    paired = paired_difference(OURS + noise, THEIRS + noise)
    assert paired.high - paired.low < 0.1 * (mean(noise).high - mean(noise).low)
    assert paired.is_negative


def test_same_costs_differ_by_nothing():
    found = paired_difference(OURS, OURS)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert not found.is_positive
    assert not found.is_negative


def test_relative_difference_to_nothing_is_none():
    assert relative_difference(OURS, np.zeros(30)) is None


@pytest.mark.parametrize("n", [1, 3, 4, 10, 31])
def test_interquartile_mean_is_scipys_trimmed_mean(n: int):
    values = RNG.lognormal(0, 1, n)
    assert interquartile_mean([values]).value == pytest.approx(trim_mean(values, 0.25), rel=_TINY)


def test_interquartile_mean_resamples_within_strata():
    found = interquartile_mean([np.zeros(8), np.ones(8)])
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    samples = np.random.default_rng(3).normal(5, 2, (300, 60))
    found = [mean(sample) for sample in samples]
    covered = np.mean([one.low <= 5 <= one.high for one in found])
    assert 0.90 <= covered <= 0.98  # 95 %, a little less for a percentile bootstrap; 300 draws


def test_interval_is_the_same_each_time():
    assert mean(OURS) == mean(OURS.copy())
    assert resamples(5).shape == (N_RESAMPLES, 5)


@pytest.mark.slow
def test_interquartile_mean_is_near_rliables():
    """The peer draws from numpy's global generator: it is seeded here, and put back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies' deprecations
        library = pytest.importorskip("rliable.library", exc_type=Exception)
        metrics = pytest.importorskip("rliable.metrics")
        scores = RNG.lognormal(0, 0.5, (40, 3))
        state = np.random.get_state()
        try:
            np.random.seed(1)
            values, intervals = library.get_interval_estimates(
                {"a": scores}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=N_RESAMPLES
            )
        finally:
            np.random.set_state(state)
    found = interquartile_mean(list(scores.T))
    assert found.value == pytest.approx(values["a"][0], rel=1e-9)
    near = 0.15 * (found.high - found.low)  # two bootstraps of 2,000 resamples
    assert found.low == pytest.approx(intervals["a"][0][0], abs=near)
    assert found.high == pytest.approx(intervals["a"][1][0], abs=near)
