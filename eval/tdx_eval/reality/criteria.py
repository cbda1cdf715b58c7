"""When an observation holds: where it must lie among what the simulator gives over the costs."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

_SPAN = (5, 95)


class Criterion(Protocol):
    """A test of the values of all draws against an observation."""

    @property
    def given(self) -> str:
        """The observed number, as published."""

    @property
    def text(self) -> str:
        """The test in words."""

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""


def _span(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 5th and the 95th percentile."""
    low, high = np.percentile(values, _SPAN)
    return float(low), float(high)


def _number(value: float) -> str:
    """Return a number as it was written."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


@dataclass(frozen=True)
class Within:
    """The observed number, to the digits it was published with, lies within 5 to 95 %.

    Attributes:
        value: As published.
        step: One unit of its last digit: the published number stands for half of it either way.
    """

    value: float
    step: float = 1

    @property
    def given(self) -> str:
        """The observed number, as published."""
        return _number(self.value)

    @property
    def text(self) -> str:
        """The test in words."""
        return f"{self.given} (± {_number(self.step / 2)}, as published) lies within 5 to 95 %"

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        low, high = _span(values)
        return low <= self.value + self.step / 2 and high >= self.value - self.step / 2


@dataclass(frozen=True)
class Overlaps:
    """The observed range and the one from 5 to 95 % have values in common.

    Attributes:
        low: Lower end, as published.
        high: Upper end.
        because: Why it is a range; nothing if it was published as one.
    """

    low: float
    high: float
    because: str = ""

    @property
    def given(self) -> str:
        """The observed range, as published."""
        return f"{_number(self.low)} to {_number(self.high)}"

    @property
    def text(self) -> str:
        """The test in words."""
        text = f"{self.given} and 5 to 95 % overlap"
        return f"{text}; a range, since {self.because}" if self.because else text

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        low, high = _span(values)
        return low <= self.high and high >= self.low


class Limit(NamedTuple):
    """How one quantile of the values is held against a limit.

    Attributes:
        sign: The relation, as published limits are written.
        words: The same in words; {} is the limit.
        percent: The quantile [%].
        compare: The relation.
    """

    sign: str
    words: str
    percent: float
    compare: Callable[[float, float], bool]


_HIGH, _MEDIAN = _SPAN[1], 50
REACHES = Limit("≥", "the 95 % value is at least {}", _HIGH, operator.ge)
MOSTLY = Limit("≥", "the median is at least {}", _MEDIAN, operator.ge)
BELOW = Limit("<", "the 95 % value is below {}", _HIGH, operator.lt)


@dataclass(frozen=True)
class Bounded:
    """A quantile of the values is on the right side of an observed limit.

    Attributes:
        value: The limit, as published.
        limit: Which quantile, and which side.
    """

    value: float
    limit: Limit

    @property
    def given(self) -> str:
        """The observed limit."""
        return f"{self.limit.sign} {_number(self.value)}"

    @property
    def text(self) -> str:
        """The test in words."""
        return self.limit.words.format(_number(self.value))

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        return self.limit.compare(float(np.percentile(values, self.limit.percent)), self.value)


def reaches(value: float) -> Bounded:
    """Return the test of a lower bound: the simulator's range reaches it."""
    return Bounded(value, REACHES)


def mostly_reaches(value: float) -> Bounded:
    """Return the test of a lower bound: half of the draws or more reach it."""
    return Bounded(value, MOSTLY)


def below(value: float) -> Bounded:
    """Return the test of an upper bound: nearly every draw stays below it."""
    return Bounded(value, BELOW)


@dataclass(frozen=True)
class Always:
    """The statement is true in every draw."""

    given = ""
    text = "true in every draw"

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        return bool(np.all(values == 1))


@dataclass(frozen=True)
class Sometimes:
    """The statement is true in at least one draw."""

    given = ""
    text = "true in at least one draw"

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        return bool(np.any(values == 1))
