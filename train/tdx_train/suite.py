"""The scenarios of a training run, and how often and at which scale each is trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tdx_env.scenarios import Scenario, digest, load, setup_of


@dataclass(frozen=True)
class Suite:
    """Scenarios side by side.

    Attributes:
        scenarios: The scenarios.
        scales: Cost that counts as a reward of -1, shape (n_scenarios,) [cycles].
        shares: Share of the episodes that each gets, shape (n_scenarios,), sum 1.
        floor: Least reward of a step; what is lost beyond it is not counted.
        observes_objective: Whether observations show the weights of each scenario's objective.
        counts_waiting: Whether waiting for mmu_lock counts as it is waited, not when it is over.
        columns: Columns of the observation, weights behind it included, that are shown; None: all.
    """

    scenarios: tuple[Scenario, ...]
    scales: NDArray[np.float64]
    shares: NDArray[np.float64]
    floor: float = -np.inf
    observes_objective: bool = False
    counts_waiting: bool = False
    columns: tuple[int, ...] | None = None

    @property
    def names(self) -> list[str]:
        """The scenarios' names, split included; with the objective if there are several."""
        if not self.observes_objective:
            return [scenario.name for scenario in self.scenarios]
        return [f"{scenario.name} ({scenario.objective})" for scenario in self.scenarios]

    @property
    def digests(self) -> dict[str, str]:
        """A hash of each scenario's resolved content, by name."""
        return dict(zip(self.names, map(digest, self.scenarios), strict=True))

    def setups(self) -> NDArray[np.void]:
        """Return the scenarios as the kernel reads them: dtype SETUP, shape (n_scenarios,)."""
        return np.concatenate([setup_of(scenario) for scenario in self.scenarios])

    def only(self, places: NDArray[np.int64]) -> "Suite":
        """Return some of the scenarios, by their places; the shares are scaled up to sum 1."""
        scenarios = tuple(self.scenarios[place] for place in places)
        shares = self.shares[places]
        return replace(
            self, scenarios=scenarios, scales=self.scales[places], shares=shares / shares.sum()
        )

    def split(self, n_parts: int) -> "list[Suite]":
        """Return the scenarios in parts of equal size, in order: one for each objective."""
        return [self.only(part) for part in np.array_split(np.arange(len(self.scenarios)), n_parts)]

    def tuned(self, scales: NDArray[np.float64], shares: NDArray[np.float64]) -> "Suite":
        """Return the same scenarios with other scales and shares."""
        return replace(self, scales=scales, shares=shares / shares.sum())

    def showing(self, columns: tuple[int, ...] | None) -> "Suite":
        """Return the same scenarios, of whose observations some columns are shown."""
        return replace(self, columns=columns)

    def rewarded(self, floor: float, counts_waiting: bool) -> "Suite":
        """Return the same scenarios with other rewards; see the attributes."""
        return replace(self, floor=floor, counts_waiting=counts_waiting)


def suite_of(scenarios: Sequence[Scenario], observes_objective: bool = False) -> Suite:
    """Return a suite that draws all scenarios alike and uses their own reward scales."""
    scales = [scenario.limits.reward_scale for scenario in scenarios]
    n_scenarios = len(scenarios)
    return Suite(
        tuple(scenarios),
        np.array(scales, np.float64),
        np.full(n_scenarios, 1 / n_scenarios),
        observes_objective=observes_objective,
    )


def load_all(names: Sequence[str], overrides: Mapping[str, object]) -> list[Scenario]:
    """Load scenarios, all with the same overrides.

    Raises:
        ScenarioError: One is unknown or impossible.
    """
    return [load(name, overrides) for name in names]
