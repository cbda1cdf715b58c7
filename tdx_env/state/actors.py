"""Actors: vCPU threads and host tasks, what they are doing, and their records."""

from enum import IntEnum

import numpy as np

from tdx_env.state.accounting import N_CATEGORIES
from tdx_env.state.discipline import N_HOST_LOCKS

NEVER = 1 << 62  # due time of an actor that waits for somebody else [cycles]
MAX_GPAS = 32  # capacity of a vCPU's zero-step list


class State(IntEnum):
    """What an actor is doing; its ``due`` is when that ends (NEVER: somebody else ends it)."""

    PARKED = 0  # a vCPU that never runs
    COMPUTE = 1  # guest: thinking between two work items, or spinning for ever
    TDCALL = 2  # guest: inside a TDCALL, before its try of the entry lock
    HOLD = 3  # guest: inside a TDCALL that holds an entry lock
    TDCALL_RETURN = 4  # guest: on the way back from a TDCALL
    TOUCH = 5  # guest: reads or writes a mapped page
    VE = 6  # guest: in its #VE handler, before ACCEPT
    RETRY_WAIT = 7  # guest: waits before it repeats a busy TDCALL
    TD_EXIT = 8  # module: leaving the guest
    HOST_IRQ = 9  # host: interrupt handler
    HALTED = 10  # host: the vCPU executed HLT
    USER_EXIT = 11  # host: round trip to user space
    RUN_LOOP = 12  # host: KVM's run loop before VP.ENTER
    GATED = 13  # host: kept out of VP.ENTER, busy-looping
    FAULT_SOFTWARE = 14  # host: fault path before mmu_lock
    FAULT_LOCKED = 15  # host: fault path under mmu_lock, walking
    UNWIND = 16  # host: fault path, giving up this pass
    MMU_WAIT = 17  # host: queued on mmu_lock
    MMU_GRANTED = 18  # host: mmu_lock was handed over
    SEAMCALL_LOCK_WAIT = 19  # host: queued on the SEAMCALL lock
    SEAMCALL = 20  # module: inside a SEAMCALL
    SEAM_RETURN = 21  # module: a SEAMCALL failed and is on its way back
    DECIDED = 22  # host: working out a decision
    KICK_SEND = 23  # host: sending IPIs
    KICK_WAIT = 24  # host: waiting until the last kicked vCPU has left the guest
    ZAP_SOFTWARE = 25  # host: zap path before BLOCK
    ZAP_CLEAR = 26  # host: clears a removed page
    RESCHED = 27  # host: dropped mmu_lock and rescheduled
    THINK = 28  # host task: between two work items
    WAIT_TRIGGER = 29  # host task: until a vCPU has reached a work item
    HOLD_BLOCKED = 30  # host task: keeps a page blocked
    FINISHED = 31  # host task: all work done
    IRQ_SERVE = 32  # host: serves the interrupt that ended its SEAMCALL
    GUARD_WAIT = 33  # host task: sleeps until slots_lock or the build guard is free
    SRCU_WAIT = 34  # host task: waits for SRCU's readers
    RUNNABLE = 35  # vCPU thread: waits for a CPU
    VCPU_LOAD = 36  # vCPU thread: its old CPU is asked for VP.FLUSH
    FLUSH_TLB = 37  # host: INVEPT for the shared EPT, between run loop and VP.ENTER
    PAMT_PAGES = 38  # host: takes two pages that a PAMT may need
    PAMT_WAIT = 39  # host: spins for Dynamic PAMT's lock
    PAMT_HELD = 40  # host: counts a page, adds or removes its block's PAMT
    FILE_WAIT = 41  # host: sleeps until the guest_memfd file's lock is free


class Program(IntEnum):
    """What a vCPU runs."""

    PARKED = 0  # nothing: the TD is being built
    COMPUTE = 1  # spins in the guest for ever (background)
    IDLE = 2  # executes HLT, wakes by ticks (background)
    TOUCH = 3  # touches pages, one a work item
    ACCEPT = 4  # accepts pages, 4K or 2M, one a work item
    CONVERT = 5  # asks for private to shared conversion, one chunk a work item
    HAMMER = 6  # repeats a TDCALL on the entry the host works on (background, hostile)


class Task(IntEnum):
    """What a host task does."""

    ZAP = 0  # removes chunks of pages
    BLOCK_RESTORE = 1  # blocks a mapped page, waits, unblocks it
    BUILD = 2  # adds and measures pages before the TD runs
    EXPORT = 3  # live migration: blocks pages for writing and exports them, list by list
    SLOT_DELETE = 4  # deletes a memslot and creates it anew
    PREFAULT = 5  # KVM_PRE_FAULT_MEMORY: adds pages before the guest asks for them
    INIT_VCPU = 6  # creates and initialises vCPUs before the TD runs
    OTHER_TDS = 7  # vCPUs of other TDs get pages, for ever (background)


class Phase(IntEnum):
    """Where in a work item a vCPU is."""

    THINK = 0
    INSTRUCTION = 1


class Exit(IntEnum):
    """Why a vCPU leaves the guest."""

    TICK = 0  # timer or device interrupt, the guest's or the host's
    KICK = 1  # IPI
    EPT_VIOLATION = 2
    HLT = 3
    MAP_GPA = 4
    HOST_PRIORITY_TIMEOUT = 5
    SIGNAL = 6  # not an exit of its own: KVM returns to user space for a signal
    ARM_TIMER = 7  # TDVMCALL: the guest's tick handler arms the next TSC_DEADLINE


class CallPath(IntEnum):
    """The call chain that a decision belongs to."""

    FAULT = 0
    ZAP = 1
    ENTER = 2
    BUILD = 3
    EXPORT = 4
    INTERRUPTED = 5  # in whatever chain, a SEAMCALL came back for an interrupt
    FLUSH = 6  # a zap has blocked a page and could block another one


class Purpose(IntEnum):
    """What follows when a lock was taken, a kick has ended or a page's PAMT was counted."""

    NONE = 0
    FAULT = 1  # walk the mirror
    ZAP = 2  # next page of the chunk
    REISSUE = 3  # the same SEAMCALL again
    BARRIER = 4  # drop mmu_lock at once, back to the run loop
    BLOCK = 5  # issue RANGE.BLOCK
    UNBLOCK = 6  # issue RANGE.UNBLOCK
    REMOVE = 7  # after TRACK's unconditional kick
    AUG = 8  # after the kick of a flagged fault
    TRACK = 9  # after the kick that comes before TRACK
    DEMOTE = 10  # after TRACK's kick, in a split
    EXPORT = 11  # after TRACK's kick, in an export: EXPORT.MEM
    SPLIT = 12  # a fault splits the 2M mapping in its way
    CALL_AGAIN = 13  # the build ioctl is called again
    BEGIN = 14  # the task's item begins
    NEXT_PAGE = 15  # the shared EPT is flushed: make way, or end the chunk
    YIELD = 16  # the shared EPT is flushed: drop mmu_lock in the middle of a page
    VP_INIT = 17  # issue VP.INIT
    ADD = 18  # the page's PAMT is there: the call that needs it
    GIVEN_UP = 19  # its PAMT is given back: the pass over the fault ends
    CLEARED = 20  # its PAMT is given back: the removed page is done
    RETURNED = 21  # its PAMT is given back: PAGE.ADD is given up
    OTHER = 22  # a page of another TD is counted


class Kick(IntEnum):
    """Which kick an IPI belongs to."""

    NONE = 0
    DECISION = 1
    TRACK = 2
    FLUSH = 3  # kvm_flush_remote_tlbs


class Spte(IntEnum):
    """State of a mirror SPTE."""

    ABSENT = 0
    FROZEN = 1
    PRESENT = 2


class Purge(IntEnum):
    """What a fault on a page finds in KVM's attributes."""

    PRIVATE = 0
    USER = 1  # a fault exits to user space, which only comes back (shared, or being worked on)
    DYING = 2  # the memslot is being deleted: RET_PF_RETRY


ACTOR_FIELDS = [
    ("since", np.int64),  # start of the activity that is not booked yet [cycles]
    ("remaining", np.int64),  # compute or touch cycles left in this phase
    ("started", np.int64),  # start of the current stretch of compute, touch or hold [cycles]
    ("tick_at", np.int64),  # next timer interrupt [cycles]
    ("device_at", np.int64),  # next device interrupt [cycles]
    ("host_tick_at", np.int64),  # next timer interrupt of the host's own [cycles]
    ("arm_at", np.int64),  # when the guest's tick handler arms its timer [cycles]
    ("ipi_at", np.int64),  # arrival of the pending IPI, or NEVER [cycles]
    ("kick_seq", np.int64),  # number of the first kick that waits for this vCPU, or 0
    ("kick_number", np.int64),  # number of the own kick under way
    ("kick_begun", np.int64),  # own kick [cycles]
    ("kick_started", np.int64),  # own kick: all but its targets is done; all is sent [cycles]
    ("answered_at", np.int64),  # own kick: the last target left the guest [cycles]
    ("exit_started", np.int64),  # last TD exit [cycles]
    ("call_started", np.int64),  # first issue of the current SEAMCALL [cycles]
    ("busy_cycles", np.int64),  # own cycles in busy issues of it
    ("issued", np.int64),  # this issue of it [cycles]
    ("operation_started", np.int64),  # current fault or page zap, or NONE [cycles]
    ("operation_id", np.int64),  # number of the operation
    ("operation_cost", np.int64),  # waste booked on this actor since the operation began [cycles]
    ("fault_since", np.int64),  # exit of the fault that the guest waits for, or NONE [cycles]
    ("chunk_since", np.int64),  # asked for mmu_lock to zap the chunk, or NONE [cycles]
    ("nonpreemptible_since", np.int64),  # preemption off since, or NONE [cycles]
    ("busy_since", np.int64),  # issue of the last busy call not yet charged to a cell, or NONE
    ("vcpu_epoch", np.int64),  # epoch sampled at the last VP.ENTER
    ("hp_since", np.int64),  # first host-priority busy of a run [cycles]
    ("entry_rip", np.int64),  # RIP at the last VP.ENTER
    ("entry_remaining", np.int64),  # compute left at the last VP.ENTER
    ("rip", np.int64),  # RIP, as a number of the place in the program
    ("state", np.int32),  # a State
    ("category", np.int32),  # Category the open activity is booked to
    ("party", np.int32),  # a Party: what it is to the owners of cycles
    ("trip", np.int32),  # Category of the current exit and re-entry
    ("group", np.int32),  # row of the guest or host group
    ("member", np.int32),  # number within the group
    ("item", np.int32),  # current work item
    ("attempt", np.int32),  # draws taken within the work item
    ("phase", np.int32),  # a Phase
    ("exit", np.int32),  # an Exit
    ("mode", np.int32),  # 1: IN_GUEST_MODE (as vcpu->mode), else OUTSIDE_GUEST_MODE
    ("cluster", np.int32),  # CPUs that one write of the ICR reaches
    ("tick", np.int32),  # number of the next timer interrupt
    ("device", np.int32),  # number of the next device interrupt
    ("leaf", np.int32),  # Leaf of the current SEAMCALL or TDCALL
    ("step", np.int32),  # next step of its program
    ("entry", np.int32),  # its S-EPT entry, or NONE
    ("asked", np.int32),  # the entry that the guest's TDCALL asks for
    ("outcome", np.int32),  # an Outcome
    ("operand", np.int32),  # operand id of the status
    ("busy_operand", np.int32),  # operand id of the last busy reply to the current call
    ("held", np.int32),  # bit set of Locks the current call holds
    ("issues", np.int32),  # issues of the current SEAMCALL, this one included
    ("kicks", np.int32),  # kicks during the current SEAMCALL
    ("busies", np.int32),  # busy replies during the current operation
    ("path", np.int32),  # a CallPath
    ("question", np.int32),  # CallPath of the last decision asked for
    ("purpose", np.int32),  # a Purpose
    ("action", np.int32),  # the last decision
    ("fault_entry", np.int32),  # leaf entry of the fault being handled, or NONE
    (
        "accept_fault",
        np.int32,
    ),  # 1: the fault came from ACCEPT or ATTR; KVM can see that
    ("synthetic", np.int32),  # 1: the fault is zero-step's synthetic exit
    ("refault", np.int32),  # 1: an earlier pass over this fault did not resolve it
    ("repeats", np.int32),  # unresolved faults in a row on this vCPU
    ("walks", np.int32),  # walks repeated under mmu_lock in this pass
    ("flagged", np.int32),  # 1: VP.ENTER was busy on the tree; the next fault kicks first
    ("cursor", np.int32),  # next page of the chunk
    ("cursor_end", np.int32),  # one past its last page
    ("zapped", np.int32),  # pages zapped since mmu_lock was taken
    ("unflushed", np.int32),  # 1: a page was removed since the last kvm_flush_remote_tlbs
    ("has_mmu_lock", np.int32),  # 0 no, 1 read, 2 write
    ("has_lock", np.int32, (N_HOST_LOCKS,)),  # HostLocks: 0 no, 1 read, 2 write
    ("pamt_call", np.int32),  # 1: under Dynamic PAMT's lock PAMT.ADD is made
    ("has_gate", np.int32),
    ("kick_kind", np.int32),  # a Kick: what the own kick is booked to
    ("ipi_kind", np.int32),  # a Kick: what the pending IPI is booked to
    ("waiting", np.int32),  # kicked vCPUs that have not left the guest yet
    ("awaited", np.int32),  # of them those on the agenda
    ("zs_counter", np.int32),  # zero-step: exits counted
    ("zs_listed", np.int32),  # zero-step: GPAs listed
    ("hp_flagged", np.int32),  # guest's last TDCALL was refused by host priority
    ("cell", np.int32),  # cell of the busy matrix to charge, or NONE
    ("sent", np.int32),  # IPIs of the own kick
    ("targets", np.int32),  # vCPUs that it found in the guest
    ("flush_requested", np.int32),  # 1: KVM_REQ_TLB_FLUSH is set in this vCPU
    ("pending", np.int32),  # 1: the guest touched a PENDING page that KVM does not forgive
    ("reenters", np.int32),  # 1: after this unwinding the guest faults again
    ("counted", np.int32),  # 1: TLB tracking counts this vCPU as in the guest
    ("flushes", np.int32),  # 1: this VP.ENTER flushes the TLB (new epoch)
    ("extends", np.int32),  # MR.EXTEND calls left for the page being built
    ("queue_next", np.int32),  # next actor in the queue this one waits in, or NONE
    ("queue_write", np.int32),  # 1: waits for mmu_lock for write
    ("next_kicker", np.int32),  # next actor whose kick is under way, or NONE
    ("items", np.int32),  # work items in all
    ("program", np.int32),  # a Program, or NONE for a host task
    ("kind", np.int32),  # a Task, or NONE for a vCPU
    ("is_splitting", np.int32),  # 1: the page being zapped is a 2M mapping to be split
    ("batch_first", np.int32),  # first page of the batch that has one TRACK
    ("batch_end", np.int32),  # one past its last page once all are blocked, or NONE
    ("blocked", np.int32),  # pages of it that are blocked
    ("batch", np.int32),  # its number among the actor's
    ("makes_way", np.int32),  # 1: after this batch mmu_lock is dropped, as was decided
    ("resumes", np.int32),  # 1: gave its CPU up between two pages of a zap
    ("batch_opened", np.int64),  # the batch's first page was begun [cycles]
    ("contended_since", np.int64),  # first seen at a flush point that somebody waits, or NONE
    ("waited_before", np.int64),  # waiting for mmu_lock before the batch, of all threads [cycles]
    ("frozen_before", np.int64),  # faults that had met a FROZEN SPTE before the batch
    ("failed", np.int32),  # entries of the list that were busy
    ("interrupts", np.int32),  # how often the current SEAMCALL was interrupted
    ("srcu_waited", np.int32),  # 1: a memslot's deletion waits until this reader is through
    ("signal_every", np.int32),  # see GROUP
    ("signal", np.int32),  # 1: a signal is pending
    ("socket", np.int32),
    ("cpu", np.int32),  # pCPU that the vCPU thread has or had, or NONE
    ("moved", np.int32),  # 1: on another pCPU than before; VP.FLUSH comes first
    ("slice_end", np.int64),  # [cycles]
    ("small", np.int32),  # 4K page of the item's 2M page that the guest is at, or NONE
    ("must_arm", np.int32),  # 1: the guest serves a tick and arms the next
    ("pamt_since", np.int64),  # start of the last tdx_pamt_get [cycles]
    ("tick_period", np.int64),  # [cycles], 0: none
    ("host_tick_period", np.int64),  # [cycles], 0: none
    ("arm_cycles", np.int64),  # from entry to the arming of the timer, 0: no exit for it
    ("device_gap", np.int64),  # mean [cycles], 0: none
    ("booked", np.int64, (N_CATEGORIES,)),  # [cycles]
    ("gpas", np.int64, (MAX_GPAS,)),  # zero-step list: leaf entries
]
ACTOR = np.dtype(ACTOR_FIELDS, align=True)

ENTRY_FIELDS = [
    ("word", np.int64),  # the lock bits of the 64-bit S-EPT entry (bits 11 and 52)
    ("bepoch", np.int64),  # epoch of its last BLOCK
    ("holder", np.int32),  # actor that holds or last held the entry lock
    ("state", np.int16),  # an EntryState
    ("counter", np.int16),  # 2M ACCEPT: 4K pages done
    ("spte", np.int8),  # mirror SPTE, a Spte
    ("purge", np.int8),  # a Purge
    ("holder_leaf", np.int16),  # Leaf of the holder's call
    ("pamt", np.int32),  # PD entry: 4K pages that Dynamic PAMT counts in the region's block
]
ENTRY = np.dtype(ENTRY_FIELDS, align=True)
