"""Live migration's export: block a list of pages for writing, TRACK, export the list.

# MODEL: the list calls are made without mmu_lock, TRACK and its kick with it, as all of KVM's are
(KVM has no migration of TDs yet; out of tree it has); pages that the guest writes after their
export are not exported again.

Source: TDX module 1.5, src/vmm_dispatcher/migration_api_calls/tdh_export_blockw.c,
tdh_export_mem.c.
"""

from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.seamcalls import new_call
from tdx_env.host.tasks import entry_at, finish_task_item, set_cursor
from tdx_env.jit import inner
from tdx_env.state.actors import CallPath, Purpose
from tdx_env.state.calls import Leaf
from tdx_env.state.world import World


@inner
def begin_list(world: World, task: int, leaf: int) -> None:
    """Issue a call on the item's list, from its first page on."""
    me = world.actors["row"][task]
    set_cursor(world, task)
    new_call(world, task, leaf, entry_at(world, task, me["cursor"]))


@inner
def begin_export(world: World, task: int) -> None:
    """Start with the item's list."""
    me = world.actors["row"][task]
    me["path"] = CallPath.EXPORT
    me["failed"] = 0
    begin_list(world, task, Leaf.EXPORT_BLOCKW)


@inner
def writes_blocked(world: World, task: int) -> None:
    """EXPORT.BLOCKW is through the list: again if entries were busy, else TRACK."""
    me = world.actors["row"][task]
    if me["failed"] > 0:
        begin_export(world, task)
        return
    if request_mmu(world, task, 1, Purpose.EXPORT):
        track_list(world, task)


@inner
def track_list(world: World, task: int) -> None:
    """Hold mmu_lock for write: no other TRACK is under way."""
    begin_list(world, task, Leaf.MEM_TRACK)


@inner
def list_tracked(world: World, task: int) -> None:
    """TRACK's kick is over: nobody can write to the list's pages any more."""
    release_mmu(world, task)
    begin_list(world, task, Leaf.EXPORT_MEM)


@inner
def list_exported(world: World, task: int) -> None:
    """EXPORT.MEM is through the list."""
    finish_task_item(world, task)
