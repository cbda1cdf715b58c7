"""Host tasks: from one work item to the next, and which pages an item is about."""

import numpy as np

from tdx_env.guest.items import entry_of_unit, is_trigger_reached
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, State
from tdx_env.state.booking import book
from tdx_env.state.calls import NONE
from tdx_env.state.draws import own, uniform
from tdx_env.state.streams import Draw
from tdx_env.state.world import World


@inner
def is_vcpu(me: np.void) -> bool:
    """Say whether an actor is a vCPU (else it is a host task)."""
    return bool(me["kind"] == NONE)


@inner
def fault_category(me: np.void) -> int:
    """Return what a pass over the actor's fault is booked to."""
    if me["synthetic"]:
        return Category.SYNTHETIC_EXIT
    return Category.REFAULT if me["refault"] else Category.HOST_WORK


@inner
def entry_at(world: World, actor: int, unit: int) -> int:
    """Return the S-EPT entry of a page or region of the area that the actor works in."""
    me = world.actors["row"][actor]
    if is_vcpu(me):
        group = world.setup["groups"][me["group"]]
        return entry_of_unit(world, group["area"], group["level"], unit)
    task = world.setup["tasks"][me["group"]]
    return entry_of_unit(world, task["area"], task["level"], unit)


@inner
def set_cursor(world: World, task: int) -> None:
    """Point a host task at the first page or region of its item."""
    me = world.actors["row"][task]
    row = world.setup["tasks"][me["group"]]
    index = int(me["item"])
    if row["trigger_group"] != NONE:
        index = index * row["trigger_period"] + row["trigger_lead"]
    me["cursor"] = me["member"] * row["stride"] + index * row["step"]
    me["cursor_end"] = me["cursor"] + row["chunk"]


@inner
def set_purge(world: World, actor: int, purge: int) -> None:
    """Set what faults on the pages from cursor to cursor_end find in KVM's attributes."""
    me = world.actors["row"][actor]
    for unit in range(me["cursor"], me["cursor_end"]):
        world.entries["row"][entry_at(world, actor, unit)]["purge"] = purge


@inner
def start_task_item(world: World, task: int) -> None:
    """Begin the host task's current item: wait for its trigger, then think."""
    run = world.run
    me = world.actors["row"][task]
    me["attempt"] = 0
    me["category"] = Category.IDLE
    if is_trigger_reached(world, task):
        _think_task(world, task)
    else:
        me["state"] = State.WAIT_TRIGGER
        world.actors["due"][task] = NEVER
    me["since"] = run["now"]


@inner
def _think_task(world: World, task: int) -> None:
    """Let time pass before the host task works."""
    run = world.run
    me = world.actors["row"][task]
    row = world.setup["tasks"][me["group"]]
    bits = own(world, task, Draw.THINK)
    me["state"] = State.THINK
    world.actors["due"][task] = run["now"] + uniform(row["think_low"], row["think_high"], bits)


@inner
def pass_trigger(world: World, task: int) -> None:
    """Handle WAIT_TRIGGER: the vCPU is there."""
    book(world, task, world.actors["row"][task]["category"])
    _think_task(world, task)


@inner
def finish_task_item(world: World, task: int) -> None:
    """Count the host task's item as done and begin the next one."""
    run = world.run
    me = world.actors["row"][task]
    run["task_items"] += 1
    run["work_done"] += 1
    run["last_progress"] = run["now"]
    me["item"] += 1
    if me["item"] < me["items"]:
        start_task_item(world, task)
        return
    me["state"] = State.FINISHED
    me["category"] = Category.IDLE
    world.actors["due"][task] = NEVER
