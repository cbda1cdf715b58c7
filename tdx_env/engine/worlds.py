"""The memory of worlds that lie side by side, and the table by which compiled code finds it."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.memory import Block, addresses_of
from tdx_env.engine.room import n_actors_of, n_entries, programs
from tdx_env.engine.run import N_NUMBERS, Shown
from tdx_env.jit import IS_COMPILED
from tdx_env.state.actors import ACTOR, ENTRY
from tdx_env.state.discipline import DISCIPLINE, N_ACTIONS
from tdx_env.state.features import N_FEATURES
from tdx_env.state.setup import SETUP
from tdx_env.state.world import (
    ACTORS,
    DECISION,
    DECISIONS,
    ENTRIES,
    EVENT,
    RUN,
    TRACE,
    World,
)

# Records that several worlds share, and the number in a run that says which one is its own.
_SHARED = {"setup": "scenario", "program": "module_version"}
_COLUMNS = {name: World._fields.index(name) for name in World._fields}
_SIZES = ("n_actors", "first_l3", "n_traced", "n_decisions_traced")  # of what a world uses
_WORD = 8  # bytes


def digest_of_records(records: NDArray[np.void]) -> str:
    """Return a short digest of records."""
    return hashlib.sha256(records.tobytes()).hexdigest()[:8]


class Worlds:
    """Memory of some worlds.

    Args:
        setups: Scenarios, dtype SETUP, shape (n_scenarios,).
        discipline: dtype DISCIPLINE, shape (1,).
        n_worlds: Worlds.
        n_events_traced: Events kept of each.
        n_decisions_traced: Decisions kept of each.

    Attributes:
        capacities: Actors, events and decisions that a world has room for.
        records: The records by their names in `World`; `run` and `actors` are two of them.
        shown: What callers read after each step; part of the state.
        emptied: Memory that is emptied when an episode starts: runs and actors.
        state: All that a snapshot has, arrays of two dimensions.
        table: Where the records of each world are: what compiled code knows worlds by.
    """

    def __init__(
        self,
        setups: NDArray[np.void],
        discipline: NDArray[np.void],
        n_worlds: int,
        n_events_traced: int,
        n_decisions_traced: int,
    ) -> None:
        n_actors = n_actors_of(setups)
        self._n_worlds = n_worlds
        self.capacities = np.array([n_actors, n_events_traced, n_decisions_traced])
        rows = ACTORS.fields["row"][1]  # type: ignore[index]
        run = Block(RUN, RUN.itemsize, n_worlds)
        actors = Block(ACTORS, rows + n_actors * ACTOR.itemsize, n_worlds)
        entries = Block(ENTRIES, n_entries(setups) * ENTRY.itemsize, n_worlds)
        trace = Block(TRACE, n_events_traced * EVENT.itemsize, n_worlds)
        decisions = Block(DECISIONS, n_decisions_traced * DECISION.itemsize, n_worlds)
        self.shown = Shown(
            np.zeros((n_worlds, N_FEATURES), np.int64),
            np.zeros((n_worlds, N_ACTIONS), np.int8),
            np.zeros((N_NUMBERS, n_worlds), np.int64),
        )
        self.emptied = (run.words, actors.words)
        blocks = (run, actors, entries, trace, decisions)
        self.state: list[NDArray[Any]] = [*(block.words for block in blocks), *self.shown]
        self.records: dict[str, NDArray[np.void]] = {
            "run": run.records,
            "actors": actors.records,
            "entries": entries.records,
            "setup": np.ascontiguousarray(setups, SETUP),
            "discipline": np.array(discipline, DISCIPLINE),
            "program": programs(),
            "trace": trace.records,
            "decisions": decisions.records,
        }
        self._run = run.records
        self._addresses: dict[str, NDArray[np.int64]] = {}
        self.table: Any = None
        self.look_up()

    def look_up(self) -> None:
        """Make the table anew."""
        if not IS_COMPILED:
            self.table = [self.world(index) for index in range(self._n_worlds)]
            return
        self.table = np.zeros((self._n_worlds, len(World._fields)), np.int64)
        for name, column in _COLUMNS.items():
            addresses = self._addresses[name] = addresses_of(self.records[name])
            is_shared = name in _SHARED
            mine = addresses[self._run[_SHARED[name]]] if is_shared else addresses
            self.table[:, column] = mine

    def point(self, which: NDArray[np.int64]) -> None:
        """Let some worlds read the records of the scenario and the module that their runs name."""
        if not IS_COMPILED:
            self.look_up()
            return
        for name, number in _SHARED.items():
            rows = self._run[number][which]
            self.table[which, _COLUMNS[name]] = self._addresses[name][rows]

    def world(self, index: int) -> World:
        """Return one world; its records are views."""
        row = {name: int(self._run[number][index]) for name, number in _SHARED.items()}
        row["discipline"] = 0
        return World(**{name: rows[row.get(name, index)] for name, rows in self.records.items()})

    def used(self) -> list[int]:
        """Return how many words of each row of the state are used."""
        most = {name: int(self._run[name].max()) for name in _SIZES}
        first_actor = ACTORS.fields["row"][1]  # type: ignore[index]
        used = (
            RUN.itemsize,
            first_actor + most["n_actors"] * ACTOR.itemsize,
            (most["first_l3"] + 1) * ENTRY.itemsize,
            most["n_traced"] * EVENT.itemsize,
            most["n_decisions_traced"] * DECISION.itemsize,
        )
        rows = [array.shape[1] for array in self.state]
        return [*(n // _WORD for n in used), *rows[len(used) :]]

    def used_state(self) -> list[NDArray[Any]]:
        """Return the state, of each row only what is used; views."""
        return [memory[:, :n] for memory, n in zip(self.state, self.used(), strict=True)]

    def take(self, state: Sequence[NDArray[Any]]) -> None:
        """Put a state in the place of this one, as far as there is room; its table is the caller's.

        Args:
            state: Of as many worlds; its rows may be shorter or longer.
        """
        for mine, its in zip(self.state, state, strict=True):
            n_common = min(mine.shape[1], its.shape[1])
            mine[:, :n_common] = its[:, :n_common]
