"""What happened in an episode: slices of time, lock holds, IPIs and decisions, as records.

The slices of a CPU are cut where the simulator books its time: their sums by category are the
books, exactly.
"""

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import Scenario
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, CallPath, Kick, State
from tdx_env.state.calls import NONE, Leaf, Lock
from tdx_env.state.discipline import Action, HostLock
from tdx_env.state.features import Feature
from tdx_eval.tracing.steps import Answer, SteppedBatch, answer_of, play_on

MMU_LOCK, GATE, GUEST_ENTRY = "mmu_lock", "gate", "S-EPT entry, by the guest"
_MODES = {1: "read", 2: "write"}


@dataclass(frozen=True)
class Slice:
    """A stretch of one thread's time that is booked to one category.

    Attributes:
        actor: The thread.
        cpu: pCPU that it had when the stretch began, or NONE: it waited for one.
        begin, end: [cycles]
        category: What it is booked to.
        state: What the actor was doing.
        leaf: Its SEAMCALL or TDCALL, or NONE.
    """

    actor: int
    cpu: int
    begin: int
    end: int
    category: Category
    state: State
    leaf: int


@dataclass(frozen=True)
class Hold:
    """A lock that somebody held [cycles]."""

    lock: str
    actor: int
    begin: int
    end: int


@dataclass(frozen=True)
class Ipi:
    """An IPI, from its sending until its target took it [cycles]."""

    sender: int
    target: int
    sent: int
    taken: int
    kick: Kick


@dataclass(frozen=True)
class Decision:
    """A decision, with what the rule was given.

    Attributes:
        time: [cycles]
        features: By name.
    """

    time: int
    actor: int
    path: CallPath
    leaf: Leaf
    action: Action
    features: dict[str, int]


@dataclass
class Record:
    """All of an episode, or of a stretch of it.

    Attributes:
        names: Of the actors.
        n_cpus: CPUs that the vCPU threads share, 0: each thread has its own.
        begin, end: [cycles]
        waste: Waste on all CPUs so far, after each event: time and waste [cycles].
    """

    names: list[str]
    n_vcpus: int
    n_cpus: int
    clock_khz: int
    begin: int = 0
    end: int = 0
    slices: list[Slice] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    ipis: list[Ipi] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    waste: list[tuple[int, int]] = field(default_factory=list)

    def cycles_by_category(self) -> dict[str, int]:
        """Return the sums of the slices by category [cycles]."""
        total = dict.fromkeys((one.name.lower() for one in Category), 0)
        for one in self.slices:
            total[one.category.name.lower()] += one.end - one.begin
        return total


def booked_cycles(batch: Batch) -> dict[str, int]:
    """Return the books of a batch's first world: cycles of all its actors by category."""
    n_actors = int(batch.run["n_actors"][0])
    sums = batch.actors["row"][0][:n_actors]["booked"].sum(axis=0)
    return {one.name.lower(): int(sums[one]) for one in Category}


@functools.cache
def _held_locks(bits: int) -> tuple[str, ...]:
    """Return the names of the module's locks in a bit set."""
    return tuple(lock.name for lock in Lock if bits & (1 << lock))


class Recorder:
    """Keeps what happens in a world: `look` is called after each event.

    Args:
        batch: The world; is looked at from now on.
        clock_khz: Its clock.
    """

    def __init__(self, batch: SteppedBatch, clock_khz: int) -> None:
        self._batch = batch
        run, rows = batch.run[0], batch.rows
        n_vcpus = int(run["n_vcpus"])
        names = [
            f"vCPU {actor}" if actor < n_vcpus else f"host task {actor}"
            for actor in range(len(rows))
        ]
        self.record = Record(names, n_vcpus, int(run["n_pcpus"]), clock_khz, begin=batch.now)
        self._since = rows["since"].copy()
        self._booked = rows["booked"].copy()
        self._ipi_at = rows["ipi_at"].copy()
        self._signs = self._holding()
        self._held = {
            actor: dict.fromkeys(sorted(self._locks_of(actor)), batch.now)
            for actor in range(len(rows))
        }
        self._pending: dict[int, tuple[int, int, int]] = {}  # target: sender, time, kick
        self._keep_states()

    def _keep_states(self) -> None:
        """Keep what the actors are doing: what their next slice is about."""
        rows = self._batch.rows
        self._states, self._leaves = rows["state"].copy(), rows["leaf"].copy()
        self._cpus = self._cpus_now()

    def _cpus_now(self) -> NDArray[np.int64]:
        """Return the CPU that each actor has, shape (n_actors,)."""
        record, n_actors = self.record, len(self._batch.rows)
        if not record.n_cpus:
            return np.arange(n_actors)
        cpus = np.full(n_actors, NONE, np.int64)
        n_tasks = n_actors - record.n_vcpus
        cpus[record.n_vcpus :] = record.n_cpus + np.arange(n_tasks)
        threads = self._batch.run["cpu_thread"][0][: record.n_cpus]
        has_one = threads != NONE
        cpus[threads[has_one]] = np.flatnonzero(has_one)
        return cpus

    def _holding(self) -> NDArray[np.int64]:
        """Return what tells whether an actor's locks have changed, shape (n_actors, 4 or more)."""
        rows = self._batch.rows
        own = [rows["held"], rows["has_mmu_lock"], rows["has_gate"], rows["state"] == State.HOLD]
        return np.concatenate([np.stack(own, axis=1), rows["has_lock"]], axis=1)

    def _locks_of(self, actor: int) -> set[str]:
        """Return the locks that an actor holds."""
        bits, mode, gate, holds, *host = self._signs[actor].tolist()
        found = set(_held_locks(bits))
        if mode:
            found.add(f"{MMU_LOCK} for {_MODES[mode]}")
        if gate:
            found.add(GATE)
        if holds:
            found.add(GUEST_ENTRY)
        return found | {f"{HostLock(lock).name} lock" for lock, has in enumerate(host) if has}

    def look(self) -> None:
        """Keep what has happened since the last look."""
        self._look_at_time()
        self._look_at_locks()
        self._look_at_ipis()
        self._keep_states()
        self.record.end = self._batch.now
        self.record.waste.append((self._batch.now, int(self._batch.run["waste"][0])))

    def _look_at_time(self) -> None:
        """Keep the slices that were booked."""
        rows = self._batch.rows
        since = rows["since"]
        for actor in np.flatnonzero(since != self._since).tolist():
            gained = rows["booked"][actor] - self._booked[actor]
            begin = int(self._since[actor])
            for category in np.flatnonzero(gained).tolist():
                end = begin + int(gained[category])
                self.record.slices.append(
                    Slice(
                        actor, int(self._cpus[actor]), begin, end, Category(category),
                        State(int(self._states[actor])), int(self._leaves[actor]),
                    )
                )  # fmt: skip
                begin = end
            self._since[actor] = since[actor]
            self._booked[actor] = rows["booked"][actor]

    def _look_at_locks(self) -> None:
        """Keep the locks that were dropped, and since when new ones are held."""
        signs, now = self._holding(), self._batch.now
        changed = np.flatnonzero((signs != self._signs).any(axis=1)).tolist()
        self._signs = signs
        for actor in changed:
            locks, before = self._locks_of(actor), self._held.get(actor, {})
            for lock in before.keys() - locks:
                self.record.holds.append(Hold(lock, actor, before[lock], now))
            self._held[actor] = {lock: before.get(lock, now) for lock in sorted(locks)}

    def _look_at_ipis(self) -> None:
        """Keep the IPIs that were taken, and who sent new ones."""
        rows, now = self._batch.rows, self._batch.now
        sender = self._batch.last_actor()
        for target in np.flatnonzero(rows["ipi_at"] != self._ipi_at).tolist():
            if target in self._pending:
                by, sent, kick = self._pending.pop(target)
                self.record.ipis.append(Ipi(by, target, sent, now, Kick(kick)))
            if rows["ipi_at"][target] != NEVER:
                self._pending[target] = (sender, now, int(rows["ipi_kind"][target]))
        self._ipi_at = rows["ipi_at"].copy()

    def decided(self, action: int) -> None:
        """Keep a decision that is waited for, and what is answered."""
        run = self._batch.run[0]
        actor = int(run["decision_actor"])
        me = self._batch.rows[actor]
        values = self._batch.features[0].tolist()
        self.record.decisions.append(
            Decision(
                self._batch.now, actor, CallPath(values[Feature.PATH]), Leaf(int(me["leaf"])),
                Action(action), {one.name.lower(): values[one] for one in Feature},
            )
        )  # fmt: skip

    def close(self) -> Record:
        """Keep what is still held, and return all."""
        now = self._batch.now
        self.record.holds += [
            Hold(lock, actor, begin, now)
            for actor, some in self._held.items()
            for lock, begin in some.items()
        ]
        self._held = {}
        return self.record


def recorded(answer: Answer, recorder: Recorder) -> Answer:
    """Return a function that answers as another does, and keeps each decision."""

    def answer_and_keep() -> int:
        action = answer()
        recorder.decided(action)
        return action

    return answer_and_keep


def record_episode(scenario: Scenario, policy: Policy, seed: int) -> tuple[Record, Batch]:
    """Play an episode and keep all of it.

    Args:
        scenario: What is played.
        policy: Who decides, under its own discipline.
        seed: The episode's seed.

    Returns:
        What happened, and the batch at the episode's end.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
    """
    batch = SteppedBatch(scenario, policy)
    batch.reset([seed])
    recorder = Recorder(batch, scenario.clock_khz)
    batch.look = recorder.look
    play_on(batch, recorded(answer_of(policy, batch), recorder))
    record = recorder.close()
    assert record.cycles_by_category() == booked_cycles(batch), "slices are not the books"
    return record, batch
