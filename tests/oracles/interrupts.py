"""Ticks, device interrupts and signals, SEAMCALLs that they end, irq-off sections (8.5, 8.7, 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, State
from tdx_env.state.calls import Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import Action
from tdx_env.state.streams import Draw

from . import busy
from .actors import Actor, book, go
from .draws import draw, uniform

if TYPE_CHECKING:
    from .world import OracleWorld

ENDED = (Outcome.INTERRUPTED, Outcome.INTERRUPTED_RESUMABLE)
MASK = [1, 0, 1]  # RETRY and YIELD
PER_MILLE = 1000


def device_gap(w: OracleWorld, a: Actor) -> int:
    """Return the cycles before the next device interrupt."""
    bits = draw(w.seed, Draw.DEVICE, a.number, a.device, 0)
    return uniform(1, 2 * a.group.gap - 1, bits)


def first_device(w: OracleWorld, a: Actor) -> None:
    """Draw the first device interrupt, if there are any."""
    if a.group.gap > 0:
        a.device_at = device_gap(w, a)


def has_event(w: OracleWorld, a: Actor) -> bool:
    """Return whether a tick or a device interrupt waits that is the guest's."""
    return min(a.tick_at, a.device_at) <= w.now


def is_due(w: OracleWorld, a: Actor) -> bool:
    """Return whether any interrupt of the actor's CPU waits, the host's tick included."""
    return has_event(w, a) or a.host_tick_at <= w.now


def pass_due(w: OracleWorld, a: Actor) -> None:
    """Pass over every interrupt that is due; a guest's tick will arm the next one."""
    while a.tick_at <= w.now:
        a.tick += 1
        a.tick_at = a.tick_phase + a.tick * a.group.period
        a.is_arming = a.group.spec.arm_cycles > 0
    while a.host_tick_at <= w.now:
        a.host_tick_at += a.group.host_period
    while a.device_at <= w.now:
        every = a.group.spec.signal_every if a.is_vcpu else 0
        if every > 0 and (a.device + 1) % every == 0:
            a.has_signal = True
        a.device += 1
        a.device_at += device_gap(w, a)


# SEAMCALLs


def is_interruptible(w: OracleWorld, a: Actor) -> bool:
    """Return whether the actor's call looks for interrupts."""
    return any(step[0] in (Op.POLL, Op.NEXT) for step in w.programs[a.call.leaf])


def poll(w: OracleWorld, a: Actor) -> bool:
    """Return whether the call finds an interrupt."""
    return not w.discipline.irqs_off and is_due(w, a)


def on_interrupted(w: OracleWorld, a: Actor) -> None:
    """A SEAMCALL came back for an interrupt."""
    w.n_interrupted += 1
    a.call.interrupts += 1
    if a.call.interrupts > w.discipline.max_interrupted:
        w.kill(a, a.call.leaf, a.call.outcome)
    else:
        busy.ask_or_retry(w, a, CallPath.INTERRUPTED, MASK)


def serve(w: OracleWorld, a: Actor) -> None:
    """Serve the interrupt, perhaps with an interrupt window first."""
    if a.action == Action.YIELD:
        cycles = w.costs[Cost.IRQ_HANDLER] + w.costs[Cost.IRQ_WINDOW]
        go(w, a, State.IRQ_SERVE, Category.YIELD, cycles)
    else:
        go(w, a, State.IRQ_SERVE, Category.HOST_IRQ, w.costs[Cost.IRQ_HANDLER])


def on_irq_serve(w: OracleWorld, a: Actor) -> None:
    """The interrupt is served: go on with the call."""
    book(w, a)
    pass_due(w, a)
    busy.reissue(w, a)


# irq-off sections


def arrival(w: OracleWorld, v: Actor, time: int) -> int:
    """Return when an IPI arrives that would arrive at a time with interrupts on."""
    s = w.setup
    if s.irq_off_share == 0:
        return time
    window = time // s.irq_off_window
    bits = draw(w.seed, Draw.IRQ_OFF, v.number, window, 0)
    if (bits >> 32) * PER_MILLE >> 32 >= s.irq_off_share:
        return time
    length = min(w.costs[Cost.IRQ_OFF], s.irq_off_window)
    bits = draw(w.seed, Draw.IRQ_OFF, v.number, window, 1)
    begin = window * s.irq_off_window + uniform(0, s.irq_off_window - length, bits)
    return begin + length if begin <= time < begin + length else time


HANDLERS = {State.IRQ_SERVE: on_irq_serve}
