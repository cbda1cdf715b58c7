"""Actors and the draws, booking and stretches that every part of the oracle needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tdx_env.state.accounting import N_CATEGORIES, Category
from tdx_env.state.actors import NEVER, CallPath, Exit, Kick, Phase, Program, Purpose, State
from tdx_env.state.calls import NONE, Leaf, Lock, Outcome
from tdx_env.state.streams import Draw

from .draws import draw, jitter, uniform
from .sept import Entry

if TYPE_CHECKING:
    from .world import OracleWorld


@dataclass
class Group:
    """A guest group or a row of host tasks with its sizes drawn."""

    spec: SimpleNamespace
    count: int
    items: int
    first: int = 0  # number of its first vCPU or task
    period: int = 0  # timer [cycles], 0: none
    host_period: int = 0  # the host's own timer [cycles], 0: none
    gap: int = 0  # device interrupts [cycles], 0: none


@dataclass
class KickUnderWay:
    """A kick until it is answered; `started`: what one of nobody takes is over [cycles]."""

    number: int
    kind: Kick
    purpose: Purpose
    started: int
    waiting: set[int]
    n_targets: int
    begun: int = 0  # [cycles]
    sent: int = 0
    sent_at: int = 0  # end of sending [cycles]
    left_at: int = 0  # when the last of those that have left did so [cycles]


@dataclass
class Call:
    """The SEAMCALL or TDCALL of an actor."""

    leaf: int = NONE
    entry: Entry | None = None
    step: int = 0
    held: set[Lock] = field(default_factory=set)
    outcome: Outcome = Outcome.SUCCESS
    operand: int = 0
    busy_operand: int | None = None  # operand of its last busy reply, None before the first
    interrupts: int = 0  # how often it came back for an interrupt
    issues: int = 0
    kicks: int = 0
    started: int = 0
    issued: int = 0
    busy_cycles: int = 0
    is_counted: bool = False  # VP.ENTER: past its COMMIT
    must_flush: bool = False  # VP.ENTER: first of a new epoch


@dataclass
class Actor:
    """A vCPU thread or a host task."""

    number: int
    group: Group
    member: int
    is_vcpu: bool
    state: State = State.PARKED
    due: int = NEVER
    category: Category = Category.IDLE
    since: int = 0
    booked: list[int] = field(default_factory=lambda: [0] * N_CATEGORIES)
    of_host: list[int] = field(default_factory=lambda: [0] * N_CATEGORIES)  # of `booked`
    item: int = 0
    attempt: int = 0
    call: Call = field(default_factory=Call)
    purpose: Purpose = Purpose.NONE
    path: CallPath = CallPath.FAULT
    kick: KickUnderWay | None = None
    has_gate: bool = False
    stretch_since: int | None = None
    cell: tuple[int, int, int] | None = None
    busy_since: int = 0
    operation_started: int | None = None
    fault_since: int | None = None
    chunk_since: int | None = None
    hold_since: int = 0
    serves_host: bool = False  # a vCPU's thread that converts or splits
    busies: int = 0
    action: int = 0
    question: CallPath = CallPath.FAULT  # of the last decision
    # vCPUs
    phase: Phase = Phase.THINK
    remaining: int = 0
    started: int = 0
    tick: int = 0
    tick_phase: int = 0
    tick_at: int = NEVER
    device: int = 0
    device_at: int = NEVER
    host_tick_at: int = NEVER
    is_arming: bool = False  # serves a tick and has its timer to arm
    arm_at: int = NEVER
    ipi_at: int = NEVER
    ipi_kind: Kick = Kick.NONE
    is_ipi_pending: bool = False
    mode: int = 0
    must_flush_shared: bool = False  # KVM_REQ_TLB_FLUSH
    rip: int = 0
    entry_rip: int = 0
    entry_remaining: int = 0
    exit: Exit = Exit.TICK
    exit_started: int = 0
    trip: Category = Category.EXIT_ENTRY
    vcpu_epoch: int = 1
    asked: Entry | None = None  # what the guest's TDCALL asks for
    small: int | None = None  # 4K page of its 2M page that a guest has come down to
    zs_counter: int = 0
    zs_list: list[Entry] = field(default_factory=list)
    hp_since: int | None = None
    # faults
    fault_entry: Entry | None = None
    accept_fault: int = 0
    synthetic: int = 0
    refault: int = 0
    repeats: int = 0
    walks: int = 0
    is_flagged: bool = False
    is_fatal: bool = False  # touched a PENDING page that KVM doesn't forgive
    is_local: bool = False  # after UNWIND: retry inside KVM
    # zaps, lists and builds
    cursor: int = 0
    cursor_end: int = 0
    zapped: int = 0
    is_unflushed: bool = False  # removed a page since the last flush of the shared EPT
    extends: int = 0
    is_splitting: bool = False
    batch_first: int | None = None  # first page of the open batch
    batch_size: int = 0
    batch_end: int | None = None  # one past its last page, once all are blocked
    batch_number: int = 0
    batch_opened: int = 0  # [cycles]
    seen_waiting_at: int | None = None  # when the batch first saw that somebody waits [cycles]
    waited_before: int = 0  # by all threads, before the batch [cycles]
    frozen_before: int = 0
    makes_way: bool = False  # mmu_lock goes after the batch
    is_mid_zap: bool = False  # waits for a CPU between two pages
    is_first: bool = False  # PAMT.ADD is made for the page's block
    pamt_since: int = 0  # start of tdx_pamt_get
    failed: int = 0  # busy entries of the list
    is_waited_for: bool = False  # a reader of SRCU for which a memslot's deletion waits
    # the machine
    has_signal: bool = False
    socket: int = 0
    cpu: int = NONE  # that it has or had
    is_moved: bool = False
    slice_end: int = 0

    @property
    def irq_at(self) -> int:
        """Return when the next interrupt of any kind arrives."""
        return min(self.tick_at, self.device_at, self.host_tick_at, self.ipi_at)

    @property
    def exit_at(self) -> int:
        """Return when the vCPU next leaves the guest of itself: interrupts, and the arming."""
        return min(self.irq_at, self.arm_at)

    @property
    def has_items_left(self) -> bool:
        """Return whether there is work left; background never runs out, or has none at all."""
        if self.is_vcpu and self.program in (Program.IDLE, Program.HAMMER):
            return True
        if self.is_vcpu and self.program in (Program.PARKED, Program.COMPUTE):
            return False
        return self.item < self.group.items

    @property
    def kind(self) -> int:
        """Return the host task's Task, NONE for a vCPU."""
        return NONE if self.is_vcpu else self.group.spec.kind

    @property
    def program(self) -> int:
        """Return the vCPU's Program."""
        return self.group.spec.program


def own(w: OracleWorld, a: Actor, purpose: Draw) -> int:
    """Draw with the actor's own key."""
    bits = draw(w.seed, purpose, a.number, a.item, a.attempt)
    a.attempt += 1
    return bits


def own_jitter(w: OracleWorld, a: Actor, cycles: int) -> int:
    """Return a duration with the actor's own jitter."""
    return jitter(cycles, own(w, a, Draw.JITTER))


def think(w: OracleWorld, a: Actor) -> int:
    """Draw a think time."""
    return uniform(a.group.spec.think_low, a.group.spec.think_high, own(w, a, Draw.THINK))


def book(w: OracleWorld, a: Actor, category: Category | None = None) -> None:
    """Book the open cycles."""
    chosen = a.category if category is None else category
    a.booked[chosen] += w.now - a.since
    if is_hosts(a):
        a.of_host[chosen] += w.now - a.since
    a.since = w.now


def is_hosts(a: Actor) -> bool:
    """Return whether the host is the one who loses the actor's time."""
    is_kicking = a.state in (State.KICK_SEND, State.KICK_WAIT)
    return not a.is_vcpu or a.serves_host or is_kicking


def go(
    w: OracleWorld, a: Actor, state: State, category: Category | None, cycles: int | None
) -> None:
    """Enter a state for some cycles; None: until somebody else ends it."""
    a.state = state
    w.meet(state)
    if category is not None:
        a.category = category
    a.due = NEVER if cycles is None else w.now + cycles


def begin_operation(w: OracleWorld, a: Actor) -> None:
    """Open a fault or zap unless one is open."""
    if a.operation_started is None:
        a.operation_started = w.now
        a.busies = 0


def end_operation(w: OracleWorld, a: Actor) -> int:
    """Close it and return its latency."""
    assert a.operation_started is not None
    cycles = w.now - a.operation_started
    a.operation_started = None
    return cycles


def begin_fault(w: OracleWorld, v: Actor) -> None:
    """The guest waits for a page, perhaps still."""
    if v.fault_since is None:
        v.fault_since = w.now


def end_fault(w: OracleWorld, v: Actor) -> None:
    """The guest waits no longer, if it did."""
    if v.fault_since is not None and v.is_vcpu and not v.group.spec.is_hostile:
        w.latency += w.now - v.fault_since
    v.fault_since = None


def end_chunk(w: OracleWorld, a: Actor) -> None:
    """No chunk is under way any more."""
    if a.chunk_since is not None:
        w.chunk_cycles += w.now - a.chunk_since
        if not (a.is_vcpu and a.group.spec.is_hostile):
            w.latency += w.now - a.chunk_since
    a.chunk_since = None


def begin_stretch(w: OracleWorld, a: Actor) -> None:
    """Preemption goes off."""
    assert a.stretch_since is None
    a.stretch_since = w.now


def end_stretch(w: OracleWorld, a: Actor) -> None:
    """Preemption is on again."""
    if a.stretch_since is None:
        return
    cycles = w.now - a.stretch_since
    a.stretch_since = None
    w.longest_stretch = max(w.longest_stretch, cycles)
    w.preempt_penalty += max(0, cycles - w.setup.preempt_limit)
    ms = w.setup.clock_khz
    w.preempt_1ms += max(0, cycles - ms)
    w.preempt_50us += max(0, cycles - ms * 50 // 1000)


def charge_cell(w: OracleWorld, a: Actor) -> None:
    """Charge what a busy reply has cost until now."""
    if a.cell is not None:
        w.cells[a.cell][1] += w.now - a.busy_since
        a.cell = None


def drop_target(w: OracleWorld, entry: Entry | None) -> None:
    """The host no longer works on this entry."""
    if entry is not None and w.target is entry:
        w.target = None


def is_vp_enter(a: Actor) -> bool:
    """Return whether the actor's call is VP.ENTER."""
    return a.call.leaf == Leaf.VP_ENTER
