"""The host discipline: what a policy brings along beside its decision function."""

from enum import IntEnum

import numpy as np

from tdx_env.state.calls import N_LEAVES

UNLIMITED = 1 << 30


class Action(IntEnum):
    """What may be decided at a busy reply."""

    RETRY = 0
    KICK = 1
    YIELD = 2


N_ACTIONS = len(Action)
ASK = -1  # answer of a decision function that leaves the choice to the caller


class SeamcallLock(IntEnum):
    """Whether a per-VM spinlock stands round the S-EPT SEAMCALLs."""

    NEVER = 0
    ALWAYS = 1
    AFTER_BUSY = 2


class GateScope(IntEnum):
    """What a decided kick keeps the vCPUs out for."""

    NOTHING = 0
    CALL = 1
    PAGE = 2


class Exhaustion(IntEnum):
    """What happens when a SEAMCALL was busy as often as the discipline allows."""

    KILL = 0  # KVM_BUG_ON: the TD is dead
    REENTER = 1  # unwind, back to the guest
    LOCAL_RETRY = 2  # unwind, then retry the fault inside KVM
    USER_ERROR = 3  # -EAGAIN or -EBUSY to user space, which calls again
    GATED_KICK = 4  # kick and gate, then again, for ever
    SWALLOW = 5  # the caller ignores the error and goes on (bug B1)


class OnFrozen(IntEnum):
    """What a fault does that meets a FROZEN SPTE."""

    LOCAL_RETRY = 0
    REENTER = 1
    WALK_AGAIN = 2  # up to `walks_again` times under mmu_lock, then as `fault_yield`


class FaultYield(IntEnum):
    """What YIELD means in the fault path."""

    LOCAL_RETRY = 0
    REENTER = 1


class EnterYield(IntEnum):
    """What YIELD means when VP.ENTER was busy."""

    FASTPATH = 0  # leave the fast path, go round the run loop
    BARRIER = 1  # take and drop mmu_lock for write, then the run loop


DISCIPLINE_FIELDS = [
    ("max_issues", np.int32, (N_LEAVES,)),  # issues of one SEAMCALL, the first included
    ("on_exhaustion", np.int32, (N_LEAVES,)),  # an Exhaustion
    ("tree_only", np.int32, (N_LEAVES,)),  # 1: any operand but SEPT_TREE is exhaustion at once
    ("seamcall_lock", np.int32),  # a SeamcallLock
    ("gate_scope", np.int32),  # a GateScope
    ("gate_first", np.int32),  # 1: zap kicks and gates before BLOCK, to the end of the page
    ("on_frozen", np.int32),  # an OnFrozen
    ("walks_again", np.int32),
    ("fault_yield", np.int32),  # a FaultYield
    ("enter_yield", np.int32),  # an EnterYield
    ("zap_yield", np.int32),  # 1: YIELD is allowed in the zap path (needs a KVM change)
    ("kick_flagged", np.int32),  # 1: a fault after a tree-busy VP.ENTER kicks before AUG
    ("enter_irqs_off", np.int32),  # 1: RETRY of VP.ENTER keeps interrupts off (bug B8)
    ("decision_cycles", np.int32),  # what one decision costs [cycles]
]
DISCIPLINE = np.dtype(DISCIPLINE_FIELDS, align=True)
