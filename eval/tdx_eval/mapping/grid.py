"""The cells of a map, each played with both policies on the same seeds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tdx_agents.protocol import Policy
from tdx_env.scenarios import Scenario, setup_of
from tdx_env.scenarios import load as load_scenario
from tdx_eval.comparing.episodes import episodes_of
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.reckoning import reckoned
from tdx_eval.comparing.statistics import Estimate, relative_difference
from tdx_eval.mapping.axis import Axis


@dataclass(frozen=True)
class MapCell:
    """Both policies at one place.

    Attributes:
        x, y: Values of the parameters.
        relative: Cost of the first against the second, less 1; None if the second costs nothing.
        n_lost: TDs that the first and the second lost.
    """

    x: int
    y: int
    relative: Estimate | None
    n_lost: tuple[int, int]

    @property
    def ratio(self) -> float | None:
        """Cost of the first as a multiple of the second's."""
        return None if self.relative is None else 1 + self.relative.value


@dataclass(frozen=True)
class Grid:
    """A map.

    Attributes:
        scenario: Its name.
        policy, other: Names of the first and the second policy.
        n_seeds: Of each cell.
        cells: By row of y, then by x.
        ranges: What the scenario itself assumes of x and y; None where it says nothing.
    """

    scenario: str
    policy: str
    other: str
    x: Axis
    y: Axis
    n_seeds: int
    clock_khz: int
    cells: list[MapCell]
    ranges: tuple[tuple[float, float] | None, tuple[float, float] | None]

    def row(self, y: int) -> list[MapCell]:
        """Return the cells of one value of y."""
        return [one for one in self.cells if one.y == y]


def scenarios_of(
    name: str, x: Axis, y: Axis, overrides: Mapping[str, object]
) -> dict[tuple[int, int], Scenario]:
    """Return the scenario of each cell; all are checked before one is played.

    Raises:
        ScenarioError: A parameter doesn't exist, or a value is impossible.
    """
    return {
        (a, b): load_scenario(name, {**overrides, x.key: a, y.key: b})
        for b in y.values
        for a in x.values
    }


def _played(policy: Policy, scenario: Scenario, seeds: range) -> tuple[np.ndarray, int]:
    """Return the cost of each episode, and how many lost the TD."""
    found = episodes_of(run_batch(policy, scenario, seeds), seeds)
    n_lost = int((found["killed"] | found["hung"] | found["capped"]).sum())
    costs = reckoned(found, setup_of(scenario)[0]["weights"])
    return costs.astype(np.float64), n_lost


def play_cells(
    scenarios: Mapping[tuple[int, int], Scenario],
    pair: tuple[Policy, Policy],
    seeds: range,
    told: Callable[[], None],
) -> list[MapCell]:
    """Play every cell with both policies.

    Args:
        scenarios: Of each cell.
        pair: The first policy and the second.
        seeds: Of each cell.
        told: Is called after each cell.

    Raises:
        PolicyError: A policy answered with something that is not allowed.
    """
    cells = []
    for (x, y), scenario in scenarios.items():
        (ours, lost), (theirs, their_lost) = (_played(one, scenario, seeds) for one in pair)
        cells.append(MapCell(x, y, relative_difference(ours, theirs), (lost, their_lost)))
        told()
    return cells
