"""The event loop: the actor that is due next is moved one state on, until somebody must decide."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tdx_env.guest.run import (
    accept_in_handler,
    return_to_guest,
    stop_computing,
    stop_touching,
    try_again,
)
from tdx_env.guest.tdcalls import let_entry_go, try_entry
from tdx_env.host.busy import act, decide, interrupts_served, seamcall_returned
from tdx_env.host.chains import (
    after_count,
    after_kick,
    back_from_user,
    begin_task_item,
    kick_sent,
    rescheduled,
    succeed,
    with_file,
    with_guard,
    with_mmu_lock,
)
from tdx_env.host.fault import look_up_page, unwound, walk
from tdx_env.host.lazy import hold_epoch, leave_agenda, recall_all, rejoin, settle
from tdx_env.host.leaves import LOOKS_AT_EPOCH
from tdx_env.host.pamt import count_page, pages_taken
from tdx_env.host.restore import end_hold
from tdx_env.host.run_loop import flush_on_old_cpu
from tdx_env.host.seamcalls import checks_now, go_through_steps, issue
from tdx_env.host.slots import zap_slot
from tdx_env.host.tasks import pass_trigger
from tdx_env.host.trip import serve_interrupt, try_enter
from tdx_env.host.vcpus import leave_guest, wake_up
from tdx_env.host.zap import block_page, end_page
from tdx_env.jit import inner, pasted
from tdx_env.state.actors import NEVER, State
from tdx_env.state.agenda import next_actor, refresh_own_block
from tdx_env.state.booking import (
    book,
    charge_cell,
    end_chunk_time,
    end_fault,
    end_stretch,
    end_write_hold,
)
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf, Lock
from tdx_env.state.discipline import ASK
from tdx_env.state.features import N_FEATURES
from tdx_env.state.world import End, World

Decide = Callable[[NDArray[np.int64]], int]


@inner
def _booked(world: World, actor: int) -> None:
    """Book the activity that ends."""
    book(world, actor, world.actors["row"][actor]["category"])


@inner
def _handle_guest(world: World, actor: int, state: int) -> None:
    """Handle the end of what a vCPU does in the guest."""
    if state == State.COMPUTE:
        stop_computing(world, actor)
    elif state == State.TDCALL:
        try_entry(world, actor)
    elif state == State.HOLD:
        let_entry_go(world, actor)
    elif state == State.TDCALL_RETURN:
        return_to_guest(world, actor)
    elif state == State.TOUCH:
        stop_touching(world, actor)
    elif state == State.VE:
        accept_in_handler(world, actor)
    elif state == State.RETRY_WAIT:
        try_again(world, actor)
    else:
        break_off(world, actor, Place.EVENT, state)


@inner
def _handle_vcpu(world: World, actor: int, state: int) -> None:
    """Handle the end of what a vCPU thread does in the host, call chains aside."""
    if state == State.TD_EXIT:
        leave_guest(world, actor)
    elif state == State.HOST_IRQ:
        serve_interrupt(world, actor)
    elif state == State.HALTED:
        wake_up(world, actor)
    elif state == State.USER_EXIT:
        back_from_user(world, actor)
    elif state == State.RUN_LOOP or state == State.GATED:
        try_enter(world, actor)
    elif state == State.FAULT_SOFTWARE:
        look_up_page(world, actor)
    elif state == State.FAULT_LOCKED:
        _booked(world, actor)
        walk(world, actor)
    elif state == State.UNWIND:
        unwound(world, actor)
    else:
        break_off(world, actor, Place.EVENT, state)


@inner
def _handle_host(world: World, actor: int, state: int) -> None:
    """Handle the end of a wait, a kick, a decision or a step of the zap path."""
    if state == State.MMU_GRANTED:
        _booked(world, actor)
        with_mmu_lock(world, actor)
    elif state == State.SEAMCALL_LOCK_WAIT:
        _booked(world, actor)
        issue(world, actor)
    elif state == State.SEAM_RETURN:
        seamcall_returned(world, actor)
    elif state == State.DECIDED:
        act(world, actor)
    elif state == State.KICK_SEND:
        kick_sent(world, actor)
    elif state == State.KICK_WAIT:
        _booked(world, actor)
        after_kick(world, actor)
    elif state == State.ZAP_SOFTWARE:
        block_page(world, actor)
    elif state == State.ZAP_CLEAR:
        end_page(world, actor)
    elif state == State.RESCHED:
        rescheduled(world, actor)
    elif state == State.THINK:
        begin_task_item(world, actor)
    elif state == State.WAIT_TRIGGER:
        pass_trigger(world, actor)
    elif state == State.HOLD_BLOCKED:
        end_hold(world, actor)
    elif state == State.IRQ_SERVE:
        interrupts_served(world, actor)
    elif state == State.GUARD_WAIT:
        with_guard(world, actor)
    elif state == State.SRCU_WAIT:
        zap_slot(world, actor)
    elif state == State.VCPU_LOAD:
        flush_on_old_cpu(world, actor)
    elif state == State.FLUSH_TLB:
        try_enter(world, actor)
    else:
        break_off(world, actor, Place.EVENT, state)


@inner
def _handle_counting(world: World, actor: int, state: int) -> None:
    """Handle the end of a step of Dynamic PAMT, or of a wait for the file's lock."""
    if state == State.PAMT_PAGES:
        pages_taken(world, actor)
    elif state == State.PAMT_WAIT:
        _booked(world, actor)
        count_page(world, actor)
    elif state == State.PAMT_HELD:
        after_count(world, actor)
    elif state == State.FILE_WAIT:
        with_file(world, actor)
    else:
        break_off(world, actor, Place.EVENT, state)


@inner
def _handle_seamcall(world: World, actor: int) -> None:
    """Handle SEAMCALL: the steps of a call that are due; some of them look at all vCPUs."""
    me = world.actors["row"][actor]
    if LOOKS_AT_EPOCH[me["leaf"]] and checks_now(world, actor):
        settle(world)
    if go_through_steps(world, actor):
        succeed(world, actor)
    elif me["leaf"] == Leaf.MEM_TRACK and me["held"] & (1 << Lock.EPOCH):
        hold_epoch(world, world.actors["due"][actor])


@pasted
def handle(world: World, actor: int) -> None:
    """Move the actor that is due one state on."""
    state = world.actors["row"][actor]["state"]
    if state == State.SEAMCALL:
        _handle_seamcall(world, actor)
    elif state <= State.RETRY_WAIT:
        _handle_guest(world, actor, state)
    elif state <= State.UNWIND:
        _handle_vcpu(world, actor, state)
    elif state <= State.FLUSH_TLB:
        _handle_host(world, actor, state)
    else:
        _handle_counting(world, actor, state)


@inner
def _trace_event(world: World, actor: int) -> None:
    """Keep the event, if events are traced and there is room."""
    run = world.run
    place = run["n_traced"]
    if place >= run["trace_capacity"]:
        return
    row = world.trace["event"][place]
    row["time"] = run["now"]
    row["actor"] = actor
    row["state"] = world.actors["row"][actor]["state"]
    row["entry"] = world.actors["row"][actor]["entry"]
    run["n_traced"] += 1


@inner
def _begin_event(world: World, actor: int) -> bool:
    """Make it the actor's turn; say whether it has an event: off the agenda it may be late."""
    run = world.run
    run["now"] = world.actors["due"][actor]
    run["turn"] = actor
    if world.actors["apart"][actor] != NEVER:
        rejoin(world, actor)
        if world.actors["due"][actor] != run["now"]:
            return False
    run["n_events"] += 1
    _trace_event(world, actor)
    return True


@inner
def finish(world: World) -> None:
    """Close the books: every open activity, wait and stretch, and the cost of not finishing."""
    run = world.run
    settle(world)
    for actor in range(run["n_actors"]):
        book(world, actor, world.actors["row"][actor]["category"])
        charge_cell(world, actor)
        end_stretch(world, actor)
        end_fault(world, actor)
        end_chunk_time(world, actor)
    if run["mmu_writer"] != NONE:
        end_write_hold(world)
    if run["end"] != End.FINISHED:
        run["tail_cost"] = run["n_cpus"] * max(0, run["time_cap"] - run["now"])


@inner
def advance(world: World, features: NDArray[np.int64], policy: Decide, budget: int) -> int:
    """Run until a decision is left to the caller, the episode ends or the budget is used up.

    Args:
        world: The episode.
        features: Filled with the features of each decision, shape (N_FEATURES,).
        policy: Decision function: integer features in, an Action or ASK out.
        budget: The most events to be run [events].

    Returns:
        The `End` of the episode: RUNNING if a decision is waited for, or nothing but the budget
        stands in the way.
    """
    run = world.run
    last_event = run["n_events"] + budget
    actor = NONE
    if run["may_be_apart"] and run["trace_capacity"] > 0:
        recall_all(world)
        run["may_be_apart"] = 0
    while run["end"] == End.RUNNING:
        if run["decision_actor"] != NONE:
            for feature in range(N_FEATURES):
                features[feature] = run["features"][feature]
            action = policy(features)
            if action == ASK:
                return run["end"]
            decide(world, action)
            if run["end"] != End.RUNNING:
                break
        if run["n_events"] >= last_event:
            return run["end"]
        actor = next_actor(world, actor)
        stall = run["last_progress"] + run["stall_cycles"]
        limit = min(stall, run["time_cap"])
        if world.actors["due"][actor] > limit:
            run["now"] = limit
            run["turn"] = run["n_actors"]
            run["end"] = End.HUNG if stall < run["time_cap"] else End.CAPPED
            break
        if not _begin_event(world, actor):
            continue
        handle(world, actor)
        leave_agenda(world, actor)
        refresh_own_block(world, actor)
        if run["end"] == End.RUNNING and run["work_done"] == run["work_total"]:
            run["end"] = End.FINISHED
    finish(world)
    return run["end"]
