"""Playing every rule in every cell of the grid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.engine.run import Number
from tdx_env.scenarios import Scenario, load, setup_of
from tdx_env.state.objectives import N_WEIGHED, ObjectiveSpec, weights_of
from tdx_env.state.world import End
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.regret.fixed import Rule

_PARTS = slice(int(Number.WASTE), int(Number.WASTE) + N_WEIGHED)


@dataclass(frozen=True, eq=False)
class PlayedCell:
    """What the rules came to in a cell of the grid.

    Attributes:
        cell: Its name.
        costs_us: Of each rule and episode, nan where it lost the TD, shape (n_rules, n) [µs].
        chosen_us: The same on other seeds, by which the cell's best rule is chosen, shape
            (n_rules, n_choice).
    """

    cell: str
    costs_us: NDArray[np.float64]
    chosen_us: NDArray[np.float64]


def _costs_us(
    scenario: Scenario, rules: Sequence[Rule], seeds: range, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the cost of each rule and episode, nan where the TD is lost [µs]."""
    found = np.empty((len(rules), len(seeds)))
    batch: Batch | None = None
    for place, rule in enumerate(rules):
        record = rule.policy.discipline.record()
        batch = batch or Batch(setup_of(scenario), record, len(seeds), n_threads=2)
        batch.use(record)
        batch.reset(np.arange(seeds.start, seeds.stop))
        with rule.policy.blamed():
            batch.advance(rule.policy.decide)
        costs = weights @ batch.numbers[_PARTS] * 1000 / scenario.clock_khz
        found[place] = np.where(batch.run["end"] == End.FINISHED, costs, np.nan)
    return found


def play_grid(
    cells: Sequence[str],
    rules: Sequence[Rule],
    objective: ObjectiveSpec,
    n_seeds: int,
    n_choice: int,
) -> Iterator[PlayedCell]:
    """Yield what all rules come to in each cell.

    Args:
        cells: Names of scenarios.
        rules: The rules.
        objective: What counts.
        n_seeds: Episodes of each rule, from test's seeds on.
        n_choice: Those that the best rule of a cell is chosen by, from validation's seeds on.
    """
    weights = weights_of(objective)
    first, other = FIRST_SEED["test"], FIRST_SEED["validation"]
    for name in cells:
        scenario = load(name)
        yield PlayedCell(
            name,
            _costs_us(scenario, rules, range(first, first + n_seeds), weights),
            _costs_us(scenario, rules, range(other, other + n_choice), weights),
        )
