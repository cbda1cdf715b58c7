"""The costs of the model, by name; scenarios give each a range and a source."""

from enum import IntEnum


class Cost(IntEnum):
    """A duration in cycles, drawn once an episode; the number is an index into the cost array."""

    BARE = 0  # SEAMCALL + SEAMRET
    TO_TDR = 1  # from half of that to the TDR and OP_STATE locks
    TO_TREE = 2  # from there to the tree lock
    TO_ENTRY = 3  # from there, the S-EPT walk, to the entry lock
    TO_EPOCH = 4  # from OP_STATE to the epoch lock
    EPOCH_HOLD = 5  # critical section under the epoch lock
    ARMED_WALK = 6  # zero-step walk under the exclusive tree lock
    SEPT_ADD = 7
    PAGE_AUG = 8
    PAGE_AUG_2M = 9
    PAGE_REMOVE = 10
    RANGE_BLOCK = 11
    RANGE_UNBLOCK = 12
    TRACK = 13
    VP_ENTER = 14
    TD_EXIT = 15
    INVEPT = 16  # flush at the first VP.ENTER of a new epoch
    PAGE_ADD = 17
    MR_EXTEND = 18
    DEMOTE = 19
    WBINVD = 20  # PHYMEM.PAGE.WBINVD of one 4K page
    CLEAR = 21  # clearing one removed 4K page
    FAULT_SOFTWARE = 22
    FAULT_LOCKED = 23
    ZAP_SOFTWARE = 24
    UNWIND = 25
    MMU_HANDOFF = 26
    RUN_LOOP = 27
    GATE_POLL = 28
    IRQ_HANDLER = 29
    IRQ_WINDOW = 30
    USER_EXIT = 31
    KICK_FIXED = 32
    KICK_TARGET = 33
    RESCHED = 34
    TDCALL = 35  # TDCALL round trip without its work
    ACCEPT_4K = 36  # entry lock held while one 4K page is initialised
    ACCEPT_2M = 37  # the same for all of a 2M page
    ATTR_HOLD = 38  # entry lock held for a state check only
    VE = 39  # #VE delivery and handler up to ACCEPT
    TOUCH = 40  # copying one 4K page
    GUEST_RETRY = 41  # guest's pause before it repeats a busy TDCALL
    EXPORT_BLOCKW = 42  # work on one entry of the list
    EXPORT_MEM = 43  # encrypting one 4K page of the list
    EXPORT_UNBLOCKW = 44
    VP_FLUSH = 45
    VP_CREATE = 46
    VP_ADDCX = 47
    VP_INIT = 48
    SRCU = 49  # expedited grace period beside waiting for the readers
    SWITCH = 50  # from one vCPU thread to the next on a CPU
    SLICE = 51  # how long a vCPU thread has its CPU if others wait for it
    IRQ_OFF = 52  # length of an irq-off section
    REMOTE_LINE = 53  # fetching the TD's lock words from another socket's cache
    KICK_REMOTE = 54  # what an IPI to another socket costs beyond kick_target


N_COSTS = len(Cost)
