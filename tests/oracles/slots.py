"""Memslot deletion and SRCU (section 8.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, Purge, State, Task
from tdx_env.state.costs import Cost

from . import guard, tasks, zap
from .actors import Actor, book, go

if TYPE_CHECKING:
    from .world import OracleWorld

VCPU_OUTSIDE = (State.PARKED, State.HALTED, State.USER_EXIT, State.GATED)
TASK_OUTSIDE = (State.THINK, State.WAIT_TRIGGER, State.USER_EXIT, State.FINISHED)


def delete(w: OracleWorld, a: Actor) -> None:
    """slots_lock is held: mark the slot, then wait until SRCU turns its index."""
    tasks.set_cursor(w, a)
    set_purge(w, a, Purge.DYING)
    go(w, a, State.SRCU_WAIT, Category.IDLE, w.costs[Cost.SRCU])


def set_purge(w: OracleWorld, a: Actor, purge: Purge) -> None:
    """Say what faults on the item's units find."""
    for entry in tasks.units(w, a):
        entry.purge = purge


def is_reader(a: Actor) -> bool:
    """Return whether the actor is inside an SRCU read section."""
    if a.is_vcpu:
        return a.mode == 0 and a.state not in VCPU_OUTSIDE
    return a.kind == Task.PREFAULT and a.state not in TASK_OUTSIDE


def quiescent(w: OracleWorld, a: Actor) -> None:
    """The actor is outside; the last one that is waited for ends the grace period."""
    if not a.is_waited_for:
        return
    a.is_waited_for = False
    w.srcu_readers -= 1
    if w.srcu_readers == 0:
        assert w.srcu_actor is not None
        w.srcu_actor.due = w.now


def on_srcu_wait(w: OracleWorld, a: Actor) -> None:
    """Wait for those who are inside now; once nobody uses the old slot any more, zap it."""
    book(w, a)
    if w.srcu_actor is None:
        readers = [reader for reader in w.actors if is_reader(reader)]
        for reader in readers:
            reader.is_waited_for = True
        w.srcu_readers = len(readers)
        if readers:
            w.srcu_actor = a
            a.due = NEVER
            return
    w.srcu_actor = None
    zap.begin(w, a)


def deleted(w: OracleWorld, a: Actor) -> None:
    """All pages of the slot are gone: create it anew."""
    set_purge(w, a, Purge.PRIVATE)
    guard.release(w, a)
    tasks.finish_task_item(w, a)


HANDLERS = {State.SRCU_WAIT: on_srcu_wait}
