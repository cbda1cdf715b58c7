"""Memslot deletion: mark the slot, wait for SRCU's readers, zap its pages.

# MODEL: the slot is created anew at the end (a move), so that faults on its pages get somewhere.

Source: Linux virt/kvm/kvm_main.c, kvm_delete_memslot, kvm_invalidate_memslot; arch/x86/kvm/mmu,
kvm_mmu_zap_memslot (6.16).
"""

from tdx_env.host.lazy import settle
from tdx_env.host.srcu import synchronize_srcu, turn_index
from tdx_env.host.tasks import set_cursor, set_purge
from tdx_env.host.zap import begin_zap
from tdx_env.jit import inner
from tdx_env.state.actors import CallPath, Purge
from tdx_env.state.booking import book
from tdx_env.state.calls import NONE
from tdx_env.state.world import World


@inner
def delete_with_lock(world: World, task: int) -> None:
    """Hold slots_lock: mark the slot's pages, wait for those who may not have seen it."""
    set_cursor(world, task)
    set_purge(world, task, Purge.DYING)
    synchronize_srcu(world, task)


@inner
def zap_slot(world: World, task: int) -> None:
    """Handle SRCU_WAIT: turn SRCU's index; once nobody uses the old memslots any more, zap."""
    run = world.run
    me = world.actors["row"][task]
    book(world, task, me["category"])
    settle(world)
    if run["srcu_actor"] == NONE and turn_index(world, task):
        return
    run["srcu_actor"] = NONE
    me["path"] = CallPath.ZAP
    begin_zap(world, task)
