"""A whole trip of a vCPU off the agenda in one: from computing over exit and VP.ENTER to computing.

The same as its ten events one by one (`host.trip`), if none of them meets anybody: what they take
and let go again is left out, what they book is booked once.
"""

import numpy as np

from tdx_env.guest.exits import begin_interrupt_exit
from tdx_env.guest.interrupts import (
    end_arming,
    next_exit,
    next_interrupt,
    pass_interrupts,
    set_arming,
)
from tdx_env.guest.items import RIP_OF_HANDLER
from tdx_env.guest.run import compute
from tdx_env.host.guest_mode import answer_kicks
from tdx_env.host.lock_words import note_taken
from tdx_env.jit import inner
from tdx_env.module.zero_step import after_vm_exit
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Exit, Kick
from tdx_env.state.booking import book
from tdx_env.state.calls import MAX_STEPS, NONE, Delay, Leaf, Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.draws import draw, jitter
from tdx_env.state.streams import Draw
from tdx_env.state.world import MAX_ACTORS, Word, World

_ACTOR_BITS = (MAX_ACTORS - 1).bit_length()  # of a time and an actor's number in one


@inner
def note_return(world: World, vcpu: int) -> None:
    """Note the end of a kicked trip, to be learnt from in order."""
    run = world.run
    me = world.actors["row"][vcpu]
    place = run["n_returned"]
    cycles = run["now"] - me["exit_started"]
    world.actors["returned"][place] = run["now"] << _ACTOR_BITS | vcpu
    world.actors["returned_trip"][place] = -cycles if me["trip"] == Category.TRACK_KICK else cycles
    run["n_returned"] = place + 1


@inner
def measure_entry(world: World) -> None:
    """Note the steps of a VP.ENTER that meets nobody, and how long they take after the first."""
    run = world.run
    step = 0
    run["enter_cycles"] = 0
    while step < MAX_STEPS - 1 and world.program["steps"][Leaf.VP_ENTER, step]["op"] != Op.RETURN:
        step += 1
        kind = world.program["steps"][Leaf.VP_ENTER, step]["delay"]
        if kind != Delay.NONE and kind != Delay.ARMED_WALK:
            run["enter_cycles"] += run["delays"][Leaf.VP_ENTER][kind]
    run["enter_steps"] = step


@inner
def _reason_of(me: np.void, time: int) -> int:
    """Return why a vCPU leaves the guest at a time at which its computing ends."""
    if me["ipi_at"] <= time:
        return Exit.KICK
    return Exit.TICK if next_interrupt(me) <= time else Exit.ARM_TIMER


@inner
def _trip_of(me: np.void, reason: int) -> int:
    """Return the Category of a trip for an interrupt, the arming or an IPI."""
    if reason != Exit.KICK:
        return Category.EXIT_ENTRY
    return Category.KICK_TARGET if me["ipi_kind"] == Kick.DECISION else Category.TRACK_KICK


@inner
def _enter_again(world: World, vcpu: int, issued: int, taken: int) -> None:
    """Leave the vCPU as VP.ENTER leaves it, issued and with its first locks at times [cycles]."""
    run = world.run
    me = world.actors["row"][vcpu]
    run["n_seamcalls"] += 1
    me["attempt"] += 1
    me["path"] = CallPath.ENTER
    me["leaf"] = Leaf.VP_ENTER
    me["entry"] = NONE
    me["outcome"] = Outcome.SUCCESS
    me["step"] = run["enter_steps"]
    me["issues"] = 1
    me["kicks"] = 0
    me["interrupts"] = 0
    me["busy_cycles"] = 0
    me["busy_operand"] = NONE
    me["call_started"] = issued
    me["issued"] = issued
    me["entry_rip"] = me["rip"]
    me["entry_remaining"] = me["remaining"]
    run["now"] = taken
    note_taken(world, Word.TDR, vcpu, Leaf.VP_ENTER)
    note_taken(world, Word.OP_STATE, vcpu, Leaf.VP_ENTER)
    run["now"] = taken + run["delays"][Leaf.VP_ENTER][Delay.TO_EPOCH]
    note_taken(world, Word.EPOCH, vcpu, Leaf.VP_ENTER)
    run["refcount"][me["vcpu_epoch"] & 1] -= 1
    me["flushes"] = me["vcpu_epoch"] != run["td_epoch"]
    me["vcpu_epoch"] = run["td_epoch"]
    run["refcount"][run["td_epoch"] & 1] += 1


@inner
def _leave(world: World, vcpu: int, time: int, reason: int) -> None:
    """Leave the guest as `begin_exit` does, and answer the kick if it was one."""
    run = world.run
    me = world.actors["row"][vcpu]
    run["now"] = time
    book(world, vcpu, Category.GUEST_COMPUTE)
    me["remaining"] -= time - me["started"]
    me["exit"] = reason
    me["exit_started"] = time
    me["trip"] = _trip_of(me, reason)
    if reason == Exit.ARM_TIMER:
        end_arming(me)
        me["rip"] = RIP_OF_HANDLER
    moved = me["rip"] != me["entry_rip"] or me["remaining"] != me["entry_remaining"]
    counter, listed = after_vm_exit(me["zs_counter"], me["zs_listed"], moved)
    me["zs_counter"] = counter
    me["zs_listed"] = listed
    run["now"] = time + run["costs"][Cost.TD_EXIT]
    answer_kicks(world, vcpu)
    me["mode"] = 1
    run["n_in_guest"] += 1


@inner
def make_round_trip(world: World, vcpu: int, time: int, end: int) -> bool:
    """Play a whole trip of a vCPU that computes up to a time, if it is back before the end.

    Args:
        world: The world.
        vcpu: Is off the agenda and computes.
        time: When its computing ends [cycles].
        end: Up to when nobody looks [cycles].

    Returns:
        Whether it was played.
    """
    run = world.run
    costs = run["costs"]
    me = world.actors["row"][vcpu]
    if run["gate_count"] > 0 or me["signal_every"] > 0:
        return False
    reason = _reason_of(me, time)
    handler = costs[Cost.KICK_HANDLER] if reason == Exit.KICK else costs[Cost.IRQ_HANDLER]
    shared_flush = costs[Cost.INVEPT] if me["flush_requested"] else 0
    left = time + costs[Cost.TD_EXIT]
    issued = left + handler + costs[Cost.RUN_LOOP] + shared_flush
    bits = draw(run["seed"], Draw.JITTER, vcpu, int(me["item"]), int(me["attempt"]))
    taken = issued + jitter(run["delays"][Leaf.VP_ENTER][Delay.TO_TDR], bits)
    back = taken + run["enter_cycles"]
    if me["vcpu_epoch"] != run["td_epoch"]:
        back += costs[Cost.INVEPT]
    if back >= end:
        return False
    _leave(world, vcpu, time, reason)
    if reason == Exit.TICK:
        run["now"] = left
        book(world, vcpu, Category.EXIT_ENTRY)
        run["now"] = left + handler
        book(world, vcpu, Category.HOST_IRQ)
    if shared_flush > 0:
        run["now"] = issued - shared_flush
        book(world, vcpu, me["trip"])
        run["now"] = issued
        book(world, vcpu, Category.TRACK_KICK)
    me["flush_requested"] = 0
    _enter_again(world, vcpu, issued, taken)
    run["now"] = back
    book(world, vcpu, me["trip"])
    if reason == Exit.KICK:
        note_return(world, vcpu)
    pass_interrupts(world, vcpu)
    set_arming(world, vcpu)
    if next_exit(me) <= back:
        me["category"] = me["trip"]
        begin_interrupt_exit(world, vcpu)
    else:
        compute(world, vcpu)
    return True
