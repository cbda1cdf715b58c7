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
        n_columns: Of an observation, without weights.
        n_observed: Weights of the objective that observations end in.
    """

    def __init__(self, batch: Batch, n_columns: int, n_observed: int) -> None:
        self.batch = batch
        self.mask = batch.masks[0]
        self.features = batch.features[0]
        self.numbers = batch.numbers[:_N_READ].reshape(-1).tolist  # calling it is quick
        self.cost = batch.numbers[COST_PARTS, 0]
        self._action = np.zeros(1, np.int64)
        self._n_columns = n_columns
        self._n_observed = n_observed

    def __reduce__(self) -> Any:
        """Return what a copy is made of: views of the memory that it has."""
        return type(self), (self.batch, self._n_columns, self._n_observed)

    def advance(self, action: int) -> NDArray[np.float32]:
        """Run to the next decision, or to the end; return the observation."""
        self._action[0] = action
        observation = self._room()
        self.batch.advance(None, self._action, observation)
        return observation[0]

    def start(self, seed: int, row: NDArray[np.int64]) -> NDArray[np.float32]:
        """Start an episode of the scenario in a row; return the start observation."""
        self.batch.reset([seed], row)
        observation = self._room()
        observe(self.batch.features, observation)
        return observation[0]

    def _room(self) -> NDArray[np.float32]:
        """Return room for an observation, shape (1, n); the weights are in their places."""
        observation = np.empty((1, self._n_columns + self._n_observed), np.float32)
        if self._n_observed:
            observation[0, self._n_columns :] = self.batch.setups["weights"][
                self.batch.run["scenario"][0]
            ]
        return observation
