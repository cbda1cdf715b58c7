"""vCPUs off the agenda: what nobody looks at is played when somebody does.

A vCPU makes trips for its ticks, device interrupts and kicks: exit, handler, run loop, VP.ENTER.
Until it is back in the guest it touches what others read (counts of readers, reference counts,
IN_GUEST_MODE, bookings), but nothing that answers differently for its being there: every count
comes out the same in whatever order such vCPUs add to it. The same holds for what a vCPU does in
the guest that only computes, for ever or, a hammer, until the host works on an entry. So they stand
off the agenda, at `apart`, and `settle` plays what they have done so far, in one go for each vCPU.
Due, for the agenda, is one that only computes never, any other when it is back at the soonest.

Somebody looks, and so calls `settle` before: a kick and the gate, a decision's features, a rule
that counts vCPUs in the guest, TRACK and the calls that ask for its epoch, SRCU, the episode's end.
Back on the agenda come those whose next events meet others:

- those that might try the epoch lock while TRACK holds it,
- the last of a kick's targets to leave the guest, on whom the kicker waits, and those that were on
  their way in,
- those that a memslot's deletion waits for, or that the gate keeps out.

The averages of kicked trips depend on the order of their ends: those of one settling are sorted.

An event off the agenda counts as none. No vCPU is off it while a trace is kept, under construction,
where vCPU threads share CPUs, or where a second socket makes every access of a lock word tell.
"""

import numpy as np

from tdx_env.guest.exits import begin_interrupt_exit
from tdx_env.guest.interrupts import next_exit, pass_interrupts, set_arming
from tdx_env.guest.run import compute, think_again
from tdx_env.host.enter import enter_run_loop
from tdx_env.host.guest_mode import answer_kicks, awaits
from tdx_env.host.round_trip import enter_at_once, entry_cycles, measure_entry, note_return
from tdx_env.host.seamcalls import go_through_steps
from tdx_env.host.trip import (
    begin_handler,
    end_exit,
    learn_trip,
    serve_interrupt,
    try_enter,
)
from tdx_env.jit import inner
from tdx_env.state.actors import NEVER, Exit, Phase, Program, State
from tdx_env.state.agenda import call_back, refresh_block
from tdx_env.state.booking import book
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.world import World


@inner
def let_leave(world: World) -> None:
    """At an episode's start: note whether vCPUs may leave the agenda, and how they enter."""
    run = world.run
    measure_entry(world)
    for vcpu in range(run["n_vcpus"]):
        run["n_hammers"] += world.actors["row"][vcpu]["program"] == Program.HAMMER
    is_alone = run["n_pcpus"] == 0 and world.setup["n_sockets"] <= 1 and not run["is_building"]
    run["may_be_apart"] = is_alone and run["trace_capacity"] == 0


@inner
def _only_computes(world: World, me: np.void) -> bool:
    """Say whether all that the vCPU does in the guest is to compute, as things are."""
    is_idle_hammer = me["program"] == Program.HAMMER and world.run["target"] == NONE
    return bool(me["program"] == Program.COMPUTE or is_idle_hammer)


@inner
def _is_private(world: World, me: np.void) -> bool:
    """Say whether nobody has to look at the vCPU's next events."""
    if me["kick_seq"] or me["srcu_waited"] or me["has_gate"] or me["zs_listed"]:
        return False
    state = me["state"]
    if state == State.COMPUTE:
        return _only_computes(world, me)
    if state == State.RUN_LOOP or state == State.FLUSH_TLB or state == State.GATED:
        return bool(me["leaf"] == NONE)  # no VP.ENTER that repeats one that was busy
    if state == State.TD_EXIT:
        reason = me["exit"]
        return bool(reason == Exit.TICK or reason == Exit.KICK or reason == Exit.ARM_TIMER)
    return bool(state == State.HOST_IRQ)


@inner
def _soonest_return(world: World, vcpu: int) -> int:
    """Return when a vCPU on its way back is in the guest, if nothing makes it wait [cycles]."""
    run = world.run
    costs = run["costs"]
    me = world.actors["row"][vcpu]
    state = me["state"]
    time = world.actors["due"][vcpu]
    if state == State.TD_EXIT:
        is_kick = me["exit"] == Exit.KICK
        time += costs[Cost.KICK_HANDLER] if is_kick else costs[Cost.IRQ_HANDLER]
    if state == State.TD_EXIT or state == State.HOST_IRQ:
        time += costs[Cost.RUN_LOOP]
    if me["flush_requested"] and (state == State.TD_EXIT or not me["mode"]):
        time += costs[Cost.INVEPT]
    return time + entry_cycles(world, vcpu)


@inner
def is_kept_out(world: World, vcpu: int) -> bool:
    """Say whether a vCPU thread waits until the gate is opened."""
    is_gated = world.actors["row"][vcpu]["state"] == State.GATED
    is_asleep = world.actors["due"][vcpu] == NEVER and world.actors["apart"][vcpu] == NEVER
    return bool(is_gated and is_asleep)


@inner
def leave_agenda(world: World, vcpu: int) -> None:
    """Take an actor off the agenda if its next events are its own."""
    run = world.run
    due = world.actors["due"][vcpu]
    if not run["may_be_apart"] or due <= run["epoch_until"] or due == NEVER:
        return
    me = world.actors["row"][vcpu]
    if not _is_private(world, me):
        return
    world.actors["due"][vcpu] = NEVER if _only_computes(world, me) else _soonest_return(world, vcpu)
    world.actors["apart"][vcpu] = due
    run["soonest_apart"] = min(run["soonest_apart"], due)


@inner
def interrupt_earlier(world: World, vcpu: int, arrival: int) -> None:
    """Let an IPI end the computing of a vCPU off the agenda."""
    run = world.run
    time = min(world.actors["apart"][vcpu], arrival)
    world.actors["apart"][vcpu] = time
    run["soonest_apart"] = min(run["soonest_apart"], time)
    if time <= run["epoch_until"]:
        call_back(world, vcpu)


@inner
def _recall(world: World, vcpu: int) -> None:
    """Put a vCPU back on the agenda, where the senders of kicks wait for it."""
    run = world.run
    if world.actors["apart"][vcpu] == NEVER:
        return
    call_back(world, vcpu)
    kicker = run["first_kicker"]
    while kicker != NONE:
        sender = world.actors["row"][kicker]
        sender["awaited"] += awaits(world, kicker, vcpu)
        kicker = sender["next_kicker"]


@inner
def recall_all(world: World) -> None:
    """Put every actor on the agenda, once all are at the present."""
    for actor in range(world.run["n_actors"]):
        _recall(world, actor)


@inner
def call_last_back(world: World, kicker: int) -> None:
    """Put on the agenda whom a new kick's sender waits for: the last to leave, and who enters."""
    run = world.run
    sender = world.actors["row"][kicker]
    sender["awaited"] = sender["targets"]
    last, latest = NONE, NONE
    for vcpu in range(run["n_vcpus"]):
        leaves = world.actors["apart"][vcpu]
        me = world.actors["row"][vcpu]
        if leaves == NEVER or not me["mode"]:
            continue
        sender["awaited"] -= 1
        if me["state"] == State.COMPUTE:
            leaves = next_exit(me) + run["costs"][Cost.TD_EXIT]
        elif me["state"] != State.TD_EXIT:
            _recall(world, vcpu)
            continue
        if leaves >= latest:
            last, latest = vcpu, leaves
    if last != NONE:
        _recall(world, last)


@inner
def set_target(world: World, entry: int) -> None:
    """Note the entry that the host works on, at which hostile vCPUs aim from now on."""
    run = world.run
    if run["target"] == NONE and run["n_hammers"] > 0:
        settle(world)
        for vcpu in range(run["n_vcpus"]):
            if world.actors["row"][vcpu]["program"] == Program.HAMMER:
                _recall(world, vcpu)
    run["target"] = entry


@inner
def hold_epoch(world: World, until: int) -> None:
    """TRACK holds the epoch lock: whoever has an event before it lets go is on the agenda."""
    run = world.run
    run["epoch_until"] = until
    for vcpu in range(run["n_vcpus"]):
        if world.actors["apart"][vcpu] <= until:
            _recall(world, vcpu)


@inner
def _back_in_guest(world: World, vcpu: int) -> None:
    """VP.ENTER has succeeded: compute on, or leave again for what came meanwhile."""
    me = world.actors["row"][vcpu]
    if not _only_computes(world, me):
        break_off(world, vcpu, Place.APART, me["state"])
    book(world, vcpu, me["category"])
    note_return(world, vcpu)
    pass_interrupts(world, vcpu)
    set_arming(world, vcpu)
    _compute_on(world, vcpu)


@inner
def _compute_on(world: World, vcpu: int) -> None:
    """Compute on in the guest, or leave it for what has come."""
    me = world.actors["row"][vcpu]
    if next_exit(me) <= world.run["now"]:
        begin_interrupt_exit(world, vcpu)
    elif me["phase"] == Phase.THINK and me["remaining"] > 0:
        compute(world, vcpu)
    else:
        think_again(world, vcpu)


@inner
def _is_way_in(state: int) -> bool:
    """Say whether a state of a vCPU off the agenda leads to VP.ENTER and nowhere else."""
    is_in_loop = state == State.RUN_LOOP or state == State.FLUSH_TLB or state == State.GATED
    return bool(is_in_loop or state == State.HOST_IRQ)


@inner
def _step(world: World, vcpu: int) -> None:
    """Play one event of a vCPU off the agenda."""
    me = world.actors["row"][vcpu]
    state = me["state"]
    if state == State.SEAMCALL:
        if go_through_steps(world, vcpu):
            _back_in_guest(world, vcpu)
    elif state == State.COMPUTE:
        book(world, vcpu, me["category"])
        me["remaining"] -= world.run["now"] - me["started"]
        _compute_on(world, vcpu)
    elif state == State.TD_EXIT:
        end_exit(world, vcpu)
        answer_kicks(world, vcpu, 0)
        begin_handler(world, vcpu)
    elif state == State.HOST_IRQ:
        serve_interrupt(world, vcpu)
    elif _is_way_in(state):
        try_enter(world, vcpu)
    elif state == State.USER_EXIT:
        book(world, vcpu, me["category"])
        enter_run_loop(world, vcpu)
    else:
        break_off(world, vcpu, Place.APART, state)


@inner
def _play(world: World, vcpu: int, end: int) -> None:
    """Play the events of a vCPU off the agenda that come before a time [cycles]."""
    run = world.run
    time, returns = world.actors["apart"][vcpu], world.actors["due"][vcpu]
    me = world.actors["row"][vcpu]
    while time < end:
        if _is_way_in(me["state"]) and enter_at_once(world, vcpu, time, end):
            _compute_on(world, vcpu)
        else:
            run["now"] = time
            _step(world, vcpu)
        time = world.actors["due"][vcpu]
    world.actors["apart"][vcpu] = time
    if time != NEVER:
        world.actors["due"][vcpu] = returns
    elif returns != NEVER:
        refresh_block(world, vcpu)


@inner
def rejoin(world: World, vcpu: int) -> None:
    """Put a vCPU on the agenda that may be back in the guest now."""
    now = world.run["now"]
    _play(world, vcpu, now)
    world.run["now"] = now
    _recall(world, vcpu)


@inner
def _learn_trips(world: World) -> None:
    """Learn from the kicked trips of one settling, in the order in which they ended."""
    run = world.run
    ends, trips = world.actors["returned"], world.actors["returned_trip"]
    for place in range(1, run["n_returned"]):
        end, trip = ends[place], trips[place]
        before = place - 1
        while before >= 0 and ends[before] > end:
            ends[before + 1], trips[before + 1] = ends[before], trips[before]
            before -= 1
        ends[before + 1], trips[before + 1] = end, trip
    for place in range(run["n_returned"]):
        learn_trip(world, trips[place] < 0, abs(trips[place]))
    run["n_returned"] = 0


@inner
def settle(world: World) -> None:
    """Bring all vCPUs off the agenda to the present: to just before the event under way.

    Of events at one time those of smaller numbers come first.
    """
    run = world.run
    now = run["now"]
    if run["soonest_apart"] > now:
        return
    soonest = NEVER
    for vcpu in range(run["n_vcpus"]):
        end = now + (vcpu < run["turn"])
        if world.actors["apart"][vcpu] < end:
            _play(world, vcpu, end)
        soonest = min(soonest, world.actors["apart"][vcpu])
    run["now"] = now
    run["soonest_apart"] = soonest
    if run["n_returned"] > 0:
        _learn_trips(world)
