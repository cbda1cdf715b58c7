"""The costs of the model, by name; scenarios give each a range and a source."""

from enum import IntEnum


class Cost(IntEnum):
    """A duration in cycles, drawn once an episode; the number is an index into the cost array."""

    BARE = 0
    TO_TDR = 1
    TO_TREE = 2
    TO_ENTRY = 3
    TO_EPOCH = 4
    EPOCH_HOLD = 5
    ARMED_WALK = 6
    SEPT_ADD = 7
    PAGE_AUG = 8
    PAGE_AUG_2M = 9
    PAGE_REMOVE = 10
    RANGE_BLOCK = 11
    RANGE_UNBLOCK = 12
    TRACK = 13
    VP_ENTER = 14
    TD_EXIT = 15
    INVEPT = 16
    PAGE_ADD = 17
    MR_EXTEND = 18
    DEMOTE = 19
    WBINVD = 20
    CLEAR = 21
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
    TDCALL = 35
    ACCEPT_4K = 36
    ACCEPT_2M = 37
    ATTR_HOLD = 38
    VE = 39
    TOUCH = 40
    GUEST_RETRY = 41
    EXPORT_BLOCKW = 42
    EXPORT_MEM = 43
    EXPORT_UNBLOCKW = 44
    VP_FLUSH = 45
    VP_CREATE = 46
    VP_ADDCX = 47
    VP_INIT = 48
    SRCU = 49
    SWITCH = 50
    SLICE = 51
    IRQ_OFF = 52
    REMOTE_LINE = 53
    KICK_REMOTE = 54
    KICK_SCAN = 55
    KICK_ICR = 56
    IPI_DELIVERY = 57
    KICK_HANDLER = 58
    KICK_ACK = 59
    PAMT_PAGES = 60
    PAMT_COUNT = 61
    PAMT_ADD = 62
    PAMT_REMOVE = 63


N_COSTS = len(Cost)

# What each is used for; "a successful call" is all of it, the way to its locks included.
COST_USES: dict[Cost, str] = {
    Cost.BARE: "SEAMCALL and SEAMRET: half of it before a call's first lock, half after its last",
    Cost.TO_TDR: "every call, from the first half of bare to its locks of TDR and OP_STATE",
    Cost.TO_TREE: "S-EPT calls, from there to the tree lock",
    Cost.TO_ENTRY: "S-EPT calls, walk from there to the entry lock; for each entry of a list",
    Cost.TO_EPOCH: "TRACK and VP.ENTER, from OP_STATE to the epoch lock",
    Cost.EPOCH_HOLD: "TRACK and VP.ENTER, critical section under the epoch lock",
    Cost.ARMED_WALK: "VP.ENTER of an armed vCPU, the walk of one listed GPA, exclusive tree lock",
    Cost.SEPT_ADD: "MEM.SEPT.ADD, a successful call",
    Cost.PAGE_AUG: "MEM.PAGE.AUG of a 4K page, a successful call",
    Cost.PAGE_AUG_2M: "MEM.PAGE.AUG of a 2M page, a successful call",
    Cost.PAGE_REMOVE: "MEM.PAGE.REMOVE, a successful call",
    Cost.RANGE_BLOCK: "MEM.RANGE.BLOCK, a successful call",
    Cost.RANGE_UNBLOCK: "MEM.RANGE.UNBLOCK, a successful call",
    Cost.TRACK: "MEM.TRACK, a successful call",
    Cost.VP_ENTER: "VP.ENTER up to the guest, a successful call",
    Cost.TD_EXIT: "TD exit, from the guest back to KVM",
    Cost.INVEPT: "VP.ENTER, flush at the first entry in a new epoch; KVM's flush of the shared EPT",
    Cost.PAGE_ADD: "MEM.PAGE.ADD, a successful call",
    Cost.MR_EXTEND: "MR.EXTEND of 256 bytes, a successful call; 16 for each page that is added",
    Cost.DEMOTE: "MEM.PAGE.DEMOTE of a 2M page, a successful call",
    Cost.WBINVD: "PHYMEM.PAGE.WBINVD of one 4K page, 512 times for a 2M page",
    Cost.CLEAR: "KVM clears one removed 4K page, 512 times for a 2M page",
    Cost.FAULT_SOFTWARE: "KVM's fault path, each pass up to mmu_lock",
    Cost.FAULT_LOCKED: "KVM's fault path, walk of the mirror under mmu_lock",
    Cost.ZAP_SOFTWARE: "KVM's zap and split paths under mmu_lock, once a page, without their calls",
    Cost.UNWIND: "KVM's fault path when it gives up: SPTE, table and lock back",
    Cost.MMU_HANDOFF: "a lock of the host, from its release to the next in the queue",
    Cost.RUN_LOOP: "KVM's run loop, each time up to VP.ENTER",
    Cost.GATE_POLL: "one round of a gated vCPU thread: how late it sees that the gate is open",
    Cost.IRQ_HANDLER: "host's handler of a tick or device interrupt",
    Cost.IRQ_WINDOW: "interrupts on and off before VP.ENTER or an interrupted call is repeated",
    Cost.USER_EXIT: "to user space and back: MapGPA, -EAGAIN, signals, faults that it leaves alone",
    Cost.KICK_FIXED: "sender of a kick: once, whoever is in the guest",
    Cost.KICK_TARGET: "sender of a kick: mode and request queue of each vCPU in the guest",
    Cost.RESCHED: "YIELD where KVM gives its CPU up, and KVM's own cond_resched between pages",
    Cost.TDCALL: "TDCALL round trip, without its work",
    Cost.ACCEPT_4K: "MEM.PAGE.ACCEPT of 4K: initialises the page under the entry lock",
    Cost.ACCEPT_2M: "MEM.PAGE.ACCEPT of 2M: the same for 512 pages, interruptible between them",
    Cost.ATTR_HOLD: "entry lock of a guest call that only looks at the entry's state",
    Cost.VE: "#VE delivery and the guest's handler up to ACCEPT",
    Cost.TOUCH: "the guest copies one 4K page",
    Cost.GUEST_RETRY: "the guest's pause before it repeats a busy TDCALL",
    Cost.EXPORT_BLOCKW: "EXPORT.BLOCKW, work on one entry of the list",
    Cost.EXPORT_MEM: "EXPORT.MEM, encrypting one 4K page of the list",
    Cost.EXPORT_UNBLOCKW: "EXPORT.UNBLOCKW, a successful call",
    Cost.VP_FLUSH: "VP.FLUSH of a vCPU that has changed its CPU, a successful call",
    Cost.VP_CREATE: "VP.CREATE, a successful call",
    Cost.VP_ADDCX: "VP.ADDCX, a successful call; five for each vCPU",
    Cost.VP_INIT: "VP.INIT, a successful call",
    Cost.SRCU: "deletion of a memslot: expedited grace period, beside waiting for the readers",
    Cost.SWITCH: "from one vCPU thread to the next on a CPU",
    Cost.SLICE: "how long a vCPU thread has its CPU if others wait for it",
    Cost.IRQ_OFF: "length of an irq-off section, at whose end an IPI arrives",
    Cost.REMOTE_LINE: "every call that follows one of another socket: fetching the TD's lock words",
    Cost.KICK_REMOTE: "sender of a kick: for each target on another socket, beyond target and ack",
    Cost.KICK_SCAN: "sender of a kick: for each vCPU outside the guest; a request in each vCPU",
    Cost.KICK_ICR: "sender of a kick: one write of the ICR, for each cluster of CPUs",
    Cost.IPI_DELIVERY: "an IPI, from the write of the ICR to its arrival",
    Cost.KICK_HANDLER: "target of a kick: handler and answer, after its TD exit",
    Cost.KICK_ACK: "sender of a kick: reading each target's answer, after the last one",
    Cost.PAMT_PAGES: "tdx_pamt_get: taking two pages and giving them back, before its lock",
    Cost.PAMT_COUNT: "tdx_pamt_get and put: counting a page, under the lock or by an atomic",
    Cost.PAMT_ADD: "PHYMEM.PAMT.ADD, a successful call, under Dynamic PAMT's lock",
    Cost.PAMT_REMOVE: "PHYMEM.PAMT.REMOVE, a successful call, under Dynamic PAMT's lock",
}
