"""Many episodes side by side: their memory, and running them until each asks or ends.

The single and the vector environment, evaluation and tests all go through a `Batch`.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.broken import error_of
from tdx_env.engine.futures import rekey_some
from tdx_env.engine.loop import Decide
from tdx_env.engine.memory import address_of
from tdx_env.engine.run import (
    COST_PARTS,
    GO_ON,
    SKIP,
    Number,
    ask,
    compiled_run,
    share,
    start_some,
)
from tdx_env.engine.seeds import versions_drawn
from tdx_env.engine.warm import warm_up
from tdx_env.engine.world_snapshot import WorldSnapshot, check_origin
from tdx_env.engine.worlds import Worlds, digest_of_records
from tdx_env.spaces import observation_size
from tdx_env.state.calls import NONE
from tdx_env.state.world import MAX_ENDED, End, World

# Looking up a member of an enum, and comparing an array with one, takes longer.
_ACTOR, _END, _COST = int(Number.ACTOR), int(Number.END), int(Number.COST)
_RUNNING, _BROKEN = int(End.RUNNING), int(End.BROKEN)
_N_EPISODES = "number of episodes"
_NO_OPERATION = np.array([NONE, 0])
_CHUNKS_A_THREAD = 4  # so that a thread whose worlds are quick helps with the others
_WORTH_SHARING = 300e-6  # [s] what is shorter is run by the caller: to wake a thread takes as long

__all__ = ["COST_PARTS", "SKIP", "Batch", "Number"]


def _rebuilt(arguments: tuple[Any, ...], snapshot: WorldSnapshot) -> "Batch":
    """Return a batch that goes on from a snapshot, in memory of its own."""
    batch = Batch(*arguments)
    batch.restore(snapshot)
    return batch


class Batch:
    """Episodes side by side in flat memory.

    A copy, also one by pickle, has memory of its own and goes on as the original does.

    Args:
        setups: Scenarios, dtype SETUP, shape (n_scenarios,).
        discipline: dtype DISCIPLINE, shape (1,).
        n_worlds: Episodes at a time.
        n_events_traced: Events kept of each episode. If there are any, every event is played and
            counted, those too that nobody looks at (`host.lazy`); all else is the same.
        n_decisions_traced: Decisions kept of each episode.
        n_threads: Threads that run the worlds; results don't depend on it.

    Attributes:
        events_a_call: Events in one stretch of compiled code, within which nothing can interrupt
            it; results don't depend on it.
        run: Scalars of each world, dtype RUN, shape (n_worlds,).
        actors: Actors of each world, dtype ACTORS, shape (n_worlds,).
        features: Integer features of the decisions waited for, shape (n_worlds, N_FEATURES).
        masks: 1 for each allowed action of the decisions waited for, int8, shape (n_worlds,
            N_ACTIONS).
        numbers: What else is read after each step, int64, shape (N_NUMBERS, n_worlds): a row for
            each `Number`, the last of which are parts of the cost, and room for more of them.
    """

    events_a_call = 1 << 17  # some 20 ms, and up to half a second with the slowest policies

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
        self._worlds = Worlds(setups, discipline, n_worlds, n_events_traced, n_decisions_traced)
        self.run = self._worlds.records["run"]
        self.actors = self._worlds.records["actors"]
        self.features, self.masks, self.numbers = self._worlds.shown
        self._of_setups = digest_of_records(self.setups)
        self._no_actions = np.full(n_worlds, NONE, np.int64)
        self._no_observations = np.empty((0, observation_size()), np.float32)
        warm_up()
        self._run_range = compiled_run()
        self._ask = address_of(ask())

    @property
    def setups(self) -> NDArray[np.void]:
        """The scenarios, dtype SETUP, shape (n_scenarios,)."""
        return self._worlds.records["setup"]

    def ended_operations(self) -> NDArray[np.int64]:
        """Return which operations ended since each world's last decision.

        Returns:
            Id and waste [cycles] of each, NONE and 0 where there is none, shape (n_worlds,
            MAX_ENDED, 2); of more than MAX_ENDED the latest.
        """
        is_one = np.arange(MAX_ENDED) < self.numbers[Number.N_ENDED][:, None]
        return np.where(is_one[..., None], self.run["ended"], _NO_OPERATION)

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
        self._worlds.records["discipline"][:] = discipline

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
            self.run["scenario"][chosen] = np.asarray(scenarios)[chosen]
        keys = np.asarray(seeds)[chosen].astype(np.uint64)
        sets = self.setups["module_versions"][self.run["scenario"][chosen]]
        self.run["module_version"][chosen] = versions_drawn(keys, sets)
        worlds = self._worlds
        worlds.point(chosen)
        start_some(worlds.table, chosen, keys, worlds.capacities, worlds.emptied, worlds.shown)

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
        n_ended = self._run_all((decide, given, *self._worlds.shown, out))
        if n_ended > 0:
            self._raise_if_broken()
        return n_ended

    def answer(self, actions: NDArray[np.int64], observations: NDArray[np.float32]) -> int:
        """Take decisions as `advance` does, in less time: what is given isn't looked at.

        Args:
            actions: As for `advance`, all of them, contiguous.
            observations: As for `advance`, contiguous.

        Returns:
            How many of the episodes have ended.

        Raises:
            BrokenError: The simulator met a case that it doesn't handle.
        """
        arguments = (self._ask, actions, *self._worlds.shown, observations)
        if self._n_threads > 1:
            n_ended = self._run_all(arguments)
        else:  # as `_run` does it: this is what a step takes beside the events
            table, n_worlds = self._worlds.table, self.n_worlds
            n_ended = self._run_range(table, 0, n_worlds, self.events_a_call, *arguments)
            if n_ended < 0:
                n_ended = sum(self._pieces(n_ended, 0, n_worlds, arguments))
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
            return self._run(0, self.n_worlds, arguments)
        start = time.perf_counter()
        if self._is_short:
            n_ended = self._run(0, self.n_worlds, arguments)
        else:
            n_ended = self._run_in_threads(arguments)
        self._is_short = time.perf_counter() - start < _WORTH_SHARING
        return n_ended

    def _run(self, first: int, last: int, arguments: tuple[Any, ...]) -> int:
        """Run the worlds from first to last - 1; return how many of them have ended."""
        found: int = self._run_range(
            self._worlds.table, first, last, self.events_a_call, *arguments
        )
        return found if found >= 0 else sum(self._pieces(found, first, last, arguments))

    def _pieces(
        self, found: int, first: int, last: int, arguments: tuple[Any, ...]
    ) -> Iterator[int]:
        """Go on with worlds that take many events, a piece a time, so that Ctrl-C is heard.

        Args:
            found: What the first piece came to.
            first: The first of the worlds.
            last: The world behind the last one.
            arguments: Of all pieces; whose first and second item are policy and actions.

        Yields:
            0 after each piece; how many of all the worlds have ended after the last.
        """
        policy, actions, *rest = arguments
        while found < 0:
            yield 0
            at = -1 - found
            actions = actions.copy()
            actions[at] = GO_ON
            found = self._run_range(
                self._worlds.table, at, last, self.events_a_call, policy, actions, *rest
            )
        yield int(self.ended[first:last].sum())

    def _run_in_threads(self, arguments: tuple[Any, ...]) -> int:
        """Run all worlds; each thread takes a few, then the next few."""
        step = -(-self.n_worlds // (self._n_threads * _CHUNKS_A_THREAD))
        firsts = iter(range(0, self.n_worlds, step))
        table = self._worlds.table

        def work() -> Iterator[int]:
            for first in firsts:
                last = min(first + step, self.n_worlds)
                found = self._run_range(table, first, last, self.events_a_call, *arguments)
                if found < 0:
                    yield from self._pieces(found, first, last, arguments)
                else:
                    yield found

        return share(self._n_threads, work)

    def world(self, index: int) -> World:
        """Return one world; its records are views."""
        return self._worlds.world(index)

    def origin(self) -> dict[str, Any]:
        """Return what a batch has to have in common with this one to take its snapshots."""
        n_actors, n_events, n_decisions = self._worlds.capacities.tolist()
        return {
            _N_EPISODES: self.n_worlds,
            "scenarios": self._of_setups,
            "discipline": digest_of_records(self._worlds.records["discipline"]),
            "room for actors and traces": (n_actors, n_events, n_decisions),
        }

    def snapshot(self) -> WorldSnapshot:
        """Return a copy of the state of all worlds, for `restore`."""
        return WorldSnapshot(self.origin(), [one.copy() for one in self._worlds.used_state()])

    def restore(self, snapshot: WorldSnapshot) -> None:
        """Put the state of a snapshot back; the worlds go on as they did from there.

        Raises:
            SnapshotError: It is of other scenarios, another discipline or another number of worlds.
        """
        check_origin(snapshot.origin, self.origin())
        self._worlds.take(snapshot.memory)
        self._worlds.look_up()

    def adopt(self, other: "Batch", sources: NDArray[np.integer]) -> None:
        """Let the first worlds go on as worlds of another batch do, in memory of their own.

        Args:
            other: Of the same scenarios and discipline; isn't changed.
            sources: World of the other batch that each goes on from, shape (n,), n from 1 to
                n_worlds.

        Raises:
            SnapshotError: It is of other scenarios or another discipline.
        """
        check_origin(other.origin() | {_N_EPISODES: self.n_worlds}, self.origin())
        worlds, others = self._worlds, other._worlds
        for mine, its, n_used in zip(worlds.state, others.state, others.used(), strict=True):
            if its is other.numbers:  # has a column for each world
                mine[:, : len(sources)] = its[:, sources]
            else:
                mine[: len(sources), :n_used] = its[sources, :n_used]
        worlds.point(np.arange(len(sources)))

    def rekey(self, keys: NDArray[np.uint64]) -> None:
        """Key all that the first worlds draw from now on anew; what was drawn stays as it is.

        Args:
            keys: One for each of them, shape (n,), n from 1 to n_worlds.
        """
        rekey_some(self._worlds.table, keys)

    def traced(self, snapshot: WorldSnapshot, n_events: int) -> "Batch":
        """Return a batch that goes on from a snapshot of this one and keeps its next events.

        Args:
            snapshot: State of this batch.
            n_events: Events kept of each episode.
        """
        check_origin(snapshot.origin, self.origin())
        discipline = self._worlds.records["discipline"]
        other = Batch(self.setups, discipline, self.n_worlds, n_events)
        other._worlds.take(snapshot.memory)
        other._worlds.look_up()
        other.run["trace_capacity"], other.run["n_traced"] = n_events, 0
        return other

    def with_setups(self, setups: NDArray[np.void], rows: NDArray[np.integer]) -> "Batch":
        """Return a batch of other scenarios whose worlds go on as here.

        Args:
            setups: Scenarios, dtype SETUP, shape (n_scenarios,).
            rows: Row of the setups that each world plays, shape (n_worlds,).
        """
        worlds = self._worlds
        _, n_events, n_decisions = worlds.capacities.tolist()
        discipline = worlds.records["discipline"]
        other = Batch(setups, discipline, self.n_worlds, n_events, n_decisions, self._n_threads)
        other._worlds.take(worlds.used_state())
        other.run["capacity"] = other._worlds.capacities[0]
        other.run["scenario"] = rows
        other._worlds.point(np.arange(self.n_worlds))
        return other

    def __reduce__(self) -> Any:
        """Return what a copy is made of: addresses are of no use to it."""
        _, n_events, n_decisions = self._worlds.capacities.tolist()
        setups, discipline = self.setups, self._worlds.records["discipline"]
        sizes = (self.n_worlds, n_events, n_decisions, self._n_threads)
        return _rebuilt, ((setups, discipline, *sizes), self.snapshot())
