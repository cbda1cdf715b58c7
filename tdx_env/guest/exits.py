"""Leaving the guest: the module's zero-step filter, and the start of a TD exit."""

from tdx_env.guest.interrupts import end_arming, next_interrupt
from tdx_env.guest.items import RIP_OF_HANDLER, entry_of_item
from tdx_env.guest.walk import walk_end
from tdx_env.jit import inner
from tdx_env.module.zero_step import after_vm_exit, log_ept_violation
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Kick, Phase, Program, State
from tdx_env.state.booking import begin_fault, begin_operation, book
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import EntryState
from tdx_env.state.costs import Cost
from tdx_env.state.world import World


@inner
def vm_exit_filter(world: World, actor: int) -> None:
    """Do what the module does at every VM exit: progress since VP.ENTER clears zero-step."""
    me = world.actors["row"][actor]
    moved = me["rip"] != me["entry_rip"] or (
        me["phase"] == Phase.THINK and me["remaining"] != me["entry_remaining"]
    )
    counter, listed = after_vm_exit(me["zs_counter"], me["zs_listed"], moved)
    me["zs_counter"] = counter
    me["zs_listed"] = listed


@inner
def fault_target(world: World, actor: int) -> int:
    """Return the leaf entry that a fault of the vCPU's current instruction is about."""
    me = world.actors["row"][actor]
    if me["program"] == Program.HAMMER:
        return me["asked"]
    entry = entry_of_item(world, actor)
    if me["program"] == Program.TOUCH:
        end = walk_end(world, entry)
        if end == entry or end >= world.run["first_l2"]:
            return entry
        # The walk ended on the PD entry: a 2M leaf is the page itself, an empty slot is not.
        state = world.entries["row"][end]["state"]
        if state != EntryState.FREE and state != EntryState.NL_BLOCKED:
            return end
    return entry


@inner
def _log(world: World, actor: int) -> None:
    """Let zero-step log a hardware EPT violation."""
    me = world.actors["row"][actor]
    setup = world.setup
    counter, listed = log_ept_violation(
        me["zs_counter"],
        me["zs_listed"],
        me["gpas"],
        me["fault_entry"],
        setup["zero_step_threshold"],
        setup["zero_step_capacity"],
    )
    me["zs_counter"] = counter
    me["zs_listed"] = listed


@inner
def _trip_of(world: World, actor: int, reason: int) -> int:
    """Return the category that an exit and the re-entry after it are booked to."""
    me = world.actors["row"][actor]
    if reason == Exit.KICK:
        if me["ipi_kind"] == Kick.TRACK or me["ipi_kind"] == Kick.FLUSH:
            return Category.TRACK_KICK
        if me["ipi_kind"] != Kick.DECISION:
            break_off(world, actor, Place.KICK_TRIP, me["ipi_kind"])
        return Category.KICK_TARGET
    if reason == Exit.EPT_VIOLATION:
        return Category.REFAULT if me["refault"] else Category.EXIT_ENTRY
    if reason == Exit.HOST_PRIORITY_TIMEOUT:
        return Category.GUEST_PRIORITY_STALL
    is_known = reason == Exit.TICK or reason == Exit.ARM_TIMER
    if not is_known and reason != Exit.HLT and reason != Exit.MAP_GPA:
        break_off(world, actor, Place.EXIT_TRIP, reason)
    return Category.EXIT_ENTRY


@inner
def begin_exit(world: World, actor: int, reason: int) -> None:
    """Start a TD exit."""
    run = world.run
    me = world.actors["row"][actor]
    trip = _trip_of(world, actor, reason)
    if reason == Exit.EPT_VIOLATION and me["refault"]:
        book(world, actor, Category.REFAULT)
    else:
        book(world, actor, me["category"])
    vm_exit_filter(world, actor)
    if reason == Exit.EPT_VIOLATION:
        me["synthetic"] = 0
        me["fault_entry"] = fault_target(world, actor)
        begin_operation(world, actor)
        begin_fault(world, actor)
        if not me["accept_fault"]:
            _log(world, actor)
    me["exit"] = reason
    me["exit_started"] = run["now"]
    me["trip"] = trip
    me["category"] = trip
    me["state"] = State.TD_EXIT
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.TD_EXIT]


@inner
def begin_interrupt_exit(world: World, actor: int) -> None:
    """Start the TD exit of an IPI that has arrived, else of an interrupt, else of the arming."""
    now = world.run["now"]
    me = world.actors["row"][actor]
    if me["ipi_at"] <= now:
        begin_exit(world, actor, Exit.KICK)
    elif next_interrupt(me) <= now:
        begin_exit(world, actor, Exit.TICK)
    else:
        end_arming(me)
        me["rip"] = RIP_OF_HANDLER
        begin_exit(world, actor, Exit.ARM_TIMER)
