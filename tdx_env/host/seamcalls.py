"""Issuing a SEAMCALL and going through its steps, as the module's table has them."""

import numpy as np

from tdx_env.guest.interrupts import next_interrupt, pass_interrupts
from tdx_env.guest.walk import level_of, walk_end
from tdx_env.host.mmu_lock import request_seamcall_lock
from tdx_env.host.tasks import entry_at
from tdx_env.jit import inner
from tdx_env.module.locks import (
    ENTRY_LOCKED,
    LockResult,
    entry_acquire_host,
    entry_release,
    hp_acquire_exclusive,
    hp_acquire_shared,
    hp_release_exclusive,
    hp_release_shared,
    sharex_acquire_exclusive,
    sharex_acquire_shared,
    sharex_release_exclusive,
    sharex_release_shared,
)
from tdx_env.module.sept import check_entry, next_state
from tdx_env.module.tlb import check_track, is_tracked
from tdx_env.module.zero_step import still_faults
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Spte, State
from tdx_env.state.booking import charge_cell
from tdx_env.state.calls import NONE, Delay, EntryState, Leaf, Lock, Mode, Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import SeamcallLock
from tdx_env.state.draws import jitter, own
from tdx_env.state.setup import PAGES_PER_2M
from tdx_env.state.streams import Draw
from tdx_env.state.world import CELL_LOCKS, N_HOLDERS, Word, World

_N_CELL_LOCKS = len(CELL_LOCKS)
_NO_WORD = -1
_RELEASED = (Lock.ENTRY, Lock.MIGSC, Lock.EPOCH, Lock.TREE, Lock.MIG, Lock.OP_STATE, Lock.TDR)
_RCX = 1


@inner
def is_sept_call(leaf: int) -> bool:
    """Say whether the discipline's SEAMCALL lock covers a call."""
    return bool(
        leaf == Leaf.MEM_SEPT_ADD
        or leaf == Leaf.MEM_PAGE_AUG
        or leaf == Leaf.MEM_PAGE_REMOVE
        or leaf == Leaf.MEM_RANGE_BLOCK
        or leaf == Leaf.MEM_RANGE_UNBLOCK
        or leaf == Leaf.MEM_TRACK
        or leaf == Leaf.MEM_PAGE_DEMOTE
    )


@inner
def is_list_call(leaf: int) -> bool:
    """Say whether a call works through a list of pages."""
    return bool(leaf == Leaf.EXPORT_BLOCKW or leaf == Leaf.EXPORT_MEM)


@inner
def _lock_mode(world: World, leaf: int) -> int:
    """Return how the discipline's SEAMCALL lock is taken for a call: a Mode, or NONE."""
    lock = world.discipline["seamcall_lock"]
    if lock != SeamcallLock.MIRROR:
        return Mode.EXCLUSIVE if lock != SeamcallLock.NEVER and is_sept_call(leaf) else NONE
    if leaf == Leaf.MEM_RANGE_BLOCK or leaf == Leaf.MEM_RANGE_UNBLOCK:
        return Mode.EXCLUSIVE
    if leaf == Leaf.MEM_TRACK:
        return NONE
    is_shared = is_sept_call(leaf) or is_list_call(leaf) or leaf == Leaf.EXPORT_UNBLOCKW
    return Mode.SHARED if is_shared else NONE


@inner
def _fetch_lines(world: World, actor: int) -> int:
    """Return the cycles until the TD's lock words are in the caller's cache."""
    run = world.run
    socket = world.actors["row"][actor]["socket"]
    if run["line_socket"] == socket:
        return 0
    run["line_socket"] = socket
    return run["costs"][Cost.REMOTE_LINE]


@inner
def _is_interruptible(world: World, leaf: int) -> bool:
    """Say whether a call looks for interrupts; DEMOTE does in some versions of the module."""
    if leaf != Leaf.MEM_PAGE_DEMOTE:
        return is_list_call(leaf)
    step = 0
    while world.program["steps"][leaf, step]["op"] != Op.RETURN:
        if world.program["steps"][leaf, step]["op"] == Op.POLL:
            return True
        step += 1
    return False


@inner
def issue(world: World, actor: int) -> None:
    """Issue the actor's current SEAMCALL, for the first time or again."""
    run = world.run
    me = world.actors["row"][actor]
    charge_cell(world, actor)
    me["issues"] += 1
    run["n_seamcalls"] += 1
    me["issued"] = run["now"]
    me["held"] = 0
    me["step"] = 0
    me["state"] = State.SEAMCALL
    me["category"] = Category.SEAMCALL
    if me["leaf"] == Leaf.VP_ENTER:
        me["category"] = me["trip"]
    elif _is_interruptible(world, me["leaf"]):
        pass_interrupts(world, actor)  # those were served when they came
    cycles = jitter(run["delays"][me["leaf"]][Delay.TO_TDR], own(world, actor, Draw.JITTER))
    if world.setup["n_sockets"] > 1:
        cycles += _fetch_lines(world, actor)
    world.actors["due"][actor] = run["now"] + cycles


@inner
def lock_and_issue(world: World, actor: int) -> None:
    """Issue the current SEAMCALL under the SEAMCALL lock, if it needs that, waiting if need be."""
    me = world.actors["row"][actor]
    mode = _lock_mode(world, me["leaf"])
    if mode == NONE or me["has_seamcall_lock"] or request_seamcall_lock(world, actor, mode):
        issue(world, actor)


@inner
def new_call(world: World, actor: int, leaf: int, entry: int) -> None:
    """Start a SEAMCALL that was not issued before."""
    me = world.actors["row"][actor]
    me["leaf"] = leaf
    me["entry"] = entry
    me["issues"] = 0
    me["kicks"] = 0
    me["interrupts"] = 0
    me["busy_cycles"] = 0
    me["busy_operand"] = NONE
    me["call_started"] = world.run["now"]
    lock = world.discipline["seamcall_lock"]
    if lock == SeamcallLock.ALWAYS or lock == SeamcallLock.MIRROR:
        lock_and_issue(world, actor)
    else:
        issue(world, actor)


@inner
def _word_of(lock: int) -> int:
    """Return the TD's lock word that a lock is, or _NO_WORD."""
    if lock == Lock.TDR:
        return Word.TDR
    if lock == Lock.OP_STATE:
        return Word.OP_STATE
    if lock == Lock.TREE:
        return Word.TREE
    if lock == Lock.EPOCH:
        return Word.EPOCH
    if lock == Lock.MIG:
        return Word.MIG
    if lock == Lock.MIGSC:
        return Word.MIGSC
    return _NO_WORD


@inner
def _acquire_word(word: int, value: int, mode: int) -> tuple[int, int]:
    """Try a lock word of the TD for a host; return it afterwards, and a LockResult."""
    if word >= Word.TREE:
        if mode == Mode.EXCLUSIVE:
            return sharex_acquire_exclusive(value)
        return sharex_acquire_shared(value)
    if mode == Mode.EXCLUSIVE:
        return hp_acquire_exclusive(value, False)
    return hp_acquire_shared(value, False)


@inner
def _release_word(word: int, value: int, mode: int) -> int:
    """Release a lock word of the TD."""
    if word >= Word.TREE:
        if mode == Mode.EXCLUSIVE:
            return sharex_release_exclusive(value)[0]
        return sharex_release_shared(value)[0]
    if mode == Mode.EXCLUSIVE:
        return hp_release_exclusive(value)[0]
    return hp_release_shared(value)[0]


@inner
def _acquire_entry(world: World, actor: int) -> bool:
    """Try the lock of the call's S-EPT entry for a host."""
    me = world.actors["row"][actor]
    entry = world.entries["row"][me["entry"]]
    word, result = entry_acquire_host(entry["word"])
    entry["word"] = word
    if result != LockResult.SUCCESS:
        return False
    entry["holder"] = actor
    entry["holder_leaf"] = me["leaf"]
    return True


@inner
def _acquire(world: World, actor: int, lock: int, mode: int) -> bool:
    """Try a lock of the call; say whether it was taken.

    # MODEL: the locks of TDVPR and of pages are always free: KVM never names one vCPU or one page
    in two of the modelled calls at a time.
    """
    run = world.run
    me = world.actors["row"][actor]
    if lock == Lock.ENTRY:
        if not _acquire_entry(world, actor):
            return False
    else:
        word = _word_of(lock)
        if word == _NO_WORD:
            return True
        value, result = _acquire_word(word, run["words"][word], mode)
        run["words"][word] = value
        if result != LockResult.SUCCESS:
            return False
        run["holder"][word] = actor
        run["holder_leaf"][word] = me["leaf"]
    me["held"] |= 1 << lock
    return True


@inner
def _mode_of(world: World, leaf: int, lock: int) -> int:
    """Return the mode in which a call takes a lock."""
    step = 0
    while True:
        row = world.program["steps"][leaf, step]
        if row["lock"] == lock and row["op"] <= Op.ACQUIRE_IF_ARMED:
            return row["mode"]
        step += 1


@inner
def release(world: World, actor: int, leaf: int, lock: int) -> None:
    """Release a lock of a call, if the actor holds it."""
    run = world.run
    me = world.actors["row"][actor]
    if not me["held"] & (1 << lock):
        return
    me["held"] &= ~(1 << lock)
    if lock == Lock.ENTRY:
        entry = world.entries["row"][me["entry"]]
        word, _ = entry_release(entry["word"])
        entry["word"] = word
        return
    word = _word_of(lock)
    value = run["words"][word]
    run["words"][word] = _release_word(word, value, _mode_of(world, leaf, lock))


@inner
def _note_busy(world: World, actor: int, lock: int) -> None:
    """Count a busy reply in its cell: call, call of the lock's last holder, lock."""
    run = world.run
    me = world.actors["row"][actor]
    if lock == Lock.ENTRY:
        holder_leaf = world.entries["row"][me["entry"]]["holder_leaf"]
    else:
        holder_leaf = run["holder_leaf"][_word_of(lock)]
    column = 0
    while CELL_LOCKS[column] != lock:
        column += 1
    if holder_leaf == NONE:
        holder_leaf = N_HOLDERS - 1
    run["n_busy"] += 1
    me["cell"] = (me["leaf"] * N_HOLDERS + holder_leaf) * _N_CELL_LOCKS + column
    me["busy_since"] = me["issued"]
    run["cells"][me["cell"]][0] += 1


@inner
def fail(world: World, actor: int, outcome: int, operand: int) -> None:
    """End the call with an error: release what it holds, back to the caller."""
    run = world.run
    me = world.actors["row"][actor]
    for lock in _RELEASED:
        release(world, actor, me["leaf"], lock)
    if me["leaf"] == Leaf.VP_ENTER and me["counted"]:
        me["counted"] = 0
        run["refcount"][me["vcpu_epoch"] & 1] -= 1
    me["outcome"] = outcome
    me["operand"] = operand
    me["state"] = State.SEAM_RETURN
    me["category"] = Category.SEAMCALL_BUSY
    if outcome == Outcome.EPT_VIOLATION:
        me["category"] = Category.SYNTHETIC_EXIT
    world.actors["due"][actor] = run["now"] + run["delays"][me["leaf"]][Delay.LEAVE]


@inner
def _filter(world: World, actor: int) -> int:
    """Return the first page on the zero-step list that would still fault, or NONE."""
    me = world.actors["row"][actor]
    for place in range(me["zs_listed"]):
        entry = me["gpas"][place]
        if still_faults(world.entries["row"][walk_end(world, entry)]["state"]):
            return entry
    return NONE


@inner
def _check(world: World, actor: int) -> int:
    """Return the outcome of the call's checks."""
    run = world.run
    me = world.actors["row"][actor]
    leaf = me["leaf"]
    if leaf == Leaf.MEM_TRACK:
        return check_track(run["td_epoch"], run["refcount"][0], run["refcount"][1])
    if leaf == Leaf.VP_ENTER:
        faulting = _filter(world, actor)
        if faulting == NONE:
            return Outcome.SUCCESS
        me["fault_entry"] = faulting
        return Outcome.EPT_VIOLATION
    if not (is_sept_call(leaf) or Leaf.EXPORT_BLOCKW <= leaf <= Leaf.EXPORT_UNBLOCKW):
        return Outcome.SUCCESS
    entry = world.entries["row"][me["entry"]]
    epoch = run["bw_epoch"] if leaf == Leaf.EXPORT_MEM else entry["bepoch"]
    tracked = is_tracked(epoch, run["td_epoch"], run["refcount"][0], run["refcount"][1])
    return check_entry(leaf, entry["state"], not run["is_building"], tracked)


@inner
def _sample_epoch(world: World, actor: int) -> None:
    """Count the entering vCPU under the current epoch.

    Source: TDX module 1.5, src/common/helpers/helpers.c, adjust_tlb_tracking_state.
    """
    run = world.run
    me = world.actors["row"][actor]
    me["flushes"] = me["vcpu_epoch"] != run["td_epoch"]
    me["vcpu_epoch"] = run["td_epoch"]
    me["counted"] = 1
    run["refcount"][run["td_epoch"] & 1] += 1


@inner
def _demote_children(world: World, pd: int, state: int) -> None:
    """Put 4K entries in the place of a 2M mapping; the guest finds the same memory."""
    run = world.run
    was_mapped = state == EntryState.BLOCKED or state == EntryState.MAPPED
    first = (pd - run["first_pd"]) << run["page_shift"]
    run["n_splits"] += 1
    for number in range(first, first + (1 << run["page_shift"])):
        child = world.entries["row"][number]
        child["word"] = 0
        child["bepoch"] = 0
        child["counter"] = 0
        child["holder"] = NONE
        child["holder_leaf"] = NONE
        child["state"] = EntryState.MAPPED if was_mapped else EntryState.PENDING
        child["spte"] = Spte.PRESENT


@inner
def _keeps_entry(leaf: int) -> bool:
    """Say whether a call's commit store keeps the entry locked; the others unlock by it."""
    return bool(
        leaf == Leaf.MEM_RANGE_BLOCK
        or leaf == Leaf.MEM_SEPT_ADD
        or leaf == Leaf.MEM_PAGE_DEMOTE
        or Leaf.EXPORT_BLOCKW <= leaf <= Leaf.EXPORT_UNBLOCKW
    )


@inner
def _commit(world: World, actor: int) -> None:
    """Put the call's effect in place."""
    run = world.run
    me = world.actors["row"][actor]
    leaf = me["leaf"]
    if leaf == Leaf.VP_ENTER:
        _sample_epoch(world, actor)
        return
    if leaf == Leaf.MEM_TRACK:
        run["td_epoch"] += 1
        return
    if me["entry"] == NONE or leaf == Leaf.PHYMEM_PAGE_WBINVD or leaf == Leaf.MR_EXTEND:
        return
    entry = world.entries["row"][me["entry"]]
    if leaf == Leaf.MEM_PAGE_DEMOTE:
        _demote_children(world, me["entry"], entry["state"])
    if leaf == Leaf.EXPORT_BLOCKW:
        run["bw_epoch"] = run["td_epoch"]
    entry["state"] = next_state(leaf, entry["state"])
    entry["counter"] = 0
    if leaf == Leaf.MEM_PAGE_ADD:
        return
    if leaf == Leaf.MEM_RANGE_BLOCK:
        entry["bepoch"] = run["td_epoch"]
    if leaf == Leaf.MEM_PAGE_AUG:
        entry["bepoch"] = 0
    if _keeps_entry(leaf):
        entry["word"] = ENTRY_LOCKED
    else:
        entry["word"] = 0
        me["held"] &= ~(1 << Lock.ENTRY)


@inner
def _body(world: World, actor: int) -> int:
    """Return the cycles of the call's body, with what depends on level and epoch."""
    run = world.run
    me = world.actors["row"][actor]
    leaf = me["leaf"]
    delays = run["delays"][leaf]
    body = delays[Delay.BODY]
    if leaf == Leaf.VP_ENTER:
        return body + (run["costs"][Cost.INVEPT] if me["flushes"] else 0)
    if level_of(run, me["entry"]) != 1:
        return body
    if leaf == Leaf.MEM_PAGE_AUG:
        return body + max(0, run["costs"][Cost.PAGE_AUG_2M] - run["costs"][Cost.PAGE_AUG])
    if leaf == Leaf.PHYMEM_PAGE_WBINVD:
        others = delays[Delay.TO_TDR] + delays[Delay.LEAVE]
        return PAGES_PER_2M * (body + others) - others
    return body


@inner
def _delay_before(world: World, actor: int, kind: int) -> int:
    """Return the cycles before a step of the actor's call."""
    me = world.actors["row"][actor]
    if kind == Delay.NONE or (kind == Delay.ARMED_WALK and me["zs_listed"] == 0):
        return 0
    if kind == Delay.BODY:
        return _body(world, actor)
    return world.run["delays"][me["leaf"]][kind]


@inner
def _is_interrupted(world: World, me: np.void) -> bool:
    """Say whether a poll finds an interrupt: one is pending, and the host's IF is set.

    Source: TDX module 1.5, src/common/helpers/helpers.h, is_interrupt_pending_host_side.
    """
    return bool(not world.discipline["irqs_off"] and next_interrupt(me) <= world.run["now"])


@inner
def _place_of(world: World, leaf: int, op: int, lock: int) -> int:
    """Return the number of a call's step."""
    step = 0
    while world.program["steps"][leaf, step]["op"] != op or (
        world.program["steps"][leaf, step]["lock"] != lock
    ):
        step += 1
    return step


@inner
def _pass_over(world: World, actor: int) -> bool:
    """Leave an entry of the list as it is: on to its release."""
    me = world.actors["row"][actor]
    me["step"] = _place_of(world, me["leaf"], Op.RELEASE, Lock.ENTRY) - 1
    return True


@inner
def _next_in_list(world: World, actor: int) -> bool:
    """Go to the list's next entry; say whether the call goes on."""
    me = world.actors["row"][actor]
    me["cursor"] += 1
    if me["cursor"] >= me["cursor_end"]:
        return True
    me["entry"] = entry_at(world, actor, me["cursor"])
    if _is_interrupted(world, me):
        fail(world, actor, Outcome.INTERRUPTED_RESUMABLE, 0)
        return False
    me["step"] = _place_of(world, me["leaf"], Op.ACQUIRE, Lock.ENTRY) - 1
    return True


@inner
def _do_step(world: World, actor: int, row: np.void) -> bool:
    """Do one step; say whether the call goes on."""
    run = world.run
    me = world.actors["row"][actor]
    if row["op"] == Op.ACQUIRE or (row["op"] == Op.ACQUIRE_IF_ARMED and me["zs_listed"] > 0):
        if not _acquire(world, actor, row["lock"], row["mode"]):
            if row["lock"] == Lock.ENTRY and is_list_call(me["leaf"]):
                run["n_list_busy"] += 1
                me["failed"] += me["leaf"] == Leaf.EXPORT_BLOCKW
                return _pass_over(world, actor)
            _note_busy(world, actor, row["lock"])
            fail(world, actor, Outcome.OPERAND_BUSY, row["operand"])
            return False
        if row["op"] == Op.ACQUIRE_IF_ARMED:
            run["n_armed"] += 1
    elif row["op"] == Op.RELEASE:
        if not (row["lock"] == Lock.TDR and me["leaf"] == Leaf.VP_ENTER):
            release(world, actor, me["leaf"], row["lock"])
    elif row["op"] == Op.CHECK:
        outcome = _check(world, actor)
        if outcome != Outcome.SUCCESS:
            if is_list_call(me["leaf"]):
                return _pass_over(world, actor)
            operand = 0 if outcome == Outcome.EPT_VIOLATION else _RCX
            fail(world, actor, outcome, operand)
            return False
    elif row["op"] == Op.COMMIT:
        _commit(world, actor)
    elif row["op"] == Op.NEXT:
        return _next_in_list(world, actor)
    elif row["op"] == Op.POLL and _is_interrupted(world, me):
        fail(world, actor, Outcome.INTERRUPTED, 0)
        return False
    return True


@inner
def go_through_steps(world: World, actor: int) -> bool:
    """Handle SEAMCALL: do the steps that are due; say whether the call has succeeded."""
    run = world.run
    me = world.actors["row"][actor]
    while True:
        row = world.program["steps"][me["leaf"], me["step"]]
        if row["op"] == Op.RETURN:
            me["outcome"] = Outcome.SUCCESS
            return True
        if not _do_step(world, actor, row):
            return False
        me["step"] += 1
        wait = _delay_before(world, actor, world.program["steps"][me["leaf"], me["step"]]["delay"])
        if wait > 0:
            world.actors["due"][actor] = run["now"] + wait
            return False
