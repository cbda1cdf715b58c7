"""Dotted keys of a scenario: which there are, and setting one."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tdx_env.errors import ScenarioError, printable
from tdx_env.scenarios.groups import PROGRAMS
from tdx_env.scenarios.schema import Scenario
from tdx_env.scenarios.tables import (
    COST_NAMES,
    Area,
    CostRange,
    FileTable,
    Guest,
    Host,
    Limits,
    Module,
)
from tdx_env.scenarios.tasks import KINDS
from tdx_env.scenarios.values import Choice, Range, is_range_table
from tdx_env.scenarios.wording import as_written, known
from tdx_env.toml_file import why_not_toml

TABLES: dict[str, type[FileTable]] = {
    "host": Host,
    "module": Module,
    "guest": Guest,
    "limits": Limits,
}


def _keys_of(models: Iterable[type[FileTable]]) -> list[str]:
    """Return the keys that at least one of the models has."""
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


# Tables of tables that a file names, with the keys of any kind; a kind's model knows its own.
NAMED: dict[str, list[str]] = {
    "areas": _keys_of([Area]),
    "groups": _keys_of(PROGRAMS.values()),
    "tasks": _keys_of(KINDS.values()),
}
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
        return NAMED[first]
    if first == "costs":
        return list(COST_NAMES) if len(table) == 1 else list(CostRange.model_fields)
    return []


def plain(value: object) -> object:
    """Return a value as TOML would have given it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Range):
        return {"low": value.low, "high": value.high}
    if isinstance(value, Choice):
        return {"choices": list(value.choices), "weights": list(value.weights)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _as_cost(value: object) -> object:
    """Return a cost that a user gives, with its source."""
    if is_range_table(value):
        return _USER | dict(value) | {"source": "user"}  # type: ignore[call-overload]
    return {"low": value, "high": value} | _USER


def put(where: str, data: dict[str, Any], key: str, value: object) -> None:
    """Set one dotted key of a scenario as read.

    Args:
        where: What to name in an error message.
        data: The scenario as read; its tables stay as they are, it gets copies of them.
        key: For example ``groups.spinners.tick_us``.
        value: A whole number, range, boolean, text or list.

    Raises:
        ScenarioError: There is no such key, or it is a table, or no file could hold the value.
    """
    parts = tuple(key.split("."))
    shown = f"{printable(key)} = {as_written(value)}"
    reason = why_not_toml(value) or why_not_toml(plain(value))
    if reason:
        raise ScenarioError(f"{where}: {shown}, {reason}")
    for depth, part in enumerate(parts):
        allowed = known_keys(parts[:depth], data)
        if part not in allowed:
            level = f" below {'.'.join(parts[:depth])}" if depth else ""
            raise ScenarioError(f"{where}: {shown}, unknown key{level}, {known(allowed, part)}")
    if len(parts) == 3 and parts[0] == "costs":
        whole = ".".join(parts[:2])
        raise ScenarioError(f"{where}: {key} can't be given alone, give {whole} = low..high")
    is_cost = len(parts) == 2 and parts[0] == "costs"
    below = [] if is_cost else known_keys(parts, data)
    if below or (len(parts) == 1 and parts[0] in {*TABLES, *NAMED, "costs"}):
        raise ScenarioError(f"{where}: {key} is a table, give one of its keys, {known(below)}")
    table = _table_at(where, data, parts[:-1])
    table[parts[-1]] = _as_cost(plain(value)) if is_cost else plain(value)


def _table_at(where: str, data: dict[str, Any], parts: tuple[str, ...]) -> dict[str, Any]:
    """Return the table at a dotted key, copied with all above it; it is made if it isn't there.

    Raises:
        ScenarioError: Something else is there.
    """
    table = data
    for depth, part in enumerate(parts):
        below = table.get(part, {})
        if not isinstance(below, dict):
            key = printable(".".join(parts[: depth + 1]))
            raise ScenarioError(f"{where}: {key} = {as_written(below)}, must be a table")
        table[part] = own = dict(below)
        table = own
    return table
