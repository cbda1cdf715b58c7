"""Many episodes side by side: the arrays, and running them until each asks or ends.

The single and the vector environment, evaluation and tests all go through a `Batch`.
"""

import functools
from collections.abc import Callable, Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.loop import advance
from tdx_env.engine.start import start
from tdx_env.host.busy import decide
from tdx_env.jit import DECISION_SIGNATURE, compiled, decision, kernel
from tdx_env.module.seamcalls import program as steps_of
from tdx_env.state.actors import ACTOR, ENTRY
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import ASK, DISCIPLINE
from tdx_env.state.features import N_FEATURES
from tdx_env.state.setup import SETUP
from tdx_env.state.world import ACTORS, DECISIONS, ENTRIES, PROGRAM, RUN, TRACE, End, World

_ALIGNMENT = 64  # a cache line
_LAYOUTS = (
    (RUN, "A"),
    (ACTORS, "A"),
    (ENTRIES, "A"),
    (SETUP, "C"),
    (DISCIPLINE, "C"),
    (PROGRAM, "C"),
    (TRACE, "A"),
    (DECISIONS, "A"),
)
_CAPACITIES = ("capacity", "trace_capacity", "decision_capacity")

Decide = Callable[[NDArray[np.int64]], int]


def leave_open(features: NDArray[np.int64]) -> int:
    """Leave every decision to the caller."""
    return ASK


@functools.cache
def _ask() -> Decide:
    """Return the decision function that leaves every decision to the caller."""
    return decision(leave_open)


def _world_of(worlds: World, index: int) -> World:
    """Return one world of a batch."""
    run = worlds.run[index]
    return World(
        run,
        worlds.actors[index],
        worlds.entries[index],
        worlds.setup[run["scenario"]],
        worlds.discipline[0],
        worlds.program[0],
        worlds.trace[index],
        worlds.decisions[index],
    )


# Compiled code can't return records, so this one is pasted into its callers.
_pick = _world_of if numba.config.DISABLE_JIT else numba.njit(inline="always")(_world_of)


def _advance_many(
    worlds: World, which: NDArray[np.bool_], features: NDArray[np.int64], policy: Decide
) -> None:
    """Run the chosen worlds until each asks or ends."""
    for index in range(len(which)):
        if which[index]:
            advance(_pick(worlds, index), features[index], policy)


@kernel
def _start_many(worlds: World, which: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
    """Start an episode in each of the chosen worlds."""
    for index in range(len(which)):
        if which[index]:
            start(_pick(worlds, index), seeds[index])


@kernel
def _decide_many(worlds: World, which: NDArray[np.bool_], actions: NDArray[np.int64]) -> None:
    """Give each of the chosen worlds its action."""
    for index in range(len(which)):
        if which[index]:
            decide(_pick(worlds, index), actions[index])


@functools.cache
def _compiled_advance() -> Callable[..., None]:
    """Compile the event loop for any decision function of the one signature."""
    if numba.config.DISABLE_JIT:
        return _advance_many
    types = numba.types
    worlds = types.NamedTuple(
        [types.Array(numba.from_dtype(dtype), 1, layout) for dtype, layout in _LAYOUTS], World
    )
    which = types.Array(types.boolean, 1, "C")
    features = types.Array(types.int64, 2, "C")
    policy = types.FunctionType(DECISION_SIGNATURE)
    return compiled(_advance_many, types.void(worlds, which, features, policy))


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


class _Block:
    """Records in one stretch of memory, each only as long as it is used.

    Args:
        dtype: The record; its last field has more room than is used.
        n_used: Bytes of a record that are used.
        n_records: Records.
    """

    def __init__(self, dtype: np.dtype[np.void], n_used: int, n_records: int) -> None:
        stride = (n_used // _ALIGNMENT + 1) * _ALIGNMENT
        # The last record needs its declared room; memory that is never touched is never used. One
        # record more than asked for, so that numba sees a strided array even where one is asked for.
        memory = np.zeros(stride * n_records + dtype.itemsize, np.uint8)
        self.bytes = memory[: stride * n_records].reshape(n_records, stride)
        self.records = np.ndarray((n_records + 1,), dtype, memory, 0, (stride,))


class Batch:
    """Episodes side by side in flat memory.

    Args:
        setups: Scenarios, dtype SETUP, shape (n_scenarios,).
        discipline: dtype DISCIPLINE, shape (1,).
        n_worlds: Episodes at a time.
        n_events_traced: Events kept of each episode.
        n_decisions_traced: Decisions kept of each episode.
        version: Module version whose lock table is used.
    """

    def __init__(
        self,
        setups: NDArray[np.void],
        discipline: NDArray[np.void],
        n_worlds: int = 1,
        n_events_traced: int = 0,
        n_decisions_traced: int = 0,
        version: str = "1.5",
    ) -> None:
        self.n_worlds = n_worlds
        self._capacities = (_n_actors(setups), n_events_traced, n_decisions_traced)
        rows = ACTORS.fields["row"][1]  # type: ignore[index]
        run = _Block(RUN, RUN.itemsize, n_worlds)
        actors = _Block(ACTORS, rows + self._capacities[0] * ACTOR.itemsize, n_worlds)
        entries = _Block(ENTRIES, _n_entries(setups) * ENTRY.itemsize, n_worlds)
        self._state = (run.bytes, actors.bytes, entries.bytes)
        program = np.zeros(1, PROGRAM)
        program["steps"][0] = steps_of(version)
        self.worlds = World(
            run=run.records,
            actors=actors.records,
            entries=entries.records,
            setup=np.ascontiguousarray(setups),
            discipline=np.ascontiguousarray(discipline),
            program=program,
            trace=_Block(TRACE, n_events_traced * 32, n_worlds).records,
            decisions=_Block(DECISIONS, n_decisions_traced * 64, n_worlds).records,
        )
        self.run: NDArray[np.void] = self.worlds.run[:n_worlds]
        self._features = np.zeros((n_worlds, N_FEATURES), np.int64)
        self._advance = _compiled_advance()

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
        """Integer features of the decisions waited for, shape (n_worlds, N_FEATURES); a view."""
        return self.run["features"]

    @property
    def masks(self) -> NDArray[np.int64]:
        """Allowed actions of the decisions waited for, shape (n_worlds, N_ACTIONS); a view."""
        return self.run["mask"]

    def reset(
        self,
        seeds: NDArray[np.integer] | Sequence[int],
        scenarios: NDArray[np.integer] | Sequence[int] | None = None,
        which: NDArray[np.bool_] | None = None,
    ) -> None:
        """Start new episodes, each at its time 0; `advance` runs them.

        Args:
            seeds: What every draw is keyed by, shape (n_worlds,).
            scenarios: Row of the setups of each, shape (n_worlds,); default 0.
            which: The worlds to start, shape (n_worlds,); default all.
        """
        if which is None:
            which = np.ones(self.n_worlds, np.bool_)
        for memory in self._state:
            memory[which] = 0
        if scenarios is not None:
            self.run["scenario"][which] = np.asarray(scenarios)[which]
        for name, capacity in zip(_CAPACITIES, self._capacities, strict=True):
            self.run[name][which] = capacity
        _start_many(self.worlds, which, np.asarray(seeds).astype(np.uint64))

    def advance(self, policy: Decide | None = None) -> None:
        """Run every world that neither waits nor has ended until it does.

        Args:
            policy: A compiled decision function that takes all decisions; default: none does.
        """
        if policy is None:
            which = ~(self.waiting | self.ended)
            self._advance(self.worlds, which, self._features, _ask())
        else:
            self._advance(self.worlds, ~self.ended, self._features, policy)

    def apply(self, actions: NDArray[np.integer] | Sequence[int]) -> NDArray[np.bool_]:
        """Give the waiting worlds their actions; a masked action is executed as RETRY.

        Args:
            actions: One Action for each world, shape (n_worlds,); ignored where none is waited for.

        Returns:
            Which of the actions were masked, shape (n_worlds,).
        """
        waiting = self.waiting
        _decide_many(self.worlds, waiting, np.ascontiguousarray(actions, dtype=np.int64))
        return waiting & (self.run["was_masked"] != 0)

    def world(self, index: int) -> World:
        """Return one world; its records are views."""
        return _world_of(self.worlds, index)

    def snapshot(self) -> list[NDArray[np.uint8]]:
        """Return a copy of the state of all worlds, for `restore`."""
        return [memory.copy() for memory in self._state]

    def restore(self, snapshot: Sequence[NDArray[np.uint8]]) -> None:
        """Put the state of a snapshot back; the worlds go on as they did from there."""
        for memory, kept in zip(self._state, snapshot, strict=True):
            memory[...] = kept
