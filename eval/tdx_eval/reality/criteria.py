"""When an observation holds: where it must lie among what the simulator gives over the costs."""

from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True)
class Reaches:
    """The observation is a lower bound; the simulator's range reaches beyond it."""

    value: float

    @property
    def given(self) -> str:
        """The observed bound."""
        return f"≥ {_number(self.value)}"

    @property
    def text(self) -> str:
        """The test in words."""
        return f"the 95 % value is at least {_number(self.value)}"

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        return _span(values)[1] >= self.value


@dataclass(frozen=True)
class MostlyAtLeast:
    """The value is at least the observed one in half of the draws or more."""

    value: float

    @property
    def given(self) -> str:
        """The observed bound."""
        return f"≥ {_number(self.value)}"

    @property
    def text(self) -> str:
        """The test in words."""
        return f"the median is at least {_number(self.value)}"

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        return float(np.median(values)) >= self.value


@dataclass(frozen=True)
class Below:
    """The value stays below a limit in nearly every draw."""

    value: float

    @property
    def given(self) -> str:
        """The limit."""
        return f"< {_number(self.value)}"

    @property
    def text(self) -> str:
        """The test in words."""
        return f"the 95 % value is below {_number(self.value)}"

    def holds(self, values: NDArray[np.float64]) -> bool:
        """Say whether the observation holds."""
        return _span(values)[1] < self.value


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
