"""Kicks and gates (section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, CallPath, Kick, Purpose, State, Task
from tdx_env.state.calls import Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import GateScope, TrackKick
from tdx_env.state.streams import Draw

from . import busy, export, guest, interrupts, pamt, seamcalls, tasks, zap
from .actors import Actor, KickUnderWay, begin_stretch, book, end_stretch, go, own
from .draws import moved, uniform

if TYPE_CHECKING:
    from .world import OracleWorld

CALL_AFTER = {
    Purpose.TRACK: Leaf.MEM_TRACK,
    Purpose.DEMOTE: Leaf.MEM_PAGE_DEMOTE,
    Purpose.BLOCK: Leaf.MEM_RANGE_BLOCK,
}


def begin_kick(
    w: OracleWorld, a: Actor, purpose: Purpose, kind: Kick, has_gate: bool = False
) -> None:
    """Interrupt every other vCPU that is in guest mode; `has_gate`: whatever gate_scope says."""
    is_decision = kind == Kick.DECISION
    w.n_kicks += is_decision
    if has_gate or (is_decision and w.discipline.gate_scope != GateScope.NOTHING):
        take_gate(w, a)
    w.meet(purpose)
    w.n_kicks_begun += 1
    targets = [v for v in w.vcpus if v is not a and v.mode == 1]
    nobody = w.costs[Cost.KICK_FIXED] + (len(w.vcpus) - len(targets)) * w.costs[Cost.KICK_SCAN]
    if kind == Kick.FLUSH:
        nobody += len(w.vcpus) * w.costs[Cost.KICK_SCAN]
    under_way = KickUnderWay(
        w.n_kicks_begun,
        kind,
        purpose,
        w.now + nobody,
        {v.number for v in targets},
        len(targets),
        begun=w.now,
    )
    sent_at = w.now + nobody + sum(queueing_cost(w, a, v) for v in targets)
    fresh = [v for v in targets if not v.is_ipi_pending]
    for cluster in sorted({cluster_of(w, v) for v in fresh}):
        sent_at += w.costs[Cost.KICK_ICR]
        arrival = sent_at + w.costs[Cost.IPI_DELIVERY]
        for v in fresh:
            if cluster_of(w, v) == cluster:
                send(w, v, kind, interrupts.arrival(w, v, arrival))
    under_way.sent = len(fresh)
    a.kick = under_way
    if not w.mmu.is_held_by(a.number):
        begin_stretch(w, a)
    go(w, a, State.KICK_SEND, category_of(kind, Category.IPI_SEND), sent_at - w.now)


def category_of(kind: Kick, decided: Category) -> Category:
    """Return what is booked for a kick: one category if it was decided, TRACK_KICK if not."""
    return decided if kind == Kick.DECISION else Category.TRACK_KICK


def queueing_cost(w: OracleWorld, a: Actor, v: Actor) -> int:
    """Return the cycles that one more target takes before IPIs are sent."""
    remote = w.costs[Cost.KICK_REMOTE] if a.socket != v.socket else 0
    return w.costs[Cost.KICK_TARGET] + remote


def cluster_of(w: OracleWorld, v: Actor) -> tuple[int, int]:
    """Return socket and number of the cluster that the vCPU's CPU is in."""
    neighbours = [other.number for other in w.vcpus if other.socket == v.socket]
    return v.socket, neighbours.index(v.number) // w.setup.ipi_cluster


def flush_remote_tlbs(w: OracleWorld, a: Actor, purpose: Purpose) -> None:
    """Ask every vCPU for a flush of the shared EPT, and kick those in the guest."""
    for v in w.vcpus:
        v.must_flush_shared = True
    begin_kick(w, a, purpose, Kick.FLUSH)


def send(w: OracleWorld, v: Actor, kind: Kick, arrival: int) -> None:
    """Send an IPI to a vCPU."""
    w.n_ipis += 1
    v.is_ipi_pending = True
    v.ipi_kind = kind
    v.ipi_at = arrival
    if v.state in (State.COMPUTE, State.TOUCH):
        v.due = min(v.due, arrival)
    elif guest.is_long_accept(v):
        guest.schedule_hold(w, v)


def on_kick_send(w: OracleWorld, a: Actor) -> None:
    """All IPIs are sent."""
    book(w, a)
    kick = a.kick
    assert kick is not None
    kick.sent_at = w.now
    if kick.kind == Kick.DECISION and kick.sent > 0:
        w.kick_send_target = moved(w.kick_send_target, (w.now - kick.started) // kick.sent)
    if kick.n_targets == 0:
        kick_done(w, a)
        return
    go(w, a, State.KICK_WAIT, category_of(kick.kind, Category.KICK_WAIT), None)
    if not kick.waiting:
        a.due = read_at(w, kick)


def read_at(w: OracleWorld, kick: KickUnderWay) -> int:
    """Return when the answers of all targets, which have left the guest, are read."""
    answered = kick.left_at + w.costs[Cost.KICK_HANDLER]
    return max(w.now, answered) + kick.n_targets * w.costs[Cost.KICK_ACK]


def on_kick_wait(w: OracleWorld, a: Actor) -> None:
    """The last vCPU has answered, and all answers are read."""
    book(w, a)
    kick_done(w, a)


def acknowledge(w: OracleWorld, v: Actor) -> None:
    """The vCPU left the guest: it answers every kick that waits for it."""
    for a in w.actors:
        if a.kick is not None and v.number in a.kick.waiting:
            a.kick.waiting.remove(v.number)
            a.kick.left_at = w.now
            if not a.kick.waiting and a.state == State.KICK_WAIT:
                a.due = read_at(w, a.kick)
    v.is_ipi_pending = False
    v.ipi_at = NEVER


def kick_done(w: OracleWorld, a: Actor) -> None:
    """Go on after a kick."""
    kick = a.kick
    assert kick is not None
    a.kick = None
    if not w.mmu.is_held_by(a.number):
        end_stretch(w, a)
    if kick.kind == Kick.TRACK:
        w.n_flushes += 1
        w.flush_send = moved(w.flush_send, w.now - kick.begun)
    if kick.kind == Kick.DECISION:
        w.kick_wait = moved(w.kick_wait, w.now - kick.sent_at)
    go_on(w, a, kick.purpose)


def go_on(w: OracleWorld, a: Actor, purpose: Purpose) -> None:
    """Go on with what the kick was for."""
    if purpose in (Purpose.UNBLOCK, Purpose.REMOVE, Purpose.EXPORT, Purpose.DEMOTE):
        seamcalls.release_lock(w, a, w.track_lock)
    match purpose:
        case Purpose.REISSUE:
            busy.reissue(w, a)
        case Purpose.UNBLOCK:
            tasks.hold_blocked(w, a)
        case Purpose.REMOVE:
            zap.tracked(w, a)
        case Purpose.EXPORT:
            export.tracked(w, a)
        case Purpose.NEXT_PAGE:
            zap.next_page(w, a)
        case Purpose.YIELD:
            busy.yield_mmu(w, a)
        case Purpose.AUG:
            assert a.call.entry is not None
            pamt.add(w, a, Leaf.MEM_PAGE_AUG, a.call.entry)
        case _:
            seamcalls.new_call(w, a, CALL_AFTER[purpose], a.call.entry)


# TRACK's kick


def track(w: OracleWorld, a: Actor) -> None:
    """All is blocked: TRACK, or the kick that comes before it; neither if no vCPU has run yet."""
    if w.is_building:
        go_on(w, a, after_track(a))
    elif w.discipline.track_kick == TrackKick.BEFORE:
        begin_kick(w, a, Purpose.TRACK, Kick.TRACK, has_gate=True)
    else:
        seamcalls.new_call(w, a, Leaf.MEM_TRACK, a.call.entry)


def tracked(w: OracleWorld, a: Actor) -> None:
    """TRACK succeeded: its unconditional kick, unless that came before."""
    if w.discipline.track_kick == TrackKick.BEFORE and a.path != CallPath.EXPORT:
        if not w.discipline.gate_first:
            release_gate(w, a)
        go_on(w, a, after_track(a))
    else:
        begin_kick(w, a, after_track(a), Kick.TRACK)


def after_track(a: Actor) -> Purpose:
    """Return what follows when nobody can have an old translation any more."""
    if a.path == CallPath.EXPORT:
        return Purpose.EXPORT
    if a.is_splitting:
        return Purpose.DEMOTE
    return Purpose.UNBLOCK if a.kind == Task.BLOCK_RESTORE else Purpose.REMOVE


# Gates


def take_gate(w: OracleWorld, a: Actor) -> None:
    """Keep the vCPUs out of the guest, once for each actor."""
    if not a.has_gate:
        a.has_gate = True
        w.n_gates += 1


def release_gate(w: OracleWorld, a: Actor) -> None:
    """Drop the own gate; the last one lets the vCPUs go on."""
    if not a.has_gate:
        return
    a.has_gate = False
    w.n_gates -= 1
    if w.n_gates > 0:
        return
    for v in w.vcpus:
        if v.state == State.GATED and v.due == NEVER:
            longest = max(1, w.costs[Cost.GATE_POLL])
            v.due = w.now + uniform(1, longest, own(w, v, Draw.GATE))


HANDLERS = {State.KICK_SEND: on_kick_send, State.KICK_WAIT: on_kick_wait}
