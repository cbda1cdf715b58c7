"""Pages that are blocked for a while and restored: they stand for whatever leaves faults unsolved.

# MODEL: in place of a long invalidation, userfault handling, or KVM's zero-step selftest.
"""

from tdx_env.host.kick import release_gate
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.seamcalls import new_call
from tdx_env.host.tasks import entry_at, finish_task_item, set_cursor
from tdx_env.jit import inner
from tdx_env.module.sept import is_guest_accessible
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Purge, Purpose, Spte, State
from tdx_env.state.booking import book
from tdx_env.state.calls import Leaf
from tdx_env.state.draws import own, uniform
from tdx_env.state.streams import Draw
from tdx_env.state.world import World


@inner
def begin_restore(world: World, task: int) -> None:
    """Take the item's page away from the guest."""
    me = world.actors["row"][task]
    set_cursor(world, task)
    me["entry"] = entry_at(world, task, me["cursor"])
    me["cursor_end"] = me["cursor"]
    world.entries["row"][me["entry"]]["purge"] = Purge.USER
    if request_mmu(world, task, 1, Purpose.BLOCK):
        block_for_a_while(world, task)


@inner
def block_for_a_while(world: World, task: int) -> None:
    """Hold mmu_lock for write: block a page that is to be restored, if there is one."""
    me = world.actors["row"][task]
    entry = world.entries["row"][me["entry"]]
    if entry["spte"] == Spte.PRESENT and is_guest_accessible(entry["state"]):
        me["path"] = CallPath.ZAP
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
