"""Paired statistics with 95 % intervals.

Intervals of means, differences and ratios are symmetric studentised bootstraps (P. Hall, The
Bootstrap and Edgeworth Expansion, 1992, 3.6): the half width is the standard error times the 95 %
point of |t| over N_RESAMPLES resamples; ratios and means of costs are treated on a logarithmic
scale. A percentile bootstrap is too narrow for few seeds and skewed costs (`docs/statistics.md` has
the coverage of both). The resamples come from a generator with a fixed seed: the same sample gives
the same interval. An interval is for one comparison; `holm` corrects the p-values of many.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tdx_env.jit import kernel

N_RESAMPLES = 2000
SIGNIFICANCE = 0.05
_SEED = 20240910
_QUANTILES = (2.5, 97.5)  # [percent]
_Z = 1.959964  # 97.5 % point of the normal distribution
_WIDEST = math.log(1e9)  # a factor; an interval beyond it says nothing
_ROUNDING = 1e-12  # an error that is smaller, as a share of the value, is rounding
_SLACK = 1.5  # how much longer the tail of t may be than Student's
POWER = 1.43  # (z at 97.5 % + z at 80 %) / z at 97.5 %

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
        p: Two-sided p-value of "no difference", corrected if the estimate is one of several that
            were corrected; None if nothing was tested.
    """

    value: float
    low: float
    high: float
    p: float | None = None

    @property
    def is_significant(self) -> bool:
        """Whether the test, if there was one, rejects "no difference"."""
        return self.p is None or self.p <= SIGNIFICANCE

    @property
    def is_positive(self) -> bool:
        """Whether the whole interval is above 0, after correction."""
        return self.low > 0 and self.is_significant

    @property
    def is_negative(self) -> bool:
        """Whether the whole interval is below 0, after correction."""
        return self.high < 0 and self.is_significant

    @property
    def smallest_visible(self) -> float:
        """The smallest difference from 0 that is found in four samples of five like this one."""
        return POWER * (self.high - self.low) / 2


@functools.lru_cache(maxsize=8)
def resamples(n: int) -> NDArray[np.int64]:
    """Return the bootstrap's resamples of n values as indices, shape (N_RESAMPLES, n)."""
    return np.random.default_rng(_SEED).integers(0, n, (N_RESAMPLES, n))


@kernel
def _mean_and_error(values: Values, picks: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean of the picked values and its standard error."""
    n = len(picks)
    total = 0.0
    for pick in picks:
        total += values[pick]
    middle = total / n
    squares = 0.0
    for pick in picks:
        squares += (values[pick] - middle) ** 2
    return middle, np.sqrt(squares / (n * (n - 1)))


@kernel
def _log_ratio_and_error(
    values: Values, reference: Values, picks: NDArray[np.int64]
) -> tuple[float, float]:
    """Return log(mean / mean) of the picked pairs and its standard error; nan if a mean is 0.

    The error is the delta method's: that of the mean of x_i / mean(x) - y_i / mean(y).
    """
    n = len(picks)
    ours = theirs = 0.0
    for pick in picks:
        ours += values[pick]
        theirs += reference[pick]
    if ours <= 0 or theirs <= 0:
        return np.nan, np.nan
    squares = 0.0
    for pick in picks:
        squares += (values[pick] * n / ours - reference[pick] * n / theirs) ** 2
    return np.log(ours / theirs), np.sqrt(squares / (n * (n - 1)))


@kernel
def _mean_errors(values: Values, picks: NDArray[np.int64], out: Values) -> None:
    """Fill in the mean and the error of each resample, shape (n_resamples, 2)."""
    for row in range(len(picks)):
        out[row, 0], out[row, 1] = _mean_and_error(values, picks[row])


@kernel
def _log_ratio_errors(
    values: Values, reference: Values, picks: NDArray[np.int64], out: Values
) -> None:
    """Fill in the log ratio and the error of each resample, shape (n_resamples, 2)."""
    for row in range(len(picks)):
        out[row, 0], out[row, 1] = _log_ratio_and_error(values, reference, picks[row])


def _largest_t(parts: Values) -> float:
    """Return one and a half times Student's 97.5 % point for as many values as carry the spread.

    A few pairs that differ among many that don't leave resamples with next to no spread, whose t is
    without a bound.

    Args:
        parts: What each pair adds to the estimate, less the mean, shape (n,).
    """
    squares = (parts / np.abs(parts).max()) ** 2
    n_carrying = squares.sum() ** 2 / (squares**2).sum()
    return _SLACK * float(stdtrit(max(1.0, n_carrying - 1), 0.975))


def _half_width(value: float, error: float, drawn: Values, parts: Values) -> tuple[float, float]:
    """Return half the width of the symmetric interval, and the p-value of 0.

    A resample without a spread has no t; it counts as the largest t of all others.

    Args:
        value: The estimate, on the scale on which it is symmetric.
        error: Its standard error.
        drawn: Estimate and error of each resample, shape (n_resamples, 2).
        parts: As for `_largest_t`.
    """
    if error <= _ROUNDING * abs(value):  # all alike: a sign test is all that is left
        return 0.0, 1.0 if value == 0 else min(1.0, 2.0 ** (1 - len(parts)))
    has_spread = drawn[:, 1] > 0
    t = np.abs(drawn[has_spread, 0] - value) / drawn[has_spread, 1]
    n_without = len(drawn) - len(t)
    sizes = np.sort(np.append(t, np.full(n_without, t.max(initial=0.0))))
    at_95 = min(float(sizes[math.ceil(0.95 * len(sizes)) - 1]), _largest_t(parts))
    p = (1 + np.count_nonzero(sizes >= abs(value) / error)) / (len(sizes) + 1)
    return at_95 * error, float(p)


def _exact(value: float) -> Estimate:
    """Return an estimate that no interval can be given for; nothing is significant about it."""
    return Estimate(float(value), float(value), float(value), 1.0)


def _signed_mean(values: Values) -> Estimate:
    """Return the mean of values of any sign with its interval."""
    values = np.ascontiguousarray(values, np.float64)
    n = len(values)
    if n == 1:
        return _exact(values[0])
    value, error = _mean_and_error(values, np.arange(n))
    drawn = np.empty((N_RESAMPLES, 2))
    _mean_errors(values, resamples(n), drawn)
    half, p = _half_width(value, error, drawn, values - value)
    return Estimate(value, value - half, value + half, p)


def _log_ratio(values: Values, reference: Values) -> Estimate:
    """Return log(mean / mean) with its interval; both means are above 0, n is 2 at least."""
    values, reference = (np.ascontiguousarray(some, np.float64) for some in (values, reference))
    n = len(values)
    value, error = _log_ratio_and_error(values, reference, np.arange(n))
    drawn = np.empty((N_RESAMPLES, 2))
    _log_ratio_errors(values, reference, resamples(n), drawn)
    parts = values / values.mean() - reference / reference.mean()
    half, p = _half_width(value, error, drawn, parts)
    half = min(half, _WIDEST)
    return Estimate(value, value - half, value + half, p)


def mean(values: Values) -> Estimate:
    """Return sum(x_i) / n with its interval; that of costs, none below 0, is one of factors.

    Args:
        values: Shape (n,), n at least 1.
    """
    if len(values) == 1 or values.min() < 0 or not values.any():
        return replace(_signed_mean(values), p=None)
    ratio = _log_ratio(values, np.ones(len(values)))
    return Estimate(float(values.mean()), math.exp(ratio.low), math.exp(ratio.high))


def paired_difference(values: Values, reference: Values) -> Estimate:
    """Return sum(x_i - y_i) / n; a resample takes x_i and y_i of one seed together.

    Args:
        values: Shape (n,).
        reference: The same seeds in the same order, shape (n,).
    """
    return _signed_mean(values - reference)


def relative_difference(values: Values, reference: Values) -> Estimate | None:
    """Return sum(x_i) / sum(y_i) - 1; a resample takes x_i and y_i of one seed together.

    A ratio of means, not a mean of ratios: episodes weigh as much as they cost.

    Args:
        values: Shape (n,), none below 0.
        reference: The same seeds in the same order, shape (n,).

    Returns:
        None if the reference sums to 0; without an interval if the values do, or if there is one.
    """
    if not reference.any():
        return None
    ratio = float(values.mean() / reference.mean())
    if len(values) == 1 or not values.any():
        return _exact(ratio - 1)
    log = _log_ratio(values, reference)
    return Estimate(ratio - 1, math.exp(log.low) - 1, math.exp(log.high) - 1, log.p)


def probability_of_improvement(values: Values, reference: Values) -> Estimate:
    """Return how often x_i < y_i on one seed; a tie counts one half.

    The interval is E. B. Wilson's (1927), which knows that eight of eight is not always.

    Args:
        values: Shape (n,).
        reference: The same seeds in the same order, shape (n,).
    """
    n = len(values)
    share = float(np.mean((values < reference) + 0.5 * (values == reference)))
    scale = 1 + _Z**2 / n
    centre = (share + _Z**2 / (2 * n)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def holm(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Correct p-values for their number (S. Holm, 1979): all verdicts hold at once, with 95 %.

    Args:
        estimates: The differences of one family; those without a p-value stay as they are.
    """
    tested = [place for place, one in enumerate(estimates) if one.p is not None]
    ranked = sorted(tested, key=lambda place: estimates[place].p or 0.0)
    corrected = list(estimates)
    so_far = 0.0
    for rank, place in enumerate(ranked):
        so_far = max(so_far, min(1.0, (len(ranked) - rank) * (estimates[place].p or 0.0)))
        corrected[place] = replace(estimates[place], p=so_far)
    return corrected


def _percentile(value: float, replicates: Values) -> Estimate:
    """Return a value with the percentile interval of its bootstrap replicates."""
    low, high = np.percentile(replicates, _QUANTILES)
    return Estimate(float(value), float(low), float(high))


def _middle(values: Values) -> Values:
    """Return the mean of the middle half along the last axis."""
    n = values.shape[-1]
    cut = n // 4
    middle: Values = np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1)
    return middle


def interquartile_mean(strata: Sequence[Values]) -> Estimate:
    """Return the mean of the middle half of all values.

    floor(N / 4) values are cut off at each end of the N values of all strata together, as
    `scipy.stats.trim_mean(values, 0.25)` does. A resample draws within each stratum; the interval
    is rliable's, of percentiles.

    Args:
        strata: One scenario's values each, shape (n,).
    """
    rng = np.random.default_rng(_SEED)
    drawn = [one[rng.integers(0, len(one), (N_RESAMPLES, len(one)))] for one in strata]
    value = float(_middle(np.concatenate(strata)))
    return _percentile(value, _middle(np.concatenate(drawn, axis=1)))
