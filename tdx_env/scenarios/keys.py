"""Dotted keys of a scenario: which there are, and setting one."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel

from tdx_env.errors import ScenarioError
from tdx_env.scenarios.checks import COST_NAMES
from tdx_env.scenarios.schema import (
    Area,
    CostRange,
    Group,
    Guest,
    Host,
    Limits,
    Module,
    Scenario,
    Task,
)
from tdx_env.scenarios.values import Range, as_written, is_range_table

TABLES: dict[str, type[BaseModel]] = {
    "host": Host,
    "module": Module,
    "guest": Guest,
    "limits": Limits,
}
NAMED: dict[str, type[BaseModel]] = {"areas": Area, "groups": Group, "tasks": Task}
_USER = {"source": "user", "by": "given by the user"}


def known_keys(table: tuple[str, ...], data: Mapping[str, Any]) -> list[str]:
    """Return the keys that a table of a scenario may have.

    Args:
        table: Where the table is, e.g. ("groups", "spinners"); () for the whole file.
        data: The scenario as read; it says which areas, groups and tasks there are.
    """
    if table == ():
        return list(Scenario.model_fields)
    first = table[0]
    if len(table) == 1 and first in TABLES:
        return list(TABLES[first].model_fields)
    if len(table) == 1 and first in NAMED:
        named = data.get(first)
        return list(named) if isinstance(named, Mapping) else []
    if len(table) == 2 and first in NAMED:
        return list(NAMED[first].model_fields)
    if first == "costs":
        return list(COST_NAMES) if len(table) == 1 else list(CostRange.model_fields)
    return []


def _listed(names: Iterable[str]) -> str:
    """Return known names for an error message."""
    return f"must be one of: {', '.join(names) or '(there is none)'}"


def _plain(value: object) -> object:
    """Return a value as TOML would have given it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Range):
        return {"low": value.low, "high": value.high}
    return value


def _as_cost(value: object) -> object:
    """Return a cost that a user gives, with its source."""
    plain = _plain(value)
    if is_range_table(plain):
        return _USER | dict(plain) | {"source": "user"}  # type: ignore[call-overload]
    return {"low": plain, "high": plain} | _USER


def put(where: str, data: dict[str, Any], key: str, value: object) -> None:
    """Set one dotted key of a scenario as read.

    Args:
        where: What to name in an error message.
        data: The scenario as read; changed in place.
        key: For example ``groups.spinners.tick_us``.
        value: A whole number, range, boolean, text or list.

    Raises:
        ScenarioError: There is no such key, or it is a table.
    """
    parts = tuple(key.split("."))
    for depth, part in enumerate(parts):
        known = known_keys(parts[:depth], data)
        if part not in known:
            level = f" below {'.'.join(parts[:depth])}" if depth else ""
            given = f"{key} = {as_written(_plain(value))}"
            raise ScenarioError(f"{where}: {given}, unknown key{level}, {_listed(known)}")
    if len(parts) == 3 and parts[0] == "costs":
        whole = ".".join(parts[:2])
        raise ScenarioError(f"{where}: {key} can't be given alone, give {whole} = low..high")
    is_cost = len(parts) == 2 and parts[0] == "costs"
    below = [] if is_cost else known_keys(parts, data)
    if below or (len(parts) == 1 and parts[0] in {*TABLES, *NAMED, "costs"}):
        raise ScenarioError(f"{where}: {key} is a table, give one of its keys, {_listed(below)}")
    table = data
    for part in parts[:-1]:
        table = table.setdefault(part, {})
    table[parts[-1]] = _as_cost(value) if is_cost else _plain(value)
