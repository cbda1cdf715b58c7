"""Paired statistics: every interval is a bootstrap over seeds, drawn from a stream of its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000
_SEED = 20240910
_LOW, _HIGH = 2.5, 97.5

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


def _resamples(n: int) -> NDArray[np.int64]:
    """Return indices of the bootstrap's resamples, shape (N_RESAMPLES, n)."""
    return np.random.default_rng(_SEED).integers(0, n, (N_RESAMPLES, n))


def mean(values: Values) -> Estimate:
    """Return the mean of a sample, with a percentile bootstrap interval."""
    means = values[_resamples(len(values))].mean(axis=1)
    low, high = np.percentile(means, [_LOW, _HIGH])
    return Estimate(float(values.mean()), float(low), float(high))


def paired_difference(values: Values, reference: Values) -> Estimate:
    """Return the mean of values - reference, pair by pair.

    Args:
        values, reference: Shape (n,), the same seeds in the same order.
    """
    return mean(values - reference)


def relative_difference(values: Values, reference: Values) -> Estimate:
    """Return mean(values) / mean(reference) - 1; pairs are resampled together."""
    picks = _resamples(len(values))
    base = reference[picks].mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = values[picks].mean(axis=1) / base - 1
        value = values.mean() / reference.mean() - 1
    if not np.isfinite(ratios).all() or not np.isfinite(value):
        return Estimate(float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(ratios, [_LOW, _HIGH])
    return Estimate(float(value), float(low), float(high))


def interquartile_mean(values: Values) -> float:
    """Return the mean of the middle half: a quarter of the values is cut off at each end.

    With n not a multiple of 4, floor(n / 4) values are cut at each end, as `scipy.stats.trim_mean`
    does.
    """
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())


def iqm(strata: list[Values]) -> Estimate:
    """Return the interquartile mean over several scenarios' scores, resampled within each."""
    rng = np.random.default_rng(_SEED)
    picks = [rng.integers(0, len(one), (N_RESAMPLES, len(one))) for one in strata]
    drawn = np.concatenate([one[pick] for one, pick in zip(strata, picks, strict=True)], axis=1)
    cut = drawn.shape[1] // 4
    middles = np.sort(drawn, axis=1)[:, cut : drawn.shape[1] - cut].mean(axis=1)
    low, high = np.percentile(middles, [_LOW, _HIGH])
    return Estimate(interquartile_mean(np.concatenate(strata)), float(low), float(high))


def probability_of_improvement(values: Values, reference: Values) -> float:
    """Return how often a policy is cheaper on the same seed; ties count half."""
    return float(np.mean(values < reference) + 0.5 * np.mean(values == reference))
