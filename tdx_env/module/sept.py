"""States of L1 S-EPT entries: who accepts which, what follows, and the statuses of refusals.

`TRANSITIONS` and `LEVELS` are the tables as data; the kernels read arrays made from them.

Source: TDX module 1.5, include/auto_gen/sept_state_lookup.c; the levels and the states that follow
from the file of each call.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tdx_env.jit import kernel
from tdx_env.module.operands import Operand
from tdx_env.state.calls import N_ENTRY_STATES, N_LEAVES, EntryState, Leaf, Outcome

_S = EntryState
_RCX, _SEPT_TREE = int(Operand.RCX), int(Operand.SEPT_TREE)

ANY_BLOCKED = frozenset({_S.NL_BLOCKED, _S.BLOCKED, _S.PENDING_BLOCKED})
GUEST_ACCESSIBLE = frozenset(
    {
        _S.MAPPED,
        _S.BLOCKEDW,
        _S.EXPORTED_BLOCKEDW,
        _S.EXPORTED_DIRTY,
        _S.EXPORTED_DIRTY_BLOCKEDW,
    }
)
ACCEPTABLE = frozenset({_S.PENDING, _S.PENDING_EXPORTED_DIRTY})
NON_LEAF = frozenset({_S.NL_MAPPED, _S.NL_BLOCKED})
TRACKING_REQUIRED = frozenset(_S) - {
    _S.FREE,
    _S.REMOVED,
    _S.EXPORTED_BLOCKEDW,
    _S.PENDING_EXPORTED_BLOCKEDW,
}
LIVE_EXPORTABLE = frozenset(  # never exported, or dirty since, and blocked for writing
    {
        _S.BLOCKEDW,
        _S.EXPORTED_DIRTY_BLOCKEDW,
        _S.PENDING_BLOCKEDW,
        _S.PENDING_EXPORTED_DIRTY_BLOCKEDW,
    }
)


class Level(IntEnum):
    """Level of an S-EPT entry; the numbers are the module's."""

    PTE = 0  # 4K
    PD = 1  # 2M
    PDPT = 2  # 1G
    PML4 = 3
    PML5 = 4


_LEAVES_4K_2M = (Level.PTE, Level.PD)
_LEAVES_ALL = (Level.PTE, Level.PD, Level.PDPT)
_TABLES = (Level.PD, Level.PDPT, Level.PML4, Level.PML5)

# Levels that a call accepts; another one is TDX_OPERAND_INVALID | RCX. PML5 only if the TD has it.
LEVELS: dict[Leaf, tuple[Level, ...]] = {
    Leaf.MEM_PAGE_ADD: (Level.PTE,),
    Leaf.MEM_PAGE_AUG: _LEAVES_4K_2M,
    Leaf.MEM_PAGE_REMOVE: _LEAVES_ALL,
    Leaf.MEM_SEPT_ADD: _TABLES,
    Leaf.MEM_SEPT_REMOVE: _TABLES,
    Leaf.MEM_SEPT_RD: tuple(Level),
    Leaf.MEM_PAGE_PROMOTE: (Level.PD, Level.PDPT),
    Leaf.MEM_PAGE_DEMOTE: (Level.PD, Level.PDPT),
    Leaf.MEM_PAGE_RELOCATE: (Level.PTE,),
    Leaf.MEM_RANGE_BLOCK: tuple(Level),
    Leaf.MEM_RANGE_UNBLOCK: tuple(Level),
    Leaf.ACCEPT: _LEAVES_4K_2M,
    Leaf.ATTR_WR: _LEAVES_ALL,
    Leaf.EXPORT_BLOCKW: (Level.PTE,),
    Leaf.EXPORT_MEM: (Level.PTE,),
    Leaf.EXPORT_RESTORE: (Level.PTE,),
    Leaf.IMPORT_MEM: (Level.PTE,),
}

_ALL = tuple(_S)
_LEAF_STATES = tuple(s for s in _S if s not in NON_LEAF | {_S.FREE, _S.REMOVED})


def _unchanged(*states: EntryState) -> dict[EntryState, EntryState]:
    """Return the transitions of a call that accepts these states and leaves them as they are."""
    return {state: state for state in states}


# State that a successful call makes of each state it accepts; it refuses the states not listed.
# Calls without a row check no entry.
TRANSITIONS: dict[Leaf, dict[EntryState, EntryState]] = {
    # MODEL: without the allow-existing flag, which KVM doesn't set; with it NL_MAPPED stays.
    Leaf.MEM_SEPT_ADD: {_S.FREE: _S.NL_MAPPED},
    Leaf.MEM_SEPT_REMOVE: {_S.NL_BLOCKED: _S.FREE, _S.NL_MAPPED: _S.FREE},
    Leaf.MEM_SEPT_RD: _unchanged(*_ALL),
    Leaf.MEM_PAGE_ADD: {_S.FREE: _S.MAPPED},
    Leaf.MEM_PAGE_AUG: {_S.FREE: _S.PENDING, _S.REMOVED: _S.PENDING},
    # MODEL: REMOVED instead of FREE while an import is in progress is left out.
    Leaf.MEM_PAGE_REMOVE: {
        _S.BLOCKED: _S.FREE,
        _S.PENDING_BLOCKED: _S.FREE,
        _S.MAPPED: _S.FREE,
        _S.PENDING: _S.FREE,
        _S.BLOCKEDW: _S.FREE,
        _S.PENDING_BLOCKEDW: _S.FREE,
    },
    # MODEL: the children are taken to be MAPPED; PENDING children make the parent PENDING.
    Leaf.MEM_PAGE_PROMOTE: {_S.NL_BLOCKED: _S.MAPPED, _S.NL_MAPPED: _S.MAPPED},
    Leaf.MEM_PAGE_DEMOTE: {
        _S.BLOCKED: _S.NL_MAPPED,
        _S.PENDING_BLOCKED: _S.NL_MAPPED,
        _S.MAPPED: _S.NL_MAPPED,
        _S.PENDING: _S.NL_MAPPED,
    },
    Leaf.MEM_PAGE_RELOCATE: {
        **_unchanged(*_LEAF_STATES),
        _S.BLOCKED: _S.MAPPED,
        _S.PENDING_BLOCKED: _S.PENDING,
    },
    Leaf.MEM_RANGE_BLOCK: {
        _S.NL_MAPPED: _S.NL_BLOCKED,
        _S.MAPPED: _S.BLOCKED,
        _S.BLOCKEDW: _S.BLOCKED,
        _S.PENDING: _S.PENDING_BLOCKED,
        _S.PENDING_BLOCKEDW: _S.PENDING_BLOCKED,
    },
    Leaf.MEM_RANGE_UNBLOCK: {
        _S.NL_BLOCKED: _S.NL_MAPPED,
        _S.BLOCKED: _S.MAPPED,
        _S.PENDING_BLOCKED: _S.PENDING,
    },
    # Those of MEM.RD; MEM.WR accepts MAPPED and EXPORTED_DIRTY alone.
    Leaf.MEM_RD_WR: _unchanged(*sorted(GUEST_ACCESSIBLE)),
    Leaf.MR_EXTEND: _unchanged(_S.MAPPED),
    Leaf.ACCEPT: {
        _S.PENDING: _S.MAPPED,
        _S.PENDING_EXPORTED_DIRTY: _S.EXPORTED_DIRTY,
    },
    Leaf.ATTR_RD: _unchanged(
        *(state for state in _LEAF_STATES if state not in {_S.BLOCKED, _S.PENDING_BLOCKED})
    ),
    Leaf.ATTR_WR: _unchanged(_S.MAPPED, _S.EXPORTED_DIRTY, _S.PENDING, _S.PENDING_EXPORTED_DIRTY),
    Leaf.EXPORT_BLOCKW: {
        _S.MAPPED: _S.BLOCKEDW,
        _S.PENDING: _S.PENDING_BLOCKEDW,
        _S.EXPORTED_DIRTY: _S.EXPORTED_DIRTY_BLOCKEDW,
        _S.PENDING_EXPORTED_DIRTY: _S.PENDING_EXPORTED_DIRTY_BLOCKEDW,
    },
    Leaf.EXPORT_UNBLOCKW: {
        _S.BLOCKEDW: _S.MAPPED,
        _S.EXPORTED_BLOCKEDW: _S.EXPORTED_DIRTY,
        _S.EXPORTED_DIRTY_BLOCKEDW: _S.EXPORTED_DIRTY,
        _S.PENDING_BLOCKEDW: _S.PENDING,
        _S.PENDING_EXPORTED_BLOCKEDW: _S.PENDING_EXPORTED_DIRTY,
        _S.PENDING_EXPORTED_DIRTY_BLOCKEDW: _S.PENDING_EXPORTED_DIRTY,
    },
    Leaf.EXPORT_MEM: {  # MIGRATE; CANCEL leads back to MAPPED and PENDING
        _S.MAPPED: _S.EXPORTED_BLOCKEDW,
        _S.BLOCKEDW: _S.EXPORTED_BLOCKEDW,
        _S.EXPORTED_BLOCKEDW: _S.EXPORTED_BLOCKEDW,
        _S.EXPORTED_DIRTY: _S.EXPORTED_BLOCKEDW,
        _S.EXPORTED_DIRTY_BLOCKEDW: _S.EXPORTED_BLOCKEDW,
        _S.PENDING: _S.PENDING_EXPORTED_BLOCKEDW,
        _S.PENDING_BLOCKEDW: _S.PENDING_EXPORTED_BLOCKEDW,
        _S.PENDING_EXPORTED_BLOCKEDW: _S.PENDING_EXPORTED_BLOCKEDW,
        _S.PENDING_EXPORTED_DIRTY: _S.PENDING_EXPORTED_BLOCKEDW,
        _S.PENDING_EXPORTED_DIRTY_BLOCKEDW: _S.PENDING_EXPORTED_BLOCKEDW,
    },
    Leaf.EXPORT_RESTORE: {
        _S.EXPORTED_BLOCKEDW: _S.MAPPED,
        _S.EXPORTED_DIRTY: _S.MAPPED,
        _S.EXPORTED_DIRTY_BLOCKEDW: _S.MAPPED,
        _S.PENDING_EXPORTED_BLOCKEDW: _S.PENDING,
        _S.PENDING_EXPORTED_DIRTY: _S.PENDING,
        _S.PENDING_EXPORTED_DIRTY_BLOCKEDW: _S.PENDING,
    },
    # MODEL: a first import is taken to bring a page that isn't pending.
    Leaf.IMPORT_MEM: {
        _S.FREE: _S.MAPPED,
        _S.REMOVED: _S.MAPPED,
        _S.MAPPED: _S.MAPPED,
        _S.PENDING: _S.PENDING,
    },
}


def _flags(states: frozenset[EntryState]) -> NDArray[np.bool_]:
    """Return an array, shape (N_ENTRY_STATES,), that is True at these states."""
    flags = np.zeros(N_ENTRY_STATES, np.bool_)
    flags[[int(state) for state in states]] = True
    return flags


def _tables() -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return accepted states and following states, both of shape (N_LEAVES, N_ENTRY_STATES)."""
    accepts = np.ones((N_LEAVES, N_ENTRY_STATES), np.bool_)
    follows = np.tile(np.arange(N_ENTRY_STATES, dtype=np.int64), (N_LEAVES, 1))
    for leaf, transitions in TRANSITIONS.items():
        accepts[leaf] = False
        for state, following in transitions.items():
            accepts[leaf, state] = True
            follows[leaf, state] = following
    return accepts, follows


_IS_ANY_BLOCKED = _flags(ANY_BLOCKED)
_IS_GUEST_ACCESSIBLE = _flags(GUEST_ACCESSIBLE)
_IS_ACCEPTABLE = _flags(ACCEPTABLE)
_IS_NON_LEAF = _flags(NON_LEAF)
_NEEDS_TRACKING = _flags(TRACKING_REQUIRED)
_IS_LIVE_EXPORTABLE = _flags(LIVE_EXPORTABLE)
_IS_WRITE_BLOCKED = _flags(frozenset(TRANSITIONS[Leaf.EXPORT_UNBLOCKW]))
_ACCEPTS, _FOLLOWS = _tables()


def removable_children(sept_remove_takes_removed_children: bool) -> frozenset[EntryState]:
    """Return the states in which SEPT.REMOVE wants all 512 entries of the table to be.

    Source:
        TDX module 1.5.01 and 1.5.34, tdh_mem_sept_remove.c; else it is EPT_PAGE_NOT_FREE.
    """
    if sept_remove_takes_removed_children:
        return frozenset({_S.FREE, _S.REMOVED})
    return frozenset({_S.FREE})


@kernel
def is_any_blocked(state: int) -> bool:
    """Say whether an entry is blocked; those blocked for writing only are not."""
    return bool(_IS_ANY_BLOCKED[state])


@kernel
def is_guest_accessible(state: int) -> bool:
    """Say whether a guest can at least read through this leaf entry."""
    return bool(_IS_GUEST_ACCESSIBLE[state])


@kernel
def is_write_blocked(state: int) -> bool:
    """Say whether live migration has blocked a page for writing; EXPORT.UNBLOCKW takes it back."""
    return bool(_IS_WRITE_BLOCKED[state])


@kernel
def is_acceptable(state: int) -> bool:
    """Say whether TDG.MEM.PAGE.ACCEPT initialises a page in this state."""
    return bool(_IS_ACCEPTABLE[state])


@kernel
def next_state(leaf: int, state: int) -> int:
    """Return the state that a successful call leaves behind (the same if it has no effect)."""
    return int(_FOLLOWS[leaf, state])


@kernel
def _refusal(leaf: int, state: int, accept_exits_on_removed: bool) -> Outcome:
    """Return how a call ends that doesn't accept the entry's state.

    Source:
        TDX module 1.5, tdh_mem_range_block.c; tdg_mem_page_accept.c, check_tdaccept_failure;
        tdg_mem_page_attr_wr.c.
    """
    if leaf == Leaf.ACCEPT and state == EntryState.REMOVED and not accept_exits_on_removed:
        return Outcome.PAGE_SIZE_MISMATCH
    if leaf == Leaf.MEM_RANGE_BLOCK and _IS_ANY_BLOCKED[state]:
        return Outcome.GPA_RANGE_ALREADY_BLOCKED
    if leaf == Leaf.ACCEPT and _IS_GUEST_ACCESSIBLE[state]:
        return Outcome.PAGE_ALREADY_ACCEPTED
    if (leaf == Leaf.ACCEPT or leaf == Leaf.ATTR_WR) and _IS_NON_LEAF[state]:
        return Outcome.PAGE_SIZE_MISMATCH
    if leaf == Leaf.ACCEPT or leaf == Leaf.ATTR_RD or leaf == Leaf.ATTR_WR:
        return Outcome.EPT_VIOLATION
    return Outcome.EPT_ENTRY_STATE_INCORRECT


@kernel
def _must_be_blocked(leaf: int) -> bool:
    """Say whether a call needs the entry blocked, if tracking is required at all."""
    return (
        leaf == Leaf.MEM_PAGE_REMOVE
        or leaf == Leaf.MEM_SEPT_REMOVE
        or leaf == Leaf.MEM_PAGE_PROMOTE
        or leaf == Leaf.MEM_PAGE_DEMOTE
        or leaf == Leaf.MEM_PAGE_RELOCATE
    )


@kernel
def check_entry(
    leaf: int,
    state: int,
    tracking_required: bool,
    is_tracked: bool,
    accept_exits_on_removed: bool = False,
) -> Outcome:
    """Return how a call's checks of the S-EPT entry end, in the module's order.

    Args:
        leaf: A Leaf; one that checks no entry succeeds.
        state: An EntryState.
        tracking_required: The TD's OP_STATE demands blocking and tracking (RUNNABLE, LIVE_EXPORT,
            LIVE_IMPORT).
        is_tracked: `tlb.is_tracked` of the entry's block; for EXPORT.MEM, of the last BLOCKW.
        accept_exits_on_removed: The module version's rule of that name.

    Source:
        TDX module 1.5, tdh_mem_page_remove.c, tdh_mem_range_unblock.c, tdh_export_mem.c.
    """
    if not _ACCEPTS[leaf, state]:
        return _refusal(leaf, state, accept_exits_on_removed)
    if not tracking_required:
        return Outcome.SUCCESS
    if leaf == Leaf.EXPORT_MEM:
        if not _IS_LIVE_EXPORTABLE[state]:
            return Outcome.EPT_ENTRY_STATE_INCORRECT
        return Outcome.SUCCESS if is_tracked else Outcome.TLB_TRACKING_NOT_DONE
    if _must_be_blocked(leaf) and _NEEDS_TRACKING[state]:
        if not _IS_ANY_BLOCKED[state]:
            return Outcome.GPA_RANGE_NOT_BLOCKED
        return Outcome.SUCCESS if is_tracked else Outcome.TLB_TRACKING_NOT_DONE
    if leaf == Leaf.MEM_RANGE_UNBLOCK and not is_tracked:
        return Outcome.TLB_TRACKING_NOT_DONE
    return Outcome.SUCCESS


@kernel
def check_operand(leaf: int, outcome: int, unblock_names_entry: bool = False) -> int:
    """Return the operand id that goes with an outcome of `check_entry`.

    RANGE.UNBLOCK of 1.5.01 reports a missing TRACK with SEPT_TREE. For PAGE_ALREADY_ACCEPTED and
    PAGE_SIZE_MISMATCH the low bits are a level, which the caller adds.

    Args:
        leaf: A Leaf.
        outcome: An Outcome.
        unblock_names_entry: The module version's rule of that name.

    Source:
        TDX module 1.5, tdh_mem_range_unblock.c.
    """
    if outcome == Outcome.TLB_TRACKING_NOT_DONE and leaf == Leaf.MEM_RANGE_UNBLOCK:
        return _RCX if unblock_names_entry else _SEPT_TREE
    if (
        outcome == Outcome.EPT_ENTRY_STATE_INCORRECT
        or outcome == Outcome.TLB_TRACKING_NOT_DONE
        or outcome == Outcome.GPA_RANGE_NOT_BLOCKED
        or outcome == Outcome.GPA_RANGE_ALREADY_BLOCKED
        or outcome == Outcome.EPT_WALK_FAILED
    ):
        return _RCX
    return 0
