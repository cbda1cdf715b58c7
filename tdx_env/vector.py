"""The vector environment: many episodes in one call, without a Python object for each."""

from copy import deepcopy
from typing import Any, ClassVar, Self

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from tdx_env.arguments import (
    VECTOR_RENDER_MODES,
    DisciplineSpec,
    ModuleSpec,
    PlainSpec,
    ScenarioSpec,
    asked,
    checked_actions,
    checked_count,
    checked_mask,
    checked_mode,
    checked_options,
    checked_render_mode,
    checked_threads,
)
from tdx_env.engine.batch import SKIP, Batch, Number
from tdx_env.engine.metrics import episode_metrics
from tdx_env.engine.render import state_text
from tdx_env.engine.world_snapshot import check_layout, layout
from tdx_env.env_snapshot import EnvSnapshot, check_snapshot, remember, remembered
from tdx_env.errors import NotResetError
from tdx_env.repertoire import Repertoire, edition_of
from tdx_env.scenarios import machine_overrides
from tdx_env.series import Series
from tdx_env.spaces import action_space, observation_size, observation_space, observe
from tdx_env.state.objectives import N_WEIGHED, ObjectiveSpec
from tdx_env.state.world import End
from tdx_env.vector_info import VectorInfo

_END, _COST, _NOW = int(Number.END), int(Number.COST), int(Number.NOW)
# Comparing an array with a member of an enum takes longer.
_RUNNING, _CAPPED = int(End.RUNNING), int(End.CAPPED)


class SeamcallRetryVectorEnv(
    gymnasium.vector.VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]
):
    """Many `SeamcallRetryEnv` side by side, with the same steps, rewards, infos and seeds.

    Environment i of `reset(seed=s)` plays seed s + i. `info["action_mask"]` (n, 3) int8 belongs to
    the returned observations. Two buffers take turns at being returned as observations: an array
    is good until the step after the next, copy it to keep it longer. Arrays of `info` that are the
    same for many steps (`seed`, `scenario`, masks of keys, and `episode_metrics` while nothing has
    ended) are read-only; all others are fresh.

    Copies, pickles, `snapshot()` and `restore()` are as for `SeamcallRetryEnv`.

    Arguments:
        num_envs: Environments.
        scenario, discipline, render_mode, operations_in_info, module, kernel, decisions, objective,
            observe_objective: As for `SeamcallRetryEnv`.
        autoreset_mode: "NextStep" (the step after the end ignores its action and returns the next
            episode's start observation) or "SameStep" (the end's step returns it at once, with
            `info["final_obs"]` and `info["final_info"]`).
        n_threads: Threads; results don't depend on it. Default: one a CPU.
        max_episode_steps: Episodes are truncated after as many steps, as Gymnasium's `TimeLimit`
            does it; default: none is.
        options of `reset`: As for `SeamcallRetryEnv`, and `reset_mask`.
    """

    metadata: dict[str, Any] = {
        "render_modes": list(VECTOR_RENDER_MODES),
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    spec: Any = PlainSpec()

    # What a snapshot has of the environment itself.
    _kept: ClassVar[tuple[str, ...]] = (
        "_series", "_costs", "_times", "_n_steps", "_over", "_is_any_over", "_is_interrupted",
        "_np_random", "_np_random_seed",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, what Gymnasium and users give by name
        self,
        num_envs: int = 1,
        scenario: ScenarioSpec | None = None,
        discipline: DisciplineSpec | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        n_threads: int | None = None,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        operations_in_info: bool = False,
        module: ModuleSpec = None,
        kernel: str | None = None,
        decisions: str | None = None,
        objective: ObjectiveSpec | None = None,
        observe_objective: bool = False,
        edition: str = "v0",
    ) -> None:
        self.num_envs = checked_count("num_envs", num_envs)
        threads = checked_threads(n_threads, self.num_envs)
        self._max_steps = None
        if max_episode_steps is not None:
            self._max_steps = checked_count("max_episode_steps", max_episode_steps)
        self.render_mode = checked_render_mode(render_mode, VECTOR_RENDER_MODES)
        self._mode = checked_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self._mode}
        version, machine = edition_of(edition), machine_overrides(module, kernel)
        self._repertoire = Repertoire(scenario, objective, version, machine)
        asks = version.decisions if decisions is None else decisions
        record = asked(discipline, asks, self._repertoire.scenarios, version.discipline).record()
        self.single_observation_space = observation_space(asks, N_WEIGHED * observe_objective)
        self._n_columns = observation_size(asks)
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._batch = Batch(self._repertoire.setups, record, num_envs, n_threads=threads)
        self._origin = self._batch.origin()
        self._series = Series(num_envs, self._repertoire.scales)
        self._buffers = np.empty((2, num_envs, self._n_columns), np.float32)
        self._shows_weights = observe_objective
        n_shown = self._n_columns + N_WEIGHED if observe_objective else 0
        self._whole = np.empty((2, num_envs, n_shown), np.float32)
        self._turn = 0
        self._costs, self._times, self._n_steps = np.zeros((3, num_envs), np.int64)
        self._over = np.zeros(num_envs, np.bool_)
        self._is_any_over = self._is_interrupted = False
        self._has_operations = operations_in_info
        self._infos = VectorInfo(num_envs, operations_in_info)
        self._infos.show_episodes(self._series)

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """Names of the scenarios; `info["scenario"]` are places among them."""
        return self._repertoire.names

    def _start(self, which: NDArray[np.bool_], first_row: int = 0) -> None:
        """Start the next episode of each of the chosen environments, of scenarios from a row on."""
        chosen = np.flatnonzero(which)
        self._series.go_on(chosen, first_row)
        self._batch.reset(self._series.seeds, self._series.rows, which)
        for counter in (self._costs, self._times, self._n_steps):
            counter[chosen] = 0
        self._over[chosen] = False
        self._is_any_over = bool(self._over.any())
        self._infos.show_episodes(self._series)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: The first environment's seed (the others follow), or one for each.
            options: Scenario parameters to override in these episodes, by dotted name; and
                `reset_mask`, shape (num_envs,), restricts the reset to some environments.

        Raises:
            ScenarioError: A seed is no seed, or an option is no scenario parameter or out of its
                bounds, or the mask is none.
        """
        overrides = dict(checked_options(options))
        mask = overrides.pop("reset_mask", self._infos.everywhere)
        which = self._chosen(checked_mask(mask, self.num_envs))
        changed = self._repertoire.overridden(overrides) if overrides else None
        self._series.take_seeds(seed, which)
        first_row = 0 if changed is None else self._make_room(changed, which)
        self._start(which, first_row)
        self._is_interrupted = False
        observations = self._next_buffer()
        observe(self._batch.features, observations)
        numbers = self._batch.numbers.copy()
        numbers[Number.WAS_MASKED] = 0
        info = self._infos.of(self._batch, numbers, np.zeros(self.num_envs, np.int64))
        return self._shown(observations), info

    def _chosen(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which environments a reset is for: all if there is nothing to go on with."""
        is_going_on = self._series.has_begun and not self._is_interrupted
        return mask if is_going_on else self._infos.everywhere

    def _make_room(self, changed: Repertoire, which: NDArray[np.bool_]) -> int:
        """Give the batch some more scenarios, and drop those that nobody plays any more.

        Args:
            changed: The scenarios of this environment with some parameters overridden.
            which: The environments that play them, shape (n_envs,).

        Returns:
            The first one's row.
        """
        stay = self._series.make_room(changed.scales, which)
        setups = np.concatenate([self._batch.setups[stay], changed.setups])
        self._batch = self._batch.with_setups(setups, self._series.rows)
        return len(stay)

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        """Return the actions as an int64 array of shape (num_envs,)."""
        if not self._series.has_begun:
            raise NotResetError("step() was called before reset()")
        if self._is_interrupted:
            raise NotResetError(
                "step() was called after a step that was interrupted: reset() first"
            )
        return checked_actions(actions, self.num_envs)

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
        self._is_interrupted = True  # if Ctrl-C ends this step, there is nothing to go on with
        if self._is_any_over:
            checked = np.where(self._over, SKIP, checked)
            self._start(self._over.copy())
        observations = self._next_buffer()
        n_ended = self._batch.answer(checked, observations)
        numbers = self._batch.numbers.copy()
        ends, times = numbers[_END], numbers[_NOW]
        rewards = self._paid(numbers)
        info = self._infos.of(self._batch, numbers, times - self._times)
        self._times = times  # what no info has
        if n_ended == 0 and self._max_steps is None:
            self._is_interrupted = False
            nowhere = np.zeros((2, self.num_envs), np.bool_)
            return self._shown(observations), rewards, nowhere[0], nowhere[1], info
        ended = ends != _RUNNING
        truncated = ends == _CAPPED
        terminated = ended & ~truncated
        if self._max_steps is not None:
            self._n_steps[checked != SKIP] += 1
            truncated |= self._n_steps >= self._max_steps
        self._over = terminated | truncated
        if self._over.any():
            info = self._with_ends(info, ended, observations)
        self._is_interrupted = False
        return self._shown(observations), rewards, terminated, truncated, info

    def _paid(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rewards of a step, shape (num_envs,).

        Args:
            numbers: A copy of those of the batch, of which no info has the costs.
        """
        costs = numbers[_COST]
        rewards: NDArray[np.float64] = (self._costs - costs) / self._series.scales
        self._costs = costs
        return rewards

    def _with_ends(
        self, info: dict[str, Any], ended: NDArray[np.bool_], observations: NDArray[np.float32]
    ) -> dict[str, Any]:
        """Return the info of a step in which episodes ended; in SAME_STEP mode, start the next."""
        info["episode_metrics"] = self._infos.metrics_of(self._batch, ended)
        if self._mode == AutoresetMode.NEXT_STEP:
            self._is_any_over = True
            return info
        over = self._over.copy()
        chosen = np.flatnonzero(over)
        final_obs = np.full(self.num_envs, None, object)
        shown = self._shown(observations)
        for index in chosen.tolist():
            final_obs[index] = shown[index].copy()
        self._start(over)
        first = np.empty((len(chosen), self._n_columns), np.float32)
        observe(self._batch.features[chosen], first)
        observations[chosen] = first
        elapsed = np.where(over, 0, info["elapsed_cycles"])
        numbers = self._batch.numbers.copy()
        return self._infos.of(self._batch, numbers, elapsed) | {
            "final_obs": final_obs,
            "_final_obs": over,
            "final_info": {key: over if key[0] == "_" else info[key] for key in info},
            "_final_info": over,
        }

    def _next_buffer(self) -> NDArray[np.float32]:
        """Return an array for observations that is not the one returned last."""
        self._turn = 1 - self._turn
        return self._buffers[self._turn]

    def _shown(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return observations as agents see them: the weights of objectives behind, if asked for.

        Args:
            observations: The buffer that is next to be returned.
        """
        if not self._shows_weights:
            return observations
        shown = self._whole[self._turn]
        shown[:, : self._n_columns] = observations
        shown[:, self._n_columns :] = self._batch.setups["weights"][self._series.rows]
        return shown

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, shape (num_envs, 3)."""
        return self._batch.masks != 0

    def render(self) -> tuple[str, ...] | None:
        """Return each environment's CPUs, locks and waiting threads as text; None without a mode.

        Raises:
            NotResetError: There is no episode to show.
        """
        if self.render_mode is None:
            return None
        if not self._series.has_begun:
            raise NotResetError("render() was called before reset()")
        return tuple(state_text(self._batch, index) for index in range(self.num_envs))

    def episode_report(self, index: int) -> dict[str, Any]:
        """Return what an environment's episode has come to so far, in names and words.

        As for `SeamcallRetryEnv`. In SameStep mode an episode that ended is gone after its step.

        Raises:
            NotResetError: There is no episode.
        """
        if not self._series.has_begun:
            raise NotResetError("episode_report() was called before reset()")
        scenario = self.scenario_names[self._infos.scenarios[index]]
        about = {"scenario": scenario, "seed": int(self._infos.seeds[index])}
        return about | episode_metrics(self._batch, index)

    def snapshot(self) -> EnvSnapshot:
        """Return the state, for `restore`; can be pickled."""
        is_usual = len(self._batch.setups) == len(self._repertoire.names)
        setups = None if is_usual else self._batch.setups
        state, own = self._batch.snapshot(), remembered(self, self._kept)
        return EnvSnapshot(type(self).__name__, self._origin, setups, state, own)

    def restore(self, snapshot: EnvSnapshot) -> None:
        """Put the state of a snapshot back; the next steps are those that would have followed it.

        Raises:
            SnapshotError: It is none, or of an environment that was made with other arguments.
        """
        found = check_snapshot(snapshot, type(self).__name__, self._origin)
        setups = self._batch.setups[: len(self._repertoire.names)]
        setups = setups if found.setups is None else found.setups
        batch = self._batch.with_setups(setups, np.zeros(self.num_envs, np.int64))
        batch.restore(found.state)
        self._batch = batch
        remember(self, found.own)
        self._infos.show_episodes(self._series)

    def __copy__(self) -> Self:
        """Return a copy with memory of its own, as any copy has."""
        return deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle keeps."""
        return {**self.__dict__, "layout": layout()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what pickle kept.

        Raises:
            SnapshotError: Another version of the simulator kept it.
        """
        check_layout(state.get("layout"), "pickled environment")
        self.__dict__ |= {name: value for name, value in state.items() if name != "layout"}
        self._infos = VectorInfo(self.num_envs, self._has_operations)
        self._infos.show_episodes(self._series)
