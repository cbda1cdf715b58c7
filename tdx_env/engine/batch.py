"""Many episodes side by side: their memory, and running them until each asks or ends.

The single and the vector environment, evaluation and tests all go through a `Batch`.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.broken import error_of
from tdx_env.engine.loop import Decide
from tdx_env.engine.memory import Block, address_of, addresses_of
from tdx_env.engine.run import SKIP, Number, Shown, ask, compiled_run, share, start_some
from tdx_env.jit import IS_COMPILED
from tdx_env.module.seamcalls import MODULE_VERSIONS
from tdx_env.module.seamcalls import program as steps_of
from tdx_env.spaces import observation_size
from tdx_env.state.actors import ACTOR, ENTRY
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import DISCIPLINE, N_ACTIONS
from tdx_env.state.features import N_FEATURES
from tdx_env.state.setup import REGIONS_PER_TABLE, SETUP
from tdx_env.state.world import (
    ACTORS,
    DECISION,
    DECISIONS,
    ENTRIES,
    EVENT,
    PROGRAM,
    RUN,
    TRACE,
    End,
    World,
)

# Looking up a member of an enum, and comparing an array with one, takes longer.
_ACTOR, _END, _COST = int(Number.ACTOR), int(Number.END), int(Number.COST)
_RUNNING, _BROKEN = int(End.RUNNING), int(End.BROKEN)
_BY_SCENARIO = ("setup", "program")  # records of which there is one for each scenario
_SCENARIO_COLUMNS = [World._fields.index(name) for name in _BY_SCENARIO]
_CHUNKS_A_THREAD = 4  # so that a thread whose worlds are quick helps with the others
_WORTH_SHARING = 300e-6  # [s] what is shorter is run by the caller: to wake a thread takes as long

__all__ = ["SKIP", "Batch", "Number", "compile_loop"]


def compile_loop() -> None:
    """Compile the event loop now, or load it from the cache."""
    compiled_run()


def _n_entries(setups: NDArray[np.void]) -> int:
    """Return the S-EPT entries that the largest of the setups needs."""
    most = 0
    for setup in setups:
        regions = int(setup["areas"]["n_regions"][: setup["n_areas"]].sum())
        most = max(
            most,
            (regions << int(setup["page_shift"])) + regions + -(-regions // REGIONS_PER_TABLE) + 1,
        )
    return most


def _n_actors(setups: NDArray[np.void]) -> int:
    """Return the actors that the largest of the setups needs."""
    tasks = [int(s["tasks"]["count_high"][: s["n_tasks"]].sum()) for s in setups]
    return max(int(s["n_vcpus_high"]) + n for s, n in zip(setups, tasks, strict=True))


def _programs(setups: NDArray[np.void]) -> NDArray[np.void]:
    """Return the table of the module's calls for each setup, dtype PROGRAM."""
    programs = np.zeros(len(setups), PROGRAM)
    versions = list(MODULE_VERSIONS)
    for row, setup in enumerate(setups):
        programs["steps"][row] = steps_of(versions[setup["module_version"]])
    return programs


class Batch:
    """Episodes side by side in flat memory.

    Args:
        setups: Scenarios, dtype SETUP, shape (n_scenarios,).
        discipline: dtype DISCIPLINE, shape (1,).
        n_worlds: Episodes at a time.
        n_events_traced: Events kept of each episode.
        n_decisions_traced: Decisions kept of each episode.
        n_threads: Threads that run the worlds; results don't depend on it.

    Attributes:
        run: Scalars of each world, dtype RUN, shape (n_worlds,).
        actors: Actors of each world, dtype ACTORS, shape (n_worlds,).
        features: Integer features of the decisions waited for, shape (n_worlds, N_FEATURES).
        masks: 1 for each allowed action of the decisions waited for, int8, shape (n_worlds,
            N_ACTIONS).
        numbers: What else is read after each step, int64, shape (len(Number), n_worlds).
    """

    def __init__(
        self,
        setups: NDArray[np.void],
        discipline: NDArray[np.void],
        n_worlds: int = 1,
        n_events_traced: int = 0,
        n_decisions_traced: int = 0,
        n_threads: int = 1,
    ) -> None:
        self.n_worlds = n_worlds
        self._n_threads = max(1, min(n_threads, n_worlds))
        self._is_short = False  # whether the last run was
        n_actors = _n_actors(setups)
        self._capacities = np.array([n_actors, n_events_traced, n_decisions_traced])
        rows = ACTORS.fields["row"][1]  # type: ignore[index]
        run = Block(RUN, RUN.itemsize, n_worlds)
        actors = Block(ACTORS, rows + n_actors * ACTOR.itemsize, n_worlds)
        entries = Block(ENTRIES, _n_entries(setups) * ENTRY.itemsize, n_worlds)
        self.run = run.records
        self.actors = actors.records
        self.features = np.zeros((n_worlds, N_FEATURES), np.int64)
        self.masks = np.zeros((n_worlds, N_ACTIONS), np.int8)
        self.numbers = np.zeros((len(Number), n_worlds), np.int64)
        self._shown = Shown(self.features, self.masks, self.numbers)
        self._memory = (run.words, actors.words)
        self._state: list[NDArray[Any]] = [*self._memory, entries.words, *self._shown]
        self._records: dict[str, NDArray[np.void]] = {
            "run": run.records,
            "actors": actors.records,
            "entries": entries.records,
            "setup": np.ascontiguousarray(setups, SETUP),
            "discipline": np.array(discipline, DISCIPLINE),
            "program": _programs(setups),
            "trace": Block(TRACE, n_events_traced * EVENT.itemsize, n_worlds).records,
            "decisions": Block(DECISIONS, n_decisions_traced * DECISION.itemsize, n_worlds).records,
        }
        self._no_actions = np.full(n_worlds, NONE, np.int64)
        self._no_observations = np.empty((0, observation_size()), np.float32)
        self._worlds: Any = self._table()
        self._run_range = compiled_run()
        self._ask = address_of(ask())

    def _table(self) -> Any:
        """Return where the records of each world are: what compiled code knows worlds by."""
        if not IS_COMPILED:
            return [self.world(index) for index in range(self.n_worlds)]
        by_scenario = [addresses_of(self._records[name]) for name in _BY_SCENARIO]
        self._of_scenarios = np.stack(by_scenario, axis=1)
        table = np.zeros((self.n_worlds, len(World._fields)), np.int64)
        for column, name in enumerate(World._fields):
            if name not in _BY_SCENARIO:
                table[:, column] = addresses_of(self._records[name])
        table[:, _SCENARIO_COLUMNS] = self._of_scenarios[self.run["scenario"]]
        return table

    def _set_scenarios(self, which: NDArray[np.int64], rows: NDArray[np.integer]) -> None:
        """Let some worlds play the scenarios in the given rows of the setups."""
        self.run["scenario"][which] = rows
        if IS_COMPILED:
            self._worlds[which[:, None], _SCENARIO_COLUMNS] = self._of_scenarios[rows]
        else:
            self._worlds = self._table()

    @property
    def waiting(self) -> NDArray[np.bool_]:
        """Which worlds wait for a decision, shape (n_worlds,)."""
        return self.numbers[_ACTOR] != NONE

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Which episodes have ended, shape (n_worlds,)."""
        return self.numbers[_END] != _RUNNING

    @property
    def costs(self) -> NDArray[np.int64]:
        """Total cost of each episode so far, shape (n_worlds,) [cycles]."""
        return self.numbers[_COST].copy()

    def use(self, discipline: NDArray[np.void]) -> None:
        """Let the host follow another discipline from now on: call it before `reset`.

        Args:
            discipline: dtype DISCIPLINE, shape (1,).
        """
        self._records["discipline"][:] = discipline

    def reset(
        self,
        seeds: NDArray[np.integer] | Sequence[int],
        scenarios: NDArray[np.integer] | Sequence[int] | None = None,
        which: NDArray[np.bool_] | None = None,
    ) -> None:
        """Start new episodes, each at its time 0; `advance` runs them.

        Args:
            seeds: What every draw is keyed by, shape (n_worlds,).
            scenarios: Row of the setups of each, shape (n_worlds,); default: as before.
            which: The worlds to start, shape (n_worlds,); default all.
        """
        chosen = np.arange(self.n_worlds) if which is None else np.flatnonzero(which)
        if scenarios is not None:
            self._set_scenarios(chosen, np.asarray(scenarios)[chosen])
        keys = np.asarray(seeds)[chosen].astype(np.uint64)
        start_some(self._worlds, chosen, keys, self._capacities, self._memory, self._shown)

    def advance(
        self,
        policy: Decide | None = None,
        actions: NDArray[np.integer] | Sequence[int] | None = None,
        observations: NDArray[np.float32] | None = None,
    ) -> int:
        """Run every world until it asks or ends.

        Args:
            policy: A compiled decision function that takes all decisions; default: none does.
            actions: One Action for each world that waits, shape (n_worlds,), NONE to leave it
                waiting, SKIP not to run the world at all; a masked action is executed as RETRY.
                Default: all waiting ones wait on.
            observations: Is filled with the observations of all worlds, shape (n_worlds,
                observation_size()).

        Returns:
            How many of the episodes have ended.

        Raises:
            PolicyError: An action, given or of the policy, is no Action.
            BrokenError: The simulator met a case that it doesn't handle.
        """
        given = self._no_actions
        if actions is not None:
            given = np.ascontiguousarray(actions, dtype=np.int64)
        decide = self._ask if policy is None else address_of(policy)
        out = self._no_observations if observations is None else observations
        arguments = (decide, given, *self._shown, out)
        n_ended = self._run_all(arguments)
        if n_ended > 0:
            self._raise_if_broken()
        return n_ended

    def _raise_if_broken(self) -> None:
        """Raise if the kernel has broken an episode off."""
        broken = np.flatnonzero(self.numbers[_END] == _BROKEN)
        if len(broken) > 0:
            raise error_of(self.run[broken[0]])

    def _run_all(self, arguments: tuple[Any, ...]) -> int:
        """Run all worlds, in threads if that is worth while; return how many have ended."""
        if self._n_threads == 1:
            return self._run_range(self._worlds, 0, self.n_worlds, *arguments)
        start = time.perf_counter()
        if self._is_short:
            n_ended = self._run_range(self._worlds, 0, self.n_worlds, *arguments)
        else:
            n_ended = self._run_in_threads(arguments)
        self._is_short = time.perf_counter() - start < _WORTH_SHARING
        return n_ended

    def _run_in_threads(self, arguments: tuple[Any, ...]) -> int:
        """Run all worlds; each thread takes a few, then the next few."""
        step = -(-self.n_worlds // (self._n_threads * _CHUNKS_A_THREAD))
        firsts = iter(range(0, self.n_worlds, step))

        def work() -> int:
            n_ended = 0
            for first in firsts:
                last = min(first + step, self.n_worlds)
                n_ended += self._run_range(self._worlds, first, last, *arguments)
            return n_ended

        return share(self._n_threads, work)

    def world(self, index: int) -> World:
        """Return one world; its records are views."""
        scenario = int(self.run["scenario"][index])
        row = {"setup": scenario, "program": scenario, "discipline": 0}
        return World(**{name: rows[row.get(name, index)] for name, rows in self._records.items()})

    def snapshot(self) -> list[NDArray[Any]]:
        """Return a copy of the state of all worlds, for `restore`."""
        return [memory.copy() for memory in self._state]

    def restore(self, snapshot: Sequence[NDArray[Any]]) -> None:
        """Put the state of a snapshot back; the worlds go on as they did from there."""
        for memory, kept in zip(self._state, snapshot, strict=True):
            memory[...] = kept
        self._worlds = self._table()
