"""Many episodes side by side: the arrays, and running them until each asks or ends.

The single and the vector environment, evaluation and tests all go through a `Batch`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

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
from tdx_env.state.discipline import ASK
from tdx_env.state.features import N_FEATURES
from tdx_env.state.world import RUN, End, World

Decide = Callable[[NDArray[np.int64]], int]


def leave_open(features: NDArray[np.int64]) -> int:
    """Leave every decision to the caller."""
    return ASK


@functools.cache
def _ask() -> Decide:
    """Return the decision function that leaves every decision to the caller."""
    return decision(leave_open)


@kernel
def _pick(worlds: World, index: int) -> World:
    """Return one world of a batch."""
    run = worlds.run[index]
    scenario = run[0]["scenario"]
    return World(
        run,
        worlds.due[index],
        worlds.actors[index],
        worlds.entries[index],
        worlds.features[index],
        worlds.setup[scenario],
        worlds.groups[scenario],
        worlds.tasks[scenario],
        worlds.areas[scenario],
        worlds.discipline,
        worlds.program,
        worlds.trace[index],
        worlds.decisions[index],
    )


def _advance_many(worlds: World, which: NDArray[np.bool_], policy: Decide) -> None:
    """Run the chosen worlds until each asks or ends."""
    for index in range(len(which)):
        if which[index]:
            advance(_pick(worlds, index), policy)


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
def _compiled_advance(worlds_type: Any) -> Callable[..., None]:
    """Compile the event loop for any decision function of the one signature."""
    if worlds_type is None:
        return _advance_many
    which = numba.types.Array(numba.types.boolean, 1, "C")
    policy = numba.types.FunctionType(DECISION_SIGNATURE)
    return compiled(_advance_many, numba.types.void(worlds_type, which, policy))


def _rows(setups: NDArray[np.void], name: str) -> NDArray[np.void]:
    """Return one table of all setups as an array of its own."""
    return np.ascontiguousarray(setups[name])


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
    """Episodes side by side in flat arrays.

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
        n_actors = _n_actors(setups)
        self.n_worlds = n_worlds
        self.worlds = World(
            run=np.zeros((n_worlds, 1), RUN),
            due=np.zeros((n_worlds, n_actors), np.int64),
            actors=np.zeros((n_worlds, n_actors), ACTOR),
            entries=np.zeros((n_worlds, _n_entries(setups)), ENTRY),
            features=np.zeros((n_worlds, N_FEATURES), np.int64),
            setup=np.ascontiguousarray(setups).reshape(-1, 1),
            groups=_rows(setups, "groups"),
            tasks=_rows(setups, "tasks"),
            areas=_rows(setups, "areas"),
            discipline=np.ascontiguousarray(discipline),
            program=steps_of(version),
            trace=np.zeros((n_worlds, n_events_traced, 4), np.int64),
            decisions=np.zeros((n_worlds, n_decisions_traced, 8), np.int64),
        )
        self._run = self.worlds.run[:, 0]
        is_compiled = not numba.config.DISABLE_JIT
        self._advance = _compiled_advance(numba.typeof(self.worlds) if is_compiled else None)

    @property
    def run(self) -> NDArray[np.void]:
        """The scalars of every world, dtype RUN, shape (n_worlds,)."""
        return self._run

    @property
    def waiting(self) -> NDArray[np.bool_]:
        """Which worlds wait for a decision, shape (n_worlds,)."""
        return self._run["decision_actor"] != NONE

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Which episodes have ended, shape (n_worlds,)."""
        return self._run["end"] != End.RUNNING

    @property
    def features(self) -> NDArray[np.int64]:
        """Integer features of the decisions waited for, shape (n_worlds, N_FEATURES); a view."""
        return self.worlds.features

    @property
    def masks(self) -> NDArray[np.int64]:
        """Allowed actions of the decisions waited for, shape (n_worlds, N_ACTIONS); a view."""
        return self._run["mask"]

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
        everything = bool(which.all())
        for array in self.worlds[:5]:
            array[... if everything else which] = np.zeros((), array.dtype)
        if scenarios is not None:
            self._run["scenario"][which] = np.asarray(scenarios)[which]
        _start_many(self.worlds, which, np.asarray(seeds).astype(np.uint64))

    def advance(self, policy: Decide | None = None) -> None:
        """Run every world that neither waits nor has ended until it does.

        Args:
            policy: A compiled decision function that takes all decisions; default: none does.
        """
        if policy is None:
            self._advance(self.worlds, ~(self.waiting | self.ended), _ask())
        else:
            self._advance(self.worlds, ~self.ended, policy)

    def apply(self, actions: NDArray[np.integer] | Sequence[int]) -> NDArray[np.bool_]:
        """Give the waiting worlds their actions; a masked action is executed as RETRY.

        Args:
            actions: One Action for each world, shape (n_worlds,); ignored where none is waited for.

        Returns:
            Which of the actions were masked, shape (n_worlds,).
        """
        waiting = self.waiting
        _decide_many(self.worlds, waiting, np.ascontiguousarray(actions, dtype=np.int64))
        return waiting & (self._run["was_masked"] != 0)

    def world(self, index: int) -> World:
        """Return one world; its arrays are views."""
        scenario = int(self._run["scenario"][index])
        per_world = {"run", "due", "actors", "entries", "features", "trace", "decisions"}
        per_scenario = {"setup", "groups", "tasks", "areas"}
        return World(
            *(
                array[index if name in per_world else scenario]
                if name in per_world | per_scenario
                else array
                for name, array in zip(World._fields, self.worlds, strict=True)
            )
        )

    def snapshot(self) -> list[NDArray[Any]]:
        """Return a copy of the state of all worlds, for `restore`."""
        return [array.copy() for array in self.worlds[:5]]

    def restore(self, snapshot: Sequence[NDArray[Any]]) -> None:
        """Put the state of a snapshot back; the worlds go on as they did from there."""
        for array, kept in zip(self.worlds[:5], snapshot, strict=True):
            array[...] = kept
