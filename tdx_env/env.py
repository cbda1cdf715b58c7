"""The single environment, `tdx_env/SeamcallRetry-v0`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import episode_metrics
from tdx_env.engine.render import state_text
from tdx_env.engine.seeds import later_seeds, scenario_rows
from tdx_env.errors import ActionError, NotResetError, ScenarioError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.scenarios import Scenario, expand, load
from tdx_env.spaces import action_space, observation_size, observation_space, observe
from tdx_env.state.actors import Path as CallPath
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.world import MAX_ENDED, End

ScenarioSpec = str | Path | Scenario | Sequence[str | Path | Scenario]
_SEED_LIMIT = 1 << 31


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
    return [scenario for one in spec for scenario in scenarios_of(one, overrides)]


def checked_action(action: object) -> int:
    """Return an action as an int.

    Raises:
        ActionError: It is none.
    """
    if isinstance(action, (int, np.integer, np.ndarray)):
        number = int(action)
        if 0 <= number < N_ACTIONS and number == action:
            return number
    raise ActionError(f"action = {action!r}, must be 0 (RETRY), 1 (KICK) or 2 (YIELD)")


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
        self._discipline = discipline
        self._scenarios = scenarios_of(scenario, {})
        self._usual = self._batch_of(self._scenarios)
        self._batch = self._usual
        self._running = False
        self._first_seed: int | None = None
        self._n_episodes = 0

    def _batch_of(self, scenarios: Sequence[Scenario]) -> Batch:
        """Return the memory for one episode of any of these scenarios."""
        setups = np.concatenate([one.setup() for one in scenarios])
        return Batch(setups, self._discipline.record())

    def _next_seed(self, seed: int | None) -> int:
        """Return the seed of the episode to start."""
        if seed is not None or self._first_seed is None:
            self._first_seed = seed
            if seed is None:
                self._first_seed = int(self.np_random.integers(_SEED_LIMIT))
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
            ScenarioError: An option is no scenario parameter or out of its bounds.
        """
        super().reset(seed=seed)
        scenarios = self._scenarios
        self._batch = self._usual
        if options:
            scenarios = scenarios_of(self._spec_of_scenario, options)
            self._batch = self._batch_of(scenarios)
        self._seed = self._next_seed(seed)
        row = scenario_rows(np.array([self._seed]), len(scenarios))
        self._scenario = scenarios[int(row[0])]
        self._reward_scale = int(self._scenario.setup()["reward_scale"][0])
        self._batch.reset([self._seed], row)
        self._running = True
        self._cost = 0
        self._time = 0
        return self._observation(), self._info(False)

    def step(
        self, action: Any
    ) -> tuple[NDArray[np.float32], SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one decision and run to the next one, or to the end.

        Raises:
            ActionError: The action is not in the action space.
            NotResetError: No episode is running.
        """
        number = checked_action(action)
        if not self._running:
            raise NotResetError("step() was called before reset(), or after the episode had ended")
        run = self._batch.run[0]
        was_masked = not run["mask"][number]
        before = self._cost
        self._batch.advance(actions=[number])
        self._cost = int(run["waste"] + run["preempt_penalty"] + run["tail_cost"])
        end = int(run["end"])
        self._running = end == End.RUNNING
        info = self._info(was_masked)
        if not self._running:
            info["episode_metrics"] = episode_metrics(self._batch, 0)
        truncated = end == End.CAPPED
        terminated = not self._running and not truncated
        reward = (before - self._cost) / self._reward_scale
        return self._observation(), reward, terminated, truncated, info

    def _observation(self) -> NDArray[np.float32]:
        """Return the observation, in an array of its own."""
        observation = np.empty((1, observation_size()), np.float32)
        observe(self._batch.features, observation)
        return observation[0]

    def _info(self, was_masked: bool) -> dict[str, Any]:
        """Return what there is to know beside the observation."""
        run = self._batch.run[0]
        info = {
            "action_mask": run["mask"].astype(np.int8),
            "action_was_masked": was_masked,
            "seed": self._seed,
            "scenario": self._scenario.name,
            "features": self._batch.features[0].copy(),
            "elapsed_cycles": int(run["now"]) - self._time,
            "cost": {
                "waste": int(run["waste"]),
                "preempt_penalty": int(run["preempt_penalty"]),
                "tail": int(run["tail_cost"]),
            },
        }
        self._time = int(run["now"])
        actor = int(run["decision_actor"])
        if actor >= 0:
            me = self._batch.world(0).actors["row"][actor]
            info["actor"] = actor
            info["path"] = CallPath(int(me["path"])).name.lower()
            info["operation_id"] = int(me["operation_id"])
        n_ended = min(int(run["n_ended"]), MAX_ENDED)
        if n_ended:
            info["cost_by_operation"] = dict(run["ended"][:n_ended].tolist())
        return info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, shape (3,); what maskable learners ask for."""
        return self._batch.run[0]["mask"] != 0

    def render(self) -> str | None:
        """Return CPUs, locks and waiting threads as text, or None without a render mode."""
        return state_text(self._batch, 0) if self.render_mode == "ansi" else None


def _document() -> None:
    """Put the tables of actions and features into the class's docstring."""
    from tdx_env.spaces import action_table, feature_table

    text = SeamcallRetryEnv.__doc__ or ""
    tables = {"actions": action_table(), "observations": feature_table()}
    for name, table in tables.items():
        text = text.replace(f"{{{name}}}", table.replace("\n", "\n        "))
    SeamcallRetryEnv.__doc__ = text


_document()
