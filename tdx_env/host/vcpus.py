"""What vCPU threads do in the host: TD exits and what they ask for, and entering the guest."""

from tdx_env.guest.interrupts import next_guest_interrupt, pass_interrupts, set_arming
from tdx_env.guest.items import begin_item, wake_tasks
from tdx_env.guest.run import continue_guest
from tdx_env.host.cpus import give_cpu_on, wake_on_cpu
from tdx_env.host.enter import enter_run_loop
from tdx_env.host.fault import begin_fault_pass
from tdx_env.host.guest_mode import leave_guest_mode
from tdx_env.host.kick import release_gate
from tdx_env.host.kill import kill
from tdx_env.host.lazy import settle
from tdx_env.host.srcu import srcu_quiescent
from tdx_env.host.trip import begin_handler, end_exit, is_kicked, learn_trip
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, State
from tdx_env.state.booking import begin_fault, begin_operation, book
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import KickFlagged
from tdx_env.state.world import World


@inner
def leave_guest(world: World, vcpu: int) -> None:
    """Handle TD_EXIT: outside the guest; serve the exit."""
    end_exit(world, vcpu)
    leave_guest_mode(world, vcpu)
    _serve_exit(world, vcpu)


@inner
def _halt(world: World, vcpu: int) -> None:
    """Let the thread sleep until its next interrupt."""
    me = world.actors["row"][vcpu]
    pass_interrupts(world, vcpu)
    me["state"] = State.HALTED
    me["category"] = Category.IDLE
    world.actors["due"][vcpu] = next_guest_interrupt(me)
    srcu_quiescent(world, vcpu)
    if world.run["n_pcpus"] > 0:
        give_cpu_on(world, me["cpu"])


@inner
def _refused_too_long(world: World, vcpu: int) -> None:
    """Host priority has refused the guest for HP_LOCK_TIMEOUT: KVM doesn't know this exit.

    Source: Linux arch/x86/kvm/vmx/tdx.c, tdx_handle_exit: to user space, as an internal error; QEMU
    stops the TD. A VMM that enters it again finds the mark where it was.
    """
    if world.setup["stops_on_timeout"]:
        kill(world, vcpu, Leaf.VP_ENTER, Outcome.HOST_PRIORITY_BUSY_TIMEOUT)
    else:
        enter_run_loop(world, vcpu)


@inner
def _serve_exit(world: World, vcpu: int) -> None:
    """Do what the reason of a TD exit asks for."""
    run = world.run
    me = world.actors["row"][vcpu]
    reason = me["exit"]
    if reason == Exit.TICK or reason == Exit.KICK or reason == Exit.ARM_TIMER:
        begin_handler(world, vcpu)
    elif reason == Exit.EPT_VIOLATION:
        if me["pending"] and not me["accept_fault"]:
            kill(world, vcpu, NONE, Outcome.EPT_VIOLATION)
        else:
            begin_fault_pass(world, vcpu)
    elif reason == Exit.HLT:
        _halt(world, vcpu)
    elif reason == Exit.MAP_GPA:
        srcu_quiescent(world, vcpu)
        me["state"] = State.USER_EXIT
        me["category"] = Category.HOST_WORK
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.USER_EXIT]
    elif reason == Exit.HOST_PRIORITY_TIMEOUT:
        _refused_too_long(world, vcpu)
    else:
        break_off(world, vcpu, Place.TD_EXIT, reason)


@inner
def wake_up(world: World, vcpu: int) -> None:
    """Handle HALTED: an interrupt ends HLT."""
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    pass_interrupts(world, vcpu)
    me["item"] += 1
    begin_item(world, vcpu)
    wake_tasks(world)
    me["trip"] = Category.EXIT_ENTRY
    enter_run_loop(world, vcpu)
    if world.run["n_pcpus"] > 0:
        wake_on_cpu(world, vcpu)


@inner
def yield_to_run_loop(world: World, vcpu: int) -> None:
    """Leave the fast path after a busy VP.ENTER: the next one is a new call."""
    enter_run_loop(world, vcpu)
    world.actors["row"][vcpu]["category"] = Category.YIELD


@inner
def enter_guest(world: World, vcpu: int) -> None:
    """VP.ENTER has succeeded: the vCPU runs TD code."""
    me = world.actors["row"][vcpu]
    release_gate(world, vcpu)
    if is_kicked(me["trip"]):
        settle(world)
        is_track = me["trip"] == Category.TRACK_KICK
        learn_trip(world, is_track, world.run["now"] - me["exit_started"])
    # MODEL: interrupts that came while the vCPU was out are posted, and served for free.
    pass_interrupts(world, vcpu)
    set_arming(world, vcpu)
    continue_guest(world, vcpu)


@inner
def after_synthetic_exit(world: World, vcpu: int) -> None:
    """VP.ENTER of an armed vCPU came back with a made-up EPT violation."""
    run = world.run
    me = world.actors["row"][vcpu]
    run["n_synthetic"] += 1
    me["synthetic"] = 1
    me["accept_fault"] = 0
    me["exit"] = Exit.EPT_VIOLATION
    when = world.discipline["kick_flagged"]
    if when == KickFlagged.ZERO_STEP:
        me["flagged"] = 1
    elif when != KickFlagged.NEVER and when != KickFlagged.BUSY:
        break_off(world, vcpu, Place.KICK_FLAGGED, when)
    release_gate(world, vcpu)
    begin_operation(world, vcpu)
    begin_fault(world, vcpu)
    begin_fault_pass(world, vcpu)
