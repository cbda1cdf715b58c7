"""The zap path and the host tasks: pages leave the TD, are blocked and restored, or are built.

Source: Linux arch/x86/kvm/mmu/tdp_mmu.c, tdp_mmu_zap_leafs; arch/x86/kvm/vmx/tdx.c,
tdx_sept_remove_private_spte (6.16).
"""

import numpy as np

from tdx_env.guest.items import (
    entry_of_unit,
    finish_item,
    is_trigger_reached,
    unit_of_item,
)
from tdx_env.guest.walk import level_of
from tdx_env.host.enter import enter_run_loop
from tdx_env.host.kick import begin_kick, release_gate
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.seamcalls import new_call
from tdx_env.jit import inner
from tdx_env.module.sept import is_guest_accessible
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, Kick, Path, Purge, Purpose, Spte, State, Task
from tdx_env.state.booking import begin_operation, book, end_operation
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.draws import own, uniform
from tdx_env.state.setup import PAGES_PER_2M
from tdx_env.state.streams import Draw
from tdx_env.state.world import Operation, World


@inner
def is_vcpu(me: np.void) -> bool:
    """Say whether an actor is a vCPU (else it is a host task)."""
    return bool(me["program"] != NONE)


@inner
def entry_at(world: World, actor: int, unit: int) -> int:
    """Return the S-EPT entry of a page or region of the area that the actor zaps or builds in."""
    me = world.actors["row"][actor]
    if is_vcpu(me):
        group = world.setup["groups"][me["group"]]
        return entry_of_unit(world, group["area"], group["level"], unit)
    task = world.setup["tasks"][me["group"]]
    return entry_of_unit(world, task["area"], task["level"], unit)


@inner
def _first_unit(world: World, task: int) -> int:
    """Return the first page or region of a host task's current item."""
    me = world.actors["row"][task]
    row = world.setup["tasks"][me["group"]]
    index = int(me["item"])
    if row["trigger_group"] != NONE:
        index = index * row["trigger_period"] + row["trigger_lead"]
    return me["member"] * row["stride"] + index * row["step"]


@inner
def begin_chunk(world: World, actor: int) -> None:
    """Start to remove the pages of the actor's item."""
    me = world.actors["row"][actor]
    if is_vcpu(me):
        group = world.setup["groups"][me["group"]]
        me["cursor"] = unit_of_item(world, actor)
        me["cursor_end"] = me["cursor"] + group["chunk"]
        is_shared_after = group["is_shared_after"]
    else:
        task = world.setup["tasks"][me["group"]]
        me["cursor"] = _first_unit(world, actor)
        me["cursor_end"] = me["cursor"] + task["chunk"]
        is_shared_after = task["is_shared_after"]
    me["path"] = Path.ZAP
    if is_shared_after:
        for unit in range(me["cursor"], me["cursor_end"]):
            world.entries["row"][entry_at(world, actor, unit)]["purge"] = Purge.USER
    request_for_zap(world, actor)


@inner
def request_for_zap(world: World, actor: int) -> None:
    """Ask for mmu_lock for write; with it, zap on."""
    if request_mmu(world, actor, 1, Purpose.ZAP):
        zap_with_lock(world, actor)


@inner
def zap_with_lock(world: World, actor: int) -> None:
    """Hold mmu_lock for write: zap the next page."""
    world.actors["row"][actor]["zapped"] = 0
    next_page(world, actor)


@inner
def next_page(world: World, actor: int) -> None:
    """Zap the next present page of the chunk, make way for others, or end the chunk."""
    run = world.run
    me = world.actors["row"][actor]
    while (
        me["cursor"] < me["cursor_end"]
        and world.entries["row"][entry_at(world, actor, me["cursor"])]["spte"] == Spte.ABSENT
    ):
        me["cursor"] += 1
    if me["cursor"] >= me["cursor_end"]:
        release_mmu(world, actor)
        _end_chunk(world, actor)
        return
    entry = entry_at(world, actor, me["cursor"])
    breaks = world.setup["break_on_contention"] and run["mmu_first"] != NONE
    if world.entries["row"][entry]["spte"] == Spte.FROZEN or (me["zapped"] > 0 and breaks):
        release_mmu(world, actor)
        me["state"] = State.RESCHED
        me["purpose"] = Purpose.ZAP
        me["category"] = Category.MMU_LOCK_WAIT
        world.actors["due"][actor] = run["now"] + run["costs"][Cost.RESCHED]
        return
    begin_operation(world, actor)
    # MODEL: KVM sets the mirror SPTE to 0 here; under mmu_lock for write nobody can tell.
    world.entries["row"][entry]["spte"] = Spte.FROZEN
    me["entry"] = entry
    run["target"] = entry
    me["state"] = State.ZAP_SOFTWARE
    me["category"] = Category.HOST_WORK
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.ZAP_SOFTWARE]


@inner
def _end_chunk(world: World, actor: int) -> None:
    """All pages of the item are gone."""
    me = world.actors["row"][actor]
    if is_vcpu(me):
        finish_item(world, actor)
        me["trip"] = Category.EXIT_ENTRY
        enter_run_loop(world, actor)
    else:
        finish_task_item(world, actor)


@inner
def block_page(world: World, actor: int) -> None:
    """Handle ZAP_SOFTWARE: issue BLOCK, or close the gate first."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    if world.discipline["gate_first"]:
        begin_kick(world, actor, Purpose.BLOCK, Kick.DECISION, 1)
    else:
        new_call(world, actor, Leaf.MEM_RANGE_BLOCK, me["entry"])


@inner
def clear_page(world: World, actor: int) -> None:
    """The page left the TD: clear it."""
    run = world.run
    me = world.actors["row"][actor]
    pages = PAGES_PER_2M if level_of(run, me["entry"]) == 1 else 1
    me["state"] = State.ZAP_CLEAR
    me["category"] = Category.HOST_WORK
    world.actors["due"][actor] = run["now"] + pages * run["costs"][Cost.CLEAR]


@inner
def end_page(world: World, actor: int) -> None:
    """Handle ZAP_CLEAR: the page is done, on to the next."""
    run = world.run
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    release_gate(world, actor)
    end_operation(world, actor, Operation.ZAP)
    run["last_progress"] = run["now"]
    if run["target"] == me["entry"]:
        run["target"] = NONE
    me["zapped"] += 1
    me["cursor"] += 1
    next_page(world, actor)


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
def begin_task_item(world: World, task: int) -> None:
    """Handle THINK: do what the host task does."""
    me = world.actors["row"][task]
    book(world, task, me["category"])
    row = world.setup["tasks"][me["group"]]
    if row["kind"] == Task.ZAP:
        begin_chunk(world, task)
        return
    me["cursor"] = _first_unit(world, task)
    me["cursor_end"] = me["cursor"]
    me["entry"] = entry_at(world, task, me["cursor"])
    if row["kind"] == Task.BUILD:
        me["path"] = Path.BUILD
        me["cursor_end"] = me["cursor"] + row["chunk"]
        new_call(world, task, Leaf.MEM_PAGE_ADD, me["entry"])
        return
    world.entries["row"][me["entry"]]["purge"] = Purge.USER
    if request_mmu(world, task, 1, Purpose.BLOCK):
        block_for_a_while(world, task)


@inner
def block_for_a_while(world: World, task: int) -> None:
    """Hold mmu_lock for write: block a page that is to be restored, if there is one."""
    me = world.actors["row"][task]
    entry = world.entries["row"][me["entry"]]
    if entry["spte"] == Spte.PRESENT and is_guest_accessible(entry["state"]):
        me["path"] = Path.ZAP
        new_call(world, task, Leaf.MEM_RANGE_BLOCK, me["entry"])
        return
    entry["purge"] = Purge.PRIVATE
    release_mmu(world, task)
    finish_task_item(world, task)


@inner
def keep_blocked(world: World, task: int) -> None:
    """The page is blocked and tracked: leave it so for a while, without mmu_lock."""
    run = world.run
    me = world.actors["row"][task]
    row = world.setup["tasks"][me["group"]]
    release_gate(world, task)
    release_mmu(world, task)
    bits = own(world, task, Draw.HOLD)
    me["state"] = State.HOLD_BLOCKED
    me["category"] = Category.IDLE
    world.actors["due"][task] = run["now"] + uniform(row["hold_low"], row["hold_high"], bits)


@inner
def end_hold(world: World, task: int) -> None:
    """Handle HOLD_BLOCKED: restore the page."""
    me = world.actors["row"][task]
    book(world, task, me["category"])
    if request_mmu(world, task, 1, Purpose.UNBLOCK):
        new_call(world, task, Leaf.MEM_RANGE_UNBLOCK, me["entry"])


@inner
def restored(world: World, task: int) -> None:
    """The page is unblocked: its item is done."""
    me = world.actors["row"][task]
    world.entries["row"][me["entry"]]["purge"] = Purge.PRIVATE
    release_gate(world, task)
    release_mmu(world, task)
    finish_task_item(world, task)


@inner
def build_on(world: World, task: int) -> None:
    """One MR.EXTEND is done: measure on, add the next page, or end the item."""
    me = world.actors["row"][task]
    me["extends"] -= 1
    if me["extends"] > 0:
        new_call(world, task, Leaf.MR_EXTEND, me["entry"])
        return
    me["cursor"] += 1
    if me["cursor"] < me["cursor_end"]:
        entry = entry_at(world, task, me["cursor"])
        new_call(world, task, Leaf.MEM_PAGE_ADD, entry)
    else:
        finish_task_item(world, task)


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
