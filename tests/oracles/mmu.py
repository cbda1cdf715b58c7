"""mmu_lock: who goes on how once it is taken (section 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import Purpose, State
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost

from . import busy, export, faults, guard, seamcalls, split, tasks, zap
from .actors import Actor, begin_stretch, book, end_stretch, go
from .programs import LISTS

if TYPE_CHECKING:
    from .world import OracleWorld


def request(w: OracleWorld, a: Actor, is_write: bool, purpose: Purpose) -> None:
    """Take mmu_lock and go on, or queue for it."""
    a.purpose = purpose
    w.meet(purpose)
    if purpose == Purpose.ZAP and a.chunk_since is None:
        a.chunk_since = w.now
    is_behind_writer = w.mmu.writer != NONE
    if w.mmu.request(a.number, is_write):
        taken(w, a)
        go_on(w, a)
    else:
        w.n_behind_writers += is_behind_writer
        w.mmu_since[a.number] = w.now
        go(w, a, State.MMU_WAIT, Category.MMU_LOCK_WAIT, None)


def taken(w: OracleWorld, a: Actor) -> None:
    """From now on the actor holds mmu_lock."""
    begin_stretch(w, a)
    w.n_write_locks += w.mmu.writer == a.number
    a.hold_since = w.now


def release(w: OracleWorld, a: Actor) -> None:
    """Drop mmu_lock if held, and hand it over."""
    if not w.mmu.is_held_by(a.number):
        return
    end_stretch(w, a)
    end_hold(w, a)
    for number in w.mmu.release(a.number):
        following = w.actors[number]
        w.mmu_waited += w.now - w.mmu_since[number]
        taken(w, following)
        go(w, following, State.MMU_GRANTED, None, w.costs[Cost.MMU_HANDOFF])


def end_hold(w: OracleWorld, a: Actor) -> None:
    """Keep how long a writer had the lock."""
    if w.mmu.writer == a.number:
        w.holds.append(w.now - a.hold_since)


def on_granted(w: OracleWorld, a: Actor) -> None:
    """mmu_lock was handed over."""
    book(w, a)
    go_on(w, a)


def go_on(w: OracleWorld, a: Actor) -> None:
    """Go on with mmu_lock held."""
    match a.purpose:
        case Purpose.FAULT:
            faults.locked(w, a)
        case Purpose.ZAP:
            a.zapped = 0
            a.makes_way = False
            zap.next_page(w, a)
        case Purpose.REISSUE:
            busy.reissue(w, a)
        case Purpose.BARRIER:
            release(w, a)
            busy.back_to_run_loop(w, a)
        case Purpose.BLOCK:
            tasks.block(w, a)
        case Purpose.UNBLOCK:
            tasks.unblock(w, a)
        case Purpose.SPLIT:
            split.look(w, a)
        case Purpose.EXPORT:
            export.locked(w, a)
        case Purpose.VP_INIT:
            seamcalls.new_call(w, a, Leaf.VP_INIT, None)


def on_resched(w: OracleWorld, a: Actor) -> None:
    """The thread runs again; a list call is made without mmu_lock."""
    book(w, a)
    if a.call.leaf in LISTS:
        busy.reissue(w, a)
    elif a.purpose == Purpose.CALL_AGAIN:
        guard.go_on(w, a)
    else:
        request(w, a, True, a.purpose)


HANDLERS = {State.MMU_GRANTED: on_granted, State.RESCHED: on_resched}
