"""Trees, entrants by hand and other policies on the same seeds, with paired intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_agents.tree import Node
from tdx_env.state.world import End
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.statistics import Estimate, relative_difference
from tdx_eval.searching.arena import PARTS, Arena

_PERCENT = 100


@dataclass(frozen=True)
class Standing:
    """One contender in one scenario.

    Attributes:
        scenario: Its name.
        contender: Its name.
        cost_us: Mean cost, a time of all CPUs together [µs].
        against: Difference to the reference as a share of its cost; None if that is 0.
        n_lost: Episodes that did not finish.
    """

    scenario: str
    contender: str
    cost_us: float
    against: Estimate | None
    n_lost: int


Parts = Mapping[str, tuple[NDArray[np.float64], NDArray[np.int64]]]
"""By contender: parts of the cost, shape (n_scenarios, N_WEIGHED, n_seeds), and lost episodes."""


def play_contenders(
    arena: Arena, trees: Mapping[str, Node], policies: Mapping[str, Policy], seeds: range
) -> Parts:
    """Return what all contenders come to.

    Args:
        arena: The scenarios, with these seeds.
        trees: Play under the arena's discipline.
        policies: Play under their own.
        seeds: Of the episodes.
    """
    found = {}
    for name, root in trees.items():
        played = arena.play(root)
        found[name] = (played.parts, played.lost)
    for name, policy in policies.items():
        batches = [run_batch(policy, one, seeds) for one in arena.scenarios]
        parts = [batch.numbers[PARTS].astype(float) for batch in batches]
        lost = [int((batch.run["end"] != End.FINISHED).sum()) for batch in batches]
        found[name] = (np.array(parts), np.array(lost, np.int64))
    return found


def standings(
    arena: Arena, played: Parts, reference: str, weights: NDArray[np.float64]
) -> list[Standing]:
    """Return how contenders stand in each scenario.

    Args:
        arena: The scenarios.
        played: What they came to.
        reference: Name of the one that all are held against.
        weights: Of the parts of the cost.
    """
    costs = {name: np.einsum("spe,p->se", one[0], weights) for name, one in played.items()}
    found = []
    for place, scenario in enumerate(arena.scenarios):
        for name, values in costs.items():
            against = relative_difference(values[place], costs[reference][place])
            mean_us = float(values[place].mean()) * 1000 / scenario.clock_khz
            n_lost = int(played[name][1][place])
            found.append(Standing(scenario.name, name, mean_us, against, n_lost))
    return found


def _cell(one: Standing) -> str:
    """Return a standing as the cell of a table: difference and interval in percent."""
    lost = f", {one.n_lost} lost" if one.n_lost else ""
    if one.against is None:
        return f"-{lost}"
    low, value, high = (
        _PERCENT * part for part in (one.against.low, one.against.value, one.against.high)
    )
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f}){lost}"


def standings_table(rows: Sequence[Standing], reference: str) -> str:
    """Return standings as a Markdown table: percent above or below the reference."""
    names = list(dict.fromkeys(one.contender for one in rows))
    others = [name for name in names if name != reference]
    by_place = {(one.scenario, one.contender): one for one in rows}
    lines = [
        f"| scenario | {reference}, us | {' | '.join(others)} |",
        f"|---|---|{'---|' * len(others)}",
    ]
    for scenario in dict.fromkeys(one.scenario for one in rows):
        own = by_place[scenario, reference]
        cells = [_cell(by_place[scenario, name]) for name in others]
        lost = f" ({own.n_lost} lost)" if own.n_lost else ""
        lines.append(f"| {scenario} | {own.cost_us:,.0f}{lost} | {' | '.join(cells)} |")
    return "\n".join(lines)
