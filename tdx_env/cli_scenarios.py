"""Commands about scenarios: list them, and show one with every parameter."""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tdx_env.errors import escaped
from tdx_env.scenarios.keys import NAMED, TABLES
from tdx_env.scenarios.loader import SPLITS, Layers, layers_of, load, names
from tdx_env.scenarios.machine import machine_of
from tdx_env.scenarios.schema import CORE, Scenario, digest
from tdx_env.scenarios.tables import CostRange
from tdx_env.scenarios.values import Choice, Range
from tdx_env.table import folded, table_text, width

_UNIT = re.compile(r"\s*\[([^\]]+)\]$")
_HEAD = {"name", "title", "description", "expectation", "schema_version"}
_PLAIN = _HEAD | {"costs"} | set(TABLES) | set(NAMED)


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


def _marks(scenario: Scenario) -> tuple[str, ...]:
    """Return what a scenario is marked as."""
    return (*((CORE,) if scenario.is_core else ()), *scenario.marks)


def _list_record(name: str, scenario: Scenario) -> dict[str, Any]:
    """Return what the list says of a scenario, as JSON has it."""
    decisions = scenario.decisions
    return {
        "name": name,
        "family": scenario.family,
        "title": scenario.title,
        "vcpus": str(scenario.host.n_vcpus),
        "decisions": None if decisions is None else str(decisions),
        "marks": list(_marks(scenario)),
    }


def list_command(split: str | None = None, as_json: bool = False) -> None:
    """List the package's scenarios.

    Args:
        split: train, validation or test; default all.
        as_json: Print JSON.

    Raises:
        ScenarioError: There is no such split.
    """
    records = [_list_record(name, load(name)) for name in names(split)]
    if as_json:
        print(json.dumps(records, indent=2))
        return
    rows: list[tuple[str, ...]] = [
        (
            record["name"],
            record["vcpus"],
            record["decisions"] or "?",
            " ".join(record["marks"]),
            escaped(record["title"]),
        )
        for record in records
    ]
    if split is None:
        rows = _by_slug(rows)
    print(table_text(("name", "vCPUs", "decisions", "marks", "title"), rows))
    if split is None:
        print(folded(f"\nEach with /{', /'.join(SPLITS)}: tdx-env list test shows one split's."))


def _by_slug(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return one row for each scenario, its numbers for all its splits from least to most."""
    slugs: dict[str, list[tuple[str, ...]]] = {}
    for row in rows:
        slugs.setdefault(row[0].partition("/")[0], []).append(row)
    return [
        (slug, _span(row[1] for row in same), _span(row[2] for row in same), *same[-1][3:])
        for slug, same in slugs.items()
    ]


def _span(ranges: Iterable[str]) -> str:
    """Return the range that spans ranges as low..high."""
    ends = [part.replace(",", "") for one in ranges if one != "?" for part in one.split("..")]
    numbers = [int(end) for end in ends]
    if not numbers:
        return "?"
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"


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


def _parameters(scenario: Scenario, read: Layers, overrides: Mapping[str, object]) -> str:
    """Return the table of all parameters but the costs."""
    rows: list[tuple[str, ...]] = [
        (key, value, unit, _set_by(read, overrides, key), meaning)
        for key, value, unit, meaning in _all_rows(scenario)
    ]
    return table_text(("parameter", "value", "unit", "set by", "meaning"), rows)


def _costs(scenario: Scenario) -> str:
    """Return the table of costs."""
    rows = [_cost_row(name, cost) for name, cost in scenario.costs.items()]
    return table_text(("cost [cycles]", "low", "high", "source", "by"), rows)


def _cost_row(name: str, cost: CostRange) -> tuple[str, ...]:
    """Return a row of the table of costs."""
    return f"costs.{name}", f"{cost.low:,}", f"{cost.high:,}", cost.source, escaped(cost.by)


def show_command(
    name: str | Path, overrides: Mapping[str, object] | None = None, as_json: bool = False
) -> None:
    """Show every parameter of a scenario, and its costs with their sources.

    Args:
        name: As `tdx_env.scenarios.load` takes it.
        overrides: Dotted keys and their values.
        as_json: Print JSON.

    Raises:
        ScenarioError: There is no such scenario, split or key, or the scenario is impossible.
    """
    changed = overrides or {}
    scenario = load(name, changed)
    if as_json:
        print(json.dumps(_record(scenario, layers_of(name), changed), indent=2))
        return
    lines = [escaped(line.expandtabs()) for line in scenario.description.strip().splitlines()]
    expected = [f"Expected: {escaped(scenario.expectation)}"] if scenario.expectation else []
    parts = [
        f"{scenario.name}: {escaped(scenario.title)} ({digest(scenario)})",
        _paragraphs(lines),
        *expected,
        _parameters(scenario, layers_of(name), changed),
        f"The machine: {machine_of(scenario)}.",
        f"Drawn once an episode, from these tenths of each range: {scenario.cost_bands}",
        _costs(scenario),
    ]
    print(folded("\n\n".join(parts)))


def _paragraphs(lines: list[str]) -> str:
    """Return a description's lines, joined to paragraphs where the terminal is narrower."""
    if all(len(line) <= width() for line in lines):
        return "\n".join(lines)
    paragraphs = "\n".join(lines).split("\n\n")
    return "\n\n".join(textwrap.fill(one, width()) for one in paragraphs)


def _record(scenario: Scenario, read: Layers, overrides: Mapping[str, object]) -> dict[str, Any]:
    """Return what `show` says as JSON has it."""
    fields = ("key", "value", "unit", "meaning", "set_by")
    rows = [(*row, _set_by(read, overrides, row[0])) for row in _all_rows(scenario)]
    return {
        "name": scenario.name,
        "title": scenario.title,
        "digest": digest(scenario),
        "description": scenario.description.strip(),
        "expectation": scenario.expectation,
        "machine": str(machine_of(scenario)),
        "cost_bands": str(scenario.cost_bands),
        "parameters": [dict(zip(fields, row, strict=True)) for row in rows],
        "costs": {
            name: {"low": cost.low, "high": cost.high, "source": cost.source, "by": cost.by}
            for name, cost in scenario.costs.items()
        },
    }
