"""The SEAMCALLs that KVM's chains issue: what the model knows of each beyond the module's steps.

One row a leaf. What a call locks and in which order, whether it works through a list, and when it
looks for interrupts is in the module's table (`tdx_env.module.seamcalls`), which has versions;
nothing here depends on the version. Kernels read the arrays below, one number for each leaf.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdx_env.module.seamcalls import MODULE_VERSIONS, call_flags, calls
from tdx_env.state.calls import LAST_SEAMCALL, N_LEAVES, NONE, Leaf, Mode
from tdx_env.state.costs import Cost


class Check(IntEnum):
    """What a call's CHECK looks at."""

    UNKNOWN = 0
    NOTHING = 1  # what it would look at never refuses it in the model
    EPOCH = 2  # vCPUs of the epoch before the last that are still in the guest
    ZERO_STEP = 3  # the pages on the vCPU's zero-step list
    ENTRY = 4  # the S-EPT entry: its state, and whether its BLOCK is tracked
    WRITES = 5  # the same, but what has to be tracked is the TD's last BLOCKW


class Effect(IntEnum):
    """What a call's COMMIT changes."""

    UNKNOWN = 0
    NOTHING = 1
    COUNT = 2  # the vCPU is counted under the TD's epoch
    EPOCH = 3  # a new epoch begins
    ADD = 4  # an entry that the call doesn't lock
    STORE = 5  # the entry, by a plain store that unlocks it too
    STORE_LOCKED = 6  # the entry, which stays locked until it is released


class HostLeaf(NamedTuple):
    """One SEAMCALL.

    Attributes:
        leaf: Which one.
        cost: What a successful call takes; of a list call, the work on one entry.
        check: What it checks.
        effect: What it changes.
        is_sept: The discipline's SEAMCALL lock covers it.
        mirror: How SeamcallLock.MIRROR holds its rwlock round it, or NONE.
        cost_2m: What it takes for a 2M page instead, if it is issued once for that.
        is_per_page: For a 2M page it is issued 512 times in a row.
    """

    leaf: Leaf
    cost: Cost
    check: Check
    effect: Effect
    is_sept: bool = False
    mirror: int = NONE
    cost_2m: int = NONE
    is_per_page: bool = False


_SH, _EX = Mode.SHARED, Mode.EXCLUSIVE
_NO_CHECK, _ENTRY = Check.NOTHING, Check.ENTRY
_NO_EFFECT, _STORE, _LOCKED = Effect.NOTHING, Effect.STORE, Effect.STORE_LOCKED

HOST_LEAVES = (
    HostLeaf(Leaf.MEM_SEPT_ADD, Cost.SEPT_ADD, _ENTRY, _LOCKED, True, _SH),
    HostLeaf(Leaf.MEM_PAGE_ADD, Cost.PAGE_ADD, _NO_CHECK, Effect.ADD),
    HostLeaf(Leaf.MEM_PAGE_AUG, Cost.PAGE_AUG, _ENTRY, _STORE, True, _SH, Cost.PAGE_AUG_2M),
    HostLeaf(Leaf.MEM_PAGE_REMOVE, Cost.PAGE_REMOVE, _ENTRY, _STORE, True, _SH),
    HostLeaf(Leaf.MEM_RANGE_BLOCK, Cost.RANGE_BLOCK, _ENTRY, _LOCKED, True, _EX),
    HostLeaf(Leaf.MEM_RANGE_UNBLOCK, Cost.RANGE_UNBLOCK, _ENTRY, _STORE, True, _EX),
    HostLeaf(Leaf.MEM_TRACK, Cost.TRACK, Check.EPOCH, Effect.EPOCH, True, _EX),
    HostLeaf(Leaf.VP_ENTER, Cost.VP_ENTER, Check.ZERO_STEP, Effect.COUNT),
    HostLeaf(Leaf.MEM_PAGE_DEMOTE, Cost.DEMOTE, _ENTRY, _LOCKED, True, _SH),
    HostLeaf(Leaf.PHYMEM_PAGE_WBINVD, Cost.WBINVD, _NO_CHECK, _NO_EFFECT, is_per_page=True),
    HostLeaf(Leaf.MR_EXTEND, Cost.MR_EXTEND, _NO_CHECK, _NO_EFFECT),
    HostLeaf(Leaf.EXPORT_BLOCKW, Cost.EXPORT_BLOCKW, _ENTRY, _LOCKED, mirror=_SH),
    HostLeaf(Leaf.EXPORT_MEM, Cost.EXPORT_MEM, Check.WRITES, _LOCKED, mirror=_SH),
    HostLeaf(Leaf.EXPORT_UNBLOCKW, Cost.EXPORT_UNBLOCKW, _ENTRY, _LOCKED, mirror=_SH),
    HostLeaf(Leaf.VP_FLUSH, Cost.VP_FLUSH, _NO_CHECK, _NO_EFFECT),
    HostLeaf(Leaf.VP_CREATE, Cost.VP_CREATE, _NO_CHECK, _NO_EFFECT),
    HostLeaf(Leaf.VP_ADDCX, Cost.VP_ADDCX, _NO_CHECK, _NO_EFFECT),
    HostLeaf(Leaf.VP_INIT, Cost.VP_INIT, _NO_CHECK, _NO_EFFECT),
)
_MISSING = {leaf for leaf in Leaf if leaf <= LAST_SEAMCALL} ^ {row.leaf for row in HOST_LEAVES}
assert not _MISSING, f"HOST_LEAVES and the SEAMCALLs that are executed differ by {_MISSING}"


def _column(name: str, otherwise: int) -> NDArray[np.int64]:
    """Return one fact of each leaf, shape (N_LEAVES,); of those without a row what is given."""
    column = np.full(N_LEAVES, otherwise, np.int64)
    for row in HOST_LEAVES:
        column[row.leaf] = getattr(row, name)
    return column


def _may_poll() -> NDArray[np.bool_]:
    """Return for each leaf whether it looks for interrupts in some version of the module."""
    of_versions = [calls(version) for version in MODULE_VERSIONS]
    some = [
        any(leaf in table and table[leaf].is_interruptible for table in of_versions)
        for leaf in Leaf
    ]
    return np.array(some, np.bool_)


COST = _column("cost", NONE)  # a Cost, or NONE: no such call may be issued
COST_2M = _column("cost_2m", NONE)
CHECK = _column("check", Check.UNKNOWN)
EFFECT = _column("effect", Effect.UNKNOWN)
IS_SEPT = _column("is_sept", False)
IS_PER_PAGE = _column("is_per_page", False)
MIRROR_MODE = _column("mirror", NONE)
_FREE_OF_EPOCH = (Leaf.MEM_SEPT_ADD, Leaf.MEM_PAGE_AUG, Leaf.MEM_RANGE_BLOCK)
LOOKS_AT_EPOCH = (CHECK == Check.EPOCH) | (CHECK == Check.ENTRY) | (CHECK == Check.WRITES)
LOOKS_AT_EPOCH[list(_FREE_OF_EPOCH)] = False
IS_LIST = call_flags("is_list")
MAY_POLL = _may_poll()
