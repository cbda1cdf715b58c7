"""Issuing a SEAMCALL and going through its steps, as the module's table has them."""

import numpy as np

from tdx_env.guest.walk import level_of, walk_end
from tdx_env.host.mmu_lock import request_seamcall_lock
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
from tdx_env.state.actors import State
from tdx_env.state.booking import charge_cell
from tdx_env.state.calls import NONE, Delay, Leaf, Lock, Mode, Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import SeamcallLock
from tdx_env.state.draws import jitter, own
from tdx_env.state.setup import PAGES_PER_2M
from tdx_env.state.streams import Draw
from tdx_env.state.world import CELL_LOCKS, N_HOLDERS, Word, World

_N_CELL_LOCKS = len(CELL_LOCKS)
_NO_WORD = -1
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
    bits = own(world, actor, Draw.JITTER)
    world.actors["due"][actor] = run["now"] + jitter(run["delays"][me["leaf"]][Delay.TO_TDR], bits)


@inner
def lock_and_issue(world: World, actor: int) -> None:
    """Issue the current SEAMCALL under the SEAMCALL lock, waiting for that if need be."""
    if world.actors["row"][actor]["has_seamcall_lock"] or request_seamcall_lock(world, actor):
        issue(world, actor)


@inner
def new_call(world: World, actor: int, leaf: int, entry: int) -> None:
    """Start a SEAMCALL that was not issued before."""
    me = world.actors["row"][actor]
    me["leaf"] = leaf
    me["entry"] = entry
    me["issues"] = 0
    me["kicks"] = 0
    me["busy_cycles"] = 0
    me["call_started"] = world.run["now"]
    if world.discipline["seamcall_lock"] == SeamcallLock.ALWAYS and is_sept_call(leaf):
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
    return _NO_WORD


@inner
def _acquire_word(word: int, value: int, mode: int) -> tuple[int, int]:
    """Try a lock word of the TD for a host; return it afterwards, and a LockResult."""
    if word == Word.TREE or word == Word.EPOCH:
        if mode == Mode.EXCLUSIVE:
            return sharex_acquire_exclusive(value)
        return sharex_acquire_shared(value)
    if mode == Mode.EXCLUSIVE:
        return hp_acquire_exclusive(value, False)
    return hp_acquire_shared(value, False)


@inner
def _release_word(word: int, value: int, mode: int) -> int:
    """Release a lock word of the TD."""
    if word == Word.TREE or word == Word.EPOCH:
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
    for lock in (Lock.ENTRY, Lock.EPOCH, Lock.TREE, Lock.OP_STATE, Lock.TDR):
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
    if not is_sept_call(leaf):
        return Outcome.SUCCESS
    entry = world.entries["row"][me["entry"]]
    tracked = is_tracked(entry["bepoch"], run["td_epoch"], run["refcount"][0], run["refcount"][1])
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
    entry["state"] = next_state(leaf, entry["state"])
    entry["counter"] = 0
    if leaf == Leaf.MEM_PAGE_ADD:
        return
    if leaf == Leaf.MEM_RANGE_BLOCK:
        entry["bepoch"] = run["td_epoch"]
    if leaf == Leaf.MEM_PAGE_AUG:
        entry["bepoch"] = 0
    if leaf == Leaf.MEM_RANGE_BLOCK or leaf == Leaf.MEM_SEPT_ADD or leaf == Leaf.MEM_PAGE_DEMOTE:
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
def _do_step(world: World, actor: int, row: np.void) -> bool:
    """Do one step; say whether the call goes on."""
    run = world.run
    me = world.actors["row"][actor]
    if row["op"] == Op.ACQUIRE or (row["op"] == Op.ACQUIRE_IF_ARMED and me["zs_listed"] > 0):
        if not _acquire(world, actor, row["lock"], row["mode"]):
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
            operand = 0 if outcome == Outcome.EPT_VIOLATION else _RCX
            fail(world, actor, outcome, operand)
            return False
    elif row["op"] == Op.COMMIT:
        _commit(world, actor)
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
