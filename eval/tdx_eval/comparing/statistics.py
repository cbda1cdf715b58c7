"""Paired statistics with 95 % intervals.

Every interval is a percentile bootstrap with N_RESAMPLES resamples, from a generator with a fixed
seed: the same sample gives the same interval. Intervals are not corrected for the number of
comparisons: of twenty true zeros, one is expected to look like a difference.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_env.jit import kernel

N_RESAMPLES = 2000
_SEED = 20240910
_QUANTILES = (2.5, 97.5)  # [percent]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_positive(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def is_negative(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0


@functools.lru_cache(maxsize=8)
def resamples(n: int) -> NDArray[np.int64]:
    """Return the bootstrap's resamples of n values as indices, shape (N_RESAMPLES, n)."""
    return np.random.default_rng(_SEED).integers(0, n, (N_RESAMPLES, n))


@kernel
def _means_of(values: Values, picks: NDArray[np.int64], out: Values) -> None:
    """Compute the mean of each resample; sums of whole numbers below 2**53 are exact.

    Four times as fast as `values[picks].mean(axis=1)`, which writes all the values down first.

    Args:
        values: Shape (n,).
        picks: Indices, shape (n_resamples, n).
        out: Is filled, shape (n_resamples,).
    """
    for row in range(len(picks)):
        total = 0.0
        for pick in picks[row]:
            total += values[pick]
        out[row] = total / len(values)


def _resampled_means(values: Values) -> Values:
    """Return the mean of each resample, shape (N_RESAMPLES,)."""
    found = np.empty(N_RESAMPLES)
    _means_of(np.ascontiguousarray(values, np.float64), resamples(len(values)), found)
    return found


def _estimate(value: float, replicates: Values) -> Estimate:
    """Return a value with the percentile interval of its bootstrap replicates."""
    low, high = np.percentile(replicates, _QUANTILES)
    return Estimate(float(value), float(low), float(high))


def mean(values: Values) -> Estimate:
    """Return sum(x_i) / n with its interval.

    Args:
        values: Shape (n,), n at least 1.
    """
    return _estimate(values.mean(), _resampled_means(values))


def paired_difference(values: Values, reference: Values) -> Estimate:
    """Return sum(x_i - y_i) / n; a resample takes x_i and y_i of one seed together.

    Args:
        values: Shape (n,).
        reference: The same seeds in the same order, shape (n,).
    """
    return mean(values - reference)


def relative_difference(values: Values, reference: Values) -> Estimate | None:
    """Return sum(x_i) / sum(y_i) - 1; a resample takes x_i and y_i of one seed together.

    A ratio of means, not a mean of ratios: episodes weigh as much as they cost.

    Args:
        values: Shape (n,).
        reference: The same seeds in the same order, shape (n,).

    Returns:
        None if a resample of the reference sums to 0.
    """
    base = _resampled_means(reference)
    if not base.all() or not reference.any():
        return None
    return _estimate(values.mean() / reference.mean() - 1, _resampled_means(values) / base - 1)


def probability_of_improvement(values: Values, reference: Values) -> Estimate:
    """Return how often x_i < y_i on one seed; a tie counts one half.

    Args:
        values: Shape (n,).
        reference: The same seeds in the same order, shape (n,).
    """
    return mean((values < reference) + 0.5 * (values == reference))


def _middle(values: Values) -> Values:
    """Return the mean of the middle half along the last axis."""
    n = values.shape[-1]
    cut = n // 4
    middle: Values = np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1)
    return middle


def interquartile_mean(strata: Sequence[Values]) -> Estimate:
    """Return the mean of the middle half of all values.

    floor(N / 4) values are cut off at each end of the N values of all strata together, as
    `scipy.stats.trim_mean(values, 0.25)` does. A resample draws within each stratum.

    Args:
        strata: One scenario's values each, shape (n,).
    """
    rng = np.random.default_rng(_SEED)
    drawn = [one[rng.integers(0, len(one), (N_RESAMPLES, len(one)))] for one in strata]
    value = float(_middle(np.concatenate(strata)))
    return _estimate(value, _middle(np.concatenate(drawn, axis=1)))
