"""The costs as the scenario files give them: range, flag, source, and what each is used for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tdx_env.scenarios import names
from tdx_env.scenarios.loader import layers_of, merge
from tdx_env.scenarios.schema import CostRange
from tdx_env.state.costs import COST_USES, Cost

Ranges = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class CostRow:
    """One cost of one file.

    Attributes:
        name: As in costs.toml.
        low: Smallest value [cycles].
        high: Largest value [cycles].
        flag: measured, derived, stated, guessed or user.
        by: Who says so, where, or why.
        use: What it is used for.
    """

    name: str
    low: int
    high: int
    flag: str
    by: str
    use: str


def _row(name: str, given: Mapping[str, object]) -> CostRow:
    """Return the row of a cost as read from a file."""
    cost = CostRange.model_validate(given)
    use = COST_USES[Cost[name.upper()]]
    return CostRow(name, cost.low, cost.high, cost.source, cost.by, use)


def common() -> list[CostRow]:
    """Return the costs that all scenarios share, in the order of the simulator."""
    given = layers_of(names()[0]).costs
    return [_row(cost.name.lower(), given[cost.name.lower()]) for cost in Cost]


def overridden() -> dict[str, list[CostRow]]:
    """Return the costs that a packaged scenario gives another range, by name of the scenario."""
    found = {}
    for name in names():
        read = layers_of(name)
        given = merge(read.base.get("costs", {}), read.split.get("costs", {}))
        if given:
            found[name] = [_row(cost, one) for cost, one in given.items()]
    return found


def ranges_of(rows: list[CostRow], others: Mapping[str, list[CostRow]]) -> Ranges:
    """Return every range by name; that of one scenario as ``scenario: name``."""
    found = {row.name: (row.low, row.high) for row in rows}
    for scenario, some in others.items():
        found |= {f"{scenario}: {row.name}": (row.low, row.high) for row in some}
    return found


def digest_of_ranges(ranges: Ranges) -> str:
    """Return a hash of all ranges."""
    content = json.dumps({name: list(ends) for name, ends in ranges.items()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
