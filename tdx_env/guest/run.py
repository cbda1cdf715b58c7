"""A vCPU in the guest: what it executes next, and the ends of what it does there."""

from tdx_env.guest.exits import begin_exit, begin_interrupt_exit, vm_exit_filter
from tdx_env.guest.falling_back import accepted, fall_back, falls_back
from tdx_env.guest.interrupts import next_exit
from tdx_env.guest.items import (
    RIP_OF_HANDLER,
    entry_of_item,
    finish_item,
    rip_of_instruction,
    think,
)
from tdx_env.guest.tdcalls import is_answer, start_tdcall
from tdx_env.guest.walk import walk_end
from tdx_env.jit import inner
from tdx_env.module.sept import is_acceptable
from tdx_env.module.zero_step import still_faults
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Phase, Program, State
from tdx_env.state.booking import book
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.draws import jitter, own
from tdx_env.state.streams import Draw
from tdx_env.state.world import End, World


@inner
def _run_until_disturbed(world: World, actor: int, state: int) -> None:
    """Compute or touch for the cycles that remain, or until an interrupt comes."""
    run = world.run
    me = world.actors["row"][actor]
    me["state"] = state
    me["category"] = Category.GUEST_COMPUTE
    me["started"] = run["now"]
    world.actors["due"][actor] = min(run["now"] + me["remaining"], next_exit(me))


@inner
def compute(world: World, actor: int) -> None:
    """Think on."""
    me = world.actors["row"][actor]
    me["rip"] = 2 * me["item"]
    _run_until_disturbed(world, actor, State.COMPUTE)


@inner
def _touch(world: World, actor: int) -> None:
    """Write to the item's page, take a #VE, or fault."""
    run = world.run
    me = world.actors["row"][actor]
    end = walk_end(world, entry_of_item(world, actor))
    state = world.entries["row"][end]["state"]
    if not still_faults(state):
        _run_until_disturbed(world, actor, State.TOUCH)
        return
    if is_acceptable(state) and not world.setup["sept_ve_disable"]:
        vm_exit_filter(world, actor)
        me["state"] = State.VE
        me["category"] = Category.GUEST_COMPUTE
        world.actors["due"][actor] = run["now"] + run["costs"][Cost.VE]
        return
    me["pending"] = is_acceptable(state)
    me["accept_fault"] = 0
    begin_exit(world, actor, Exit.EPT_VIOLATION)


@inner
def _hammer(world: World, actor: int) -> None:
    """Issue the hostile TDCALL on whatever entry the host works on.

    # MODEL: the guest knows which one that is; a real one would have to guess.
    """
    run = world.run
    me = world.actors["row"][actor]
    if run["target"] != NONE:
        start_tdcall(world, actor, world.setup["groups"][me["group"]]["leaf"], run["target"])
        return
    think_again(world, actor)


@inner
def think_again(world: World, actor: int) -> None:
    """A hammer that has no entry to aim at thinks anew."""
    me = world.actors["row"][actor]
    me["phase"] = Phase.THINK
    me["remaining"] = max(1, think(world, actor))
    compute(world, actor)


@inner
def _execute(world: World, actor: int) -> None:
    """Execute the instruction of the vCPU's current item."""
    me = world.actors["row"][actor]
    program = me["program"]
    if program == Program.ACCEPT:
        start_tdcall(world, actor, Leaf.ACCEPT, entry_of_item(world, actor))
    elif program == Program.TOUCH:
        _touch(world, actor)
    elif program == Program.HAMMER:
        _hammer(world, actor)
    elif program == Program.IDLE:
        begin_exit(world, actor, Exit.HLT)
    elif program == Program.CONVERT:
        begin_exit(world, actor, Exit.MAP_GPA)
    else:
        break_off(world, actor, Place.INSTRUCTION, program)


@inner
def continue_guest(world: World, actor: int) -> None:
    """Execute what comes next in the guest, or leave it for an interrupt or the timer's arming."""
    run = world.run
    me = world.actors["row"][actor]
    if next_exit(me) <= run["now"]:
        begin_interrupt_exit(world, actor)
        return
    if me["phase"] == Phase.THINK:
        if me["remaining"] > 0:
            compute(world, actor)
            return
        me["phase"] = Phase.INSTRUCTION
        me["remaining"] = run["costs"][Cost.TOUCH]
    elif me["phase"] != Phase.INSTRUCTION:
        break_off(world, actor, Place.PHASE, me["phase"])
        return
    me["rip"] = rip_of_instruction(world, me)
    _execute(world, actor)


@inner
def stop_computing(world: World, actor: int) -> None:
    """Handle COMPUTE: thought enough, or disturbed."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    me["remaining"] -= world.run["now"] - me["started"]
    continue_guest(world, actor)


@inner
def stop_touching(world: World, actor: int) -> None:
    """Handle TOUCH: copied all, or disturbed."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    me["remaining"] -= world.run["now"] - me["started"]
    if me["remaining"] > 0:
        begin_interrupt_exit(world, actor)
        return
    finish_item(world, actor)
    continue_guest(world, actor)


@inner
def accept_in_handler(world: World, actor: int) -> None:
    """Handle VE: the guest's #VE handler accepts the page that was touched."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    me["rip"] = RIP_OF_HANDLER
    end = walk_end(world, entry_of_item(world, actor))
    start_tdcall(world, actor, Leaf.ACCEPT, end)


@inner
def return_to_guest(world: World, actor: int) -> None:
    """Handle TDCALL_RETURN: the guest looks at the status of its TDCALL."""
    run = world.run
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    if me["program"] == Program.HAMMER:
        me["phase"] = Phase.THINK
        me["remaining"] = think(world, actor)
        continue_guest(world, actor)
        return
    outcome = me["outcome"]
    if falls_back(world, me):
        fall_back(world, actor)
        if run["end"] == End.RUNNING:
            continue_guest(world, actor)
        return
    if outcome == Outcome.OPERAND_BUSY or outcome == Outcome.OPERAND_BUSY_HOST_PRIORITY:
        me["state"] = State.RETRY_WAIT
        bits = own(world, actor, Draw.JITTER)
        world.actors["due"][actor] = run["now"] + jitter(run["costs"][Cost.GUEST_RETRY], bits)
        return
    if not is_answer(outcome):
        break_off(world, actor, Place.TDCALL_RETURN, outcome)
        return
    if me["program"] == Program.ACCEPT:
        accepted(world, actor)
    continue_guest(world, actor)


@inner
def try_again(world: World, actor: int) -> None:
    """Handle RETRY_WAIT: the guest repeats what was refused."""
    book(world, actor, world.actors["row"][actor]["category"])
    continue_guest(world, actor)
