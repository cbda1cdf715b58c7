"""slots_lock, and the guard of ioctls that build a TD: one sleeping mutex with a fair queue.

Source: Linux 6.19, arch/x86/kvm/vmx/tdx.c, tdx_acquire_vm_state_locks (kvm->lock, every
vcpu->mutex, slots_lock); virt/kvm/kvm_main.c, kvm_set_memory_region (slots_lock).
"""

from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.world import World


@inner
def request_guard(world: World, task: int, purpose: int) -> bool:
    """Ask for the mutex; say whether it was free. If not, the task sleeps until it has it."""
    run = world.run
    me = world.actors["row"][task]
    me["purpose"] = purpose
    if run["guard_owner"] == NONE:
        run["guard_owner"] = task
        return True
    me["queue_next"] = NONE
    if run["guard_first"] == NONE:
        run["guard_first"] = task
    else:
        world.actors["row"][run["guard_last"]]["queue_next"] = task
    run["guard_last"] = task
    me["state"] = State.GUARD_WAIT
    me["category"] = Category.YIELD
    world.actors["due"][task] = NEVER
    return False


@inner
def release_guard(world: World, task: int) -> None:
    """Drop the mutex, if held, and hand it to the first in its queue."""
    run = world.run
    if run["guard_owner"] != task:
        return
    first = run["guard_first"]
    run["guard_owner"] = first
    if first == NONE:
        return
    run["guard_first"] = world.actors["row"][first]["queue_next"]
    wake_at(world, first, run["now"] + run["costs"][Cost.MMU_HANDOFF])
