"""The way back into the guest in one: handler, run loop and VP.ENTER of a vCPU off the agenda.

The same as its eight events one by one (`host.trip`, `host.seamcalls`), if none of them meets
anybody: what VP.ENTER takes and lets go again is left out.
"""

from tdx_env.guest.interrupts import pass_interrupts, set_arming
from tdx_env.host.lock_words import acquire, note_taken
from tdx_env.host.trip import is_kicked
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, State
from tdx_env.state.booking import book, charge_cell
from tdx_env.state.calls import MAX_STEPS, NONE, Delay, Leaf, Lock, Mode, Op, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.draws import draw, jitter
from tdx_env.state.streams import Draw
from tdx_env.state.world import MAX_ACTORS, Word, World

_ACTOR_BITS = (MAX_ACTORS - 1).bit_length()  # of a time and an actor's number in one


@inner
def note_return(world: World, vcpu: int) -> None:
    """Note the end of a trip, to be learnt from in order if it was made for a kick."""
    run = world.run
    me = world.actors["row"][vcpu]
    if not is_kicked(me["trip"]):
        return
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
def _cycles_to_tdr(world: World, vcpu: int) -> int:
    """Return how long the vCPU's next VP.ENTER takes to its first lock [cycles]."""
    me = world.actors["row"][vcpu]
    bits = draw(world.run["seed"], Draw.JITTER, vcpu, int(me["item"]), int(me["attempt"]))
    return jitter(world.run["delays"][Leaf.VP_ENTER][Delay.TO_TDR], bits)


@inner
def entry_cycles(world: World, vcpu: int) -> int:
    """Return how long the vCPU's next VP.ENTER takes, if it meets nobody [cycles]."""
    run = world.run
    cycles = _cycles_to_tdr(world, vcpu) + run["enter_cycles"]
    if world.actors["row"][vcpu]["vcpu_epoch"] != run["td_epoch"]:
        cycles += run["costs"][Cost.INVEPT]
    return cycles


@inner
def _begin_call(world: World, vcpu: int) -> None:
    """Leave the vCPU's call as a VP.ENTER that is issued now leaves it in the end."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["leaf"] = Leaf.VP_ENTER
    me["entry"] = NONE
    me["outcome"] = Outcome.SUCCESS
    me["held"] = 0
    me["step"] = run["enter_steps"]
    me["issues"] = 1
    me["kicks"] = 0
    me["interrupts"] = 0
    me["busy_cycles"] = 0
    me["busy_operand"] = NONE
    me["call_started"] = run["now"]
    me["issued"] = run["now"]
    me["attempt"] += 1
    me["mode"] = 1
    me["entry_rip"] = me["rip"]
    me["entry_remaining"] = me["remaining"]
    run["n_in_guest"] += 1
    run["n_seamcalls"] += 1


@inner
def _take_locks(world: World, vcpu: int) -> None:
    """Take the locks that VP.ENTER takes, as it leaves them, and count the vCPU."""
    run = world.run
    me = world.actors["row"][vcpu]
    acquire(world, vcpu, Lock.TDR, Mode.SHARED)
    note_taken(world, Word.OP_STATE, vcpu, Leaf.VP_ENTER)
    run["now"] += run["delays"][Leaf.VP_ENTER][Delay.TO_EPOCH]
    note_taken(world, Word.EPOCH, vcpu, Leaf.VP_ENTER)
    me["flushes"] = me["vcpu_epoch"] != run["td_epoch"]
    me["vcpu_epoch"] = run["td_epoch"]
    me["counted"] = 1
    run["refcount"][run["td_epoch"] & 1] += 1


@inner
def enter_at_once(world: World, vcpu: int, time: int, end: int) -> bool:
    """Play a vCPU's way into the guest up to where it goes on there, if that is before the end.

    Args:
        world: The world; its time is that of the return, if there is one.
        vcpu: Is off the agenda, in its handler or about to enter.
        time: When its state ends [cycles].
        end: Up to when nobody looks [cycles].

    Returns:
        Whether it was played.
    """
    run = world.run
    me = world.actors["row"][vcpu]
    if run["gate_count"] > 0 or me["signal_every"] > 0:
        return False
    serves = me["state"] == State.HOST_IRQ
    looped = time + run["costs"][Cost.RUN_LOOP] if serves else time
    issued = looped + run["costs"][Cost.INVEPT] if me["flush_requested"] else looped
    back = issued + entry_cycles(world, vcpu)
    if back >= end:
        return False
    to_tdr = _cycles_to_tdr(world, vcpu)
    run["now"] = time
    book(world, vcpu, me["category"])
    me["path"] = CallPath.ENTER
    run["now"] = looped
    book(world, vcpu, me["trip"])
    run["now"] = issued
    book(world, vcpu, Category.TRACK_KICK)
    me["flush_requested"] = 0
    charge_cell(world, vcpu)
    _begin_call(world, vcpu)
    run["now"] = issued + to_tdr
    _take_locks(world, vcpu)
    run["now"] = back
    book(world, vcpu, me["trip"])
    note_return(world, vcpu)
    pass_interrupts(world, vcpu)
    set_arming(world, vcpu)
    return True
