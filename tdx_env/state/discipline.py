"""The host discipline: what a policy brings along beside its decision function."""

from enum import IntEnum

import numpy as np

from tdx_env.state.calls import N_LEAVES

UNLIMITED = 1 << 30


class Action(IntEnum):
    """What may be decided at a busy reply, and at a flush point of a zap."""

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
    MIRROR = 3  # a rwlock round each call, in the mode in which the module takes its tree lock


class HostLock(IntEnum):
    """A lock of the host beside mmu_lock, with a fair queue of readers and writers."""

    SEAMCALL = 0  # a discipline puts it round SEAMCALLs
    TRACK = 1  # beside MIRROR: TRACK and its kick, one at a time
    PAMT = 2  # Dynamic PAMT's, of the whole host
    FILE = 3  # of the guest_memfd file, for which its waiters sleep


N_HOST_LOCKS = len(HostLock)


class TrackKick(IntEnum):
    """When TRACK's unconditional kick comes."""

    AFTER = 0  # TRACK, then the kick
    BEFORE = 1  # kick with a gate, TRACK, gate open


class SplitCheck(IntEnum):
    """When a fault that asks for 4K takes mmu_lock for write because of a 2M mapping."""

    FLAG = 0  # only if there is one
    LOCKED = 1  # always: it looks under the lock


class KickFlagged(IntEnum):
    """When the next fault of a vCPU kicks before AUG."""

    NEVER = 0
    BUSY = 1  # after a tree-busy VP.ENTER
    ZERO_STEP = 2  # after a synthetic exit too


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
    SWALLOW = 5  # a split ignores the error and goes on (bug B1); elsewhere KVM_BUG_ON
    GATED_KICK_ONCE = 6  # kick and gate, as many tries again, then KVM_BUG_ON


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


class Asks(IntEnum):
    """The points at which a decision is asked for."""

    BUSY = 0  # busy replies and interrupted calls; flush points are the discipline's
    FLUSH = 1  # flush points; a busy call is issued again
    ALL = 2


class Waiting(IntEnum):
    """How a flush rule weighs the waiting for mmu_lock against the price of a flush."""

    NONE = 0  # not at all
    GREEDY = 1  # flush when it has reached the price
    RANDOM = 2  # flush when it has reached a share of the price, drawn for each batch
    ROOT = 3  # flush when it has reached what is best at the average rate of waiters


FLUSH_FIELDS = [
    ("is_decided", np.int32),  # 1: somebody is asked after each BLOCK, if `asks` has it so
    ("pages", np.int32),  # flush when so many are blocked
    ("held_us", np.int32),  # flush when the batch is so old [µs], 0: however old
    ("contended", np.int32),  # 1: flush when somebody waits for mmu_lock
    ("resched", np.int32),  # 1: flush when somebody else is to have the CPU
    ("waiting", np.int32),  # a Waiting
    ("price_percent", np.int32),  # what the price of a flush is taken for [%]
    ("sees_count", np.int32),  # 1: the rule knows how many wait, else only whether somebody does
]
FLUSH = np.dtype(FLUSH_FIELDS, align=True)
DISCIPLINE_FIELDS = [
    ("max_issues", np.int32, (N_LEAVES,)),  # issues of one SEAMCALL, the first included
    ("on_exhaustion", np.int32, (N_LEAVES,)),  # an Exhaustion
    ("tree_only", np.int32, (N_LEAVES,)),  # 1: any operand but SEPT_TREE ends the tries at once
    ("on_foreign", np.int32, (N_LEAVES,)),  # what then happens: an Exhaustion
    ("seamcall_lock", np.int32),  # a SeamcallLock
    ("gate_scope", np.int32),  # a GateScope
    ("gate_first", np.int32),  # 1: zap kicks and gates before BLOCK, to the end of the page
    ("on_frozen", np.int32),  # an OnFrozen
    ("walks_again", np.int32),
    ("fault_yield", np.int32),  # a FaultYield
    ("enter_yield", np.int32),  # an EnterYield
    ("zap_yield", np.int32),  # 1: YIELD is allowed in the zap path (needs a KVM change)
    ("kick_flagged", np.int32),  # a KickFlagged
    ("track_kick", np.int32),  # a TrackKick
    ("flush", FLUSH),  # when a zap stops blocking pages, and stops the vCPUs
    ("asks", np.int32),  # an Asks
    ("prepopulate", np.int32),  # 1: all private memory is there before the TD runs
    ("kernel", np.int32),  # place in `state.kernels.KERNELS`, or OF_SCENARIO
    ("split_check", np.int32),  # a SplitCheck
    ("split_read", np.int32),  # 1: a fault splits under mmu_lock for read
    ("irqs_off", np.int32),  # 1: interruptible SEAMCALLs are issued with interrupts off
    ("max_interrupted", np.int32),  # times that one SEAMCALL may be interrupted, then KVM_BUG_ON
    ("enter_irqs_off", np.int32),  # 1: RETRY of VP.ENTER keeps interrupts off (bug B8)
    ("decision_cycles", np.int32),  # what one decision costs [cycles]
]
DISCIPLINE = np.dtype(DISCIPLINE_FIELDS, align=True)
