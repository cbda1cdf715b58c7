"""Issuing a SEAMCALL and going through its steps, as the module's table has them."""

import numpy as np

from tdx_env.guest.interrupts import next_interrupt, pass_interrupts
from tdx_env.guest.walk import level_of
from tdx_env.host.effects import check, commit, first_faulting
from tdx_env.host.leaves import COST, COST_2M, IS_LIST, IS_PER_PAGE, MAY_POLL
from tdx_env.host.lock_words import acquire, has_mark, note_busy, release, release_in_mode
from tdx_env.host.seamcall_lock import lock_mode, lock_of, request_lock
from tdx_env.host.tasks import entry_at
from tdx_env.jit import inner
from tdx_env.module.operands import Operand
from tdx_env.state.accounting import Category
from tdx_env.state.actors import State
from tdx_env.state.booking import charge_cell
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import MAX_STEPS, NONE, Delay, Leaf, Lock, Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import SeamcallLock
from tdx_env.state.draws import jitter, own
from tdx_env.state.setup import PAGES_PER_2M
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

_RELEASED = (Lock.ENTRY, Lock.MIGSC, Lock.EPOCH, Lock.TREE, Lock.MIG, Lock.OP_STATE, Lock.TDR)
_RCX = int(Operand.RCX)


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
    """Say whether a call looks for interrupts in the episode's version of the module."""
    if MAY_POLL[leaf]:
        for step in range(MAX_STEPS):
            op = world.program["steps"][leaf, step]["op"]
            if op == Op.POLL or op == Op.NEXT:
                return True
    return False


@inner
def issue(world: World, actor: int) -> None:
    """Issue the actor's current SEAMCALL, for the first time or again."""
    run = world.run
    me = world.actors["row"][actor]
    if COST[me["leaf"]] == NONE:
        break_off(world, actor, Place.ISSUE, me["leaf"])
        return
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
    lock, mode = lock_of(world, me["leaf"]), lock_mode(world, actor)
    if mode == NONE or me["has_lock"][lock] or request_lock(world, actor, lock, mode):
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
    if lock == SeamcallLock.NEVER or lock == SeamcallLock.AFTER_BUSY:
        issue(world, actor)
    else:
        lock_and_issue(world, actor)


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
    if COST_2M[leaf] != NONE:
        return body + max(0, run["costs"][COST_2M[leaf]] - run["costs"][COST[leaf]])
    if IS_PER_PAGE[leaf]:
        others = delays[Delay.TO_TDR] + delays[Delay.LEAVE]
        return PAGES_PER_2M * (body + others) - others
    return body


@inner
def _delay_before(world: World, actor: int, kind: int) -> int:
    """Return the cycles before a step of the actor's call."""
    me = world.actors["row"][actor]
    if kind == Delay.NONE:
        return 0
    if kind == Delay.BODY:
        return _body(world, actor)
    cycles = world.run["delays"][me["leaf"]][kind]
    if kind == Delay.ARMED_WALK:
        return _n_walked(world, actor) * cycles
    return cycles


@inner
def _n_walked(world: World, actor: int) -> int:
    """Return how many listed GPAs VP.ENTER walks: up to the first that faults, or all."""
    listed = world.actors["row"][actor]["zs_listed"]
    if listed == 0:
        return 0
    # MODEL: the list is judged when its walks begin for their number, at their end for the outcome.
    place = first_faulting(world, actor)
    return listed if place == NONE else place + 1


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
def _next_in_list(world: World, actor: int, yields_to: int) -> bool:
    """Go to the list's next entry; say whether the call goes on.

    It ends early for an interrupt and, in newer versions of the module, when a refused host's mark
    stands on a lock; the status doesn't tell which.

    Source: TDX module 1.5.34, src/common/helpers/helpers.c, check_host_interrupt_and_hp_bit.

    Args:
        world: The world.
        actor: Who calls.
        yields_to: A Lock, or NONE.
    """
    me = world.actors["row"][actor]
    me["cursor"] += 1
    if me["cursor"] >= me["cursor_end"]:
        return True
    me["entry"] = entry_at(world, actor, me["cursor"])
    if _is_interrupted(world, me) or (yields_to != NONE and has_mark(world, yields_to)):
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
        if not acquire(world, actor, row["lock"], row["mode"]):
            if row["lock"] == Lock.ENTRY and IS_LIST[me["leaf"]]:
                run["n_list_busy"] += 1
                me["failed"] += me["leaf"] == Leaf.EXPORT_BLOCKW
                return _pass_over(world, actor)
            note_busy(world, actor, row["lock"])
            fail(world, actor, Outcome.OPERAND_BUSY, row["operand"])
            return False
        if row["op"] == Op.ACQUIRE_IF_ARMED:
            run["n_armed"] += 1
    elif row["op"] == Op.RELEASE:
        release_in_mode(world, actor, row["lock"], row["mode"])
    elif row["op"] == Op.CHECK:
        outcome = check(world, actor)
        if outcome != Outcome.SUCCESS:
            if IS_LIST[me["leaf"]]:
                return _pass_over(world, actor)
            operand = 0 if outcome == Outcome.EPT_VIOLATION else _RCX
            fail(world, actor, outcome, operand)
            return False
    elif row["op"] == Op.COMMIT:
        commit(world, actor)
    elif row["op"] == Op.NEXT:
        return _next_in_list(world, actor, row["lock"])
    elif row["op"] == Op.POLL:
        if _is_interrupted(world, me):
            fail(world, actor, Outcome.INTERRUPTED, 0)
            return False
    elif row["op"] != Op.ACQUIRE_IF_ARMED:
        break_off(world, actor, Place.STEP, row["op"])
        return False
    return True


@inner
def checks_now(world: World, actor: int) -> bool:
    """Say whether the steps that are due may have the call's check among them, or TRACK's lock."""
    me = world.actors["row"][actor]
    leaf, step = me["leaf"], int(me["step"])
    while True:
        row = world.program["steps"][leaf, step]
        if row["op"] == Op.CHECK or row["op"] == Op.NEXT or row["lock"] == Lock.EPOCH:
            return True
        if row["op"] == Op.RETURN:
            return False
        step += 1
        if _delay_before(world, actor, world.program["steps"][leaf, step]["delay"]) > 0:
            return False


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
