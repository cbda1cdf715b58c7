"""SEAMCALLs: their programs run step by step, their effects, and what follows (section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Kick, Path, Purpose, Spte, State, Task
from tdx_env.state.calls import NONE, Delay, EntryState, Leaf, Lock, Mode, Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import GateScope, SeamcallLock
from tdx_env.state.features import TRIES_UNIT

from . import busy, exits, faults, kick, tasks
from .actors import (
    Actor,
    begin_operation,
    book,
    charge_cell,
    go,
    is_vp_enter,
    own_jitter,
)
from .draws import moved
from .locks import Result, SharedLock
from .programs import PROGRAMS, Step
from .sept import NEXT, Entry, check

if TYPE_CHECKING:
    from .world import OracleWorld

SEPT_CALLS = {
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_RANGE_BLOCK,
    Leaf.MEM_RANGE_UNBLOCK,
    Leaf.MEM_TRACK,
    Leaf.MEM_PAGE_DEMOTE,
}
EXTENDS = 16
PAGES_PER_2M = 512


def new_call(w: OracleWorld, a: Actor, leaf: Leaf, entry: Entry | None) -> None:
    """Begin a SEAMCALL: not yet busy, nothing tried."""
    a.call.leaf, a.call.entry = leaf, entry
    a.call.issues = a.call.kicks = a.call.busy_cycles = 0
    a.call.started = w.now
    if w.discipline.seamcall_lock == SeamcallLock.ALWAYS and leaf in SEPT_CALLS:
        take_mutex(w, a)
    else:
        issue(w, a)


def take_mutex(w: OracleWorld, a: Actor) -> None:
    """Take the SEAMCALL lock, then issue."""
    if w.mutex.request(a.number):
        issue(w, a)
    else:
        go(w, a, State.SEAMCALL_LOCK_WAIT, Category.SEAMCALL_LOCK_WAIT, None)


def drop_mutex(w: OracleWorld, a: Actor) -> None:
    """Hand the SEAMCALL lock to the next in the queue."""
    if w.mutex.owner == a.number:
        following = w.mutex.release()
        if following != NONE:
            w.actors[following].due = w.now + w.costs[Cost.MMU_HANDOFF]


def on_mutex(w: OracleWorld, a: Actor) -> None:
    """The SEAMCALL lock was handed over."""
    book(w, a)
    issue(w, a)


def issue(w: OracleWorld, a: Actor) -> None:
    """Issue the SEAMCALL once more."""
    charge_cell(w, a)
    call = a.call
    call.issues += 1
    w.n_seamcalls += 1
    call.issued = w.now
    call.held = set()
    call.step = 0
    call.is_counted = call.must_flush = False
    cycles = own_jitter(w, a, delay(w, a, Delay.TO_TDR))
    go(w, a, State.SEAMCALL, a.trip if is_vp_enter(a) else Category.SEAMCALL, cycles)


def delay(w: OracleWorld, a: Actor, kind: Delay) -> int:
    """Return the cycles of a delay in the actor's call."""
    cycles = w.delays[a.call.leaf][kind]
    is_large = a.call.entry is not None and a.call.entry.level == 1
    if kind == Delay.ARMED_WALK:
        return cycles if a.zs_list else 0
    if kind != Delay.BODY:
        return cycles
    if a.call.leaf == Leaf.VP_ENTER and a.call.must_flush:
        return cycles + w.costs[Cost.INVEPT]
    if a.call.leaf == Leaf.MEM_PAGE_AUG and is_large:
        return cycles + max(0, w.costs[Cost.PAGE_AUG_2M] - w.costs[Cost.PAGE_AUG])
    if a.call.leaf == Leaf.PHYMEM_PAGE_WBINVD and is_large:
        others = sum(w.delays[a.call.leaf][step[4]] for step in PROGRAMS[Leaf(a.call.leaf)])
        others -= cycles
        return PAGES_PER_2M * (cycles + others) - others
    return cycles


def on_seamcall(w: OracleWorld, a: Actor) -> None:
    """Do the step that is due and those at the same instant."""
    program = PROGRAMS[Leaf(a.call.leaf)]
    while True:
        step = program[a.call.step]
        if step[0] == Op.RETURN:
            book(w, a)
            succeeded(w, a)
            return
        if not do_step(w, a, step):
            return
        a.call.step += 1
        cycles = delay(w, a, program[a.call.step][4])
        if cycles > 0:
            a.due = w.now + cycles
            return


def do_step(w: OracleWorld, a: Actor, step: Step) -> bool:
    """Do one step; return False if the call failed there."""
    op, lock, mode, operand, _ = step
    if op == Op.CHECK:
        return check_call(w, a)
    if op == Op.COMMIT:
        commit(w, a)
    elif op == Op.RELEASE:
        drop(w, a, Lock(lock))
    elif op == Op.ACQUIRE or a.zs_list:
        if not take(w, a, Lock(lock), mode == Mode.EXCLUSIVE):
            fail(w, a, Outcome.OPERAND_BUSY, operand, Lock(lock))
            return False
        w.n_armed += op == Op.ACQUIRE_IF_ARMED
    return True


def shared_lock(w: OracleWorld, lock: Lock) -> SharedLock | None:
    """Return the TD's lock, None for those that are never refused here."""
    return {Lock.TDR: w.tdr, Lock.OP_STATE: w.op_state, Lock.TREE: w.tree, Lock.EPOCH: w.epoch}.get(
        lock
    )


def take(w: OracleWorld, a: Actor, lock: Lock, is_exclusive: bool) -> bool:
    """Try a lock for the host."""
    word = shared_lock(w, lock)
    if lock == Lock.ENTRY:
        assert a.call.entry is not None
        is_taken = a.call.entry.lock.take_as_host(a.call.leaf) == Result.TAKEN
    else:
        is_taken = word is None or word.take(a.number, is_exclusive, a.call.leaf)
    if is_taken:
        a.call.held.add(lock)
    return is_taken


def drop(w: OracleWorld, a: Actor, lock: Lock) -> None:
    """Let go of a lock if the call holds it."""
    if lock not in a.call.held:
        return
    a.call.held.remove(lock)
    word = shared_lock(w, lock)
    if lock == Lock.ENTRY:
        assert a.call.entry is not None
        a.call.entry.lock.drop()
    elif word is not None:
        word.drop(a.number)


def check_call(w: OracleWorld, a: Actor) -> bool:
    """The call's own checks; return False if one failed."""
    leaf = Leaf(a.call.leaf)
    outcome = Outcome.SUCCESS
    if leaf == Leaf.MEM_TRACK:
        if not w.epochs.can_track():
            outcome = Outcome.PREVIOUS_TLB_EPOCH_BUSY
    elif leaf == Leaf.VP_ENTER:
        for entry in a.zs_list:
            if exits.still_faults(w, entry):
                a.fault_entry = entry
                fail(w, a, Outcome.EPT_VIOLATION, 0, None)
                return False
    elif leaf in SEPT_CALLS:
        assert a.call.entry is not None
        outcome = check(leaf, a.call.entry, w.epochs, not w.is_building)
    if outcome != Outcome.SUCCESS:
        fail(w, a, outcome, 1, None)
        return False
    return True


def commit(w: OracleWorld, a: Actor) -> None:
    """The call's effect."""
    leaf, entry = Leaf(a.call.leaf), a.call.entry
    if leaf == Leaf.MEM_TRACK:
        w.epochs.td_epoch += 1
    elif leaf == Leaf.VP_ENTER:
        epoch = w.epochs.td_epoch
        w.epochs.in_guest[epoch & 1] += 1
        a.call.must_flush = a.vcpu_epoch != epoch
        a.vcpu_epoch = epoch
        a.call.is_counted = True
    else:
        assert entry is not None
        if leaf == Leaf.MEM_PAGE_ADD:
            entry.state = EntryState.MAPPED
            return
        entry.state = NEXT[leaf][entry.state]
        if leaf in (Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_REMOVE, Leaf.MEM_RANGE_BLOCK):
            entry.counter = 0
        if leaf == Leaf.MEM_PAGE_AUG:
            entry.bepoch = 0
        if leaf == Leaf.MEM_RANGE_BLOCK:
            entry.bepoch = w.epochs.td_epoch
        if leaf in (Leaf.MEM_SEPT_ADD, Leaf.MEM_RANGE_BLOCK):
            entry.lock.store(is_locked=True)
        else:
            entry.lock.store(is_locked=False)
            a.call.held.remove(Lock.ENTRY)


def fail(w: OracleWorld, a: Actor, outcome: Outcome, operand: int, lock: Lock | None) -> None:
    """The call ends without success: let go of everything, and back."""
    for held in list(a.call.held):
        drop(w, a, held)
    if a.call.is_counted:
        w.epochs.in_guest[a.vcpu_epoch & 1] -= 1
    a.call.outcome = outcome
    is_synthetic = is_vp_enter(a) and outcome == Outcome.EPT_VIOLATION
    category = Category.SYNTHETIC_EXIT if is_synthetic else Category.SEAMCALL_BUSY
    go(w, a, State.SEAM_RETURN, category, w.delays[a.call.leaf][Delay.LEAVE])
    if outcome == Outcome.OPERAND_BUSY:
        assert lock is not None
        a.call.operand = operand
        w.n_busy += 1
        word = a.call.entry.lock if lock == Lock.ENTRY and a.call.entry else shared_lock(w, lock)
        assert word is not None
        a.cell = (a.call.leaf, word.last_leaf, lock)
        a.busy_since = a.call.issued
        w.cells[a.cell][0] += 1


def on_seam_return(w: OracleWorld, a: Actor) -> None:
    """A failed call is back in KVM."""
    book(w, a)
    is_busy = a.call.outcome == Outcome.OPERAND_BUSY
    if is_vp_enter(a) and not (is_busy and w.discipline.enter_irqs_off):
        exits.leave_guest_mode(w, a)
    if is_busy:
        busy.on_busy(w, a)
    elif is_vp_enter(a) and a.call.outcome == Outcome.EPT_VIOLATION:
        w.n_synthetic += 1
        a.synthetic, a.accept_fault, a.exit = 1, 0, Exit.EPT_VIOLATION
        kick.release_gate(w, a)
        begin_operation(w, a)
        faults.begin_fault_pass(w, a)
    elif a.call.outcome == Outcome.GPA_RANGE_ALREADY_BLOCKED:
        succeeded(w, a)
    else:
        w.kill(a, a.call.leaf, a.call.outcome)


def succeeded(w: OracleWorld, a: Actor) -> None:
    """The call is over and taken as a success."""
    charge_cell(w, a)
    kind = busy.operand_class(a)
    if a.call.issues > 1 and kind is not None:
        w.tries[kind] = moved(w.tries[kind], TRIES_UNIT * a.call.issues)
    drop_mutex(w, a)
    is_first = w.discipline.gate_first and a.path == Path.ZAP
    outlasts = is_first or w.discipline.gate_scope == GateScope.PAGE
    if a.call.kicks > 0 and not outlasts:
        kick.release_gate(w, a)
    follow(w, a)


def follow(w: OracleWorld, a: Actor) -> None:
    """Go on with the chain that the call belongs to."""
    entry = a.call.entry
    match a.call.leaf:
        case Leaf.VP_ENTER:
            exits.entered(w, a)
        case Leaf.MEM_SEPT_ADD:
            entry.spte = Spte.PRESENT
            faults.walk(w, a)
        case Leaf.MEM_PAGE_AUG:
            entry.spte = Spte.PRESENT
            faults.resolved(w, a)
        case Leaf.MEM_RANGE_BLOCK:
            new_call(w, a, Leaf.MEM_TRACK, entry)
        case Leaf.MEM_TRACK:
            is_restore = not a.is_vcpu and a.group.spec.kind == Task.BLOCK_RESTORE
            purpose = Purpose.UNBLOCK if is_restore else Purpose.REMOVE
            kick.begin_kick(w, a, purpose, Kick.TRACK)
        case Leaf.MEM_PAGE_REMOVE:
            entry.spte = Spte.ABSENT
            new_call(w, a, Leaf.PHYMEM_PAGE_WBINVD, entry)
        case Leaf.PHYMEM_PAGE_WBINVD:
            pages = PAGES_PER_2M if entry.level == 1 else 1
            go(w, a, State.ZAP_CLEAR, Category.HOST_WORK, w.costs[Cost.CLEAR] * pages)
        case Leaf.MEM_RANGE_UNBLOCK:
            tasks.unblocked(w, a, entry)
        case Leaf.MEM_PAGE_ADD:
            a.extends = EXTENDS
            new_call(w, a, Leaf.MR_EXTEND, entry)
        case Leaf.MR_EXTEND:
            a.extends -= 1
            if a.extends > 0:
                new_call(w, a, Leaf.MR_EXTEND, entry)
            else:
                tasks.page_built(w, a)


HANDLERS = {
    State.SEAMCALL: on_seamcall,
    State.SEAMCALL_LOCK_WAIT: on_mutex,
    State.SEAM_RETURN: on_seam_return,
}
