"""Splitting a 2M mapping, by a zap or by a fault (section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.actors import CallPath, Exit, Purpose, Spte
from tdx_env.state.calls import EntryState
from tdx_env.state.discipline import SplitCheck

from . import kick, mmu, zap
from .actors import Actor, begin_operation, drop_target, end_operation
from .locks import EntryLock
from .sept import Entry, is_leaf

if TYPE_CHECKING:
    from .world import OracleWorld


def is_needed(w: OracleWorld, entry: Entry) -> bool:
    """Return whether a 2M mapping stands in the way of a 4K entry."""
    if entry.level != 0:
        return False
    pd = w.table.pd_of(entry)
    return pd.spte == Spte.PRESENT and is_leaf(pd.state)


def is_frozen(w: OracleWorld, entry: Entry) -> bool:
    """Return whether somebody else works on an entry or on the 2M mapping over it."""
    if entry.level == 0 and w.table.pd_of(entry).spte == Spte.FROZEN:
        return True
    return entry.spte == Spte.FROZEN


def is_looked_for(w: OracleWorld, v: Actor) -> bool:
    """Return whether a fault takes mmu_lock to split first."""
    entry = v.fault_entry
    assert entry is not None
    if not v.accept_fault or entry.level != 0:
        return False
    return w.discipline.split_check == SplitCheck.LOCKED or is_needed(w, entry)


def look(w: OracleWorld, v: Actor) -> None:
    """The fault holds mmu_lock: split, or go on with the fault."""
    assert v.fault_entry is not None
    if is_needed(w, v.fault_entry):
        v.path = CallPath.ZAP
        v.serves_host = True
        v.zapped = 0
        begin(w, v, w.table.pd_of(v.fault_entry))
    else:
        mmu.release(w, v)
        mmu.request(w, v, False, Purpose.FAULT)


def begin(w: OracleWorld, a: Actor, pd: Entry) -> None:
    """Begin to split a 2M mapping."""
    begin_operation(w, a)
    a.is_splitting = True
    zap.freeze(w, a, pd)


def demote(w: OracleWorld, pd: Entry) -> None:
    """DEMOTE's effect: a table of 4K entries instead of the mapping."""
    is_mapped = pd.state in (EntryState.BLOCKED, EntryState.MAPPED)
    for entry in w.table.pages_of(pd):
        entry.state = EntryState.MAPPED if is_mapped else EntryState.PENDING
        entry.spte = Spte.PRESENT
        entry.counter = entry.bepoch = 0
        entry.lock = EntryLock()
    pd.state = EntryState.NL_MAPPED
    pd.counter = 0
    pd.lock.store(True, w.rules.keeps_mark)
    w.n_splits += 1
    pd.pamt = len(w.table.pages_of(pd))


def demoted(w: OracleWorld, a: Actor, pd: Entry) -> None:
    """DEMOTE succeeded: the zap or the fault goes on with its 4K page."""
    pd.spte = Spte.PRESENT
    a.is_splitting = False
    kick.release_gate(w, a)
    w.zap_max = max(w.zap_max, end_operation(w, a))
    w.last_progress = w.now
    drop_target(w, pd)
    if a.is_vcpu and a.exit == Exit.EPT_VIOLATION:
        mmu.release(w, a)
        a.path = CallPath.FAULT
        a.serves_host = False
        begin_operation(w, a)
        mmu.request(w, a, False, Purpose.FAULT)
    else:
        a.zapped += 1
        zap.next_page(w, a)
