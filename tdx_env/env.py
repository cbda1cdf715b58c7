"""The single environment, `tdx_env/SeamcallRetry-v0`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch, Number
from tdx_env.engine.metrics import episode_metrics
from tdx_env.engine.render import state_text
from tdx_env.engine.seeds import later_seeds, scenario_rows
from tdx_env.engine.warm import warm_up
from tdx_env.errors import ActionError, NotResetError, RenderModeError, ScenarioError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.scenarios import Scenario, expand, load, setup_of
from tdx_env.spaces import action_space, observation_size, observation_space, observe
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.world import MAX_ENDED, End

ScenarioSpec = str | Path | Scenario | Sequence[str | Path | Scenario]
SEED_LIMIT = 1 << 63
_DRAWN_SEEDS = 1 << 31
_SIZE = observation_size()
# Plain integers: reading them is quicker than a member of an enum.
_END, _COST, _RUNNING = int(Number.END), int(Number.COST), int(End.RUNNING)
_PATH_NAMES = tuple(path.name.lower() for path in CallPath)


def scenarios_of(spec: ScenarioSpec, overrides: Mapping[str, object]) -> list[Scenario]:
    """Return the scenarios that a name, a path, a scenario or a list of them means.

    Raises:
        ScenarioError: One of them is unknown or malformed.
    """
    if isinstance(spec, Scenario):
        if overrides:
            raise ScenarioError("options: a Scenario object can't be overridden, give its name")
        return [spec]
    if isinstance(spec, Path):
        return [load(spec, overrides)]
    if isinstance(spec, str):
        return [load(name, overrides) for name in expand(spec)]
    if not isinstance(spec, Sequence) or not spec:
        raise ScenarioError(f"scenario = {spec!r}, must be a name, a path or a list of them")
    return [scenario for one in spec for scenario in scenarios_of(one, overrides)]


def setups_of(scenarios: Sequence[Scenario]) -> NDArray[np.void]:
    """Return scenarios as the simulator reads them, dtype SETUP, shape (n,)."""
    return np.concatenate([setup_of(one) for one in scenarios])


def discipline_record(discipline: Discipline) -> NDArray[np.void]:
    """Return a discipline as the simulator reads it, dtype DISCIPLINE, shape (1,).

    Raises:
        ScenarioError: It is none.
    """
    if not isinstance(discipline, Discipline):
        raise ScenarioError(f"discipline = {discipline!r}, must be a Discipline")
    return discipline.record()


def checked_seed(seed: object) -> int:
    """Return a seed as an int.

    Raises:
        ScenarioError: It is none.
    """
    if isinstance(seed, (int, np.integer)) and 0 <= seed < SEED_LIMIT:
        return int(seed)
    raise ScenarioError(f"seed = {seed!r}, must be a whole number from 0 to 2^63 - 1")


def checked_options(options: object) -> Mapping[str, object]:
    """Return the scenario parameters that a reset overrides.

    Raises:
        ScenarioError: They are no table of dotted names.
    """
    if options is None:
        return {}
    if isinstance(options, Mapping) and all(isinstance(key, str) for key in options):
        return options
    raise ScenarioError(
        f"options = {options!r}, must be scenario parameters by their dotted names, "
        'for example {"host.n_vcpus": 8}'
    )


def checked_action(action: object) -> int:
    """Return an action as an int.

    Raises:
        ActionError: It is none.
    """
    if type(action) is int and 0 <= action < N_ACTIONS:  # the quick case
        return action
    if isinstance(action, np.ndarray) and action.shape == () and action.dtype.kind in "iu":
        action = int(action)
    if isinstance(action, (int, np.integer)) and 0 <= action < N_ACTIONS:
        return int(action)
    raise ActionError(f"action = {action!r}, must be 0 (RETRY), 1 (KICK) or 2 (YIELD)")


class _Episode:
    """The memory of one episode.

    Args:
        scenarios: Scenarios, one of which each episode plays.
        discipline: dtype DISCIPLINE, shape (1,).
    """

    def __init__(self, scenarios: Sequence[Scenario], discipline: NDArray[np.void]) -> None:
        warm_up()
        self.batch = Batch(setups_of(scenarios), discipline)
        self.mask = self.batch.masks[0]
        self.features = self.batch.features[0]
        self.numbers = self.batch.numbers.reshape(-1).tolist  # calling it is quick
        self._ended = self.batch.run["ended"][0]
        self._action = np.zeros(1, np.int64)

    def advance(self, action: int) -> NDArray[np.float32]:
        """Run to the next decision, or to the end; return the observation."""
        self._action[0] = action
        observation = np.empty((1, _SIZE), np.float32)
        self.batch.advance(None, self._action, observation)
        return observation[0]

    def start(self, seed: int, row: NDArray[np.int64]) -> NDArray[np.float32]:
        """Start an episode of the scenario in a row; return the start observation."""
        self.batch.reset([seed], row)
        observation = np.empty((1, _SIZE), np.float32)
        observe(self.batch.features, observation)
        return observation[0]

    def cost_by_operation(self, n_ended: int) -> dict[int, int]:
        """Return what the operations that ended since the last decision wasted [cycles]."""
        return dict(self._ended[: min(n_ended, MAX_ENDED)].tolist())


class SeamcallRetryEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A host thread of KVM whose SEAMCALL came back with TDX_OPERAND_BUSY.

    Description:
        Each step is one busy reply. The simulated machine runs on until the next one, of whatever
        thread, or until the episode's fixed work is done. `docs/model.md` has every rule.

    Action Space:
        {actions}

    Observation Space:
        {observations}

    Rewards:
        Minus the cycles wasted on all CPUs since the last decision, plus penalties, divided by the
        scenario's `reward_scale`. The return is minus the total cost, however many decisions were
        asked for. `info["cost"]` has the parts in cycles.

    Starting State:
        A start observation, at which only RETRY is allowed and which counts as no decision. The
        step after it runs to the first busy reply, or to the end if there is none.

    Episode End:
        Terminated: all work done; the TD was killed; no progress for the scenario's stall time (a
        hang). Truncated: the scenario's time cap. `info["episode_metrics"]` has what it came to.

    Arguments:
        scenario: A name as `tdx-env list` shows, a path, a word like "train", or a list of them;
            one is drawn for each episode.
        discipline: What the host does round the decisions; default: `tdx_env.host.discipline`.
        render_mode: "ansi" shows CPUs, locks and who waits, as text.
        options of `reset`: any scenario parameter by its dotted name, for that one episode.

    Version History:
        v0: first.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        scenario: ScenarioSpec = "train",
        discipline: Discipline = DEFAULT,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise RenderModeError(f"render_mode = {render_mode!r}, must be None or 'ansi'")
        self.render_mode = render_mode
        self.observation_space: Any = observation_space()
        self.action_space = action_space()
        self._spec_of_scenario = scenario
        self._discipline = discipline_record(discipline)
        self._scenarios = scenarios_of(scenario, {})
        self._usual = _Episode(self._scenarios, self._discipline)
        self._episode = self._usual
        self._is_running = False
        self._has_begun = False
        self._first_seed: int | None = None
        self._n_episodes = 0

    def _next_seed(self, seed: int | None) -> int:
        """Return the seed of the episode to start."""
        if seed is not None or self._first_seed is None:
            self._first_seed = seed
            if seed is None:
                self._first_seed = int(self.np_random.integers(_DRAWN_SEEDS))
            self._n_episodes = 0
        first = np.array([self._first_seed], np.int64)
        derived = later_seeds(first, np.array([self._n_episodes], np.int64))
        self._n_episodes += 1
        return int(derived[0])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; return its start observation and info.

        Args:
            seed: Seed of this episode; later ones derive from it.
            options: Scenario parameters to override in this episode, by dotted name.

        Raises:
            ScenarioError: The seed is no seed, or an option is no scenario parameter or out of its
                bounds.
        """
        self._is_running = self._has_begun = False
        if seed is not None:
            seed = checked_seed(seed)
        overrides = checked_options(options)
        super().reset(seed=seed)
        scenarios, self._episode = self._scenarios, self._usual
        if overrides:
            scenarios = scenarios_of(self._spec_of_scenario, overrides)
            self._episode = _Episode(scenarios, self._discipline)
        self._seed = self._next_seed(seed)
        row = scenario_rows(np.array([self._seed]), len(scenarios))
        scenario = scenarios[int(row[0])]
        self._scenario_name = scenario.name
        self._reward_scale = scenario.limits.reward_scale
        observation = self._episode.start(self._seed, row)
        self._is_running = self._has_begun = True
        self._cost = 0
        self._time = 0
        return observation, self._info(self._episode.numbers())

    def step(
        self, action: Any
    ) -> tuple[NDArray[np.float32], SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one decision and run to the next one, or to the end.

        Raises:
            ActionError: The action is not in the action space.
            NotResetError: No episode is running.
        """
        number = checked_action(action)
        if not self._is_running:
            raise NotResetError("step() was called before reset(), or after the episode had ended")
        observation = self._episode.advance(number)
        numbers = self._episode.numbers()
        info = self._info(numbers)
        reward = (self._cost - numbers[_COST]) / self._reward_scale
        self._cost = numbers[_COST]
        end = numbers[_END]
        if end == _RUNNING:
            return observation, reward, False, False, info
        self._is_running = False
        info["episode_metrics"] = episode_metrics(self._episode.batch, 0)
        truncated = end == End.CAPPED
        return observation, reward, not truncated, truncated, info

    def _info(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return what there is to know beside the observation.

        Args:
            numbers: What the episode has of each `Number`.
        """
        _, _, now, was_masked, waste, penalty, tail, actor, path, operation, n_ended = numbers
        episode = self._episode
        info = {
            "action_mask": episode.mask.copy(),
            "action_was_masked": was_masked != 0,
            "seed": self._seed,
            "scenario": self._scenario_name,
            "features": episode.features.copy(),
            "elapsed_cycles": now - self._time,
            "cost": {"waste": waste, "preempt_penalty": penalty, "tail": tail},
        }
        self._time = now
        if actor != NONE:
            info["actor"] = actor
            info["path"] = _PATH_NAMES[path]
            info["operation_id"] = operation
        if n_ended:
            info["cost_by_operation"] = episode.cost_by_operation(n_ended)
        return info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, shape (3,); what maskable learners ask for."""
        return self._episode.mask != 0

    def render(self) -> str | None:
        """Return CPUs, locks and waiting threads as text, or None without a render mode.

        Raises:
            NotResetError: There is no episode to show.
        """
        if self.render_mode is None:
            return None
        if not self._has_begun:
            raise NotResetError("render() was called before reset()")
        return state_text(self._episode.batch, 0)


def _document() -> None:
    """Put the tables of actions and features into the class's docstring."""
    from tdx_env.spaces import action_table, feature_table

    text = SeamcallRetryEnv.__doc__ or ""
    tables = {"actions": action_table(), "observations": feature_table()}
    for name, table in tables.items():
        text = text.replace(f"{{{name}}}", table.replace("\n", "\n        "))
    SeamcallRetryEnv.__doc__ = text


_document()
