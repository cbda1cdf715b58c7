"""The scenario `common.toml` written down a third time, as SimPy processes; see `models.py`."""

from collections.abc import Generator
from itertools import groupby
from typing import Any

import simpy

from benchmarks.models import (
    CLUSTER,
    COMPUTE,
    DECIDED,
    FLUSH_TLB,
    HOST_IRQ,
    KICK_SEND,
    KICK_WAIT,
    NEVER,
    RUN_LOOP,
    SEAM_RETURN,
    SEAMCALL,
    TD_EXIT,
    THINK,
    ZAP_CLEAR,
    ZAP_SOFTWARE,
    Events,
    Parts,
    read_at,
    scan_cycles,
)


class _Wait(simpy.Event):
    """A time-out; of those at one time the one of the smallest actor comes first."""

    def __init__(self, env: simpy.Environment, cycles: int, actor: int) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        env.schedule(self, actor + 1, cycles)  # type: ignore[arg-type]


Process = Generator[simpy.Event, Any, None]


class SimpyModel:
    """The model as SimPy processes: one for each vCPU and one for the zapper.

    Args:
        parts: The episode.
        events: Gets every event, if it is given.
    """

    def __init__(self, parts: Parts, events: Events | None = None) -> None:
        n_vcpus = parts.n_vcpus
        self.parts = parts
        self.events = events
        self.env = simpy.Environment()
        self.n_events = 0
        self.due = [0] * n_vcpus
        self.tick_at = list(parts.first_tick)
        self.ipi_at = [NEVER] * n_vcpus
        self.in_guest = [False] * n_vcpus
        self.computes = [False] * n_vcpus
        self.is_kicked = [False] * n_vcpus
        self.epochs = [1] * n_vcpus
        self.td_epoch = 1
        self.epoch_readers = 0
        self.epoch_writer = False
        self.waiting = 0
        self.n_targets = 0
        self.left_at = 0
        self.must_flush = [False] * n_vcpus
        self.all_left: simpy.Event | None = None
        self.vcpus = [self.env.process(self.vcpu(number)) for number in range(n_vcpus)]
        self.zapper = self.env.process(self.zap(n_vcpus))

    def run(self) -> int:
        """Run to the end; return the number of events of the model."""
        self.env.run(self.zapper)
        return self.n_events

    def wait(self, cycles: int, actor: int) -> _Wait:
        """Return what an actor waits for."""
        return _Wait(self.env, cycles, actor)

    def count(self, actor: int, state: int) -> None:
        """Count an event: an actor's state has ended."""
        self.n_events += 1
        if self.events is not None:
            self.events.append((self.env.now, actor, state))  # type: ignore[arg-type]

    def vcpu(self, me: int) -> Process:
        """Enter the guest, compute, leave it for ticks and kicks, for ever."""
        parts = self.parts
        yield self.wait(parts.first_entry[me], me)
        while True:
            self.count(me, RUN_LOOP)
            while self.must_flush[me]:
                self.must_flush[me] = False
                yield self.wait(parts.invept, me)
                self.count(me, FLUSH_TLB)
            self.in_guest[me] = True
            is_in = yield from self.enter(me)
            if not is_in:
                yield self.wait(parts.enter[-1], me)
                self.count(me, SEAM_RETURN)
                self.leave(me)
                yield self.wait(parts.decision, me)
                self.count(me, DECIDED)
                yield self.wait(parts.irq_window, me)
                continue
            self.pass_ticks(me)
            yield from self.compute(me)
            is_kick = self.ipi_at[me] <= self.env.now
            yield self.wait(parts.td_exit, me)
            self.count(me, TD_EXIT)
            self.leave(me)
            yield self.wait(parts.kick_handler if is_kick else parts.irq_handler, me)
            self.count(me, HOST_IRQ)
            self.pass_ticks(me)
            yield self.wait(parts.run_loop, me)

    def enter(self, me: int) -> Generator[simpy.Event, Any, bool]:
        """Go through VP.ENTER; return whether it succeeded."""
        to_tdr, to_epoch, hold, body, leave = self.parts.enter
        yield self.wait(to_tdr, me)
        self.count(me, SEAMCALL)
        yield self.wait(to_epoch, me)
        self.count(me, SEAMCALL)
        if self.epoch_writer:
            return False
        self.epoch_readers += 1
        if self.epochs[me] != self.td_epoch:
            body += self.parts.invept
        self.epochs[me] = self.td_epoch
        yield self.wait(hold, me)
        self.count(me, SEAMCALL)
        self.epoch_readers -= 1
        for cycles in (body, leave):
            yield self.wait(cycles, me)
            self.count(me, SEAMCALL)
        return True

    def compute(self, me: int) -> Process:
        """Compute until the next interrupt; an IPI that is sent meanwhile may come earlier."""
        while (due := min(self.tick_at[me], self.ipi_at[me])) > self.env.now:
            self.due[me] = due
            self.computes[me] = True
            try:
                yield self.wait(due - self.env.now, me)  # type: ignore[arg-type]
                self.count(me, COMPUTE)
            except simpy.Interrupt:
                continue
            finally:
                self.computes[me] = False

    def pass_ticks(self, me: int) -> None:
        """Pass over the ticks that are due."""
        while self.tick_at[me] <= self.env.now:
            self.tick_at[me] += self.parts.tick_period

    def leave(self, me: int) -> None:
        """Be outside the guest; answer the kick, if there is one."""
        self.in_guest[me] = False
        if not self.is_kicked[me]:
            return
        self.is_kicked[me] = False
        self.ipi_at[me] = NEVER
        self.waiting -= 1
        self.left_at = self.env.now  # type: ignore[assignment]
        if self.waiting == 0 and self.all_left is not None:
            self.all_left._ok, self.all_left._value = True, None
            priority = len(self.vcpus) + 1
            self.env.schedule(self.all_left, priority, self.reading())  # type: ignore[arg-type]
            self.all_left = None

    def reading(self) -> int:
        """Return how long the sender still takes when all targets of its kick have left."""
        now: int = self.env.now  # type: ignore[assignment]
        return read_at(self.parts, self.left_at, self.n_targets, now) - now

    def zap(self, me: int) -> Process:
        """Remove pages, one after the other."""
        parts = self.parts
        for _ in range(parts.n_items):
            yield self.wait(parts.think, me)
            self.count(me, THINK)
            for _ in range(parts.chunk):
                yield self.wait(parts.zap_software, me)
                self.count(me, ZAP_SOFTWARE)
                yield from self.call(parts.block, me)
                while not (yield from self.track(me)):
                    yield self.wait(parts.track[-1], me)
                    self.count(me, SEAM_RETURN)
                    yield self.wait(parts.decision, me)
                    self.count(me, DECIDED)
                yield from self.kick(me, is_flush=False)
                yield from self.call(parts.remove, me)
                yield from self.call(parts.wbinvd, me)
                yield self.wait(parts.clear, me)
                self.count(me, ZAP_CLEAR)
            self.must_flush = [True] * parts.n_vcpus
            yield from self.kick(me, is_flush=True)

    def call(self, delays: tuple[int, ...], me: int) -> Process:
        """Go through a SEAMCALL that meets nobody."""
        for cycles in delays:
            yield self.wait(cycles, me)
            self.count(me, SEAMCALL)

    def track(self, me: int) -> Generator[simpy.Event, Any, bool]:
        """Go through TRACK; return whether it succeeded."""
        to_tdr, to_epoch, hold, body, leave = self.parts.track
        yield self.wait(to_tdr, me)
        self.count(me, SEAMCALL)
        yield self.wait(to_epoch, me)
        self.count(me, SEAMCALL)
        if self.epoch_writer or self.epoch_readers:
            return False
        self.epoch_writer = True
        yield self.wait(hold, me)
        self.count(me, SEAMCALL)
        self.td_epoch += 1
        self.epoch_writer = False
        for cycles in (body, leave):
            yield self.wait(cycles, me)
            self.count(me, SEAMCALL)
        return True

    def kick(self, me: int, *, is_flush: bool) -> Process:
        """Interrupt every vCPU in the guest, cluster by cluster, and wait until all have left."""
        parts = self.parts
        targets = [vcpu for vcpu, is_there in enumerate(self.in_guest) if is_there]
        self.waiting = self.n_targets = len(targets)
        sending = scan_cycles(parts, self.n_targets, is_flush=is_flush)
        for _, vcpus in groupby(targets, lambda vcpu: vcpu // CLUSTER):
            sending += parts.kick_icr
            for vcpu in vcpus:
                self.interrupt(vcpu, sending + parts.ipi_delivery)
        yield self.wait(sending, me)
        self.count(me, KICK_SEND)
        if self.n_targets == 0:
            return
        if self.waiting:
            self.all_left = self.env.event()
            yield self.all_left
        else:
            yield self.wait(self.reading(), me)
        self.count(me, KICK_WAIT)

    def interrupt(self, vcpu: int, cycles: int) -> None:
        """Let an IPI arrive at a vCPU after some cycles."""
        self.is_kicked[vcpu] = True
        self.ipi_at[vcpu] = self.env.now + cycles  # type: ignore[assignment]
        if self.computes[vcpu] and self.ipi_at[vcpu] < self.due[vcpu]:
            self.vcpus[vcpu].interrupt()
