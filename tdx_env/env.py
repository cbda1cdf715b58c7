"""The single environment, `tdx_env/SeamcallRetry-v0`."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import numba
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch, leave_open
from tdx_env.engine.metrics import episode_metrics
from tdx_env.engine.render import state_text
from tdx_env.engine.seeds import later_seeds, scenario_rows
from tdx_env.errors import ActionError, NotResetError, ScenarioError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.jit import DECISION_SIGNATURE, IS_COMPILED, decision
from tdx_env.scenarios import Scenario, expand, load
from tdx_env.spaces import action_space, observation_size, observation_space, observe
from tdx_env.state.actors import Path as CallPath
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.world import MAX_ENDED, End

ScenarioSpec = str | Path | Scenario | Sequence[str | Path | Scenario]
SEED_LIMIT = 1 << 63
_DRAWN_SEEDS = 1 << 31
_SIZE = observation_size()
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
    return np.concatenate([one.setup() for one in scenarios])


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
    if isinstance(action, np.ndarray) and action.shape == () and action.dtype.kind in "iu":
        action = int(action)
    if isinstance(action, (int, np.integer)) and 0 <= action < N_ACTIONS:
        return int(action)
    raise ActionError(f"action = {action!r}, must be 0 (RETRY), 1 (KICK) or 2 (YIELD)")


class _KnownAddress(numba.types.WrapperAddressProtocol):
    """A compiled decision function as numba takes it at once.

    numba works out the address of a function given as an argument anew at each call, which takes
    40 us; it asks such an object for it, which takes 2 us.
    """

    def __init__(self, function: Any) -> None:
        self._function = function  # keeps the code in memory
        self._numba_type_ = numba.types.FunctionType(DECISION_SIGNATURE)
        found = function.get_compile_result(DECISION_SIGNATURE)
        self._address = found.library.get_pointer_to_function(found.fndesc.llvm_cfunc_wrapper_name)

    def __wrapper_address__(self) -> int:
        return int(self._address)

    def signature(self) -> Any:
        return DECISION_SIGNATURE


@functools.cache
def ask_caller() -> Any:
    """Return the decision function that leaves every decision to the caller, quick to hand over."""
    function = decision(leave_open)
    return _KnownAddress(function) if IS_COMPILED else function


class _Episode:
    """The memory of one episode.

    Its fields are arrays of their own here: reading one takes 50 ns, and 300 ns from a record.
    """

    def __init__(self, scenarios: Sequence[Scenario], discipline: NDArray[np.void]) -> None:
        self.batch = Batch(setups_of(scenarios), discipline)
        run, rows = self.batch.run, self.batch.world(0).actors["row"]
        self.end = run["end"].item
        self.now = run["now"].item
        self.actor = run["decision_actor"].item
        self.waste = run["waste"].item
        self.preempt_penalty = run["preempt_penalty"].item
        self.tail_cost = run["tail_cost"].item
        self.n_ended = run["n_ended"].item
        self.ended = run["ended"][0]
        self.mask = run["mask"][0]
        self.features = self.batch.features[0]
        self.path = rows["path"].item
        self.operation_id = rows["operation_id"].item
        self.operation_started = rows["operation_started"].item
        self._action = np.zeros(1, np.int64)

    def advance(self, action: int) -> None:
        """Run to the next decision, or to the end."""
        self._action[0] = action
        self.batch.advance(ask_caller(), self._action)

    def cost(self) -> dict[str, int]:
        """Return what was wasted so far, by part [cycles]."""
        return {
            "waste": self.waste(),
            "preempt_penalty": self.preempt_penalty(),
            "tail": self.tail_cost(),
        }

    def asked(self) -> dict[str, Any]:
        """Return whose decision is asked for; nothing if none is."""
        actor = self.actor()
        if actor == NONE:
            return {}
        is_open = self.operation_started(actor) != NONE
        return {
            "actor": actor,
            "path": _PATH_NAMES[self.path(actor)],
            "operation_id": self.operation_id(actor) if is_open else NONE,
        }

    def observation(self) -> NDArray[np.float32]:
        """Return the observation, in an array of its own."""
        observation = np.empty((1, _SIZE), np.float32)
        observe(self.batch.features, observation)
        return observation[0]


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
            raise ScenarioError(f"render_mode = {render_mode!r}, must be None or 'ansi'")
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
        self._episode.batch.reset([self._seed], row)
        self._is_running = self._has_begun = True
        self._cost = 0
        self._time = 0
        return self._episode.observation(), self._info(False)

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
        episode = self._episode
        was_masked = not episode.mask[number]
        episode.advance(number)
        end = episode.end()
        self._is_running = end == End.RUNNING
        truncated = end == End.CAPPED
        info = self._info(was_masked)
        before, self._cost = self._cost, sum(info["cost"].values())
        reward = (before - self._cost) / self._reward_scale
        if not self._is_running:
            info["episode_metrics"] = episode_metrics(episode.batch, 0)
        terminated = not (self._is_running or truncated)
        return episode.observation(), reward, terminated, truncated, info

    def _info(self, was_masked: bool) -> dict[str, Any]:
        """Return what there is to know beside the observation."""
        episode = self._episode
        now = episode.now()
        info = {
            "action_mask": episode.mask.astype(np.int8),
            "action_was_masked": was_masked,
            "seed": self._seed,
            "scenario": self._scenario_name,
            "features": episode.features.copy(),
            "elapsed_cycles": now - self._time,
            "cost": episode.cost(),
            **episode.asked(),
        }
        self._time = now
        n_ended = min(episode.n_ended(), MAX_ENDED)
        if n_ended:
            info["cost_by_operation"] = dict(episode.ended[:n_ended].tolist())
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
