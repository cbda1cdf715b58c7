"""What the errors about scenarios say: values as a user writes them, keys, what is allowed."""

from collections.abc import Iterable, Mapping
from datetime import date, time

import numpy as np

from tdx_env.errors import ScenarioError, one_of, printable
from tdx_env.scenarios.values import Choice, Range

_MOST_ITEMS = 12  # of a list or table that a message repeats
_DEEPEST = 4
_ENDS = {"low", "high"}
_MOST_BITS = 256  # of a number that a message repeats


def _list(items: Iterable[str], n_items: int) -> str:
    """Return the first items, with commas between, and dots for the rest."""
    shown = [item for item, _ in zip(items, range(_MOST_ITEMS), strict=False)]
    return ", ".join([*shown, "..."] if n_items > _MOST_ITEMS else shown)


def as_written(value: object, depth: int = 0) -> str:
    """Return a value as a user would write it in a file, on one line, cut if it is long.

    Args:
        value: Anything; what TOML doesn't have is named by its type.
        depth: How many lists and tables are round it.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        is_long = value.bit_length() > _MOST_BITS
        return f"a number of {value.bit_length()} bits" if is_long else str(value)
    if isinstance(value, str):
        return f'"{printable(value)}"'
    if isinstance(value, Range):
        return as_written({"low": value.low, "high": value.high}, depth)
    if isinstance(value, Choice):
        return as_written({"choices": value.choices, "weights": value.weights}, depth)
    if isinstance(value, Mapping | list | tuple) and depth == _DEEPEST:
        return "..."
    if isinstance(value, Mapping) and _ENDS <= value.keys() <= _ENDS | {"source", "by"}:
        low, high = as_written(value["low"], depth + 1), as_written(value["high"], depth + 1)
        return low if low == high else f"{low}..{high}"
    if isinstance(value, Mapping):
        items = (
            f"{printable(str(key))} = {as_written(item, depth + 1)}" for key, item in value.items()
        )
        return f"{{{_list(items, len(value))}}}"
    if isinstance(value, list | tuple):
        return f"[{_list((as_written(item, depth + 1) for item in value), len(value))}]"
    if isinstance(value, float | np.generic | date | time):
        return str(value)
    return f"{printable(str(value))} ({type(value).__name__})"


def known(names: Iterable[str], given: object = None) -> str:
    """Return the known names for an error message: near a text that was given the nearest, or all.

    Args:
        names: The known names.
        given: What was given; None, or no text: nothing that a name could be near to.
    """
    if isinstance(given, str):
        return one_of(given, names)
    return f"must be one of: {', '.join(map(printable, names)) or '(there is none)'}"


def mistake(key: str, given: object, must: str) -> ScenarioError:
    """Return the error that names key, value and what is allowed."""
    return ScenarioError(f"{printable(key)} = {as_written(given)}, {must}")


def missing(key: str, why: str) -> ScenarioError:
    """Return the error for a key that isn't there."""
    return ScenarioError(f"{printable(key)} is missing, {why}")
