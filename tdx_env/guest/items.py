"""Work items of vCPUs: which page they work on, and going from one to the next."""

import numpy as np

from tdx_env.jit import inner
from tdx_env.state.actors import Phase, Program, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.booking import end_fault
from tdx_env.state.calls import NONE
from tdx_env.state.draws import own, uniform
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

FOR_EVER = 1 << 60  # compute left of a vCPU that only spins [cycles]
RIP_OF_HANDLER = -2  # the guest's #VE handler


@inner
def is_foreground(program: int) -> bool:
    """Say whether a program's items are part of the episode's work."""
    return bool(program == Program.TOUCH or program == Program.ACCEPT or program == Program.CONVERT)


@inner
def has_items(me: np.void) -> bool:
    """Say whether the vCPU's program has a next item."""
    if me["program"] == Program.IDLE or me["program"] == Program.HAMMER:
        return True
    return bool(is_foreground(me["program"]) and me["item"] < me["items"])


@inner
def entry_of_unit(world: World, area: int, level: int, unit: int) -> int:
    """Return the S-EPT entry of a page (level 0) or region (level 1) of an area."""
    run = world.run
    first_region = world.setup["areas"][area]["first_region"]
    if level == 0:
        return (first_region << run["page_shift"]) + unit
    return run["first_pd"] + first_region + unit


@inner
def unit_of_item(world: World, actor: int) -> int:
    """Return the page or region, within its area, of the vCPU's current item."""
    me = world.actors["row"][actor]
    group = world.setup["groups"][me["group"]]
    step = group["step"]
    if step == 0:
        step = world.run["group_drawn"][me["group"]]["count"]
    return me["member"] * group["stride"] + me["item"] * step


@inner
def entry_of_item(world: World, actor: int) -> int:
    """Return the S-EPT entry of the vCPU's current item, or of the 4K page of it that it is at."""
    me = world.actors["row"][actor]
    group = world.setup["groups"][me["group"]]
    unit = unit_of_item(world, actor)
    if me["small"] != NONE:
        unit = (unit << world.run["page_shift"]) + me["small"]
        return entry_of_unit(world, group["area"], 0, unit)
    return entry_of_unit(world, group["area"], group["level"], unit)


@inner
def rip_of_instruction(world: World, me: np.void) -> int:
    """Return the RIP of the current item's instruction."""
    if world.setup["groups"][me["group"]]["same_rip"]:
        return 1
    return 2 * int(me["item"]) + 1


@inner
def is_trigger_reached(world: World, task: int) -> bool:
    """Say whether the vCPU that a host task waits for has begun the item it waits for."""
    run = world.run
    me = world.actors["row"][task]
    row = world.setup["tasks"][me["group"]]
    if row["trigger_group"] == NONE:
        return True
    drawn = run["group_drawn"][row["trigger_group"]]
    if drawn["count"] == 0:
        return True
    vcpu = world.actors["row"][drawn["first"] + me["member"] % drawn["count"]]
    if not has_items(vcpu):
        return True
    return bool(vcpu["item"] >= me["item"] * row["trigger_period"])


@inner
def wake_tasks(world: World) -> None:
    """Let every host task go on whose trigger is reached now."""
    run = world.run
    for task in range(run["n_vcpus"], run["n_actors"]):
        if world.actors["row"][task]["state"] == State.WAIT_TRIGGER and is_trigger_reached(
            world, task
        ):
            wake_at(world, task, run["now"])


@inner
def think(world: World, actor: int) -> int:
    """Draw the compute before the vCPU's instruction [cycles]."""
    group = world.setup["groups"][world.actors["row"][actor]["group"]]
    bits = own(world, actor, Draw.THINK)
    return uniform(group["think_low"], group["think_high"], bits)


@inner
def begin_item(world: World, actor: int) -> None:
    """Begin the vCPU's current item with its thinking; without one, spin for ever."""
    me = world.actors["row"][actor]
    me["attempt"] = 0
    me["small"] = NONE
    me["phase"] = Phase.THINK
    me["remaining"] = think(world, actor) if has_items(me) else FOR_EVER


@inner
def finish_item(world: World, actor: int) -> None:
    """Count the vCPU's item as done and begin the next one."""
    run = world.run
    me = world.actors["row"][actor]
    run["guest_items"] += 1
    run["work_done"] += 1
    run["last_progress"] = run["now"]
    end_fault(world, actor)
    me["refault"] = 0
    me["repeats"] = 0
    me["item"] += 1
    begin_item(world, actor)
    wake_tasks(world)
