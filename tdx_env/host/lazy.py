"""vCPUs off the agenda: what nobody looks at is played when somebody does.

A vCPU that only computes makes trips for its ticks, device interrupts and kicks: exit, handler, run
loop, VP.ENTER. Until it computes again it touches what others read (counts of readers, reference
counts, IN_GUEST_MODE, bookings), but nothing that answers differently for its being there: every
count comes out the same in whatever order such vCPUs add to it. So it stands off the agenda, at
`apart` instead of `due`, and `settle` plays what it has done so far, in one go for each vCPU.

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
from tdx_env.guest.run import compute
from tdx_env.host.enter import enter_run_loop
from tdx_env.host.guest_mode import answer_kicks
from tdx_env.host.round_trip import make_round_trip, measure_entry, note_return
from tdx_env.host.seamcalls import go_through_steps
from tdx_env.host.trip import (
    begin_handler,
    end_exit,
    is_kicked,
    learn_trip,
    serve_interrupt,
    try_enter,
)
from tdx_env.jit import inner
from tdx_env.state.actors import NEVER, Program, State
from tdx_env.state.agenda import call_back
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
    is_alone = run["n_pcpus"] == 0 and world.setup["n_sockets"] <= 1 and not run["is_building"]
    run["may_be_apart"] = is_alone and run["trace_capacity"] == 0


@inner
def _is_private(me: np.void) -> bool:
    """Say whether nobody has to look at the vCPU's next events."""
    if me["program"] != Program.COMPUTE or me["kick_seq"] or me["srcu_waited"] or me["has_gate"]:
        return False
    state = me["state"]
    if state == State.RUN_LOOP or state == State.FLUSH_TLB or state == State.GATED:
        return bool(me["leaf"] == NONE)  # no VP.ENTER that repeats one that was busy
    return bool(state == State.COMPUTE or state == State.HOST_IRQ)


@inner
def leave_agenda(world: World, vcpu: int) -> None:
    """Take an actor off the agenda if its next events are its own."""
    run = world.run
    due = world.actors["due"][vcpu]
    if not run["may_be_apart"] or due <= run["epoch_until"]:
        return
    if not _is_private(world.actors["row"][vcpu]):
        return
    world.actors["apart"][vcpu] = due
    world.actors["due"][vcpu] = NEVER
    run["soonest_apart"] = min(run["soonest_apart"], due)


@inner
def call_all_back(world: World) -> None:
    """Put every actor on the agenda, and let none leave it again."""
    for actor in range(world.run["n_actors"]):
        call_back(world, actor)
    world.run["may_be_apart"] = 0


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
def call_last_back(world: World) -> None:
    """Put on the agenda whom a new kick's sender waits for: the last to leave, and who enters."""
    run = world.run
    last, latest = NONE, NONE
    for vcpu in range(run["n_vcpus"]):
        leaves = world.actors["apart"][vcpu]
        me = world.actors["row"][vcpu]
        if leaves == NEVER or not me["mode"]:
            continue
        if me["state"] == State.COMPUTE:
            leaves += run["costs"][Cost.TD_EXIT]
        elif me["state"] != State.TD_EXIT:
            call_back(world, vcpu)
            continue
        if leaves >= latest:
            last, latest = vcpu, leaves
    if last != NONE:
        call_back(world, last)


@inner
def hold_epoch(world: World, until: int) -> None:
    """TRACK holds the epoch lock: whoever has an event before it lets go is on the agenda."""
    run = world.run
    run["epoch_until"] = until
    for vcpu in range(run["n_vcpus"]):
        if world.actors["apart"][vcpu] <= until:
            call_back(world, vcpu)


@inner
def _back_in_guest(world: World, vcpu: int) -> None:
    """VP.ENTER has succeeded: compute on, or leave again for what came meanwhile."""
    run = world.run
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    if is_kicked(me["trip"]):
        note_return(world, vcpu)
    pass_interrupts(world, vcpu)
    set_arming(world, vcpu)
    if next_exit(me) <= run["now"]:
        begin_interrupt_exit(world, vcpu)
    else:
        compute(world, vcpu)


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
        begin_interrupt_exit(world, vcpu)
    elif state == State.TD_EXIT:
        end_exit(world, vcpu)
        answer_kicks(world, vcpu)
        begin_handler(world, vcpu)
    elif state == State.HOST_IRQ:
        serve_interrupt(world, vcpu)
    elif state == State.RUN_LOOP or state == State.FLUSH_TLB or state == State.GATED:
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
    time = world.actors["apart"][vcpu]
    me = world.actors["row"][vcpu]
    while time < end:
        is_whole = me["state"] == State.COMPUTE and make_round_trip(world, vcpu, time, end)
        if not is_whole:
            run["now"] = time
            _step(world, vcpu)
        time = world.actors["due"][vcpu]
    world.actors["apart"][vcpu] = time
    world.actors["due"][vcpu] = NEVER


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
