"""The scenario `common.toml` written down a second time: a plain event loop with a heap.

`simpy_model.py` has it a third time. Both have the events of the simulator's trace, in its order: a
test compares them. They draw nothing: costs and the phases of the ticks are taken from an episode
that the simulator has started. That and the jitter that they leave out are in their favour.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from tdx_env.engine.batch import Batch
from tdx_env.state.actors import State
from tdx_env.state.calls import Delay, Leaf
from tdx_env.state.costs import Cost

Events = list[tuple[int, int, int]]  # time, actor, state that ends
NEVER = 1 << 62
CLUSTER = 16  # CPUs that one write of the ICR interrupts
# Plain integers: Python 3.11 takes several times as long to look up a member of an enum.
COMPUTE = int(State.COMPUTE)
DECIDED = int(State.DECIDED)
FLUSH_TLB = int(State.FLUSH_TLB)
HOST_IRQ = int(State.HOST_IRQ)
KICK_SEND = int(State.KICK_SEND)
KICK_WAIT = int(State.KICK_WAIT)
RUN_LOOP = int(State.RUN_LOOP)
SEAMCALL = int(State.SEAMCALL)
SEAM_RETURN = int(State.SEAM_RETURN)
TD_EXIT = int(State.TD_EXIT)
THINK = int(State.THINK)
ZAP_CLEAR = int(State.ZAP_CLEAR)
ZAP_SOFTWARE = int(State.ZAP_SOFTWARE)


@dataclass(frozen=True)
class Parts:
    """What the model of one episode is made of; times in cycles.

    Attributes:
        n_vcpus: vCPUs, actors 0 to n_vcpus - 1; the zapper is actor n_vcpus.
        n_items: Times that the zapper takes mmu_lock.
        chunk: Pages that it removes each time.
        think: Time before each item.
        first_entry: When each vCPU first looks at the gate.
        first_tick: When each vCPU has its first tick.
        tick_period: Between two ticks of a vCPU.
        decision: What it takes to decide to issue a busy call again.
        run_loop, td_exit, irq_handler, irq_window, zap_software, clear, kick_fixed, kick_scan,
            kick_target, kick_icr, ipi_delivery, kick_handler, kick_ack, invept: The costs of these
            names.
        enter, block, track, remove, wbinvd: Delays before the steps of each call; all are there.
    """

    n_vcpus: int
    n_items: int
    chunk: int
    think: int
    first_entry: list[int]
    first_tick: list[int]
    tick_period: int
    decision: int
    run_loop: int
    td_exit: int
    irq_handler: int
    irq_window: int
    zap_software: int
    clear: int
    kick_fixed: int
    kick_scan: int
    kick_target: int
    kick_icr: int
    ipi_delivery: int
    kick_handler: int
    kick_ack: int
    invept: int
    enter: tuple[int, ...]
    block: tuple[int, ...]
    track: tuple[int, ...]
    remove: tuple[int, ...]
    wbinvd: tuple[int, ...]


_COSTS = (
    "run_loop",
    "td_exit",
    "irq_handler",
    "irq_window",
    "zap_software",
    "clear",
    "kick_fixed",
    "kick_scan",
    "kick_target",
    "kick_icr",
    "ipi_delivery",
    "kick_handler",
    "kick_ack",
    "invept",
)
_SEPT_STEPS = (Delay.TO_TDR, Delay.TO_TREE, Delay.TO_ENTRY, Delay.BODY, Delay.LEAVE)
_EPOCH_STEPS = (Delay.TO_TDR, Delay.TO_EPOCH, Delay.EPOCH_HOLD, Delay.BODY, Delay.LEAVE)
_PAGE_STEPS = (Delay.TO_TDR, Delay.BODY, Delay.LEAVE)


def parts_of(batch: Batch) -> Parts:
    """Return the parts of the episode that the only world of a batch has started."""
    world = batch.world(0)
    run, setup = world.run, world.setup
    n_vcpus = int(run["n_vcpus"])
    vcpus = world.actors["row"][:n_vcpus]
    task = setup["tasks"][0]
    assert task["think_low"] == task["think_high"]

    def delays(leaf: Leaf, steps: tuple[Delay, ...]) -> tuple[int, ...]:
        found = tuple(int(run["delays"][leaf][step]) for step in steps)
        assert all(found), "a step without a delay is no event"
        return found

    return Parts(
        n_vcpus=n_vcpus,
        n_items=int(run["task_drawn"][0]["items"]),
        chunk=int(task["chunk"]),
        think=int(task["think_low"]),
        first_entry=world.actors["due"][:n_vcpus].tolist(),
        first_tick=vcpus["tick_at"].tolist(),
        tick_period=int(vcpus["tick_period"][0]),
        decision=int(world.discipline["decision_cycles"]),
        **{name: int(run["costs"][Cost[name.upper()]]) for name in _COSTS},
        enter=delays(Leaf.VP_ENTER, _EPOCH_STEPS),
        block=delays(Leaf.MEM_RANGE_BLOCK, _SEPT_STEPS),
        track=delays(Leaf.MEM_TRACK, _EPOCH_STEPS),
        remove=delays(Leaf.MEM_PAGE_REMOVE, _SEPT_STEPS),
        wbinvd=delays(Leaf.PHYMEM_PAGE_WBINVD, _PAGE_STEPS),
    )


def scan_cycles(parts: Parts, n_targets: int, *, is_flush: bool) -> int:
    """Return what a kick takes before its first write of the ICR."""
    n_read = parts.n_vcpus - n_targets + (parts.n_vcpus if is_flush else 0)
    return parts.kick_fixed + n_read * parts.kick_scan + n_targets * parts.kick_target


def read_at(parts: Parts, left_at: int, n_targets: int, now: int) -> int:
    """Return when a kick's sender has read the answers of all targets, which have left."""
    return max(now, left_at + parts.kick_handler) + n_targets * parts.kick_ack


class HeapModel:
    """The model as a plain event loop: a heap of (due, actor, stamp) and a method for each state.

    Args:
        parts: The episode.
        events: Gets every event, if it is given.
    """

    def __init__(self, parts: Parts, events: Events | None = None) -> None:
        n_vcpus = parts.n_vcpus
        self.parts = parts
        self.events = events
        self.now = 0
        self.zapper = n_vcpus
        self.state = [RUN_LOOP] * n_vcpus + [THINK]
        self.stamps = [0] * (n_vcpus + 1)
        self.heap: list[tuple[int, int, int]] = []
        self.due = [*parts.first_entry, parts.think]
        self.tick_at = list(parts.first_tick)
        self.ipi_at = [NEVER] * n_vcpus
        self.in_guest = [False] * n_vcpus
        self.is_kicked = [False] * n_vcpus
        self.leaves_for_kick = [False] * n_vcpus
        self.must_flush = [False] * n_vcpus
        self.epochs = [1] * n_vcpus
        self.flushes = [False] * n_vcpus
        self.calls = [parts.enter] * (n_vcpus + 1)
        self.steps = [0] * (n_vcpus + 1)
        self.td_epoch = 1
        self.epoch_readers = 0
        self.epoch_writer = False
        self.waiting = 0
        self.n_targets = 0
        self.left_at = 0
        self.is_flush = False
        self.items_left = parts.n_items
        self.pages_left = 0
        for actor, due in enumerate(self.due):
            self.wake(actor, due)
        self.handlers: dict[int, Callable[[int], None]] = {
            RUN_LOOP: self.run_loop,
            FLUSH_TLB: self.run_loop,
            SEAMCALL: self.seamcall,
            COMPUTE: self.compute,
            TD_EXIT: self.td_exit,
            HOST_IRQ: self.host_irq,
            SEAM_RETURN: self.seam_return,
            DECIDED: self.decided,
            THINK: self.think,
            ZAP_SOFTWARE: self.zap_software,
            KICK_SEND: self.kick_send,
            KICK_WAIT: self.kick_wait,
            ZAP_CLEAR: self.zap_clear,
        }

    def run(self) -> int:
        """Run to the end; return the number of events."""
        heap, state, stamps, handlers = self.heap, self.state, self.stamps, self.handlers
        n_events = 0
        while self.items_left:
            self.now, actor, stamp = heapq.heappop(heap)
            if stamp != stamps[actor]:
                continue  # its due has been moved
            n_events += 1
            if self.events is not None:
                self.events.append((self.now, actor, state[actor]))
            handlers[state[actor]](actor)
        return n_events

    def wake(self, actor: int, due: int) -> None:
        """Let an actor's state end at a time."""
        self.stamps[actor] += 1
        self.due[actor] = due
        heapq.heappush(self.heap, (due, actor, self.stamps[actor]))

    def go(self, actor: int, state: int, cycles: int) -> None:
        """Put an actor into a state for so long."""
        self.state[actor] = state
        self.wake(actor, self.now + cycles)

    def issue(self, actor: int, call: tuple[int, ...]) -> None:
        """Issue a SEAMCALL."""
        self.calls[actor] = call
        self.steps[actor] = 0
        self.go(actor, SEAMCALL, call[0])

    def run_loop(self, vcpu: int) -> None:
        """Go to the guest, after the flush if one was asked for."""
        if self.must_flush[vcpu]:
            self.must_flush[vcpu] = False
            self.go(vcpu, FLUSH_TLB, self.parts.invept)
            return
        self.in_guest[vcpu] = True
        self.issue(vcpu, self.parts.enter)

    def seamcall(self, actor: int) -> None:
        """Do a step of a SEAMCALL."""
        step, call = self.steps[actor], self.calls[actor]
        if step + 1 == len(call):
            self.returned(actor, call)
            return
        extra = 0
        if call is self.parts.enter:
            if step == 1 and not self.enter_epoch(actor):
                return
            if step == 2:
                self.epoch_readers -= 1
                extra = self.parts.invept if self.flushes[actor] else 0
        elif call is self.parts.track:
            if step == 1 and not self.lock_epoch(actor):
                return
            if step == 2:
                self.td_epoch += 1
                self.epoch_writer = False
        self.steps[actor] = step + 1
        self.wake(actor, self.now + call[step + 1] + extra)

    def enter_epoch(self, vcpu: int) -> bool:
        """Take the epoch lock shared; say whether it was free."""
        if self.epoch_writer:
            self.go(vcpu, SEAM_RETURN, self.parts.enter[-1])
            return False
        self.epoch_readers += 1
        self.flushes[vcpu] = self.epochs[vcpu] != self.td_epoch
        self.epochs[vcpu] = self.td_epoch
        return True

    def lock_epoch(self, actor: int) -> bool:
        """Take the epoch lock exclusively; say whether it was free."""
        if self.epoch_writer or self.epoch_readers:
            self.go(actor, SEAM_RETURN, self.parts.track[-1])
            return False
        self.epoch_writer = True
        return True

    def returned(self, actor: int, call: tuple[int, ...]) -> None:
        """Go on after a SEAMCALL that succeeded."""
        parts = self.parts
        if call is parts.enter:
            while self.tick_at[actor] <= self.now:
                self.tick_at[actor] += parts.tick_period
            self.compute(actor)
        elif call is parts.block:
            self.issue(actor, parts.track)
        elif call is parts.track:
            self.kick(actor, is_flush=False)
        elif call is parts.remove:
            self.issue(actor, parts.wbinvd)
        else:
            self.go(actor, ZAP_CLEAR, parts.clear)

    def compute(self, vcpu: int) -> None:
        """Run in the guest until the next interrupt, or leave it for one that is there."""
        until = min(self.tick_at[vcpu], self.ipi_at[vcpu])
        if until <= self.now:
            self.leaves_for_kick[vcpu] = self.ipi_at[vcpu] <= self.now
            self.go(vcpu, TD_EXIT, self.parts.td_exit)
        else:
            self.state[vcpu] = COMPUTE
            self.wake(vcpu, until)

    def td_exit(self, vcpu: int) -> None:
        """Be outside the guest."""
        parts = self.parts
        self.leave(vcpu)
        is_kick = self.leaves_for_kick[vcpu]
        self.go(vcpu, HOST_IRQ, parts.kick_handler if is_kick else parts.irq_handler)

    def leave(self, vcpu: int) -> None:
        """Answer the kick, if there is one."""
        self.in_guest[vcpu] = False
        if not self.is_kicked[vcpu]:
            return
        self.is_kicked[vcpu] = False
        self.ipi_at[vcpu] = NEVER
        self.waiting -= 1
        self.left_at = self.now
        if self.waiting == 0 and self.state[self.zapper] == KICK_WAIT:
            self.wake(self.zapper, read_at(self.parts, self.left_at, self.n_targets, self.now))

    def host_irq(self, vcpu: int) -> None:
        """Have the interrupt behind."""
        while self.tick_at[vcpu] <= self.now:
            self.tick_at[vcpu] += self.parts.tick_period
        self.go(vcpu, RUN_LOOP, self.parts.run_loop)

    def seam_return(self, actor: int) -> None:
        """See that a SEAMCALL was busy; decide."""
        if actor != self.zapper:
            self.leave(actor)
        self.go(actor, DECIDED, self.parts.decision)

    def decided(self, actor: int) -> None:
        """Issue it again."""
        if actor != self.zapper:
            self.go(actor, RUN_LOOP, self.parts.irq_window)
        else:
            self.issue(actor, self.parts.track)

    def think(self, actor: int) -> None:
        """Begin an item."""
        self.pages_left = self.parts.chunk
        self.go(actor, ZAP_SOFTWARE, self.parts.zap_software)

    def zap_software(self, actor: int) -> None:
        """Block a page."""
        self.issue(actor, self.parts.block)

    def kick(self, actor: int, *, is_flush: bool) -> None:
        """Send an IPI to every vCPU in the guest, cluster by cluster."""
        targets = [vcpu for vcpu, is_there in enumerate(self.in_guest) if is_there]
        self.waiting = self.n_targets = len(targets)
        self.is_flush = is_flush
        sent_at = self.now + scan_cycles(self.parts, self.n_targets, is_flush=is_flush)
        for _, vcpus in groupby(targets, lambda vcpu: vcpu // CLUSTER):
            sent_at += self.parts.kick_icr
            for vcpu in vcpus:
                self.interrupt(vcpu, sent_at + self.parts.ipi_delivery)
        self.go(actor, KICK_SEND, sent_at - self.now)

    def interrupt(self, vcpu: int, arrival: int) -> None:
        """Let an IPI arrive at a vCPU."""
        self.is_kicked[vcpu] = True
        self.ipi_at[vcpu] = arrival
        if self.state[vcpu] == COMPUTE and arrival < self.due[vcpu]:
            self.wake(vcpu, arrival)

    def kick_send(self, actor: int) -> None:
        """Have sent all IPIs: wait for the answers and read them."""
        if self.n_targets == 0:
            self.kick_wait(actor)
            return
        self.state[actor] = KICK_WAIT
        if self.waiting == 0:
            self.wake(actor, read_at(self.parts, self.left_at, self.n_targets, self.now))

    def kick_wait(self, actor: int) -> None:
        """Remove the page, which nobody can reach any more; or have flushed the TLBs."""
        if self.is_flush:
            self.end_item(actor)
        else:
            self.issue(actor, self.parts.remove)

    def zap_clear(self, actor: int) -> None:
        """Go on to the next page."""
        self.pages_left -= 1
        if self.pages_left:
            self.go(actor, ZAP_SOFTWARE, self.parts.zap_software)
            return
        self.must_flush = [True] * self.parts.n_vcpus
        self.kick(actor, is_flush=True)

    def end_item(self, actor: int) -> None:
        """Count an item, and think about the next."""
        self.items_left -= 1
        self.go(actor, THINK, self.parts.think)
