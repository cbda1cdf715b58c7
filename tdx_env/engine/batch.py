"""Many episodes side by side: their memory, and running them until each asks or ends.

The single and the vector environment, evaluation and tests all go through a `Batch`.
"""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.loop import Decide, advance
from tdx_env.engine.memory import Block, addresses_of, pick
from tdx_env.engine.start import start
from tdx_env.host.busy import decide
from tdx_env.jit import DECISION_SIGNATURE, IS_COMPILED, compiled, decision, inner, kernel
from tdx_env.module.seamcalls import MODULE_VERSIONS
from tdx_env.module.seamcalls import program as steps_of
from tdx_env.state.actors import ACTOR, ENTRY
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import ASK, DISCIPLINE, Action
from tdx_env.state.features import N_FEATURES, Feature
from tdx_env.state.setup import SETUP
from tdx_env.state.world import ACTORS, DECISIONS, ENTRIES, PROGRAM, RUN, TRACE, End, World

SKIP = -2  # in place of an action: leave the world alone
_CAPACITIES = ("capacity", "trace_capacity", "decision_capacity")


def leave_open(features: NDArray[np.int64]) -> int:
    """Leave every decision to the caller."""
    return ASK


@functools.cache
def _ask() -> Decide:
    """Return the decision function that leaves every decision to the caller."""
    return decision(leave_open)


@inner
def _show_no_decision(world: World, features: NDArray[np.int64]) -> None:
    """Make the features those of a moment without a decision: only RETRY, path NONE."""
    features[:] = 0
    features[Feature.PATH] = NONE
    features[Feature.N_VCPUS] = world.run["n_vcpus"]
    world.run["mask"][Action.RETRY] = 1
    world.run["mask"][Action.KICK] = 0
    world.run["mask"][Action.YIELD] = 0


def _run_range(
    worlds: Any,
    first: int,
    last: int,
    actions: NDArray[np.int64],
    features: NDArray[np.int64],
    policy: Decide,
) -> None:
    """Run the worlds from first to last - 1 that have not ended until each asks or ends.

    A world that waits for a decision is given its action, if that is not NONE; SKIP leaves a world
    alone.
    """
    for index in range(first, last):
        world = pick(worlds, index)
        if world.run["end"] == End.RUNNING and actions[index] != SKIP:
            if world.run["decision_actor"] != NONE and actions[index] != NONE:
                decide(world, actions[index])
            if advance(world, features[index], policy) != End.RUNNING:
                _show_no_decision(world, features[index])


@kernel
def _start_many(
    worlds: Any,
    which: NDArray[np.bool_],
    seeds: NDArray[np.uint64],
    features: NDArray[np.int64],
) -> None:
    """Start an episode in each of the chosen worlds."""
    for index in range(len(which)):
        if which[index]:
            world = pick(worlds, index)
            start(world, seeds[index])
            _show_no_decision(world, features[index])


@functools.cache
def _compiled_run() -> Callable[..., None]:
    """Compile the event loop, once for all decision functions."""
    if not IS_COMPILED:
        return _run_range
    types = numba.types
    table = types.Array(types.int64, 2, "C")
    actions = types.Array(types.int64, 1, "C")
    policy = types.FunctionType(DECISION_SIGNATURE)
    signature = types.void(table, types.int64, types.int64, actions, table, policy)
    return compiled(_run_range, signature)


def compile_loop() -> None:
    """Compile the event loop now, or load it from the cache."""
    _compiled_run()


@functools.cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    """Return the threads that share the worlds of a batch."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="tdx-env")


def _n_entries(setups: NDArray[np.void]) -> int:
    """Return the S-EPT entries that the largest of the setups needs."""
    most = 0
    for setup in setups:
        regions = int(setup["areas"]["n_regions"][: setup["n_areas"]].sum())
        most = max(most, (regions << int(setup["page_shift"])) + regions + -(-regions // 512) + 1)
    return most


def _n_actors(setups: NDArray[np.void]) -> int:
    """Return the actors that the largest of the setups needs."""
    tasks = [int(s["tasks"]["count_high"][: s["n_tasks"]].sum()) for s in setups]
    return max(int(s["n_vcpus_high"]) + n for s, n in zip(setups, tasks, strict=True))


class Batch:
    """Episodes side by side in flat memory.

    Args:
        setups: Scenarios, dtype SETUP, shape (n_scenarios,).
        discipline: dtype DISCIPLINE, shape (1,).
        n_worlds: Episodes at a time.
        n_events_traced: Events kept of each episode.
        n_decisions_traced: Decisions kept of each episode.
        n_threads: Threads that run the worlds; results don't depend on it.
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
        self._capacities = (_n_actors(setups), n_events_traced, n_decisions_traced)
        rows = ACTORS.fields["row"][1]  # type: ignore[index]
        run = Block(RUN, RUN.itemsize, n_worlds)
        actors = Block(ACTORS, rows + self._capacities[0] * ACTOR.itemsize, n_worlds)
        entries = Block(ENTRIES, _n_entries(setups) * ENTRY.itemsize, n_worlds)
        self._state = (run.bytes, actors.bytes, entries.bytes)
        self.run = run.records
        program = np.zeros(len(setups), PROGRAM)
        versions = list(MODULE_VERSIONS)
        for row, setup in enumerate(setups):
            program["steps"][row] = steps_of(versions[setup["module_version"]])
        self._records: dict[str, NDArray[np.void]] = {
            "run": run.records,
            "actors": actors.records,
            "entries": entries.records,
            "setup": np.ascontiguousarray(setups, SETUP),
            "discipline": np.ascontiguousarray(discipline, DISCIPLINE),
            "program": program,
            "trace": Block(TRACE, n_events_traced * 32, n_worlds).records,
            "decisions": Block(DECISIONS, n_decisions_traced * 64, n_worlds).records,
        }
        self._features = np.zeros((n_worlds, N_FEATURES), np.int64)
        self._no_actions = np.full(n_worlds, NONE, np.int64)
        self._addresses = np.zeros((n_worlds, len(World._fields)), np.int64)
        self._worlds: Any = self._addresses
        self._tabulate()
        self._run_range = _compiled_run()

    def _tabulate(self) -> None:
        """Work out where each world's records are."""
        if not IS_COMPILED:
            self._worlds = [self.world(index) for index in range(self.n_worlds)]
            return
        for column, name in enumerate(World._fields):
            addresses = addresses_of(self._records[name])
            if name in ("setup", "program"):
                addresses = addresses[self.run["scenario"]]
            self._addresses[:, column] = addresses

    @property
    def waiting(self) -> NDArray[np.bool_]:
        """Which worlds wait for a decision, shape (n_worlds,)."""
        return self.run["decision_actor"] != NONE

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Which episodes have ended, shape (n_worlds,)."""
        return self.run["end"] != End.RUNNING

    @property
    def features(self) -> NDArray[np.int64]:
        """Integer features of the decisions waited for, shape (n_worlds, N_FEATURES)."""
        return self._features

    @property
    def masks(self) -> NDArray[np.int64]:
        """Allowed actions of the decisions waited for, shape (n_worlds, N_ACTIONS); a view."""
        return self.run["mask"]

    @property
    def costs(self) -> NDArray[np.int64]:
        """Total cost of each episode so far, shape (n_worlds,) [cycles]."""
        return self.run["waste"] + self.run["preempt_penalty"] + self.run["tail_cost"]

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
        if which is None:
            which = np.ones(self.n_worlds, np.bool_)
        rows = self.run["scenario"].copy()
        if scenarios is not None:
            rows[which] = np.asarray(scenarios)[which]
        for memory in self._state[:2]:
            memory[which] = 0
        self.run["scenario"] = rows
        for name, capacity in zip(_CAPACITIES, self._capacities, strict=True):
            self.run[name][which] = capacity
        if scenarios is not None:
            self._tabulate()
        keys = np.asarray(seeds).astype(np.uint64)
        _start_many(self._worlds, which, keys, self._features)

    def advance(
        self,
        policy: Decide | None = None,
        actions: NDArray[np.integer] | Sequence[int] | None = None,
    ) -> None:
        """Run every world until it asks or ends.

        Args:
            policy: A compiled decision function that takes all decisions; default: none does.
            actions: One Action for each world that waits, shape (n_worlds,), NONE to leave it
                waiting, SKIP not to run the world at all; a masked action is executed as RETRY.
                Default: all waiting ones wait on.
        """
        given = self._no_actions
        if actions is not None:
            given = np.ascontiguousarray(actions, dtype=np.int64)
        chosen = _ask() if policy is None else policy
        arguments = (given, self._features, chosen)
        if self._n_threads == 1:
            self._run_range(self._worlds, 0, self.n_worlds, *arguments)
            return
        cuts = [self.n_worlds * part // self._n_threads for part in range(self._n_threads + 1)]
        pool = _pool(self._n_threads)
        parts = [
            pool.submit(self._run_range, self._worlds, first, last, *arguments)
            for first, last in zip(cuts[:-1], cuts[1:], strict=True)
        ]
        for part in parts:
            part.result()

    def world(self, index: int) -> World:
        """Return one world; its records are views."""
        scenario = int(self.run["scenario"][index])
        row = {"setup": scenario, "program": scenario, "discipline": 0}
        return World(**{name: rows[row.get(name, index)] for name, rows in self._records.items()})

    def snapshot(self) -> list[NDArray[Any]]:
        """Return a copy of the state of all worlds, for `restore`."""
        return [memory.copy() for memory in (*self._state, self._features)]

    def restore(self, snapshot: Sequence[NDArray[Any]]) -> None:
        """Put the state of a snapshot back; the worlds go on as they did from there."""
        arrays: list[NDArray[Any]] = [*self._state, self._features]
        for memory, kept in zip(arrays, snapshot, strict=True):
            memory[...] = kept
        self._tabulate()
