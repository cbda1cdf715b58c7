"""Measuring in rounds: what is compared is measured in turn, and the median counts."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        n_rounds: Rounds that count; one more goes before them.
        seconds: How long a loop is measured in each round [s].
        share: Part of the full sizes of what is measured once, 0 to 1.
    """

    n_rounds: int
    seconds: float
    share: float

    @property
    def is_quick(self) -> bool:
        """Whether only that everything runs is of interest."""
        return self.share < 1


FULL = Effort(n_rounds=5, seconds=1.0, share=1.0)
QUICK = Effort(n_rounds=1, seconds=0.02, share=0.05)


class Median(NamedTuple):
    """A figure that was measured several times."""

    median: float
    low: float
    high: float


def median_of(values: list[float]) -> Median:
    """Return median, lowest and highest of some values."""
    return Median(statistics.median(values), min(values), max(values))


def in_rounds(
    measurements: Mapping[str, Callable[[int], float]], effort: Effort
) -> dict[str, Median]:
    """Take each measurement once in every round, after one round that doesn't count.

    Args:
        measurements: Functions from the number of the round to a figure, by name.
        effort: How many rounds.
    """
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for number in range(effort.n_rounds + 1):
        for name, measure in measurements.items():
            value = measure(number)
            if number > 0:
                values[name].append(value)
    return {name: median_of(some) for name, some in values.items()}
