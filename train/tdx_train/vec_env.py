"""The environment as stable-baselines3 wants it: a `VecEnv` on a `Batch`.

Python looks at single environments only when their episode ended; everything else works on whole
arrays. The rollout buffer takes observations after the step that follows them, without a copy, so
two arrays take turns; rewards and ends are fresh arrays, since learners write to the rewards.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch, Number
from tdx_env.engine.metrics import episode_numbers
from tdx_env.engine.world_snapshot import WorldSnapshot
from tdx_env.errors import ActionError, shown
from tdx_env.host.discipline import Discipline
from tdx_env.spaces import action_space, observation_size, observation_space, observe
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.features import Feature
from tdx_env.state.objectives import N_WEIGHED, WEIGHED
from tdx_env.state.world import End
from tdx_train.learning import VecEnv
from tdx_train.seed_ranges import drawn_scenarios, train_seeds
from tdx_train.suite import Suite

_MASKS = "action_masks"
_COST = int(Number.COST)  # looking up a member of an enum takes longer
_PATH, _WAITED, _FLUSH = int(Feature.PATH), int(Feature.MMU_WAITED), int(CallPath.FLUSH)
_OWN = ("_episodes", "_episode_seeds", "_rows", "_n_steps", "_costs", "_scales", "_waited")
_OF_WAITERS = [WEIGHED.index(name) for name in ("waste", "stolen", "latency")]


class SeamcallVecEnv(VecEnv):
    """Many episodes side by side, each followed by the next one in the same step.

    An episode begins with a start observation, at which only RETRY is allowed; the step after it
    runs to the first decision. The reward is minus the cost since the last decision, divided by the
    suite's scale for the scenario: the rewards of an episode sum to minus its total cost over the
    scale, unless the suite has a floor. Which scenario and seed an episode has depends on the seed
    of the run, the environment's number and the episode's number alone.

    What waits for mmu_lock is booked when the wait ends, many decisions later. With a suite that
    says so, waiting counts as it is waited: at flush points the reward holds what has been waited
    since the last decision, and what is booked later is taken off. The sum stays what it was.

    Environments whose episode goes on share one empty info. ``infos[i]`` of one that ended has
    ``terminal_observation``, ``TimeLimit.truncated``, ``episode`` (``r`` return, ``l`` steps, ``t``
    seconds), ``scenario``, ``seed`` and ``episode_metrics``.

    Args:
        suite: Scenarios, one of which is drawn for each episode, and their scales.
        discipline: What the host does round the decisions.
        n_envs: Environments.
        seed: Seed of the run; `seed` replaces it at the next reset.
        n_threads: Threads that run the environments; results don't depend on it.
    """

    def __init__(
        self, suite: Suite, discipline: Discipline, n_envs: int, seed: int, n_threads: int = 1
    ) -> None:
        self._suite = suite
        self._names = suite.names
        self._weights = suite.setups()["weights"]
        self._wait_weights = self._weights[:, _OF_WAITERS].sum(axis=1)
        n_weights = N_WEIGHED * suite.observes_objective
        self._batch = Batch(suite.setups(), discipline.record(), n_envs, n_threads=n_threads)
        self._seed = seed
        self._episodes, self._episode_seeds, self._rows, self._n_steps, self._costs = np.zeros(
            (5, n_envs), np.int64
        )
        self._scales = np.ones(n_envs, np.float64)
        self._actions = np.zeros(n_envs, np.int64)
        self._waited = np.zeros(n_envs)
        self._n_columns = observation_size(discipline.asks)
        space = observation_space(discipline.asks, n_weights)
        every = np.arange(self._n_columns + n_weights)
        self._columns = every if suite.columns is None else np.array(suite.columns)
        self._buffers = np.empty((2, n_envs, len(self._columns)), np.float32)
        self._plain = np.empty((n_envs, self._n_columns), np.float32)
        self._turn = 0
        self._began = time.monotonic()
        seen = gymnasium.spaces.Box(space.low[self._columns], space.high[self._columns])
        super().__init__(n_envs, seen, action_space())

    def _start(self, which: NDArray[np.bool_]) -> None:
        """Start the next episode of each of the chosen environments."""
        chosen = np.flatnonzero(which)
        seeds = train_seeds(self._seed, chosen, self._episodes[chosen])
        rows = drawn_scenarios(seeds, self._suite.shares)
        self._episode_seeds[chosen] = seeds
        self._rows[chosen] = rows
        self._batch.reset(self._episode_seeds, self._rows, which)
        self._scales[chosen] = self._suite.scales[rows]
        self._episodes[chosen] += 1
        self._n_steps[chosen] = 0
        self._costs[chosen] = 0
        self._waited[chosen] = 0

    def _next_buffer(self) -> NDArray[np.float32]:
        """Return an array for observations that is not the one returned last."""
        self._turn = 1 - self._turn
        return self._buffers[self._turn]

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every environment; after `seed`, the first ones of that seed."""
        if self._seeds[0] is not None:
            self._seed = self._seeds[0]
            self._episodes[:] = 0
        self._start(np.ones(self.num_envs, np.bool_))
        self._reset_seeds()
        self._reset_options()
        observations = self._next_buffer()
        observe(self._batch.features, self._plain)
        observations[:] = self._shown(self._plain, self._rows)
        return observations

    def _shown(self, plain: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return what is shown of observations, the objective's weights behind them if they are.

        Args:
            plain: As the simulator writes them, shape (n, observation_size()).
            rows: Scenario of each, shape (n,).
        """
        if self._suite.observes_objective:
            plain = np.hstack([plain, self._weights[rows].astype(np.float32)])
        return plain[:, self._columns]

    def _potential(self) -> NDArray[np.float64]:
        """Return what is waited for mmu_lock and not booked yet, shape (n_envs,) [cycles]."""
        features = self._batch.features
        is_flush = features[:, _PATH] == _FLUSH
        return np.where(is_flush, features[:, _WAITED] * self._wait_weights[self._rows], 0.0)

    def _spent(self) -> NDArray[np.float64]:
        """Return what was spent since the last decision, shape (n_envs,) [cycles]."""
        costs = self._batch.numbers[_COST]
        spent = (costs - self._costs).astype(np.float64)
        self._costs[:] = costs
        if self._suite.counts_waiting:
            waited = self._potential()
            spent += waited - self._waited
            self._waited = waited
        return spent

    def step_async(self, actions: NDArray[Any]) -> None:
        """Note the actions of the next step.

        Raises:
            ActionError: One is not in the action space, or their number is wrong.
        """
        taken = np.ascontiguousarray(actions, np.int64).reshape(-1)
        # Negative ones are large as these.
        if taken.shape != (self.num_envs,) or taken.view(np.uint64).max() >= N_ACTIONS:
            raise ActionError(
                f"actions {shown(actions)}: must be {self.num_envs} integers "
                f"from 0 to {N_ACTIONS - 1}"
            )
        self._actions = taken

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Carry out the actions; run every environment to its next decision or its end."""
        observations = self._next_buffer()
        n_ended = self._batch.advance(None, self._actions, self._plain)
        observations[:] = self._shown(self._plain, self._rows)
        rewards = np.maximum(-self._spent() / self._scales, self._suite.floor)
        self._n_steps += 1
        infos: list[dict[str, Any]] = [{}] * self.num_envs
        if n_ended == 0:
            ended = np.zeros(self.num_envs, np.bool_)
        else:
            ended = self._batch.ended
            self._restart(ended, observations, infos)
        return observations, rewards.astype(np.float32), ended, infos

    def _restart(
        self,
        ended: NDArray[np.bool_],
        observations: NDArray[np.float32],
        infos: list[dict[str, Any]],
    ) -> None:
        """Fill in the infos of the episodes that ended, and start the next ones."""
        chosen = np.flatnonzero(ended)
        for index in chosen.tolist():
            infos[index] = self._info_at_end(index, observations[index].copy())
        self._start(ended)
        first = np.empty((len(chosen), self._n_columns), np.float32)
        observe(self._batch.features[chosen], first)
        observations[chosen] = self._shown(first, self._rows[chosen])

    def _info_at_end(self, index: int, observation: NDArray[np.float32]) -> dict[str, Any]:
        """Return what is to be known about an episode that ended."""
        run = self._batch.run[index]
        return {
            "terminal_observation": observation,
            "TimeLimit.truncated": bool(run["end"] == End.CAPPED),
            "episode": {
                "r": -float(self._costs[index]) / float(self._scales[index]),
                "l": int(self._n_steps[index]),
                "t": time.monotonic() - self._began,
            },
            "scenario": self._names[int(run["scenario"])],
            "seed": int(self._episode_seeds[index]),
            "episode_metrics": episode_numbers(self._batch, index),
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the next steps depend on, as arrays; for `restore`."""
        memory = self._batch.snapshot().memory
        own = {name: getattr(self, name) for name in _OWN}
        return {
            **{f"memory.{number}": array for number, array in enumerate(memory)},
            **{name[1:]: array.copy() for name, array in own.items()},
            "observations": self._buffers[self._turn].copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Put a state back; return the observations that it was kept with.

        Args:
            state: Of environments that were made with the same arguments.
        """
        n_arrays = sum(name.startswith("memory.") for name in state)
        memory = [state[f"memory.{number}"] for number in range(n_arrays)]
        self._batch.restore(WorldSnapshot(self._batch.origin(), memory))
        for name in _OWN:
            getattr(self, name)[:] = state[name[1:]]
        observations = self._next_buffer()
        observations[:] = state["observations"]
        return observations

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, shape (n_envs, N_ACTIONS)."""
        return self._batch.masks != 0

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def has_attr(self, attr_name: str) -> bool:
        """Say whether the environments have an attribute."""
        return attr_name in (_MASKS, "render_mode")

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of some environments; there is only ``render_mode``."""
        if attr_name != "render_mode":
            raise AttributeError(f"a SeamcallVecEnv's environments have no {attr_name}")
        return [None for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: environments in one batch have nothing of their own to set."""
        raise AttributeError(f"a SeamcallVecEnv's {attr_name} can't be set")

    def env_method(  # type: ignore[override]
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> Sequence[Any]:
        """Call a method of some environments; there is only ``action_masks``."""
        if method_name != _MASKS:
            raise AttributeError(f"a SeamcallVecEnv's environments have no {method_name}()")
        masks = self.action_masks()
        return masks if indices is None else masks[list(self._get_indices(indices))]  # type: ignore[return-value]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Say that no environment is wrapped."""
        return [False for _ in self._get_indices(indices)]
