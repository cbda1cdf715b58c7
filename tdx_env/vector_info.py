"""The infos of the vector environment; those that stay the same for many steps are made once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import COST_PARTS, Batch, Number
from tdx_env.engine.metrics import metric_values
from tdx_env.info import INFO_ROWS, OPERATIONS_ROW, no_metrics, read_only
from tdx_env.series import Series

_SHOWN = slice(int(Number.WAS_MASKED), int(Number.OPERATION) + 1)  # WAS_MASKED to OPERATION
_END = int(Number.END)


class VectorInfo:
    """What there is to know beside the observations of some environments.

    Args:
        n_envs: Environments.
        has_operations: Whether the operations that ended are shown.

    Attributes:
        seeds: Seed of each environment's episode, read-only, shape (n_envs,).
        scenarios: Number of its scenario, read-only, shape (n_envs,).
        everywhere: All true, read-only, shape (n_envs,).
    """

    def __init__(self, n_envs: int, has_operations: bool) -> None:
        self._has_operations = has_operations
        self.everywhere = read_only(np.ones(n_envs, np.bool_))
        keys = [row.key for row in INFO_ROWS] + [OPERATIONS_ROW.key] * has_operations
        self._present = {f"_{key}": self.everywhere for key in keys}
        self._no_metrics = no_metrics(n_envs)
        self.seeds = self.scenarios = read_only(np.zeros(n_envs, np.int64))

    def show_episodes(self, series: Series) -> None:
        """Set what changes with the episodes."""
        self.seeds = read_only(series.seeds.copy())
        self.scenarios = read_only(series.scenario_numbers)

    def of(
        self, batch: Batch, numbers: NDArray[np.int64], elapsed: NDArray[np.int64]
    ) -> dict[str, Any]:
        """Return the info of a step; see `tdx_env.info`.

        Args:
            batch: The environments.
            numbers: A copy of those of the batch; the info has views of it.
            elapsed: Since each environment's last decision, shape (n_envs,) [cycles].
        """
        was_masked, actors, paths, operations = numbers[_SHOWN]
        info = {
            "action_mask": batch.masks.copy(),
            "action_was_masked": was_masked != 0,
            "seed": self.seeds,
            "scenario": self.scenarios,
            "features": batch.features.copy(),
            "elapsed_cycles": elapsed,
            "cost": numbers[COST_PARTS].T,
            "actor": actors,
            "path": paths,
            "operation_id": operations,
            "end": numbers[_END],
            "episode_metrics": self._no_metrics,
            **self._present,
        }
        if self._has_operations:
            info[OPERATIONS_ROW.key] = batch.ended_operations()
        return info

    def metrics_of(self, batch: Batch, ended: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the metrics of the episodes that ended, 0 for others; shape (n_envs, n)."""
        metrics = np.zeros_like(self._no_metrics)
        for index in np.flatnonzero(ended).tolist():
            metrics[index] = metric_values(batch, index)
        return metrics
