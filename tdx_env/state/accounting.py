"""Where cycles go: one table of categories."""

from enum import IntEnum

import numpy as np


class Category(IntEnum):
    """What a CPU's cycles are booked to; each cycle of each CPU has exactly one."""

    GUEST_COMPUTE = 0
    GUEST_ACCEPT = 1
    GUEST_BUSY = 2
    GUEST_PRIORITY_STALL = 3
    EXIT_ENTRY = 4
    KICK_TARGET = 5
    TRACK_KICK = 6
    SEAMCALL = 7
    SEAMCALL_BUSY = 8
    MMU_LOCK_WAIT = 9
    SEAMCALL_LOCK_WAIT = 10
    IPI_SEND = 11
    KICK_WAIT = 12
    GATED = 13
    REFAULT = 14
    SYNTHETIC_EXIT = 15
    UNWIND = 16
    DECISION = 17
    YIELD = 18
    HOST_WORK = 19
    HOST_IRQ = 20
    IDLE = 21
    RUNNABLE = 22
    PAMT_LOCK_WAIT = 23


N_CATEGORIES = len(Category)

# (category, is_waste, is_overhead, meaning). Waste counts in the reward; overhead also has what a
# discipline could avoid but no decision can: TRACK's unconditional kick, the shared EPT's flush.
CATEGORY_TABLE: list[tuple[Category, bool, bool, str]] = [
    (Category.GUEST_COMPUTE, False, False, "guest computes or touches memory"),
    (Category.GUEST_ACCEPT, False, False, "guest TDCALLs that did something"),
    (Category.GUEST_BUSY, True, True, "guest TDCALLs that found the entry locked, and their pause"),
    (Category.GUEST_PRIORITY_STALL, True, True, "guest TDCALLs refused by host priority"),
    (Category.EXIT_ENTRY, False, False, "first TD exit and VP.ENTER of a tick, HLT, fault, MapGPA"),
    (Category.KICK_TARGET, True, True, "exit, interrupt and re-entry caused by a decided kick"),
    (Category.TRACK_KICK, False, True, "TRACK's unconditional kick and the flush that ends a zap"),
    (Category.SEAMCALL, False, False, "SEAMCALLs that succeeded"),
    (Category.SEAMCALL_BUSY, True, True, "SEAMCALLs that came back busy or failed"),
    (Category.MMU_LOCK_WAIT, True, True, "waiting for mmu_lock"),
    (Category.SEAMCALL_LOCK_WAIT, True, True, "waiting for the discipline's SEAMCALL lock"),
    (Category.IPI_SEND, True, True, "sending the IPIs of a decided kick"),
    (Category.KICK_WAIT, True, True, "waiting for the kicked vCPUs"),
    (Category.GATED, True, True, "vCPU threads kept out of VP.ENTER"),
    (Category.REFAULT, True, True, "second and later passes over one fault, and their round trips"),
    (Category.SYNTHETIC_EXIT, True, True, "VP.ENTER that ended in zero-step's synthetic exit"),
    (Category.UNWIND, True, True, "giving up a pass of the fault path"),
    (Category.DECISION, True, True, "working out a decision"),
    (Category.YIELD, True, True, "off the CPU with an unfinished operation"),
    (Category.HOST_WORK, False, False, "KVM's first pass of a path, user space"),
    (Category.HOST_IRQ, False, False, "timer and device interrupts"),
    (Category.IDLE, False, False, "halted, parked or between work items"),
    (Category.RUNNABLE, False, False, "vCPU threads without a CPU, which another thread has"),
    (Category.PAMT_LOCK_WAIT, True, True, "waiting for Dynamic PAMT's lock, which is host-wide"),
]
IS_WASTE = np.array([row[1] for row in CATEGORY_TABLE], dtype=np.int64)
IS_OVERHEAD = np.array([row[2] for row in CATEGORY_TABLE], dtype=np.int64)
