"""The vector environment: many episodes in one call, without a Python object for each."""

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from tdx_env.engine.batch import SKIP, Batch, Number
from tdx_env.engine.metrics import episode_metrics
from tdx_env.engine.seeds import later_seeds, scenario_rows
from tdx_env.engine.warm import warm_up
from tdx_env.env import (
    ScenarioSpec,
    checked_seed,
    discipline_record,
    scenarios_of,
    setups_of,
)
from tdx_env.errors import ActionError, NotResetError, ScenarioError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.spaces import action_space, observation_size, observation_space, observe
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.world import End

_DRAWN_SEEDS = 1 << 31
_SIZE = observation_size()
_STEP_NUMBERS = slice(Number.END, Number.WAS_MASKED + 1)  # END, COST, NOW, WAS_MASKED
_RUNNING = int(End.RUNNING)  # comparing an array with a member of an enum takes longer
_KEYS = (
    "action_mask",
    "action_was_masked",
    "seed",
    "scenario",
    "features",
    "elapsed_cycles",
)
_WORLDS_A_THREAD = 32  # below that, handing work to a second thread costs more than it saves


def _checked_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Return an autoreset mode.

    Raises:
        ScenarioError: It is none, or one that does not exist here.
    """
    if mode in ("NextStep", "SameStep", AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        return AutoresetMode(mode)
    raise ScenarioError(f"autoreset_mode = {mode}, must be NextStep or SameStep")


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, which can't be written to any more."""
    array.flags.writeable = False
    return array


class SeamcallRetryVectorEnv(
    gymnasium.vector.VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]
):
    """Many `SeamcallRetryEnv` side by side, with the same steps, rewards and seeds.

    Environment i of `reset(seed=s)` plays seed s + i. `info["action_mask"]` (n, 3) int8 belongs to
    the returned observations. Two buffers take turns at being returned as observations: an array
    is good until the step after the next, copy it to keep it longer. Arrays of `info` that change
    with episodes only (`seed`, `scenario`, masks of keys) are read-only; all others are fresh.

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
        if n_threads is not None and n_threads < 1:
            raise ScenarioError(f"n_threads = {n_threads}, must be at least 1")
        self.num_envs = num_envs
        self._mode = _checked_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self._mode}
        self.single_observation_space = observation_space()
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        scenarios = scenarios_of(scenario, {})
        self._names = np.array([one.name for one in scenarios])
        self._scale_of = np.array([one.limits.reward_scale for one in scenarios], np.float64)
        threads = n_threads or min(os.cpu_count() or 1, -(-num_envs // _WORLDS_A_THREAD))
        record = discipline_record(discipline)
        warm_up()
        self._batch = Batch(setups_of(scenarios), record, num_envs, n_threads=threads)
        self._buffers = np.empty((2, num_envs, _SIZE), np.float32)
        self._turn = 0
        everywhere = _read_only(np.ones(num_envs, np.bool_))
        self._everywhere = everywhere
        self._present = {f"_{key}": everywhere for key in _KEYS}
        self._to_restart: NDArray[np.bool_] | None = None
        self._has_begun = False

    def _start(self, which: NDArray[np.bool_]) -> None:
        """Start the next episode of each of the chosen environments."""
        chosen = np.flatnonzero(which)
        seeds = later_seeds(self._first_seeds[chosen], self._episodes[chosen])
        rows = scenario_rows(seeds, len(self._names))
        self._seeds[chosen] = seeds
        self._rows[chosen] = rows
        self._batch.reset(self._seeds, self._rows, which)
        self._episodes[chosen] += 1
        self._costs[chosen] = 0
        self._times[chosen] = 0
        self._scales[chosen] = self._scale_of[rows]
        self._shown_seeds = _read_only(self._seeds.copy())
        self._shown_names = _read_only(self._names[self._rows])
        ended = self._batch.ended  # in another step than the one that ended them
        self._to_restart = ended if ended.any() else None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: The first environment's seed (the others follow), or one for each.
            options: `reset_mask`, shape (num_envs,), restricts the reset to some environments.
        """
        which = self._chosen({} if options is None else options)
        self._take_seeds(seed, which)
        self._start(which)
        observations = self._next_buffer()
        observe(self._batch.features, observations)
        nothing = np.zeros(self.num_envs, np.int64)
        return observations, self._info(nothing != 0, nothing)

    def _chosen(self, options: object) -> NDArray[np.bool_]:
        """Return which environments a reset is for.

        Raises:
            ScenarioError: There is an option that is not known, or the mask is none.
        """
        if not isinstance(options, dict) or not set(options) <= {"reset_mask"}:
            raise ScenarioError(
                f"options = {options!r}, must be a reset_mask or nothing: all episodes of a vector "
                "environment play its scenarios as they are"
            )
        mask = np.asarray(options.get("reset_mask", self._everywhere))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ScenarioError(
                f"reset_mask has shape {mask.shape} and type {mask.dtype}, must be "
                f"{self.num_envs} booleans"
            )
        return mask if self._has_begun else self._everywhere

    def _take_seeds(self, seed: int | list[int | None] | None, which: NDArray[np.bool_]) -> None:
        """Begin a new series of episodes in those of the chosen environments that get a seed."""
        given: list[int | None] = [None] * self.num_envs
        if isinstance(seed, (list, tuple, np.ndarray)):
            if len(seed) != self.num_envs:
                raise ScenarioError(f"{len(seed)} seeds, must be one for each environment")
            given = [None if one is None else checked_seed(one) for one in seed]
        elif seed is not None:
            first = checked_seed(seed)
            given = [checked_seed(first + index) for index in range(self.num_envs)]
        if not self._has_begun:
            self._begin()
        new = np.array([one is not None for one in given]) & which
        self._first_seeds[new] = np.array([one or 0 for one in given])[new]
        self._episodes[new] = 0

    def _begin(self) -> None:
        """Note that there are episodes from now on; their seeds are random until some are given."""
        self._has_begun = True
        self._first_seeds = np.random.default_rng().integers(_DRAWN_SEEDS, size=self.num_envs)
        self._episodes, self._seeds, self._rows, self._costs, self._times = np.zeros(
            (5, self.num_envs), np.int64
        )
        self._scales = np.ones(self.num_envs)

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        """Return the actions as an int64 array of shape (num_envs,)."""
        if not self._has_begun:
            raise NotResetError("step() was called before reset()")
        try:
            array = np.asarray(actions)
        except ValueError:
            raise ActionError(f"actions = {actions!r}, must be {self.num_envs} integers") from None
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
            raise ActionError(
                f"actions have shape {array.shape} and type {array.dtype}, "
                f"must be {self.num_envs} integers from 0 to {N_ACTIONS - 1}"
            )
        checked = np.ascontiguousarray(array, np.int64)
        if checked.view(np.uint64).max() >= N_ACTIONS:  # negative ones are large as these
            raise ActionError(
                f"actions reach from {array.min()} to {array.max()}, must be 0 to {N_ACTIONS - 1}"
            )
        return checked

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
        if self._to_restart is not None:
            checked = np.where(self._to_restart, SKIP, checked)
            self._start(self._to_restart)
        observations = self._next_buffer()
        n_ended = self._batch.advance(None, checked, observations)
        ends, costs, times, was_masked = self._batch.numbers[_STEP_NUMBERS]
        rewards = (self._costs - costs) / self._scales
        info = self._info(was_masked != 0, times - self._times)
        self._costs[:] = costs
        self._times[:] = times
        if n_ended == 0:
            nowhere = np.zeros((2, self.num_envs), np.bool_)
            return observations, rewards, nowhere[0], nowhere[1], info
        ended = ends != _RUNNING
        truncated = ends == End.CAPPED
        terminated = ended & ~truncated
        info = self._with_ends(info, ended, observations)
        return observations, rewards, terminated, truncated, info

    def _with_ends(
        self, info: dict[str, Any], ended: NDArray[np.bool_], observations: NDArray[np.float32]
    ) -> dict[str, Any]:
        """Return the info of a step in which episodes ended; in SAME_STEP mode, start the next."""
        chosen = np.flatnonzero(ended)
        info["episode_metrics"] = np.full(self.num_envs, None, object)
        info["_episode_metrics"] = ended
        for index in chosen.tolist():
            info["episode_metrics"][index] = episode_metrics(self._batch, index)
        if self._mode == AutoresetMode.NEXT_STEP:
            self._to_restart = ended.copy()
            return info
        final_obs = np.full(self.num_envs, None, object)
        for index in chosen.tolist():
            final_obs[index] = observations[index].copy()
        self._start(ended)
        first = np.empty((len(chosen), _SIZE), np.float32)
        observe(self._batch.features[chosen], first)
        observations[chosen] = first
        elapsed = np.where(ended, 0, info["elapsed_cycles"])
        return self._info(info["action_was_masked"], elapsed) | {
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": {key: ended if key[0] == "_" else info[key] for key in info},
            "_final_info": ended,
        }

    def _next_buffer(self) -> NDArray[np.float32]:
        """Return an array for observations that is not the one returned last."""
        self._turn = 1 - self._turn
        return self._buffers[self._turn]

    def _info(self, was_masked: NDArray[np.bool_], elapsed: NDArray[np.int64]) -> dict[str, Any]:
        """Return what there is to know about all environments beside the observations."""
        return {
            "action_mask": self._batch.masks.copy(),
            "action_was_masked": was_masked,
            "seed": self._shown_seeds,
            "scenario": self._shown_names,
            "features": self._batch.features.copy(),
            "elapsed_cycles": elapsed,
            **self._present,
        }

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, shape (num_envs, 3)."""
        return self._batch.masks != 0
