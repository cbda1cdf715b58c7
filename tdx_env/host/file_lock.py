"""Conversion in place: the lock of the guest_memfd file, for which faults sleep.

A conversion in place holds the file's invalidate lock exclusively from its first page to its last,
over each of its breaks; a fault takes it shared when it asks the file for its page. Waiters sleep:
their CPUs are free, and their time counts as that of a thread that gave its CPU up.

# MODEL: all memory of the TD is one file. A fault that finds the lock free holds it for no time;
one that has the page when a conversion begins isn't turned away under mmu_lock. The refcount check
on the way to private, which may return -EAGAIN, has no counterpart: conversions go to shared.

Source: linux-next, September 2026, virt/kvm/guest_memfd.c, kvm_gmem_set_attributes and
kvm_gmem_get_pfn (series v8, 18 Jun 2026).
"""

from tdx_env.host.seamcall_lock import release_lock, request_lock
from tdx_env.host.tasks import is_vcpu
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import State
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import HostLock
from tdx_env.state.world import World


@inner
def is_in_place(world: World, actor: int) -> bool:
    """Say whether the chunk that the actor works on is converted in place."""
    me = world.actors["row"][actor]
    if is_vcpu(me):
        return bool(world.setup["groups"][me["group"]]["in_place"])
    return bool(world.setup["tasks"][me["group"]]["in_place"])


@inner
def lock_file(world: World, actor: int, write: int, purpose: int) -> bool:
    """Ask for the file's lock; say whether it was free. If not, the actor sleeps until it is."""
    me = world.actors["row"][actor]
    me["purpose"] = purpose
    if request_lock(world, actor, HostLock.FILE, write):
        return True
    me["state"] = State.FILE_WAIT
    me["category"] = Category.YIELD
    return False


@inner
def unlock_file(world: World, actor: int) -> None:
    """Let the file's lock go, if held."""
    release_lock(world, actor, HostLock.FILE)


@inner
def is_file_free(world: World) -> bool:
    """Say whether a fault can have the lock without waiting."""
    run = world.run
    return run["lock_owner"][HostLock.FILE] == NONE and run["lock_first"][HostLock.FILE] == NONE
