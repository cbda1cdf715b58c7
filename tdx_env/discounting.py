"""Discounting by time, for those who want returns discounted: never by the number of steps."""

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import ScenarioError, shown


class TimeDiscount(
    gymnasium.Wrapper[NDArray[np.float32], np.int64, NDArray[np.float32], np.int64],
    gymnasium.utils.RecordConstructorArgs,
):
    """Discounts rewards by the time that has gone by since the episode's start.

    A reward that is earned from cycle t on is multiplied by ``gamma ** (t / tau_cycles)``, however
    many decisions were asked for before. Learn with a gamma of 1: the discount is in the rewards.
    ``info["discount"]`` is that of the step just taken, ``gamma ** (elapsed / tau_cycles)``, for
    learners that take one for each step; those want the rewards without this wrapper.

    Args:
        env: `tdx_env/SeamcallRetry-v0` or `-v1`.
        gamma: What is left of a reward after tau_cycles, above 0 and at most 1.
        tau_cycles: See there [cycles].

    Raises:
        ScenarioError: One of them is out of bounds.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], gamma: float, tau_cycles: int) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, gamma=gamma, tau_cycles=tau_cycles)
        gymnasium.Wrapper.__init__(self, env)
        if not 0 < gamma <= 1:
            raise ScenarioError(f"gamma = {shown(gamma)}, must be above 0 and at most 1")
        if not tau_cycles >= 1:
            raise ScenarioError(f"tau_cycles = {shown(tau_cycles)}, must be at least 1")
        self._gamma = gamma
        self._tau = tau_cycles
        self._time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode, with time at 0."""
        self._time = 0
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, info | {"discount": 1.0}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one decision; its reward is discounted by the time before it."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        discounted = float(reward) * self._factor(self._time)
        elapsed = int(info["elapsed_cycles"])
        self._time += elapsed
        info = info | {"discount": self._factor(elapsed)}
        return observation, discounted, terminated, truncated, info

    def _factor(self, cycles: int) -> float:
        """Return what is left of a reward after some cycles."""
        return float(self._gamma ** (cycles / self._tau))
