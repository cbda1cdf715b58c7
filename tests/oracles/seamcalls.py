"""SEAMCALLs: their programs run step by step, their effects, and what follows (section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Exit, Spte, State
from tdx_env.state.calls import Delay, Leaf, Lock, Mode, Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import GateScope, KickFlagged, SeamcallLock
from tdx_env.state.features import TRIES_UNIT

from . import busy, effects, exits, export, faults, guard, interrupts, kick, split, tasks, zap
from .actors import (
    Actor,
    begin_fault,
    begin_operation,
    book,
    charge_cell,
    go,
    is_vp_enter,
    own_jitter,
)
from .draws import moved
from .locks import QueuedLock, Result, SharedLock
from .programs import LISTS, Step
from .sept import Entry

if TYPE_CHECKING:
    from .world import OracleWorld

# Calls under the discipline's per-VM lock, and the modes of MIRROR: whether it is exclusive.
SEPT_CALLS = {
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_RANGE_BLOCK,
    Leaf.MEM_RANGE_UNBLOCK,
    Leaf.MEM_TRACK,
    Leaf.MEM_PAGE_DEMOTE,
}
MIRRORED = {
    Leaf.MEM_TRACK: True,
    Leaf.MEM_RANGE_BLOCK: True,
    Leaf.MEM_RANGE_UNBLOCK: True,
    Leaf.MEM_SEPT_ADD: False,
    Leaf.MEM_PAGE_AUG: False,
    Leaf.MEM_PAGE_REMOVE: False,
    Leaf.MEM_PAGE_DEMOTE: False,
    Leaf.EXPORT_BLOCKW: False,
    Leaf.EXPORT_MEM: False,
    Leaf.EXPORT_UNBLOCKW: False,
}
PAGES_PER_2M = 512


def new_call(w: OracleWorld, a: Actor, leaf: Leaf, entry: Entry | None) -> None:
    """Begin a SEAMCALL: not yet busy, nothing tried."""
    call = a.call
    call.leaf, call.entry = leaf, entry
    call.issues = call.kicks = call.busy_cycles = call.interrupts = 0
    call.busy_operand = None
    call.started = w.now
    if w.discipline.seamcall_lock in (SeamcallLock.ALWAYS, SeamcallLock.MIRROR):
        issue_locked(w, a)
    else:
        issue(w, a)


def lock_of(w: OracleWorld, a: Actor) -> QueuedLock:
    """Return the lock that the actor's call is made under, if under any."""
    is_mirror = w.discipline.seamcall_lock == SeamcallLock.MIRROR
    return w.track_lock if is_mirror and a.call.leaf == Leaf.MEM_TRACK else w.seamcall_lock


def lock_mode(w: OracleWorld, leaf: int) -> bool | None:
    """Return whether a call takes the discipline's lock exclusively; None: it doesn't take it."""
    kind = w.discipline.seamcall_lock
    if kind == SeamcallLock.MIRROR:
        return MIRRORED.get(Leaf(leaf))
    return True if kind != SeamcallLock.NEVER and leaf in SEPT_CALLS else None


def issue_locked(w: OracleWorld, a: Actor) -> None:
    """Issue under the discipline's lock, if it has one for this call; else as it is."""
    mode = lock_mode(w, a.call.leaf)
    lock = lock_of(w, a)
    if mode is None or lock.is_held_by(a.number) or lock.request(a.number, mode):
        issue(w, a)
    else:
        go(w, a, State.SEAMCALL_LOCK_WAIT, Category.SEAMCALL_LOCK_WAIT, None)


def release_lock(w: OracleWorld, a: Actor, lock: QueuedLock) -> None:
    """Hand a lock of the discipline over, if held."""
    if lock.is_held_by(a.number):
        for following in lock.release(a.number):
            w.actors[following].due = w.now + w.costs[Cost.MMU_HANDOFF]


def on_lock(w: OracleWorld, a: Actor) -> None:
    """The discipline's lock was handed over."""
    book(w, a)
    issue(w, a)


def issue(w: OracleWorld, a: Actor) -> None:
    """Issue the SEAMCALL once more."""
    charge_cell(w, a)
    call = a.call
    if interrupts.is_interruptible(w, a):
        interrupts.pass_due(w, a)
    call.issues += 1
    w.n_seamcalls += 1
    call.issued = w.now
    call.held = set()
    call.step = 0
    call.is_counted = call.must_flush = False
    cycles = own_jitter(w, a, delay(w, a, Delay.TO_TDR)) + fetch_line(w, a)
    go(w, a, State.SEAMCALL, a.trip if is_vp_enter(a) else Category.SEAMCALL, cycles)


def fetch_line(w: OracleWorld, a: Actor) -> int:
    """Have the TD's lock words in the socket's cache; return what that costs."""
    is_remote = w.setup.n_sockets > 1 and w.line_socket != a.socket
    w.line_socket = a.socket
    return w.costs[Cost.REMOTE_LINE] if is_remote else 0


def delay(w: OracleWorld, a: Actor, kind: Delay) -> int:
    """Return the cycles of a delay in the actor's call."""
    cycles = w.delays[a.call.leaf][kind]
    is_large = a.call.entry is not None and a.call.entry.level == 1
    if kind == Delay.ARMED_WALK:
        return cycles * n_walked(w, a)
    if kind != Delay.BODY:
        return cycles
    if a.call.leaf == Leaf.VP_ENTER and a.call.must_flush:
        return cycles + w.costs[Cost.INVEPT]
    if a.call.leaf == Leaf.MEM_PAGE_AUG and is_large:
        return cycles + max(0, w.costs[Cost.PAGE_AUG_2M] - w.costs[Cost.PAGE_AUG])
    if a.call.leaf == Leaf.PHYMEM_PAGE_WBINVD and is_large:
        others = sum(w.delays[a.call.leaf][step[4]] for step in w.programs[Leaf(a.call.leaf)])
        others -= cycles
        return PAGES_PER_2M * (cycles + others) - others
    return cycles


def n_walked(w: OracleWorld, a: Actor) -> int:
    """Count the walks of the zero-step list: up to the first page that faults."""
    for place, entry in enumerate(a.zs_list):
        if exits.still_faults(w, entry):
            return place + 1
    return len(a.zs_list)


def on_seamcall(w: OracleWorld, a: Actor) -> None:
    """Do the step that is due and those at the same instant."""
    program = w.programs[Leaf(a.call.leaf)]
    while True:
        step = program[a.call.step]
        if step[0] == Op.RETURN:
            book(w, a)
            succeeded(w, a)
            return
        following = do_step(w, a, step)
        if following is None:
            return
        a.call.step = following
        cycles = delay(w, a, program[following][4])
        if cycles > 0:
            a.due = w.now + cycles
            return


def do_step(w: OracleWorld, a: Actor, step: Step) -> int | None:
    """Do one step; return the number of the next one, None if the call failed."""
    match step[0]:
        case Op.CHECK:
            return check_call(w, a)
        case Op.COMMIT:
            effects.commit(w, a)
        case Op.RELEASE:
            drop(w, a, Lock(step[1]))
        case Op.ACQUIRE:
            return acquire(w, a, step)
        case Op.ACQUIRE_IF_ARMED if a.zs_list:
            following = acquire(w, a, step)
            w.n_armed += following is not None
            return following
        case Op.POLL if interrupts.poll(w, a):
            fail(w, a, Outcome.INTERRUPTED, 0)
            return None
        case Op.NEXT:
            return next_entry(w, a)
    return a.call.step + 1


def acquire(w: OracleWorld, a: Actor, step: Step) -> int | None:
    """Try a lock once; a list passes over a busy entry."""
    _, lock, mode, operand, _ = step
    if take(w, a, Lock(lock), mode == Mode.EXCLUSIVE):
        return a.call.step + 1
    if lock == Lock.ENTRY and a.call.leaf in LISTS:
        w.n_list_busy += 1
        a.failed += a.call.leaf == Leaf.EXPORT_BLOCKW
        return place_of_next(w, a)
    fail(w, a, Outcome.OPERAND_BUSY, operand, Lock(lock))
    return None


def place_of_next(w: OracleWorld, a: Actor) -> int:
    """Return the number of the list's step NEXT."""
    ops = [step[0] for step in w.programs[Leaf(a.call.leaf)]]
    return ops.index(Op.NEXT)


def next_entry(w: OracleWorld, a: Actor) -> int | None:
    """Go on to the list's next entry, unless it was the last, or an interrupt or writer waits."""
    a.cursor += 1
    if a.cursor == a.cursor_end:
        return a.call.step + 1
    a.call.entry = export.page(w, a)
    if interrupts.poll(w, a) or (w.rules.lists_yield and w.tree.has_mark):
        fail(w, a, Outcome.INTERRUPTED_RESUMABLE, 0)
        return None
    locks = [step[1] for step in w.programs[Leaf(a.call.leaf)]]
    return locks.index(Lock.ENTRY)


def shared_lock(w: OracleWorld, lock: Lock) -> SharedLock | None:
    """Return the TD's lock, None for those that are never refused here."""
    return {
        Lock.TDR: w.tdr,
        Lock.OP_STATE: w.op_state,
        Lock.TREE: w.tree,
        Lock.EPOCH: w.epoch,
        Lock.MIG: w.mig,
        Lock.MIGSC: w.migsc,
    }.get(lock)


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


def check_call(w: OracleWorld, a: Actor) -> int | None:
    """The call's own checks; return the number of the next step, None if one failed."""
    if is_vp_enter(a):
        for entry in a.zs_list:
            if exits.still_faults(w, entry):
                a.fault_entry = entry
                fail(w, a, Outcome.EPT_VIOLATION, 0)
                return None
    outcome = effects.check_call(w, a)
    if outcome == Outcome.SUCCESS:
        return a.call.step + 1
    if a.call.leaf in LISTS:
        drop(w, a, Lock.ENTRY)
        return place_of_next(w, a)
    fail(w, a, outcome, 1)
    return None


def fail(
    w: OracleWorld, a: Actor, outcome: Outcome, operand: int, lock: Lock | None = None
) -> None:
    """The call ends without success: let go of everything, and back."""
    for held in list(a.call.held):
        drop(w, a, held)
    if a.call.is_counted:
        w.epochs.in_guest[a.vcpu_epoch & 1] -= 1
    a.call.outcome, a.call.operand = outcome, operand
    is_synthetic = is_vp_enter(a) and outcome == Outcome.EPT_VIOLATION
    category = Category.SYNTHETIC_EXIT if is_synthetic else Category.SEAMCALL_BUSY
    go(w, a, State.SEAM_RETURN, category, w.delays[a.call.leaf][Delay.LEAVE])
    if outcome == Outcome.OPERAND_BUSY:
        assert lock is not None
        a.call.busy_operand = operand
        w.n_busy += 1
        word = a.call.entry.lock if lock == Lock.ENTRY and a.call.entry else shared_lock(w, lock)
        assert word is not None
        holder = word.holder_leaf if isinstance(word, SharedLock) else word.last_leaf
        a.cell = (a.call.leaf, holder, lock)
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
    elif a.call.outcome in interrupts.ENDED:
        interrupts.on_interrupted(w, a)
    elif is_vp_enter(a) and a.call.outcome == Outcome.EPT_VIOLATION:
        synthetic_exit(w, a)
    elif a.call.outcome == Outcome.GPA_RANGE_ALREADY_BLOCKED:
        succeeded(w, a)
    elif a.call.leaf == Leaf.MEM_PAGE_AUG and not w.setup.freezes:
        assert a.call.outcome == Outcome.EPT_ENTRY_STATE_INCORRECT
        faults.give_up(w, a, is_local=True)
    else:
        w.kill(a, a.call.leaf, a.call.outcome)


def synthetic_exit(w: OracleWorld, v: Actor) -> None:
    """VP.ENTER came back with zero-step's EPT violation."""
    w.n_synthetic += 1
    v.synthetic, v.accept_fault, v.exit = 1, 0, Exit.EPT_VIOLATION
    kick.release_gate(w, v)
    if w.discipline.kick_flagged == KickFlagged.ZERO_STEP:
        v.is_flagged = True
    begin_operation(w, v)
    begin_fault(w, v)
    faults.begin_fault_pass(w, v)


def succeeded(w: OracleWorld, a: Actor) -> None:
    """The call is over and taken as a success."""
    charge_cell(w, a)
    kind = busy.operand_class(a)
    if a.call.issues > 1 and kind is not None:
        w.tries[kind] = moved(w.tries[kind], TRIES_UNIT * a.call.issues)
    release_lock(w, a, w.seamcall_lock)
    is_first = w.discipline.gate_first and a.path == CallPath.ZAP
    is_of_page = w.discipline.gate_scope == GateScope.PAGE and a.path != CallPath.EXPORT
    outlasts = is_first or is_of_page
    if a.call.kicks > 0 and not outlasts:
        kick.release_gate(w, a)
    follow(w, a)


def follow(w: OracleWorld, a: Actor) -> None:
    """Go on with the chain that the call belongs to."""
    entry = a.call.entry
    match a.call.leaf:
        case Leaf.VP_ENTER:
            exits.entered(w, a)
        case Leaf.VP_FLUSH:
            exits.enter_run_loop(w, a)
        case Leaf.MEM_SEPT_ADD:
            entry.spte = Spte.PRESENT
            faults.walk(w, a)
        case Leaf.MEM_PAGE_AUG | Leaf.EXPORT_UNBLOCKW:
            entry.spte = Spte.PRESENT
            faults.resolved(w, a)
        case Leaf.MEM_RANGE_BLOCK:
            zap.blocked(w, a)
        case Leaf.MEM_TRACK:
            kick.tracked(w, a)
        case Leaf.MEM_PAGE_REMOVE:
            entry.spte = Spte.ABSENT
            new_call(w, a, Leaf.PHYMEM_PAGE_WBINVD, entry)
        case Leaf.PHYMEM_PAGE_WBINVD:
            pages = PAGES_PER_2M if entry.level == 1 else 1
            go(w, a, State.ZAP_CLEAR, Category.HOST_WORK, w.costs[Cost.CLEAR] * pages)
        case Leaf.MEM_RANGE_UNBLOCK:
            tasks.unblocked(w, a, entry)
        case Leaf.MEM_PAGE_DEMOTE:
            split.demoted(w, a, entry)
        case Leaf.EXPORT_BLOCKW:
            export.all_passed(w, a)
        case Leaf.EXPORT_MEM:
            tasks.finish_task_item(w, a)
        case _:
            guard.built(w, a)


HANDLERS = {
    State.SEAMCALL: on_seamcall,
    State.SEAMCALL_LOCK_WAIT: on_lock,
    State.SEAM_RETURN: on_seam_return,
}
