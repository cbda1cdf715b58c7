"""Dynamic PAMT: pages counted by 2M block under one lock of the host (8.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Purpose, State, Task
from tdx_env.state.calls import Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.setup import Pamt

from . import faults, guard, seamcalls, tasks, zap
from .actors import Actor, book, go
from .sept import Entry

if TYPE_CHECKING:
    from .world import OracleWorld


def is_counted(w: OracleWorld, leaf: int, entry: Entry) -> bool:
    """Return whether the page of a call has a PAMT entry that comes and goes."""
    is_on = w.setup.dynamic_pamt != Pamt.STATIC
    return is_on and (leaf == Leaf.MEM_SEPT_ADD or entry.level == 0)


def block(w: OracleWorld, a: Actor) -> Entry:
    """Return the entry that has the count of the page's block."""
    assert a.call.entry is not None
    if a.call.leaf == Leaf.MEM_SEPT_ADD:
        return w.table.root
    return w.table.pd_of(a.call.entry)


def category(a: Actor) -> Category:
    """Return what counting is booked to."""
    if a.kind == Task.OTHER_TDS:
        return Category.IDLE
    if a.purpose in (Purpose.GIVEN_UP, Purpose.RETURNED):
        return Category.UNWIND
    return faults.fault_category(a) if a.path == CallPath.FAULT else Category.HOST_WORK


def add(w: OracleWorld, a: Actor, leaf: Leaf, entry: Entry) -> None:
    """tdx_pamt_get, then the call."""
    if not is_counted(w, leaf, entry):
        seamcalls.new_call(w, a, leaf, entry)
        return
    a.call.leaf, a.call.entry = leaf, entry
    a.purpose = Purpose.ADD
    w.meet(a.purpose)
    a.pamt_since = w.now
    w.n_pamt_gets += 1
    if w.setup.dynamic_pamt == Pamt.FAST and block(w, a).pamt >= 1:
        block(w, a).pamt += 1
        by_atomic(w, a)
    else:
        go(w, a, State.PAMT_PAGES, category(a), w.costs[Cost.PAMT_PAGES])


def put(w: OracleWorld, a: Actor, purpose: Purpose) -> None:
    """tdx_pamt_put, then what the purpose says."""
    a.purpose = purpose
    w.meet(purpose)
    if w.setup.dynamic_pamt == Pamt.FAST and block(w, a).pamt >= 2:
        block(w, a).pamt -= 1
        by_atomic(w, a)
    else:
        lock(w, a)


def by_atomic(w: OracleWorld, a: Actor) -> None:
    """The fast path: no lock."""
    a.is_first = False
    go(w, a, State.PAMT_HELD, category(a), w.costs[Cost.PAMT_COUNT])


def on_pages(w: OracleWorld, a: Actor) -> None:
    """Two pages are at hand."""
    book(w, a)
    lock(w, a)


def lock(w: OracleWorld, a: Actor) -> None:
    """Take the host's lock, or spin for it."""
    is_ours = a.kind != Task.OTHER_TDS
    if w.pamt_lock.request(a.number, True):
        count(w, a)
    else:
        waiting = Category.PAMT_LOCK_WAIT if is_ours else Category.IDLE
        go(w, a, State.PAMT_WAIT, waiting, None)


def on_lock(w: OracleWorld, a: Actor) -> None:
    """The lock was handed over."""
    book(w, a)
    count(w, a)


def count(w: OracleWorld, a: Actor) -> None:
    """The lock is held."""
    cycles = w.costs[Cost.PAMT_COUNT]
    a.is_first = False
    if a.purpose == Purpose.OTHER:
        a.is_first = is_first_of_other(a)
    elif a.purpose == Purpose.ADD:
        a.is_first = block(w, a).pamt == 0
        w.n_pamt_adds += a.is_first
        block(w, a).pamt += not a.is_first
    else:
        block(w, a).pamt = max(0, block(w, a).pamt - 1)
        cycles += w.costs[Cost.PAMT_REMOVE] if block(w, a).pamt == 0 else 0
    cycles += w.costs[Cost.PAMT_ADD] if a.is_first else 0
    go(w, a, State.PAMT_HELD, category(a), cycles)


def on_held(w: OracleWorld, a: Actor) -> None:
    """Counted: what it was for."""
    book(w, a)
    if w.pamt_lock.is_held_by(a.number):
        for following in w.pamt_lock.release(a.number):
            w.actors[following].due = w.now + w.costs[Cost.MMU_HANDOFF]
    match a.purpose:
        case Purpose.OTHER:
            next_of_other(w, a)
        case Purpose.ADD:
            block(w, a).pamt += a.is_first
            w.pamt_get_cycles += w.now - a.pamt_since
            w.pamt_get_max = max(w.pamt_get_max, w.now - a.pamt_since)
            seamcalls.new_call(w, a, Leaf(a.call.leaf), a.call.entry)
        case Purpose.GIVEN_UP:
            faults.end_pass(w, a)
        case Purpose.CLEARED:
            zap.page_gone(w, a)
        case Purpose.RETURNED:
            guard.given_up(w, a)


def is_first_of_other(a: Actor) -> bool:
    """Return whether another TD's page is its block's first."""
    return (a.item + a.member) % a.group.spec.chunk == 0


def other(w: OracleWorld, a: Actor) -> None:
    """A vCPU of another TD gets a page."""
    a.purpose = Purpose.OTHER
    w.meet(a.purpose)
    if w.setup.dynamic_pamt == Pamt.FAST and not is_first_of_other(a):
        next_of_other(w, a)
    else:
        lock(w, a)


def next_of_other(w: OracleWorld, a: Actor) -> None:
    """It has it: the next one."""
    a.item += 1
    tasks.start_task_item(w, a)


HANDLERS = {
    State.PAMT_PAGES: on_pages,
    State.PAMT_WAIT: on_lock,
    State.PAMT_HELD: on_held,
}
