"""Where trees are held against each other: scenarios, seeds, one discipline, any objective."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.tree import Node, Split
from tdx_env.engine.batch import Batch
from tdx_env.engine.run import Number
from tdx_env.host.discipline import BOUNDED, DECISION_CYCLES, Discipline
from tdx_env.scenarios import Scenario, load, setup_of
from tdx_env.state.discipline import Action
from tdx_env.state.objectives import N_WEIGHED, WEIGHED, checked_objective
from tdx_env.state.world import End
from tdx_eval.searching.socket import Socket

DECIDED = BOUNDED.with_(flush="decided", asks="all", decision_cycles=DECISION_CYCLES["tree"])
"""The discipline of all entrants: all is asked, the bounded one otherwise."""
UNTIL_WAITS: Node = Split("mmu_contended", 0, Action.KICK, Action.RETRY)
"""What costs are divided by."""
PARTS = slice(int(Number.WASTE), int(Number.WASTE) + N_WEIGHED)
_LEAST_US = 10  # scenarios whose cost is below it count for nothing
_US_PER_MS = 1000


def weights_vector(objective: str) -> NDArray[np.float64]:
    """Return how much each part of the cost weighs, shape (N_WEIGHED,)."""
    weights = checked_objective(objective)
    return np.array([weights.get(name, 0.0) for name in WEIGHED])


@dataclass(frozen=True)
class TreeCost:
    """What a tree came to.

    Attributes:
        parts: Parts of the cost of each episode, shape (n_scenarios, N_WEIGHED, n_seeds) [cycles].
        n_decisions: Decisions, of all scenarios.
        lost: Episodes of each scenario that did not finish, shape (n_scenarios,).
    """

    parts: NDArray[np.float64]
    n_decisions: int
    lost: NDArray[np.int64]

    @property
    def n_lost(self) -> int:
        """Episodes that did not finish."""
        return int(self.lost.sum())

    def costs(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean cost in each scenario, shape (n_scenarios,) [cycles]."""
        found: NDArray[np.float64] = self.by_seed(weights).mean(axis=1)
        return found

    def by_seed(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cost of each episode, shape (n_scenarios, n_seeds) [cycles]."""
        return np.einsum("spe,p->se", self.parts, weights)


class Arena:
    """Plays trees in scenarios.

    Args:
        names: Scenarios, names or files.
        n_seeds: Episodes of each scenario.
        first_seed: The first of them.
        discipline: What the host does round each tree.
        n_threads: Threads of a scenario's episodes.

    Attributes:
        scenarios: The scenarios.
    """

    def __init__(
        self,
        names: Sequence[str],
        n_seeds: int,
        first_seed: int,
        discipline: Discipline = DECIDED,
        n_threads: int = 2,
    ) -> None:
        self.scenarios: list[Scenario] = [load(name) for name in names]
        self._n_seeds, self._first = n_seeds, first_seed
        record = discipline.record()
        self._batches = [
            Batch(setup_of(one), record, n_seeds, n_threads=n_threads) for one in self.scenarios
        ]
        self._socket = Socket()
        self._references: dict[int, TreeCost] = {}

    def play(self, root: Node, block: int = 0) -> TreeCost:
        """Play a tree in all scenarios.

        Args:
            root: The tree.
            block: Which stretch of seeds: block k has those that follow on block k - 1.
        """
        self._socket.put(root)
        first = self._first + block * self._n_seeds
        parts, n_decisions, lost = [], 0, []
        for batch in self._batches:
            batch.reset(np.arange(first, first + self._n_seeds))
            batch.advance(self._socket.decide)
            parts.append(batch.numbers[PARTS].astype(float))
            n_decisions += int(batch.run["n_decisions"].sum())
            lost.append(int((batch.run["end"] != End.FINISHED).sum()))
        return TreeCost(np.array(parts), n_decisions, np.array(lost, np.int64))

    def reference(self, block: int) -> TreeCost:
        """Return what *until somebody waits* comes to in a block of seeds; it is played once."""
        if block not in self._references:
            self._references[block] = self.play(UNTIL_WAITS, block)
        return self._references[block]

    def ratios(
        self, played: TreeCost, weights: NDArray[np.float64], block: int = 0
    ) -> NDArray[np.float64]:
        """Return cost over the reference's, 1 where that is below 10 µs, shape (n_scenarios,)."""
        reference = self.reference(block).costs(weights)
        least = np.array([_LEAST_US * one.clock_khz / _US_PER_MS for one in self.scenarios])
        costs = played.costs(weights)
        counts = reference > least
        return np.where(counts, costs / np.where(counts, reference, 1.0), 1.0)
