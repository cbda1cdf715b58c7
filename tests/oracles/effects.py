"""What the module's checks say and what its calls do to entries and epochs (section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.calls import EntryState, Leaf, Lock, Outcome

from . import split
from .actors import Actor
from .sept import NEXT, Entry, check

if TYPE_CHECKING:
    from .world import OracleWorld

CHECK_AN_ENTRY = {
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_RANGE_BLOCK,
    Leaf.MEM_RANGE_UNBLOCK,
    Leaf.MEM_PAGE_DEMOTE,
    Leaf.EXPORT_BLOCKW,
    Leaf.EXPORT_MEM,
    Leaf.EXPORT_UNBLOCKW,
}
CLEAR_COUNTER = {Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_REMOVE, Leaf.MEM_RANGE_BLOCK}
UNLOCK_BY_STORE = {Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_REMOVE, Leaf.MEM_RANGE_UNBLOCK}


def check_call(w: OracleWorld, a: Actor) -> Outcome:
    """Return what the call's checks say, those of VP.ENTER excepted."""
    leaf = Leaf(a.call.leaf)
    if leaf == Leaf.MEM_TRACK and not w.epochs.can_track():
        return Outcome.PREVIOUS_TLB_EPOCH_BUSY
    if leaf in CHECK_AN_ENTRY:
        assert a.call.entry is not None
        return check(leaf, a.call.entry, w.epochs, not w.is_building)
    return Outcome.SUCCESS


def commit(w: OracleWorld, a: Actor) -> None:
    """Do what the call is for."""
    leaf = Leaf(a.call.leaf)
    if leaf == Leaf.MEM_TRACK:
        w.epochs.td_epoch += 1
    elif leaf == Leaf.VP_ENTER:
        count_in(w, a)
    elif leaf == Leaf.MEM_PAGE_ADD:
        assert a.call.entry is not None
        if a.call.entry.state == EntryState.FREE:
            a.call.entry.state = EntryState.MAPPED
    elif leaf == Leaf.MEM_PAGE_DEMOTE:
        assert a.call.entry is not None
        split.demote(w, a.call.entry)
    elif leaf in CHECK_AN_ENTRY:
        assert a.call.entry is not None
        change_entry(w, a, leaf, a.call.entry)


def count_in(w: OracleWorld, v: Actor) -> None:
    """VP.ENTER counts the vCPU under the epoch that it sampled."""
    epoch = w.epochs.td_epoch
    w.epochs.in_guest[epoch & 1] += 1
    v.call.must_flush = v.vcpu_epoch != epoch
    v.vcpu_epoch = epoch
    v.call.is_counted = True


def change_entry(w: OracleWorld, a: Actor, leaf: Leaf, entry: Entry) -> None:
    """Store an entry anew."""
    entry.state = NEXT[leaf][entry.state]
    if leaf in CLEAR_COUNTER:
        entry.counter = 0
    if leaf == Leaf.MEM_PAGE_AUG:
        entry.bepoch = 0
    elif leaf == Leaf.MEM_RANGE_BLOCK:
        entry.bepoch = w.epochs.td_epoch
    elif leaf == Leaf.EXPORT_BLOCKW:
        w.epochs.bw_epoch = w.epochs.td_epoch
    if leaf in UNLOCK_BY_STORE:
        entry.lock.store(False, w.rules.keeps_mark)
        a.call.held.remove(Lock.ENTRY)
    else:
        entry.lock.store(True, w.rules.keeps_mark)
