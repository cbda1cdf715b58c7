"""The environments with a vector of rewards, `tdx_env/SeamcallRetryMO-v1`, for MO-Gymnasium."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Number
from tdx_env.env import SeamcallRetryEnv
from tdx_env.state.objectives import VECTOR, WEIGHED
from tdx_env.vector import SeamcallRetryVectorEnv

_PLACES = [WEIGHED.index(name) for name in VECTOR]  # in a cost
_ROWS = [int(Number.WASTE) + place for place in _PLACES]  # in a batch's numbers


def reward_space() -> gymnasium.spaces.Box:
    """Return the space of rewards: one for each of VECTOR, float32, none above 0."""
    return gymnasium.spaces.Box(-np.inf, 0.0, (len(VECTOR),), np.float32)


class SeamcallRetryMOEnv(SeamcallRetryEnv):
    """`SeamcallRetryEnv`, version 1, whose reward is a vector.

    The reward has minus what each part of the cost has grown by, in the order of
    `tdx_env.state.objectives.VECTOR`: {vector}. All are divided by the scenario's
    `reward_scale_v1`. An objective is then the dot product with its weights, ``thread`` excepted;
    `mo_gymnasium.make` and MO-Gymnasium's wrappers take the environment as it is. Learn with
    ``gamma=1``.

    Arguments:
        objective: Is shown by ``observe_objective`` and counted in `info["episode_metrics"]`; the
            rewards don't depend on it.
        all others: As for `SeamcallRetryEnv`.
    """

    _kept = (*SeamcallRetryEnv._kept, "_parts")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.reward_space = reward_space()
        self.reward_dim = len(VECTOR)
        self._parts = np.zeros(len(VECTOR), np.int64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; as `SeamcallRetryEnv.reset`."""
        self._parts = np.zeros(len(VECTOR), np.int64)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[NDArray[np.float32], Any, bool, bool, dict[str, Any]]:
        """Take one decision; as `SeamcallRetryEnv.step`, but for the reward, shape (7,)."""
        observation, _, terminated, truncated, info = super().step(action)
        parts = info["cost"][_PLACES]
        reward = ((self._parts - parts) / self._reward_scale).astype(np.float32)
        self._parts = parts
        return observation, reward, terminated, truncated, info


class SeamcallRetryMOVectorEnv(SeamcallRetryVectorEnv):
    """Many `SeamcallRetryMOEnv` side by side: rewards have the shape (num_envs, 7)."""

    _kept = (*SeamcallRetryVectorEnv._kept, "_parts")

    def __init__(self, num_envs: int = 1, *arguments: Any, **named: Any) -> None:
        self._parts = np.zeros((len(VECTOR), num_envs), np.int64)
        super().__init__(num_envs, *arguments, **named)
        self.reward_space = reward_space()
        self.reward_dim = len(VECTOR)

    def _start(self, which: NDArray[np.bool_], first_row: int = 0) -> None:
        """Start episodes; their costs begin at 0."""
        super()._start(which, first_row)
        self._parts[:, which] = 0

    def _paid(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rewards of a step, shape (num_envs, 7)."""
        parts = numbers[_ROWS]
        rewards = (self._parts - parts) / self._series.scales
        self._parts = parts
        return rewards.T.astype(np.float32)


SeamcallRetryMOEnv.__doc__ = (SeamcallRetryMOEnv.__doc__ or "").replace(
    "{vector}", ", ".join(VECTOR)
)
