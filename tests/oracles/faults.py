"""The host's fault path (section 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Exit, Kick, Purge, Purpose, Spte, State, Task
from tdx_env.state.calls import Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import FaultYield, OnFrozen

from . import (
    exits,
    file_lock,
    guard,
    interrupts,
    kick,
    mmu,
    pamt,
    prefault,
    seamcalls,
    split,
    tasks,
)
from .actors import Actor, book, drop_target, end_fault, end_operation, go
from .sept import NEXT, Entry, is_leaf

if TYPE_CHECKING:
    from .world import OracleWorld


def fault_category(v: Actor) -> Category:
    """Return what the cycles of this pass are."""
    if v.synthetic:
        return Category.SYNTHETIC_EXIT
    return Category.REFAULT if v.refault else Category.HOST_WORK


def begin_fault_pass(w: OracleWorld, v: Actor) -> None:
    """Begin a pass over the fault."""
    v.path = CallPath.FAULT
    v.walks = 0
    go(w, v, State.FAULT_SOFTWARE, fault_category(v), w.costs[Cost.FAULT_SOFTWARE])


def on_fault_software(w: OracleWorld, v: Actor) -> None:
    """The attributes are known: to user space, once more, or on to mmu_lock."""
    book(w, v)
    assert v.fault_entry is not None
    if v.fault_entry.purge == Purge.DYING:
        met_dying_slot(w, v)
    elif v.fault_entry.purge == Purge.USER and not v.is_vcpu:
        prefault.pass_over(w, v)
    elif v.fault_entry.purge == Purge.USER:
        v.refault = 1
        v.repeats += 1
        v.trip = Category.REFAULT
        exits.to_user_space(w, v, Category.REFAULT)
    elif not file_lock.is_free(w):
        file_lock.take(w, v, False, Purpose.FAULT)
    elif split.is_looked_for(w, v):
        mmu.request(w, v, not w.discipline.split_read, Purpose.SPLIT)
    else:
        mmu.request(w, v, False, Purpose.FAULT)


def met_dying_slot(w: OracleWorld, v: Actor) -> None:
    """The memslot is being deleted: RET_PF_RETRY."""
    v.refault = 1
    v.repeats += 1
    d = w.discipline
    leaves = w.kernel.leaves_dying_slot or d.fault_yield == FaultYield.REENTER
    if leaves or (v.is_vcpu and interrupts.has_event(w, v)):
        fault_again(w, v)
    else:
        begin_fault_pass(w, v)


def fault_again(w: OracleWorld, v: Actor) -> None:
    """Leave KVM's fault path; whoever asked for the page asks again."""
    if v.is_vcpu:
        v.trip = Category.REFAULT
        exits.enter_run_loop(w, v)
    else:
        exits.to_user_space(w, v, Category.YIELD)


def on_user_exit(w: OracleWorld, a: Actor) -> None:
    """User space is done."""
    book(w, a)
    if a.kind == Task.PREFAULT:
        begin_fault_pass(w, a)
    elif not a.is_vcpu:
        guard.begin_build(w, a, Purpose.CALL_AGAIN)
    elif a.exit == Exit.MAP_GPA:
        tasks.begin_chunk(w, a)
    else:
        assert a.exit in (Exit.EPT_VIOLATION, Exit.SIGNAL)
        exits.enter_run_loop(w, a)


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
            pamt.add(w, v, Leaf.MEM_SEPT_ADD, entry)
            return
        if entry.level == 1 and is_leaf(entry.state):
            met_present(w, v, entry)
            return
    if leaf.spte == Spte.FROZEN:
        met_frozen(w, v)
    elif leaf.spte == Spte.PRESENT:
        met_present(w, v, leaf)
    else:
        if w.setup.freezes:
            leaf.spte = Spte.FROZEN
        w.target = leaf
        if v.is_flagged and w.discipline.kick_flagged:
            v.is_flagged = False
            v.call.entry = leaf
            kick.begin_kick(w, v, Purpose.AUG, Kick.DECISION)
        else:
            pamt.add(w, v, Leaf.MEM_PAGE_AUG, leaf)


def met_present(w: OracleWorld, v: Actor, entry: Entry) -> None:
    """The page is there already, perhaps blocked for writing."""
    if entry.state in NEXT[Leaf.EXPORT_UNBLOCKW]:
        entry.spte = Spte.FROZEN
        seamcalls.new_call(w, v, Leaf.EXPORT_UNBLOCKW, entry)
    else:
        resolved(w, v)


def resolved(w: OracleWorld, v: Actor) -> None:
    """The fault is over."""
    kick.release_gate(w, v)
    mmu.release(w, v)
    w.fault_max = max(w.fault_max, end_operation(w, v))
    end_fault(w, v)
    v.refault = v.repeats = v.synthetic = 0
    drop_target(w, v.fault_entry)
    if v.is_vcpu:
        v.trip = Category.EXIT_ENTRY
        exits.enter_run_loop(w, v)
    else:
        prefault.resolved(w, v)


def met_frozen(w: OracleWorld, v: Actor) -> None:
    """Somebody else works on an entry of the walk."""
    v.call.entry = None
    w.n_frozen_met += 1
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
    """The pass is undone but for the PAMT of a page that was to come."""
    book(w, v)
    is_add = v.call.leaf in (Leaf.MEM_PAGE_AUG, Leaf.MEM_SEPT_ADD)
    if v.call.entry is not None and is_add and pamt.is_counted(w, v.call.leaf, v.call.entry):
        pamt.put(w, v, Purpose.GIVEN_UP)
    else:
        end_pass(w, v)


def end_pass(w: OracleWorld, v: Actor) -> None:
    """Everything is undone: try again here, or let the guest fault again."""
    if v.call.entry is not None:
        was_frozen = w.setup.freezes or v.call.leaf != Leaf.MEM_PAGE_AUG
        is_unblock = v.call.leaf == Leaf.EXPORT_UNBLOCKW
        if was_frozen:
            v.call.entry.spte = Spte.PRESENT if is_unblock else Spte.ABSENT
        drop_target(w, v.call.entry)
    seamcalls.release_lock(w, v, w.seamcall_lock)
    kick.release_gate(w, v)
    mmu.release(w, v)
    another_pass(w, v, v.is_local)


def another_pass(w: OracleWorld, v: Actor, is_local: bool) -> None:
    """Try again inside KVM, unless an interrupt or the rules want otherwise."""
    v.refault = 1
    v.repeats += 1
    if is_local and not (v.is_vcpu and interrupts.has_event(w, v)):
        begin_fault_pass(w, v)
    else:
        fault_again(w, v)


HANDLERS = {
    State.FAULT_SOFTWARE: on_fault_software,
    State.USER_EXIT: on_user_exit,
    State.FAULT_LOCKED: on_fault_locked,
    State.UNWIND: on_unwind,
}
