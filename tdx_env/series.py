"""Which episodes the environments of a vector play: their seeds, scenarios and scales."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tdx_env.arguments import checked_seed
from tdx_env.engine.seeds import later_seeds, scenario_rows
from tdx_env.errors import ScenarioError

_DRAWN_SEEDS = 1 << 31


class Series:
    """A series of episodes for each environment.

    Args:
        n_envs: Environments.
        scales: What rewards are divided by in each of the scenarios, one of which is drawn for
            each episode.

    Attributes:
        has_begun: Whether there are seeds.
        seeds: Seed of each environment's episode, shape (n_envs,).
        rows: Row of its scenario among the batch's, shape (n_envs,).
        scales: What its rewards are divided by, shape (n_envs,).
    """

    def __init__(self, n_envs: int, scales: Sequence[int]) -> None:
        self._n_usual = len(scales)
        self._number_of_row = np.arange(self._n_usual)
        self._scale_of_row = np.array(scales, np.float64)
        self._first_seeds, self._n_begun, self.seeds, self.rows = np.zeros((4, n_envs), np.int64)
        self.scales = np.ones(n_envs)
        self.has_begun = False

    @property
    def scenario_numbers(self) -> NDArray[np.int64]:
        """Place of each environment's scenario among those that are drawn from, shape (n_envs,)."""
        return self._number_of_row[self.rows]

    def take_seeds(self, seed: object, which: NDArray[np.bool_]) -> None:
        """Begin a new series in those of the chosen environments that get a seed.

        Args:
            seed: The first environment's (the others follow), one for each, or None.
            which: The chosen ones, shape (n_envs,).

        Raises:
            ScenarioError: A seed is none, or their number is wrong.
        """
        n_envs = len(self.seeds)
        given: list[int | None] = [None] * n_envs
        if isinstance(seed, (list, tuple, np.ndarray)):
            if len(seed) != n_envs:
                raise ScenarioError(f"{len(seed)} seeds, must be one for each environment")
            given = [None if one is None else checked_seed(one) for one in seed]
        elif seed is not None:
            first = checked_seed(seed)
            given = [checked_seed(first + index) for index in range(n_envs)]
        if not self.has_begun:  # random until some are given
            self.has_begun = True
            self._first_seeds = np.random.default_rng().integers(_DRAWN_SEEDS, size=n_envs)
        new = np.array([one is not None for one in given]) & which
        self._first_seeds[new] = np.array([one or 0 for one in given])[new]
        self._n_begun[new] = 0

    def go_on(self, chosen: NDArray[np.int64], first_row: int) -> None:
        """Let the next episode of some environments begin.

        Args:
            chosen: Their numbers.
            first_row: First row of the scenarios that they draw from.
        """
        self.seeds[chosen] = later_seeds(self._first_seeds[chosen], self._n_begun[chosen])
        self.rows[chosen] = first_row + scenario_rows(self.seeds[chosen], self._n_usual)
        self.scales[chosen] = self._scale_of_row[self.rows[chosen]]
        self._n_begun[chosen] += 1

    def make_room(self, scales: Sequence[int], which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Add variants of all scenarios, and drop those of before that nobody plays any more.

        Args:
            scales: Those of the scenarios with some parameters overridden, in order.
            which: The environments that are to play them, shape (n_envs,).

        Returns:
            Rows that stay; those of the added ones come behind them.
        """
        n_usual = self._n_usual
        others = ~which & (self.rows >= n_usual)
        kept, places = np.unique(self.rows[others], return_inverse=True)
        stay = np.concatenate([np.arange(n_usual), kept])
        self.rows = np.where(which, 0, self.rows)
        self.rows[others] = n_usual + places
        self._scale_of_row = np.concatenate([self._scale_of_row[stay], scales])
        self._number_of_row = np.concatenate([self._number_of_row[stay], np.arange(n_usual)])
        return stay
