"""The host's fault path (section 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Kick, Path, Purge, Purpose, Spte, State
from tdx_env.state.calls import Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import FaultYield, OnFrozen

from . import exits, kick, mmu, seamcalls, tasks
from .actors import Actor, book, drop_target, end_operation, go
from .sept import is_leaf

if TYPE_CHECKING:
    from .world import OracleWorld


def fault_category(v: Actor) -> Category:
    """Return what the cycles of this pass are."""
    if v.synthetic:
        return Category.SYNTHETIC_EXIT
    return Category.REFAULT if v.refault else Category.HOST_WORK


def begin_fault_pass(w: OracleWorld, v: Actor) -> None:
    """Begin a pass over the fault."""
    v.path = Path.FAULT
    v.walks = 0
    go(w, v, State.FAULT_SOFTWARE, fault_category(v), w.costs[Cost.FAULT_SOFTWARE])


def on_fault_software(w: OracleWorld, v: Actor) -> None:
    """The attributes are known: to user space, or on to mmu_lock."""
    book(w, v)
    assert v.fault_entry is not None
    if v.fault_entry.purge == Purge.USER:
        v.refault = 1
        v.repeats += 1
        v.trip = Category.REFAULT
        go(w, v, State.USER_EXIT, Category.REFAULT, w.costs[Cost.USER_EXIT])
    else:
        mmu.request(w, v, False, Purpose.FAULT)


def on_user_exit(w: OracleWorld, a: Actor) -> None:
    """User space is done."""
    book(w, a)
    if a.repeats_call:
        a.repeats_call = False
        seamcalls.new_call(w, a, Leaf(a.call.leaf), a.call.entry)
    elif a.exit == Exit.EPT_VIOLATION:
        exits.enter_run_loop(w, a)
    else:
        assert a.exit == Exit.MAP_GPA
        tasks.begin_chunk(w, a)


def locked(w: OracleWorld, v: Actor) -> None:
    """mmu_lock is held for read."""
    go(w, v, State.FAULT_LOCKED, fault_category(v), w.costs[Cost.FAULT_LOCKED])


def on_fault_locked(w: OracleWorld, v: Actor) -> None:
    """Walk the mirror."""
    book(w, v)
    walk(w, v)


def walk(w: OracleWorld, v: Actor) -> None:
    """Walk the mirror down to the fault's entry, repairing what is missing."""
    leaf = v.fault_entry
    assert leaf is not None
    for entry in w.table.above(leaf):
        if entry.spte == Spte.FROZEN:
            met_frozen(w, v)
            return
        if entry.spte == Spte.ABSENT:
            entry.spte = Spte.FROZEN
            seamcalls.new_call(w, v, Leaf.MEM_SEPT_ADD, entry)
            return
        if entry.level == 1 and is_leaf(entry.state):
            resolved(w, v)
            return
    if leaf.spte == Spte.FROZEN:
        met_frozen(w, v)
    elif leaf.spte == Spte.PRESENT:
        resolved(w, v)
    else:
        leaf.spte = Spte.FROZEN
        w.target = leaf
        if v.is_flagged and w.discipline.kick_flagged:
            v.is_flagged = False
            v.call.entry = leaf
            kick.begin_kick(w, v, Purpose.AUG, Kick.DECISION)
        else:
            seamcalls.new_call(w, v, Leaf.MEM_PAGE_AUG, leaf)


def resolved(w: OracleWorld, v: Actor) -> None:
    """The fault is over."""
    kick.release_gate(w, v)
    mmu.release(w, v)
    w.fault_max = max(w.fault_max, end_operation(w, v))
    v.refault = v.repeats = v.synthetic = 0
    drop_target(w, v.fault_entry)
    v.trip = Category.EXIT_ENTRY
    exits.enter_run_loop(w, v)


def met_frozen(w: OracleWorld, v: Actor) -> None:
    """Somebody else works on an entry of the walk."""
    v.call.entry = None
    d = w.discipline
    if d.on_frozen == OnFrozen.WALK_AGAIN and v.walks < d.walks_again:
        v.walks += 1
        go(w, v, State.FAULT_LOCKED, Category.REFAULT, w.costs[Cost.FAULT_LOCKED])
    elif d.on_frozen == OnFrozen.WALK_AGAIN:
        give_up(w, v, d.fault_yield == FaultYield.LOCAL_RETRY)
    else:
        give_up(w, v, d.on_frozen == OnFrozen.LOCAL_RETRY)


def give_up(w: OracleWorld, v: Actor, is_local: bool) -> None:
    """Unwind this pass."""
    v.is_local = is_local
    go(w, v, State.UNWIND, Category.UNWIND, w.costs[Cost.UNWIND])


def on_unwind(w: OracleWorld, v: Actor) -> None:
    """Everything is undone: try again here, or let the guest fault again."""
    book(w, v)
    if v.call.entry is not None:
        v.call.entry.spte = Spte.ABSENT
        drop_target(w, v.call.entry)
    seamcalls.drop_mutex(w, v)
    kick.release_gate(w, v)
    mmu.release(w, v)
    v.refault = 1
    v.repeats += 1
    if v.is_local and min(v.tick_at, v.device_at) > w.now:
        begin_fault_pass(w, v)
    else:
        v.trip = Category.REFAULT
        exits.enter_run_loop(w, v)


HANDLERS = {
    State.FAULT_SOFTWARE: on_fault_software,
    State.USER_EXIT: on_user_exit,
    State.FAULT_LOCKED: on_fault_locked,
    State.UNWIND: on_unwind,
}
