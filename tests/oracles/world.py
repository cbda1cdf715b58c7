"""The oracle: an episode of the model with ordinary Python objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from tdx_env.state.accounting import IS_OVERHEAD, IS_WASTE, N_CATEGORIES, Category
from tdx_env.state.actors import Task
from tdx_env.state.calls import NONE, Outcome
from tdx_env.state.owners import N_OWNERS, Owner
from tdx_env.state.world import End

from . import (
    busy,
    cpus,
    exits,
    faults,
    file_lock,
    guard,
    guest,
    interrupts,
    kick,
    mmu,
    pamt,
    seamcalls,
    slots,
    start,
    tasks,
    zap,
)
from .actors import Actor, Group, book, charge_cell, end_chunk, end_fault, end_stretch
from .kernels import rules_of
from .locks import Mutex, QueuedLock, SharedLock
from .programs import PROGRAMS
from .sept import Entry, Epochs, Table
from .versions import RULES, drawn

MODULES = (
    guest,
    exits,
    seamcalls,
    busy,
    interrupts,
    kick,
    mmu,
    faults,
    pamt,
    file_lock,
    tasks,
    zap,
    slots,
    guard,
    cpus,
)

HANDLERS = {state: handler for module in MODULES for state, handler in module.HANDLERS.items()}
Decide = Callable[[list[int], list[int]], int]


class OracleWorld:
    """One episode.

    Args:
        setup: A SETUP record or a (1,) array of one.
        discipline: A DISCIPLINE record or a (1,) array of one.
        seed: The episode's seed.
    """

    def __init__(self, setup: Any, discipline: Any, seed: int) -> None:
        self.setup = start.plain(setup.reshape(-1)[0])
        self.discipline = start.plain(discipline.reshape(-1)[0])
        self.seed = int(seed)
        self._clear_counters()
        self.kernel = rules_of(self.setup.kernel, self.discipline.kernel)
        self.module = drawn(self.seed, self.setup.module_versions)
        self.programs, self.rules = PROGRAMS[self.module], RULES[self.module]
        self.costs = start.draw_costs(self)
        self.delays = start.delays(self)
        self.populate_cycles = start.prepopulate(self)
        self.table = Table(self.setup)
        self._free_locks()
        self.target: Entry | None = None
        self.n_gates = self.n_kicks_begun = 0
        self.try_cycles, self.tries = [5000] * 3, [32] * 3
        self.kick_send_target, self.kick_wait, self.kick_target = 600, 9500, 10700
        self.flush_send, self.flush_target = 12_000, 10700
        self.calm_cycles, self.calm_hits = 50_000, 512
        self.groups: list[Group] = []
        self.task_groups: list[Group] = []
        self.vcpus: list[Actor] = []
        self.actors: list[Actor] = []
        start.draw_groups(self)
        start.start_actors(self)

    def _free_locks(self) -> None:
        self.tdr, self.op_state, self.epoch = (SharedLock() for _ in range(3))
        self.tree = SharedLock(can_have_mark=self.rules.tree_has_mark)
        self.mig, self.migsc = SharedLock(), SharedLock()
        self.line_socket = 0
        self.epochs = Epochs()
        self.mmu = QueuedLock()
        self.mmu_since: dict[int, int] = {}  # actor: when it came into the queue [cycles]
        self.mmu_waited = 0
        self.seamcall_lock = QueuedLock()
        self.guard = Mutex()
        self.track_lock = QueuedLock()
        self.pamt_lock, self.file_lock = QueuedLock(), QueuedLock()
        self.srcu_actor: Actor | None = None
        self.srcu_readers = 0
        self.n_pcpus = 0
        self.cpu_thread: list[Actor | None] = []
        self.run_queue: list[Actor] = []

    def _clear_counters(self) -> None:
        self.now = 0
        self.end = End.RUNNING
        self.events: list[tuple[int, int, int, int]] = []
        self.decisions: list[tuple[int, ...]] = []
        self.n_events = self.n_decisions = self.n_seamcalls = self.n_busy = 0
        self.n_ipis = self.n_kicks = self.n_guest_busy = self.n_synthetic = self.n_armed = 0
        self.n_abandoned = 0
        self.n_interrupted = self.n_list_busy = self.n_splits = 0
        self.n_pamt_gets = self.n_pamt_adds = self.pamt_get_cycles = self.pamt_get_max = 0
        self.n_write_locks = self.n_switches = self.n_moves = 0
        self.n_flushes = self.n_frozen_met = self.n_behind_writers = 0
        self.guest_items = self.task_items = self.work_done = self.work_total = 0
        self.last_progress = 0
        self.preempt_penalty = self.longest_stretch = self.fault_max = self.zap_max = 0
        self.waste = self.overhead = self.tail_cost = 0
        self.preempt_1ms = self.preempt_50us = self.latency = 0
        self.n_chunks = self.n_pages = self.chunk_cycles = 0
        self.holds: list[int] = []
        self.owned, self.track = [0] * N_OWNERS, [0] * N_OWNERS
        self.kill_actor = self.kill_leaf = NONE
        self.kill_outcome = Outcome.SUCCESS
        self.is_building = False
        self.cells: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.met: dict[type[IntEnum], set[IntEnum]] = defaultdict(set)

    @property
    def booked(self) -> list[list[int]]:
        """Return the cycles of each actor by category."""
        return [a.booked for a in self.actors]

    @property
    def write_held(self) -> int:
        """Return for how long mmu_lock was held for write."""
        return sum(self.holds)

    def run(self, decide: Decide) -> None:
        """Run the episode to its end."""
        self.decide = decide
        while self.end == End.RUNNING:
            self._step()
        self._close()

    def _share_out(self, a: Actor, weight: list[int]) -> None:
        """Give the actor's overhead to those who lose it."""
        is_hostile = a.is_vcpu and a.group.spec.is_hostile
        for category in range(N_CATEGORIES):
            if not IS_OVERHEAD[category]:
                continue
            hosts = weight[category] * a.of_host[category]
            guests = weight[category] * a.booked[category] - hosts
            for owner, cycles in (
                (Owner.HOST, hosts),
                (Owner.HOSTILE if is_hostile else Owner.STOLEN, guests),
            ):
                self.owned[owner] += cycles
                self.track[owner] += cycles * (category == Category.TRACK_KICK)

    @property
    def hold_max(self) -> int:
        """Return the longest time that mmu_lock was held for write."""
        return max(self.holds, default=0)

    def _step(self) -> None:
        a = min(self.actors, key=lambda actor: (actor.due, actor.number))
        stall = self.last_progress + self.setup.stall_cycles
        limit = min(stall, self.setup.time_cap)
        if a.due > limit:
            self.now = limit
            self.end = End.HUNG if stall < self.setup.time_cap else End.CAPPED
            return
        assert a.due >= self.now
        self.now = a.due
        self.n_events += 1
        entry = a.call.entry.number if a.call.entry else NONE
        self.events.append((self.now, a.number, int(a.state), entry))
        HANDLERS[a.state](self, a)
        self.meet(a.call.outcome)
        if self.end == End.RUNNING and self.work_done == self.work_total:
            self.end = End.FINISHED

    def kill(self, a: Actor, leaf: int, outcome: Outcome) -> None:
        """The TD is dead."""
        self.end = End.KILLED
        self.kill_actor, self.kill_leaf, self.kill_outcome = a.number, leaf, outcome

    def meet(self, member: IntEnum) -> None:
        """Note a state, outcome and so on that occurred, for coverage alone."""
        self.met[type(member)].add(member)

    def _close(self) -> None:
        for a in self.actors:
            charge_cell(self, a)
            end_stretch(self, a)
            book(self, a)
            end_fault(self, a)
            end_chunk(self, a)
            mmu.end_hold(self, a)
        self.meet(self.end)
        self.overhead = self.populate_cycles
        weight = [1] * N_CATEGORIES
        weight[Category.YIELD] = self.setup.yield_weight
        for category in range(N_CATEGORIES):
            cycles = weight[category] * sum(a.booked[category] for a in self.actors)
            self.waste += cycles * int(IS_WASTE[category])
            self.overhead += cycles * int(IS_OVERHEAD[category])
        self.owned[Owner.HOST] = self.populate_cycles
        for a in self.actors:
            self._share_out(a, weight)
        if self.end != End.FINISHED:
            own = [a for a in self.actors if not a.is_vcpu and a.kind != Task.OTHER_TDS]
            n_cpus = (self.n_pcpus or len(self.vcpus)) + len(own)
            self.tail_cost = n_cpus * (self.setup.time_cap - self.now)
