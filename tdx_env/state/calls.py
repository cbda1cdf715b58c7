"""What a call into the TDX module is made of: leaves, locks, modes, steps, outcomes.

Numbers are our own unless a docstring says that they are the module's.
"""

from enum import IntEnum

import numpy as np

NONE = -1  # no actor, no entry, no item


class Leaf(IntEnum):
    """A SEAMCALL or TDCALL of the lock matrix; the number is an index into our tables."""

    MEM_SEPT_ADD = 0
    MEM_PAGE_ADD = 1
    MEM_PAGE_AUG = 2
    MEM_PAGE_REMOVE = 3
    MEM_RANGE_BLOCK = 4
    MEM_RANGE_UNBLOCK = 5
    MEM_TRACK = 6
    VP_ENTER = 7
    MEM_PAGE_DEMOTE = 8
    PHYMEM_PAGE_WBINVD = 9
    MR_EXTEND = 10
    EXPORT_BLOCKW = 11
    EXPORT_MEM = 12
    EXPORT_UNBLOCKW = 13
    VP_FLUSH = 14
    VP_CREATE = 15
    VP_ADDCX = 16
    VP_INIT = 17  # up to here: SEAMCALLs that the event loop executes
    ACCEPT = 18  # TDG.MEM.PAGE.ACCEPT, 4K or 2M
    ATTR_RD = 19  # TDG.MEM.PAGE.ATTR.RD
    ATTR_WR = 20  # TDG.MEM.PAGE.ATTR.WR; up to here: calls that the event loop executes
    MEM_SEPT_REMOVE = 21
    MEM_SEPT_RD = 22
    MEM_PAGE_PROMOTE = 23
    MEM_PAGE_RELOCATE = 24
    MEM_RD_WR = 25
    MR_FINALIZE = 26
    MNG_INIT = 27
    MNG_ADDCX = 28
    MNG_RD_WR = 29
    VP_RD_WR = 30
    PHYMEM_PAGE_RECLAIM = 31
    EXPORT_RESTORE = 32
    IMPORT_MEM = 33
    EXPORT_PAUSE = 34
    IMPORT_TRACK = 35
    EXPORT_TRACK = 36
    EXPORT_STATE_VP = 37
    EXPORT_ABORT = 38
    EXPORT_STATE_IMMUTABLE = 39
    EXPORT_STATE_TD = 40
    IMPORT_COMMIT = 41
    IMPORT_END = 42
    IMPORT_ABORT = 43
    IMPORT_STATE_IMMUTABLE = 44
    IMPORT_STATE_TD = 45
    IMPORT_STATE_VP = 46
    MIG_STREAM_CREATE = 47
    SERVTD_BIND = 48
    SERVTD_PREBIND = 49
    PHYMEM_PAGE_RDMD = 50
    RTMR_EXTEND = 51  # TDG.MR.RTMR.EXTEND
    MR_REPORT = 52  # TDG.MR.REPORT
    SERVTD_RD_WR = 53  # TDG.SERVTD.RD and WR
    VP_VMCALL = 54  # TDG.VP.VMCALL
    VP_INVEPT = 55  # TDG.VP.INVEPT and INVVPID
    PHYMEM_PAMT_ADD = 56  # from here on: calls that only newer versions of the module have
    PHYMEM_PAMT_REMOVE = 57
    MEM_SCAN_RANGE = 58
    MEM_SCAN_COMP = 59
    MEM_SCAN_CONFIG = 60  # and RESET


LAST_SEAMCALL = Leaf.VP_INIT  # the last one that the event loop executes
LAST_CALL = Leaf.ATTR_WR
N_LEAVES = len(Leaf)


class Lock(IntEnum):
    """A logical lock of the module.

    Source: TDX module 1.5; the PAMT parents of TDR, TDVPR and page locks (1G and 2M, shared) are
    part of the logical lock.
    """

    TDVPR = 0  # PAMT entry of the vCPU's root page, sharex-HP
    TDR = 1  # PAMT entry of the TD's root page, sharex-HP
    OP_STATE = 2  # TDCS, sharex-HP
    TREE = 3  # TDCS S-EPT tree lock, sharex; sharex-HP from 1.5.28 on
    ENTRY = 4  # two bits of the S-EPT entry
    PAGE = 5  # PAMT entry of the page that is added, removed or moved, sharex-HP
    EPOCH = 6  # TDCS TLB epoch lock, sharex
    NEW_PAGE = 7  # a second page: DEMOTE's S-EPT page, RELOCATE's target, sharex-HP
    CHILDREN = 8  # PROMOTE: the locks of all 512 child entries
    MIG = 9  # migration lock, sharex
    MIGSC = 10  # migration stream, one bit
    RTMR = 11  # TDCS run-time measurement registers, sharex-HP
    SERVTD_BINDINGS = 12  # TDCS table of the service TDs bound to the TD, sharex-HP
    OTHER_TDR = 13  # the second TD of a call that names two: the TDR of the one
    OTHER_OP_STATE = 14  # and its OP_STATE
    PAMT_2M = 15  # PAMT entry of a 2M range as a lock of its own (PHYMEM.PAMT.ADD), sharex-HP
    PAMT_PAGE_0 = 16  # PAMT entries of the two pages that hold the PAMT of a 2M range, sharex-HP
    PAMT_PAGE_1 = 17
    MEM_SCAN = 18  # TDCS memory-scan lock, sharex-HP
    SCAN_CONTEXT = 19  # memory-scan context, one bit


class Mode(IntEnum):
    """How a lock is taken."""

    SHARED = 0
    EXCLUSIVE = 1


class Op(IntEnum):
    """What one step of a call does at its instant."""

    ACQUIRE = 0  # try the lock once; busy ends the call with BUSY | operand
    ACQUIRE_IF_ARMED = 1  # the same, only if the vCPU's zero-step list is not empty
    RELEASE = 2  # let go if held
    CHECK = 3  # the call's state checks; may end the call with another status
    COMMIT = 4  # the call's effect on S-EPT entry, epoch or counters
    RETURN = 5  # back in the caller
    POLL = 6  # an interrupt that is pending ends the call, nothing committed: RESTARTABLE
    NEXT = 7  # lists: back to the entry's lock for the next entry; between two: POLL, RESUMABLE;
    # with a lock: RESUMABLE as well if a refused host's mark stands on that lock


class Delay(IntEnum):
    """Which cycles pass between the step before and this one (0: the same instant)."""

    NONE = 0
    TO_TDR = 1  # half of the bare SEAMCALL, then up to the TDR and OP_STATE locks
    TO_TREE = 2  # up to the tree lock
    TO_ENTRY = 3  # the S-EPT walk, up to the entry lock
    TO_EPOCH = 4  # up to the epoch lock
    EPOCH_HOLD = 5  # the critical section under the epoch lock
    ARMED_WALK = 6  # walk of the zero-step list, only if it is not empty
    BODY = 7  # what is left of the call's cost
    LEAVE = 8  # the other half of the bare SEAMCALL


class Outcome(IntEnum):
    """How a call ended, as the simulator's kernel sees it; `tdx_env.status` has the statuses."""

    SUCCESS = 0
    OPERAND_BUSY = 1
    OPERAND_BUSY_HOST_PRIORITY = 2
    PREVIOUS_TLB_EPOCH_BUSY = 3
    GPA_RANGE_NOT_BLOCKED = 4
    GPA_RANGE_ALREADY_BLOCKED = 5
    TLB_TRACKING_NOT_DONE = 6
    EPT_ENTRY_STATE_INCORRECT = 7
    EPT_WALK_FAILED = 8
    PAGE_ALREADY_ACCEPTED = 9
    PAGE_SIZE_MISMATCH = 10
    EPT_VIOLATION = 11  # a TD exit, real or (VP.ENTER of an armed vCPU) synthetic
    HOST_PRIORITY_BUSY_TIMEOUT = 12
    INTERRUPTED = 13  # the guest's 2M ACCEPT met an interrupt; INTERRUPTED_RESTARTABLE for the host
    OP_STATE_INCORRECT = 14
    INTERRUPTED_RESUMABLE = 15  # a list call met an interrupt between two entries


class EntryState(IntEnum):
    """State of an L1 S-EPT entry; the numbers are the module's, as in RDX[15:8].

    Source: TDX module 1.5, include/auto_gen/sept_state_lookup.c.
    """

    FREE = 0
    BLOCKED = 1
    PENDING = 2
    PENDING_BLOCKED = 3
    MAPPED = 4
    REMOVED = 5
    BLOCKEDW = 8
    EXPORTED_BLOCKEDW = 9
    EXPORTED_DIRTY = 11
    EXPORTED_DIRTY_BLOCKEDW = 12
    PENDING_BLOCKEDW = 16
    PENDING_EXPORTED_BLOCKEDW = 17
    PENDING_EXPORTED_DIRTY = 19
    PENDING_EXPORTED_DIRTY_BLOCKEDW = 20
    NL_BLOCKED = 129
    NL_MAPPED = 132


N_ENTRY_STATES = 256

# One step of a call, as the kernel reads it; a call is a row of at most MAX_STEPS of them.
STEP_FIELDS = [
    ("op", np.int32),  # an Op
    ("lock", np.int32),  # a Lock, or NONE
    ("mode", np.int32),  # a Mode
    ("operand", np.int32),  # the operand id of the busy status (the module's numbers)
    ("delay", np.int32),  # a Delay, before this step
]
STEP = np.dtype(STEP_FIELDS, align=True)
MAX_STEPS = 20
