"""What costs are made of under an objective: columns of results, and parts that sum to the cost."""

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tdx_env.scenarios import Scenario
from tdx_env.state.accounting import CATEGORY_TABLE, Category
from tdx_env.state.objectives import THREAD, WEIGHED, checked_objective, cost_of, weights_of
from tdx_eval.comparing.episodes import CATEGORY, COST_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

_WASTE = [row[0].name.lower() for row in CATEGORY_TABLE if row[1]]
_PENALTIES = ("preempt_penalty", "tail_cost")
_YIELD = Category.YIELD.name.lower()
_TRACK_KICK = CATEGORY + Category.TRACK_KICK.name.lower()
_DECISION = CATEGORY + Category.DECISION.name.lower()


def reckoned(episodes: NDArray[np.void], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the cost of each episode under an objective, shape (n,) [cycles].

    Args:
        episodes: dtype EPISODE.
        weights: See `tdx_env.state.objectives.weights_of`.
    """
    return cost_of(np.array([episodes[COST_COLUMNS[name]] for name in WEIGHED]), weights)


class Reckoning(NamedTuple):
    """How the costs of a scenario are made up.

    Attributes:
        objective: What counts.
        yield_weight: How often time off the CPU counts: 0 or 1.
    """

    objective: str
    yield_weight: int

    @classmethod
    def of(cls, scenario: Scenario) -> Self:
        """Return a scenario's."""
        return cls(scenario.objective or THREAD, scenario.limits.yield_weight)

    @property
    def is_thread(self) -> bool:
        """Whether a cost is the waste of decisions and its penalties: parts are categories."""
        return bool((weights_of(self.objective) == weights_of(THREAD)).all())

    def parts(self, rows: "pd.DataFrame") -> dict[str, float]:
        """Return the mean of each part of the total cost; they sum to its mean [cycles]."""
        if not self.is_thread:
            return {
                name: weight * float(rows[COST_COLUMNS[name]].mean())
                for name, weight in checked_objective(self.objective).items()
            }
        columns = [CATEGORY + name for name in _WASTE] + [f"{name}_cycles" for name in _PENALTIES]
        means = rows[columns].to_numpy(np.float64).mean(axis=0).tolist()
        parts = dict(zip((*_WASTE, *_PENALTIES), means, strict=True))
        parts[_YIELD] *= self.yield_weight
        return parts

    def with_track(self, rows: "pd.DataFrame") -> NDArray[np.float64]:
        """Return each episode's cost with TRACK's kicks, which most objectives have in it [cycles].

        Returns:
            Shape (n,).
        """
        cost = rows["total_cost"].to_numpy(np.float64)
        return cost + rows[_TRACK_KICK].to_numpy(np.float64) if self.is_thread else cost

    def deciding(self, rows: "pd.DataFrame") -> NDArray[np.float64]:
        """Return what the working out of decisions has cost each episode, at least [cycles].

        Whose decisions they were is not kept: where host and guest weigh differently, all count as
        the one that weighs less.

        Returns:
            Shape (n,).
        """
        weights = checked_objective(self.objective)
        owners = min(weights.get("host", 0.0), weights.get("stolen", 0.0))
        weight = weights.get("waste", 0.0) + owners
        return weight * rows[_DECISION].to_numpy(np.float64)

    def off_cpu(self, rows: "pd.DataFrame") -> float | None:
        """Return the mean cost of time off the CPU [cycles]; None: its owners are not known."""
        return self.parts(rows)[_YIELD] if self.is_thread else None
