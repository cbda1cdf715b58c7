"""One axis of a map: a parameter of the scenario and the values that it takes."""

from dataclasses import dataclass

import numpy as np

from tdx_env.errors import ScenarioError, printable
from tdx_env.scenarios import Scenario

MOST_VALUES = 24
_DEFAULT_VALUES = 8  # of a range that names no number
_FORM = (
    "must be KEY=LOW..HIGH, KEY=LOW..HIGH/NUMBER or KEY=VALUE,VALUE with whole numbers from 1 on"
)


@dataclass(frozen=True)
class Axis:
    """A parameter and its values.

    Attributes:
        key: Dotted name, as for `--set`.
        values: Rising, two at least.
    """

    key: str
    values: tuple[int, ...]

    @property
    def is_cost(self) -> bool:
        """Whether the parameter is a cost, in cycles."""
        return self.key.startswith("costs.")


def _number(option: str, text: str) -> int:
    """Return a whole number from 1 on.

    Raises:
        ScenarioError: It is none.
    """
    plain = text.strip().replace("_", "")
    if not plain.isdecimal() or int(plain) < 1:
        raise ScenarioError(f"{option}: {printable(text.strip()) or 'nothing'}, {_FORM}")
    return int(plain)


def _check_number(option: str, n: int) -> None:
    """Check that an axis has not too many values.

    Raises:
        ScenarioError: It has.
    """
    if n > MOST_VALUES:
        raise ScenarioError(f"{option}: has {n:,} values, at most {MOST_VALUES} are allowed")


def _spread(option: str, text: str) -> list[int]:
    """Return the values of a range: whole numbers, each the same factor above the one before.

    Raises:
        ScenarioError: The range is empty.
    """
    span, slash, number = text.partition("/")
    low, high = (_number(option, part) for part in span.split("..", 1))
    n = _number(option, number) if slash else _DEFAULT_VALUES
    if low >= high or n < 2:
        raise ScenarioError(
            f"{option}: the range {low:,}..{high:,} with {n} values is empty: it must rise and "
            "have two values at least"
        )
    _check_number(option, n)
    return [round(one) for one in np.geomspace(low, high, n).tolist()]


def axis_from(option: str, text: str) -> Axis:
    """Return the axis that a user wrote.

    Args:
        option: "--x" or "--y", for messages.
        text: ``host.n_vcpus=2..248``, with a number of values behind a slash, or a list of them.

    Raises:
        ScenarioError: It can't be understood, or has fewer than two values or too many.
    """
    key, equals, values = (part.strip() for part in text.partition("="))
    shown = f"{option} {printable(text)}"
    if not key or not equals:
        raise ScenarioError(f"{shown}: {_FORM}")
    some = _spread(shown, values) if ".." in values else [
        _number(shown, one) for one in values.split(",")
    ]  # fmt: skip
    found = tuple(sorted(set(some)))
    if len(found) < 2:
        raise ScenarioError(f"{shown}: has one value, must have two at least")
    _check_number(shown, len(found))
    return Axis(key, found)


def assumed(scenario: Scenario, key: str) -> tuple[float, float] | None:
    """Return the range that a scenario itself has for a parameter; None: it has no numbers."""
    found: object = scenario
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
        if found is None:
            return None
    if isinstance(found, int) and not isinstance(found, bool):
        return float(found), float(found)
    low, high = getattr(found, "low", None), getattr(found, "high", None)
    if isinstance(low, int) and isinstance(high, int):
        return float(low), float(high)
    return None
