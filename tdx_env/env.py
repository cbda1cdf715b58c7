"""The single environment, `tdx_env/SeamcallRetry-v0` and `-v1`."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, ClassVar, Self, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.arguments import (
    RENDER_MODES,
    DisciplineSpec,
    ModuleSpec,
    PlainSpec,
    ScenarioSpec,
    asked,
    checked_action,
    checked_options,
    checked_render_mode,
    checked_seed,
)
from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import episode_metrics, metric_values
from tdx_env.engine.render import state_text
from tdx_env.engine.seeds import later_seeds, scenario_rows
from tdx_env.engine.world_snapshot import check_layout, layout
from tdx_env.env_snapshot import EnvSnapshot, check_snapshot, remember, remembered
from tdx_env.episode import Episode
from tdx_env.errors import NotResetError
from tdx_env.info import ENDS, OPERATIONS_ROW, PATHS, info_table, no_metrics
from tdx_env.repertoire import Repertoire, edition_of
from tdx_env.scenarios import machine_overrides
from tdx_env.spaces import (
    action_space,
    action_table,
    feature_table,
    observation_size,
    observation_space,
)
from tdx_env.state.objectives import N_WEIGHED, PRESETS, WEIGHED, ObjectiveSpec
from tdx_env.state.world import End
from tdx_env.timeline import Timeline

_DRAWN_SEEDS = 1 << 31
# Plain integers: reading them is quicker than a member of an enum.
_RUNNING, _CAPPED = int(End.RUNNING), int(End.CAPPED)
_NO_METRICS = no_metrics()


class SeamcallRetryEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A host thread of KVM whose SEAMCALL came back with TDX_OPERAND_BUSY.

    Description:
        Episodes are finite and a step may take a microsecond or a second: learn with ``gamma=1``
        (or discount by time, `tdx_env.discounting.TimeDiscount`). A gamma of 0.99 pays for many
        short steps and reverses the order of answers: `docs/objectives.md`.

        Each step is one busy reply, or a flush point if `decisions` says so. The simulated machine
        runs on until the next one, of whatever thread, or until the episode's fixed work is done.
        `docs/model.md` has every rule.

    Action Space:
        {actions}

    Observation Space:
        {observations}

    Rewards:
        Minus the cost since the last decision, divided by the scenario's `reward_scale` (v1:
        `reward_scale_v1`). What costs is the objective's to say: ``thread`` (v0) counts the cycles
        that decisions waste on all CPUs, and penalties; ``cpu`` (v1) all overhead of host and
        guest, and penalties. The return is minus the total cost, however many decisions were asked
        for. `info["cost"]` has the parts in cycles, the same whatever the objective.

    Starting State:
        A start observation, at which only RETRY is allowed and which counts as no decision. The
        step after it runs to the first busy reply, or to the end if there is none.

    Episode End:
        Terminated: all work done; the TD was killed; no progress for the scenario's stall time (a
        hang). Truncated: the scenario's time cap. `info["episode_metrics"]` has what it came to
        as numbers, `env.unwrapped.episode_report()` in words: who killed the TD, who waits.

    Info:
        Every key is there at every step, that of `reset` included (`cost_by_operation`: if it is
        asked for). Metrics by name:
        `tdx_env.info.named_metrics(info["episode_metrics"])`.
        {infos}
        Path: {paths}.
        End: {ends}.

    Copies:
        `copy.deepcopy` and `pickle`, in the middle of an episode too, give an environment that goes
        on as the original does. `snapshot = env.unwrapped.snapshot()` keeps the state and
        `env.unwrapped.restore(snapshot)` puts it back, as often as wanted and also into another
        environment that was made with the same arguments: what planners and questions of "what if"
        need. Wrappers are no part of it: their counts, as of steps, stay as they are.

    Arguments:
        scenario: A name as `tdx-env list` shows, a path, a word like "train", a `Scenario` or its
            table, or a list of them; one is drawn for each episode. Default: "train"; v1: "core".
        discipline: What the host does round the decisions, a `Discipline` or a table of its fields;
            default: `tdx_env.host.discipline.DEFAULT`; v1: `BOUNDED`, which gives a call up in the
            end (1,024 issues, a kick with a gate, as many again, then the TD is killed).
        objective: What an episode costs: {presets}, or weights of {weighed}. Default: what the
            scenario says; else thread, in v1 cpu.
        observe_objective: True appends these weights to the observation, so that one agent can
            serve many objectives.
        render_mode: "ansi" shows CPUs, locks and who waits, as text; "rgb_array" draws the last
            step, who did what until the reply that is decided about (needs the extra eval).
        decisions: Where somebody is asked: "busy" at busy replies, "flush" at the flush points of a
            zap (a page is blocked, another one could be: go on, or stop the vCPUs now), "all" at
            both. Default: "busy"; v1: "all". Asked at flush points, the default discipline has
            flush = "decided", and the observation has more columns, from path=FLUSH on. What
            nobody is asked about is the discipline's: a busy call is issued again, a flush comes
            by its `flush`.
        operations_in_info: True adds `info["cost_by_operation"]`: what each fault and page's zap
            that ended since the last decision has wasted.
        module, kernel: Version of the TDX module (or a list, of which each episode draws one) and
            of KVM for all scenarios; default: what each says. Options of `reset` go before them.
        options of `reset`: any scenario parameter by its dotted name, for that one episode.

    Version History:
        v1: asks at flush points too and counts TRACK's kicks (objective ``cpu``), on the core list;
            rewards are divided by `reward_scale_v1`, so that flushing when somebody waits for
            mmu_lock, and retrying, returns about -1. The discipline is bounded.
        v0: first.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 1}

    spec: Any = PlainSpec()

    # What a snapshot has of the environment itself.
    _kept: ClassVar[tuple[str, ...]] = (
        "_is_running", "_has_begun", "_first_seed", "_n_episodes", "_seed", "_scenario",
        "_reward_scale", "_cost", "_time", "_np_random", "_np_random_seed",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, what Gymnasium and users give by name
        self,
        scenario: ScenarioSpec | None = None,
        discipline: DisciplineSpec | None = None,
        render_mode: str | None = None,
        operations_in_info: bool = False,
        module: ModuleSpec = None,
        kernel: str | None = None,
        decisions: str | None = None,
        objective: ObjectiveSpec | None = None,
        observe_objective: bool = False,
        edition: str = "v0",
    ) -> None:
        self._has_operations = operations_in_info
        self.render_mode = checked_render_mode(render_mode)
        self._shows_weights = observe_objective
        self.action_space = action_space()
        version, machine = edition_of(edition), machine_overrides(module, kernel)
        self._repertoire = Repertoire(scenario, objective, version, machine)
        asks = version.decisions if decisions is None else decisions
        self._discipline = asked(
            discipline, asks, self._repertoire.scenarios, version.discipline
        ).record()
        self._n_columns = observation_size(asks)
        self.observation_space: Any = observation_space(asks, N_WEIGHED * observe_objective)
        self._usual = self._episode_of(self._repertoire.setups)
        self._episode = self._usual
        self._is_running = False
        self._has_begun = False
        self._first_seed: int | None = None
        self._n_episodes = self._seed = self._scenario = self._cost = self._time = 0
        self._reward_scale = 1
        self._timeline: Timeline | None = None

    def _episode_of(self, setups: NDArray[np.void]) -> Episode:
        """Return memory for one episode of any of the scenarios, dtype SETUP, shape (n,)."""
        return Episode(Batch(setups, self._discipline), self._n_columns, self._shows_weights)

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """Names of the scenarios; `info["scenario"]` is a place among them."""
        return self._repertoire.names

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
        played, self._episode = self._repertoire, self._usual
        if overrides:
            played = self._repertoire.overridden(overrides)
            self._episode = self._episode_of(played.setups)
        self._seed = self._next_seed(seed)
        row = scenario_rows(np.array([self._seed]), len(played.scales))
        self._scenario = int(row[0])
        self._reward_scale = played.scales[self._scenario]
        observation = self._episode.start(self._seed, row)
        self._is_running = self._has_begun = True
        if self._timeline is not None:
            self._timeline.forget()
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
            raise NotResetError(
                "step() was called before reset(), or after the episode had ended or a step was "
                "interrupted"
            )
        self._is_running = False  # if Ctrl-C ends this step, there is nothing to go on with
        if self._timeline is not None:
            self._timeline.keep(self._episode.batch, number)
        observation = self._episode.advance(number)
        numbers = self._episode.numbers()
        info = self._info(numbers)
        end, cost = numbers[:2]
        reward = (self._cost - cost) / self._reward_scale
        self._cost = cost
        if end == _RUNNING:
            self._is_running = True
            return observation, reward, False, False, info
        info["episode_metrics"] = metric_values(self._episode.batch, 0)
        truncated = end == _CAPPED
        return observation, reward, not truncated, truncated, info

    def _info(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return what there is to know beside the observation; see `tdx_env.info`.

        Args:
            numbers: What the episode has of each `Number`, up to OPERATION.
        """
        end, _, now, was_masked, actor, path, operation = numbers
        episode = self._episode
        elapsed = now - self._time
        self._time = now
        info = {
            "action_mask": episode.mask.copy(),
            "action_was_masked": was_masked != 0,
            "seed": self._seed,
            "scenario": self._scenario,
            "features": episode.features.copy(),
            "elapsed_cycles": elapsed,
            "cost": episode.cost.copy(),
            "actor": actor,
            "path": path,
            "operation_id": operation,
            "end": end,
            "episode_metrics": _NO_METRICS.copy(),
        }
        if self._has_operations:
            info[OPERATIONS_ROW.key] = episode.batch.ended_operations()[0]
        return info

    def episode_report(self) -> dict[str, Any]:
        """Return what the episode has come to so far, in names and words; times in cycles.

        Beside `tdx_env.engine.metrics.episode_metrics`: ``scenario``, by name, and ``seed``.

        Raises:
            NotResetError: There is no episode.
        """
        if not self._has_begun:
            raise NotResetError("episode_report() was called before reset()")
        about = {"scenario": self.scenario_names[self._scenario], "seed": self._seed}
        return about | episode_metrics(self._episode.batch, 0)

    def snapshot(self) -> EnvSnapshot:
        """Return the state, for `restore`; can be pickled."""
        setups = None if self._episode is self._usual else self._episode.batch.setups
        state, own = self._episode.batch.snapshot(), remembered(self, self._kept)
        return EnvSnapshot(type(self).__name__, self._usual.batch.origin(), setups, state, own)

    def restore(self, snapshot: EnvSnapshot) -> None:
        """Put the state of a snapshot back; the next steps are those that would have followed it.

        Raises:
            SnapshotError: It is none, or of an environment that was made with other arguments.
        """
        found = check_snapshot(snapshot, type(self).__name__, self._usual.batch.origin())
        episode = self._usual if found.setups is None else self._episode_of(found.setups)
        episode.batch.restore(found.state)
        self._episode = episode
        if self._timeline is not None:
            self._timeline.forget()
        remember(self, found.own)

    def __copy__(self) -> Self:
        """Return a copy with memory of its own, as any copy has."""
        return deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle keeps; memory that no episode is in is left out."""
        state = {**self.__dict__, "layout": layout()}
        if self._episode is not self._usual:
            state["_usual"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what pickle kept.

        Raises:
            SnapshotError: Another version of the simulator kept it.
        """
        check_layout(state.get("layout"), "pickled environment")
        self.__dict__ |= {name: value for name, value in state.items() if name != "layout"}
        if self._usual is None:
            self._usual = self._episode_of(self._repertoire.setups)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, shape (3,); what maskable learners ask for."""
        return self._episode.mask != 0

    def render(self) -> Any:
        """Return the state as text or picture, or None without a render mode.

        Returns:
            "ansi": CPUs, locks and waiting threads as text. "rgb_array": the last step as a
            picture, uint8, shape (540, 960, 3); the first picture of an episode that began before
            it shows no step yet.

        Raises:
            NotResetError: There is no episode to show.
            MissingExtraError: There are to be pictures, and Pillow is not installed.
        """
        if self.render_mode is None:
            return None
        if not self._has_begun:
            raise NotResetError("render() was called before reset()")
        if self.render_mode == "ansi":
            return state_text(self._episode.batch, 0)
        if self._timeline is None:
            self._timeline = Timeline()
        scenario = self._repertoire.scenarios[self._scenario]
        title = f"{scenario.name}, seed {self._seed}"
        return self._timeline.frame(self._episode.batch, scenario.clock_khz, title)


def _document() -> None:
    """Put the tables of actions, features and infos into the class's docstring."""
    text = SeamcallRetryEnv.__doc__ or ""
    tables = {
        "actions": action_table(),
        "observations": feature_table(),
        "infos": info_table(),
        "paths": PATHS,
        "ends": ENDS,
        "presets": ", ".join(PRESETS),
        "weighed": ", ".join(WEIGHED),
    }
    for name, table in tables.items():
        text = text.replace(f"{{{name}}}", table.replace("\n", "\n        "))
    SeamcallRetryEnv.__doc__ = text


_document()
