"""The vector environment: many episodes in one call, without a Python object for each."""

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from tdx_env.engine.batch import SKIP, Batch
from tdx_env.engine.metrics import episode_metrics
from tdx_env.engine.seeds import later_seeds, scenario_rows
from tdx_env.env import ScenarioSpec, scenarios_of
from tdx_env.errors import ActionError, NotResetError, ScenarioError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.spaces import action_space, observation_size, observation_space, observe
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.world import End

_SEED_LIMIT = 1 << 31
_WORLDS_A_THREAD = 32  # below that, handing work to a second thread costs more than it saves


class SeamcallRetryVectorEnv(
    gymnasium.vector.VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]
):
    """Many `SeamcallRetryEnv` side by side, with the same steps, rewards and seeds.

    Environment i of `reset(seed=s)` plays seed s + i. The arrays of each step are
    fresh. `info["action_mask"]` (n, 3) int8 belongs to the returned observations.

    Arguments:
        num_envs: Environments.
        scenario, discipline: As for `SeamcallRetryEnv`.
        autoreset_mode: "NextStep" (the step after the end ignores its action and returns the next
            episode's start observation) or "SameStep" (the end's step returns it at once, with
            `info["final_obs"]` and `info["final_info"]`).
        n_threads: Threads; results don't depend on it. Default: one a CPU.
    """

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        scenario: ScenarioSpec = "train",
        discipline: Discipline = DEFAULT,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        n_threads: int | None = None,
    ) -> None:
        if num_envs < 1:
            raise ScenarioError(f"num_envs = {num_envs}, must be at least 1")
        self.num_envs = num_envs
        self._mode = AutoresetMode(autoreset_mode)
        if self._mode == AutoresetMode.DISABLED:
            raise ScenarioError("autoreset_mode = Disabled, must be NextStep or SameStep")
        self.metadata = {**type(self).metadata, "autoreset_mode": self._mode}
        self.single_observation_space = observation_space()
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        scenarios = scenarios_of(scenario, {})
        setups = np.concatenate([one.setup() for one in scenarios])
        self._names = np.array([one.name for one in scenarios])
        self._scales = setups["reward_scale"].astype(np.float64)
        threads = n_threads or min(os.cpu_count() or 1, -(-num_envs // _WORLDS_A_THREAD))
        self._batch = Batch(setups, discipline.record(), num_envs, n_threads=threads)
        self._first_seeds: NDArray[np.int64] | None = None

    def _start(self, which: NDArray[np.bool_]) -> None:
        """Start the next episode of each of the chosen environments."""
        assert self._first_seeds is not None
        self._seeds[which] = later_seeds(self._first_seeds[which], self._episodes[which])
        self._episodes[which] += 1
        rows = scenario_rows(self._seeds, len(self._scales))
        self._batch.reset(self._seeds, rows, which)
        self._costs[which] = 0

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: The first environment's seed (the others follow), or one for each.
            options: `reset_mask`, shape (num_envs,), restricts the reset to some environments.
        """
        which = np.ones(self.num_envs, np.bool_)
        if options and "reset_mask" in options and self._first_seeds is not None:
            which = np.asarray(options["reset_mask"], np.bool_)
        if seed is None and self._first_seeds is None:
            seed = int(np.random.default_rng().integers(_SEED_LIMIT))
        if seed is not None:
            self._take_seeds(seed, which)
        self._start(which)
        self._ended = self._batch.ended
        return self._observation(), self._info()

    def _take_seeds(self, seed: int | list[int | None], which: NDArray[np.bool_]) -> None:
        """Note the first seeds of the chosen environments."""
        seeds = np.arange(self.num_envs, dtype=np.int64)
        if isinstance(seed, (int, np.integer)):
            seeds += int(seed)
        else:
            seeds = np.array([index if one is None else one for index, one in enumerate(seed)])
        if self._first_seeds is None:
            self._first_seeds = seeds.copy()
            self._seeds = seeds.copy()
            self._episodes = np.zeros(self.num_envs, np.int64)
            self._costs = np.zeros(self.num_envs, np.int64)
        self._first_seeds[which] = seeds[which]
        self._episodes[which] = 0

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        """Return the actions as an int64 array of shape (num_envs,)."""
        if self._first_seeds is None:
            raise NotResetError("step() was called before reset()")
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
            raise ActionError(
                f"actions have shape {array.shape} and type {array.dtype}, "
                f"must be {self.num_envs} integers from 0 to {N_ACTIONS - 1}"
            )
        if array.size and (array.min() < 0 or array.max() >= N_ACTIONS):
            raise ActionError(
                f"actions reach from {array.min()} to {array.max()}, must be 0 to {N_ACTIONS - 1}"
            )
        return np.ascontiguousarray(array, np.int64)

    def step(
        self, actions: Any
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float64],
        NDArray[np.bool_],
        NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Take one decision in every environment and run each to its next one, or its end.

        Raises:
            ActionError: An action is not in the action space, or their number is wrong.
            NotResetError: No episode was started.
        """
        checked = self._checked(actions)
        restarted = self._ended
        any_restarted = bool(restarted.any())
        if any_restarted:
            self._start(restarted)
        run = self._batch.run
        if any_restarted:
            checked = np.where(restarted, SKIP, checked)
        self._batch.advance(actions=checked)
        costs = self._batch.costs
        rewards = (self._costs - costs) / self._scales[run["scenario"]]
        self._costs = costs
        ended = self._batch.ended
        truncated = run["end"] == End.CAPPED
        terminated = ended & ~truncated
        self._ended = ended
        info = self._info(run["was_masked"] != 0)
        if ended.any():
            return self._at_ends(ended, rewards, terminated, truncated, info)
        return self._observation(), rewards, terminated, truncated, info

    def _at_ends(
        self,
        ended: NDArray[np.bool_],
        rewards: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: dict[str, Any],
    ) -> tuple[Any, ...]:
        """Finish a step in which episodes ended."""
        metrics = np.full(self.num_envs, None, object)
        for index in np.flatnonzero(ended):
            metrics[index] = episode_metrics(self._batch, int(index))
        final = {"episode_metrics": metrics, "_episode_metrics": ended.copy()}
        if self._mode == AutoresetMode.NEXT_STEP:
            return self._observation(), rewards, terminated, truncated, {**info, **final}
        last = self._observation()
        final_obs = np.full(self.num_envs, None, object)
        for index in np.flatnonzero(ended):
            final_obs[index] = last[index]
        self._start(ended)
        self._ended = self._batch.ended
        info = self._info(info["action_was_masked"])
        info |= {
            "final_obs": final_obs,
            "_final_obs": ended.copy(),
            "final_info": final,
            "_final_info": ended.copy(),
        }
        return self._observation(), rewards, terminated, truncated, info

    def _observation(self) -> NDArray[np.float32]:
        """Return all observations, in an array of their own."""
        observations = np.empty((self.num_envs, observation_size()), np.float32)
        observe(self._batch.features, observations)
        return observations

    def _info(self, was_masked: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """Return masks and seeds of all environments."""
        everywhere = np.ones(self.num_envs, np.bool_)
        masked = np.zeros(self.num_envs, np.bool_) if was_masked is None else was_masked
        return {
            "action_mask": self._batch.masks.astype(np.int8),
            "_action_mask": everywhere,
            "seed": self._seeds.copy(),
            "_seed": everywhere,
            "scenario": self._names[self._batch.run["scenario"]],
            "_scenario": everywhere,
            "action_was_masked": masked,
            "_action_was_masked": everywhere,
        }

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, shape (num_envs, 3)."""
        return self._batch.masks != 0
