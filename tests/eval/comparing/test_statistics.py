"""The vectorised statistics against plain loops, scipy and rliable."""

import math
import warnings

import numpy as np
import pytest
from scipy.stats import trim_mean

from tdx_eval.comparing.statistics import (
    N_RESAMPLES,
    SIGNIFICANCE,
    Estimate,
    holm,
    interquartile_mean,
    mean,
    paired_difference,
    probability_of_improvement,
    relative_difference,
    resamples,
)
from tdx_eval.coverage import KINDS, covered

RNG = np.random.default_rng(7)
OURS = RNG.lognormal(3, 1, 30)
THEIRS = OURS * RNG.uniform(0.8, 1.6, 30)
_TINY = 1e-12  # sums in another order


def plain_mean(values) -> float:
    return sum(values) / len(values)


def log_ratio(ours, theirs) -> tuple[float, float]:
    """Return the log of a ratio of means and its error by the delta method."""
    n, a, b = len(ours), plain_mean(ours), plain_mean(theirs)
    parts = [x / a - y / b for x, y in zip(ours, theirs, strict=True)]
    return math.log(a / b), math.sqrt(sum(part**2 for part in parts) / (n * (n - 1)))


def signed_mean(values) -> tuple[float, float]:
    """Return a mean and its standard error."""
    n, middle = len(values), plain_mean(values)
    return middle, math.sqrt(sum((x - middle) ** 2 for x in values) / (n * (n - 1)))


def by_hand(statistic, *samples) -> tuple[float, float]:
    """Return a symmetric studentised interval, one resample at a time."""
    value, error = statistic(*map(list, samples))
    sizes = []
    for pick in resamples(len(samples[0])):
        drawn, spread = statistic(*[[sample[i] for i in pick] for sample in samples])
        sizes.append(abs(drawn - value) / spread)
    half = sorted(sizes)[math.ceil(0.95 * len(sizes)) - 1] * error
    return value - half, value + half


def test_interval_of_a_difference_is_that_of_a_plain_loop():
    found = paired_difference(OURS[:9], THEIRS[:9])
    assert found.value == pytest.approx(plain_mean(list(OURS[:9] - THEIRS[:9])), rel=_TINY)
    assert (found.low, found.high) == pytest.approx(
        by_hand(signed_mean, OURS[:9] - THEIRS[:9]), rel=1e-9
    )


def test_interval_of_a_cost_is_one_of_factors():
    found = mean(OURS[:9])
    low, high = by_hand(log_ratio, OURS[:9], np.ones(9))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-9)


def test_relative_difference_resamples_pairs():
    found = relative_difference(OURS[:9], THEIRS[:9])
    low, high = by_hand(log_ratio, OURS[:9], THEIRS[:9])
    assert found is not None
    wanted = (math.exp(low) - 1, math.exp(high) - 1)
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-9)


def test_interval_and_p_value_agree():
    for scale in (1.0, 1.1, 1.5):
        found = paired_difference(OURS, scale * THEIRS)
        assert (found.low > 0 or found.high < 0) == (found.p <= SIGNIFICANCE)


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


def test_one_pair_tells_nothing():
    found = paired_difference(np.array([3.0]), np.array([1.0]))
    assert found.value == 2
    assert not found.is_positive


def test_saving_of_everything_has_no_interval():
    found = relative_difference(np.zeros(30), OURS)
    assert found is not None
    assert (found.low, found.high, found.is_negative) == (-1, -1, False)


def test_same_difference_in_all_pairs_is_told_by_their_number():
    assert not paired_difference(OURS[:4] + 1, OURS[:4]).is_positive
    assert paired_difference(OURS + 1, OURS).is_positive


def test_few_costly_episodes_leave_an_interval_that_ends():
    found = relative_difference(np.array([0.0] * 7 + [5.0]), np.array([0.0] * 6 + [1.0, 2.0]))
    assert found is not None
    assert math.isfinite(found.high) and found.low < 0 < found.high


def test_eight_of_eight_is_not_always():
    found = probability_of_improvement(np.zeros(8), np.ones(8))
    assert found.value == 1
    assert 0.6 < found.low < 0.75  # Wilson's 0.676
    assert found.high == 1


def test_smallest_visible_difference_falls_with_the_pairs():
    many = np.tile(OURS, 4), np.tile(THEIRS, 4)
    few = relative_difference(OURS, THEIRS).smallest_visible
    assert 0.3 < relative_difference(*many).smallest_visible / few < 0.6


def test_holm_multiplies_by_what_is_left():
    estimates = [Estimate(1, 1, 1, p) for p in (0.01, 0.04, 0.03)]
    assert [one.p for one in holm(estimates)] == pytest.approx([0.03, 0.06, 0.06])


def test_holm_leaves_what_was_not_tested():
    assert holm([Estimate(1, 1, 1), Estimate(1, 1, 1, 0.01)])[0].p is None


def test_verdict_falls_with_the_number_of_comparisons():
    one = Estimate(2, 1, 3, 0.01)
    assert holm([one])[0].is_positive
    assert not holm([one] * 6)[0].is_positive


@pytest.mark.parametrize("n", [1, 3, 4, 10, 31])
def test_interquartile_mean_is_scipys_trimmed_mean(n: int):
    values = RNG.lognormal(0, 1, n)
    assert interquartile_mean([values]).value == pytest.approx(trim_mean(values, 0.25), rel=_TINY)


def test_interquartile_mean_resamples_within_strata():
    found = interquartile_mean([np.zeros(8), np.ones(8)])
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_interval_holds_the_truth_about_as_often_as_it_says(kind: str):
    """Forty pairs; 93 to 97 % in a thousand samples is docs/statistics.md."""
    found = covered(kind, 40, 90)
    assert found.ratio >= 0.88  # four standard deviations of 90 samples below 95 %
    assert found.alike <= 0.14


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
