"""Measuring in rounds: what is compared is measured in turn, and the median counts."""

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

N_ROUNDS = 5


class Median(NamedTuple):
    """A figure that was measured several times."""

    median: float
    low: float
    high: float


def median_of(values: list[float]) -> Median:
    """Return median, lowest and highest of some values."""
    return Median(statistics.median(values), min(values), max(values))


def in_rounds(measurements: Mapping[str, Callable[[int], float]]) -> dict[str, Median]:
    """Take each measurement once in every round, after one round that doesn't count.

    Args:
        measurements: Functions from the number of the round to a figure, by name.
    """
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for number in range(N_ROUNDS + 1):
        for name, measure in measurements.items():
            value = measure(number)
            if number > 0:
                values[name].append(value)
    return {name: median_of(some) for name, some in values.items()}
