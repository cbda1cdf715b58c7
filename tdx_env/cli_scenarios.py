"""Commands about scenarios: list them, and show one with every parameter."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tdx_env.errors import escaped
from tdx_env.scenarios.keys import NAMED, TABLES
from tdx_env.scenarios.loader import Layers, layers_of, load, names
from tdx_env.scenarios.machine import machine_of
from tdx_env.scenarios.schema import CORE, Scenario, digest
from tdx_env.scenarios.tables import CostRange
from tdx_env.scenarios.values import Choice, Range

_PIPE_WIDTH = 160  # of what is no terminal, where nobody wants names cut
_UNIT = re.compile(r"\s*\[([^\]]+)\]$")
_HEAD = {"name", "title", "description", "expectation", "schema_version"}
_PLAIN = _HEAD | {"costs"} | set(TABLES) | set(NAMED)


def _console() -> Console:
    """Return the console: as wide as the terminal, or wide enough for a pipe."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def _table(first: str, *columns: str) -> Table:
    """Return an empty table whose first column is never cut."""
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column(first, no_wrap=True, overflow="ignore")
    for column in columns:
        table.add_column(column)
    return table


def _written(value: object) -> str:
    """Return a value as a reader wants it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value)
    if isinstance(value, Choice):
        pairs = zip(value.choices, value.weights, strict=True)
        return " ".join(f"{choice}:{weight}" for choice, weight in pairs)
    if isinstance(value, Range | str):
        return escaped(str(value))
    return "-" if value is None else f"{value:,}"


def _decisions(scenario: Scenario) -> str:
    """Return how many decisions an episode has, after the scenario's marks."""
    kinds = [CORE] if scenario.is_core else []
    kind = "".join(f"{mark}: " for mark in (*kinds, *scenario.marks))
    return kind + ("?" if scenario.decisions is None else str(scenario.decisions))


def list_command(split: str | None = None) -> None:
    """List the package's scenarios.

    Args:
        split: train, validation or test; default all.

    Raises:
        ScenarioError: There is no such split.
    """
    table = _table("name", "family", "vCPUs", "decisions", "title")
    wanted = names(split)
    table.columns[0].min_width = max(len(name) for name in wanted)
    for name in wanted:
        scenario = load(name)
        n_vcpus = str(scenario.host.n_vcpus)
        table.add_row(name, scenario.family, n_vcpus, _decisions(scenario), escaped(scenario.title))
    _console().print(table)


def _has(layer: Mapping[str, Any], key: str) -> bool:
    """Say whether a layer sets a dotted key."""
    at: Any = layer
    for part in key.split("."):
        if not isinstance(at, Mapping) or part not in at:
            return False
        at = at[part]
    return True


def _set_by(read: Layers, overrides: Mapping[str, object], key: str) -> str:
    """Return where a parameter's value comes from."""
    if key in overrides:
        return "user"
    if _has(read.split, key):
        return "split"
    return "file" if _has(read.base, key) else "default"


def _rows(prefix: str, table: BaseModel, fields: set[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, value, unit and meaning of a table's parameters."""
    for field, info in type(table).model_fields.items():
        if field in fields:
            text = info.description or ""
            unit = _UNIT.search(text)
            value = _written(getattr(table, field))
            yield prefix + field, value, unit[1] if unit else "", _UNIT.sub("", text)


def _all_rows(scenario: Scenario) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, value, unit and meaning of every parameter but the costs."""
    yield from _rows("", scenario, set(Scenario.model_fields) - _PLAIN)
    for name in TABLES:
        table = getattr(scenario, name)
        yield from _rows(f"{name}.", table, set(type(table).model_fields))
    for kind in NAMED:
        for name, table in getattr(scenario, kind).items():
            yield from _rows(f"{kind}.{name}.", table, set(type(table).model_fields))


def _parameters(scenario: Scenario, read: Layers, overrides: Mapping[str, object]) -> Table:
    """Return the table of all parameters but the costs."""
    table = _table("parameter", "value", "unit", "meaning", "set by")
    for key, value, unit, meaning in _all_rows(scenario):
        table.add_row(key, value, unit, meaning, _set_by(read, overrides, key))
    return table


def _costs(scenario: Scenario) -> Table:
    """Return the table of costs."""
    table = _table("cost", "low", "high", "unit", "source", "by")
    for name, cost in scenario.costs.items():
        table.add_row(*_cost_row(name, cost))
    return table


def _cost_row(name: str, cost: CostRange) -> tuple[str, ...]:
    """Return a row of the table of costs."""
    return (
        f"costs.{name}",
        f"{cost.low:,}",
        f"{cost.high:,}",
        "cycles",
        cost.source,
        escaped(cost.by),
    )


def show_command(name: str | Path, overrides: Mapping[str, object] | None = None) -> None:
    """Show every parameter of a scenario, and its costs with their sources.

    Args:
        name: As `tdx_env.scenarios.load` takes it.
        overrides: Dotted keys and their values.

    Raises:
        ScenarioError: There is no such scenario, split or key, or the scenario is impossible.
    """
    changed = overrides or {}
    scenario = load(name, changed)
    console = _console()
    console.print(f"{scenario.name}: {escaped(scenario.title)} ({digest(scenario)})\n")
    lines = scenario.description.strip().splitlines()
    console.print("\n".join(escaped(line.expandtabs()) for line in lines) + "\n")
    if scenario.expectation is not None:
        console.print(f"Expected: {escaped(scenario.expectation)}\n")
    console.print(_parameters(scenario, layers_of(name), changed))
    console.print(f"\nThe machine: {machine_of(scenario)}.")
    console.print(
        f"\nDrawn once an episode, from these tenths of each range: {scenario.cost_bands}"
    )
    console.print(_costs(scenario))
