"""A vCPU's trip out of the guest and back: TD exit, handler, run loop, VP.ENTER.

What stands here is played in the event loop and, for vCPUs off the agenda, by `host.lazy`.
"""

from tdx_env.guest.interrupts import pass_interrupts
from tdx_env.host.enter import enter_run_loop, is_repeat, pass_gate
from tdx_env.host.lock_words import release
from tdx_env.host.run_loop import flushes_tlb, leaves_run_loop
from tdx_env.host.seamcalls import issue, new_call
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, State
from tdx_env.state.booking import book
from tdx_env.state.calls import NONE, Leaf, Lock
from tdx_env.state.costs import Cost
from tdx_env.state.features import EWMA_SHIFT
from tdx_env.state.world import World


@inner
def end_exit(world: World, vcpu: int) -> None:
    """The TD exit is over: TLB tracking no longer counts the vCPU, and it lets the TD go."""
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    world.run["refcount"][me["vcpu_epoch"] & 1] -= 1
    me["counted"] = 0
    release(world, vcpu, Leaf.VP_ENTER, Lock.TDR)


@inner
def begin_handler(world: World, vcpu: int) -> None:
    """Run the handler of what ended the guest's turn: an IPI's, an interrupt's, or the arming's.

    # MODEL: KVM's hrtimer for a TSC_DEADLINE takes as long as an interrupt's handler.
    """
    run = world.run
    me = world.actors["row"][vcpu]
    me["state"] = State.HOST_IRQ
    if me["exit"] == Exit.KICK:
        me["category"] = me["trip"]
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.KICK_HANDLER]
    else:
        is_arming = me["exit"] == Exit.ARM_TIMER
        me["category"] = Category.EXIT_ENTRY if is_arming else Category.HOST_IRQ
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.IRQ_HANDLER]


@inner
def serve_interrupt(world: World, vcpu: int) -> None:
    """Handle HOST_IRQ: served, back to the guest."""
    book(world, vcpu, world.actors["row"][vcpu]["category"])
    pass_interrupts(world, vcpu)
    enter_run_loop(world, vcpu)


@inner
def try_enter(world: World, vcpu: int) -> None:
    """Handle RUN_LOOP, FLUSH_TLB and GATED: serve requests, check the gate, issue VP.ENTER."""
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    if me["state"] == State.RUN_LOOP and leaves_run_loop(world, vcpu):
        return
    if flushes_tlb(world, vcpu) or not pass_gate(world, vcpu):
        return
    if is_repeat(world, vcpu):
        issue(world, vcpu)
    else:
        new_call(world, vcpu, Leaf.VP_ENTER, NONE)


@inner
def is_kicked(trip: int) -> bool:
    """Say whether a trip, named by its category, was made for a kick."""
    return bool(trip == Category.KICK_TARGET or trip == Category.TRACK_KICK)


@inner
def learn_trip(world: World, is_track: bool, cycles: int) -> None:
    """Learn how long a kicked vCPU is out of the guest: for TRACK, or for a decided kick."""
    run = world.run
    if is_track:
        run["flush_target"] += (cycles - run["flush_target"]) >> EWMA_SHIFT
    else:
        run["kick_target"] += (cycles - run["kick_target"]) >> EWMA_SHIFT
