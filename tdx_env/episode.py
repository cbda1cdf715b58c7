"""The memory of one episode of the single environment, and views of it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import COST_PARTS, Batch, Number
from tdx_env.spaces import observe

# Plain integers: reading them is quicker than a member of an enum.
_N_READ = int(Number.OPERATION) + 1


class Episode:
    """The memory of one episode, and views of it.

    Args:
        batch: Has one world.
        n_columns: Features of an observation.
        shows_weights: Whether the weights of the objective stand behind them.
    """

    def __init__(self, batch: Batch, n_columns: int, shows_weights: bool) -> None:
        self.batch = batch
        self.mask = batch.masks[0]
        self.features = batch.features[0]
        self.numbers = batch.numbers[:_N_READ].reshape(-1).tolist  # calling it is quick
        self.cost = batch.numbers[COST_PARTS, 0]
        self._action = np.zeros(1, np.int64)
        self._n_columns = n_columns
        self._shape = (1, n_columns)
        self._shows_weights = shows_weights

    def __reduce__(self) -> Any:
        """Return what a copy is made of: views of the memory that it has."""
        return type(self), (self.batch, self._n_columns, self._shows_weights)

    def advance(self, action: int) -> NDArray[np.float32]:
        """Run to the next decision, or to the end; return the observation."""
        self._action[0] = action
        observation = np.empty(self._shape, np.float32)
        self.batch.answer(self._action, observation)
        return self._shown(observation[0]) if self._shows_weights else observation[0]

    def start(self, seed: int, row: NDArray[np.int64]) -> NDArray[np.float32]:
        """Start an episode of the scenario in a row; return the start observation."""
        self.batch.reset([seed], row)
        observation = np.empty((1, self._n_columns), np.float32)
        observe(self.batch.features, observation)
        return self._shown(observation[0])

    def _shown(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an observation as the agent sees it."""
        if not self._shows_weights:
            return observation
        weights = self.batch.setups["weights"][self.batch.run["scenario"][0]]
        return np.concatenate((observation, weights.astype(np.float32)))
