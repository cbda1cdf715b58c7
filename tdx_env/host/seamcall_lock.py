"""The locks that a discipline puts round SEAMCALLs: fair queues, readers or one writer.

P3 to P5 have one spinlock, which is the exclusive half. P22 mirrors the module's tree lock, and
keeps TRACK and its kick apart from each other by a second lock.
"""

import numpy as np

from tdx_env.host.leaves import IS_SEPT, MIRROR_MODE
from tdx_env.host.mmu_lock import READ, WRITE
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf, Mode
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import HostLock, SeamcallLock
from tdx_env.state.world import World

_EXCLUSIVE = int(Mode.EXCLUSIVE)


@inner
def lock_of(world: World, leaf: int) -> int:
    """Return which HostLock a call is made under, if under any."""
    is_mirror = world.discipline["seamcall_lock"] == SeamcallLock.MIRROR
    return HostLock.TRACK if is_mirror and leaf == Leaf.MEM_TRACK else HostLock.SEAMCALL


@inner
def lock_mode(world: World, actor: int) -> int:
    """Return how the actor's call takes its HostLock: a Mode, or NONE if it takes none."""
    leaf = world.actors["row"][actor]["leaf"]
    lock = world.discipline["seamcall_lock"]
    if lock == SeamcallLock.MIRROR:
        return MIRROR_MODE[leaf]
    if lock == SeamcallLock.ALWAYS or lock == SeamcallLock.AFTER_BUSY:
        return _EXCLUSIVE if IS_SEPT[leaf] else NONE
    if lock != SeamcallLock.NEVER:
        break_off(world, actor, Place.SEAMCALL_LOCK, lock)
    return NONE


@inner
def _is_free(run: np.void, lock: int, write: int) -> bool:
    """Say whether the lock can be had in this mode, the queue aside."""
    if run["lock_owner"][lock] != NONE:
        return False
    return not write or run["lock_readers"][lock] == 0


@inner
def _take(run: np.void, me: np.void, actor: int, lock: int) -> None:
    """Make the actor a holder of the lock, in the mode it asked for."""
    if me["queue_write"]:
        run["lock_owner"][lock] = actor
        me["has_lock"][lock] = WRITE
    else:
        run["lock_readers"][lock] += 1
        me["has_lock"][lock] = READ


@inner
def request_lock(world: World, actor: int, lock: int, write: int) -> bool:
    """Ask for a HostLock; say whether it was free. If not, the actor waits for it."""
    run = world.run
    me = world.actors["row"][actor]
    me["queue_write"] = write
    if run["lock_first"][lock] == NONE and _is_free(run, lock, write):
        _take(run, me, actor, lock)
        return True
    me["queue_next"] = NONE
    if run["lock_first"][lock] == NONE:
        run["lock_first"][lock] = actor
    else:
        world.actors["row"][run["lock_last"][lock]]["queue_next"] = actor
    run["lock_last"][lock] = actor
    me["state"] = State.SEAMCALL_LOCK_WAIT
    me["category"] = Category.SEAMCALL_LOCK_WAIT
    world.actors["due"][actor] = NEVER
    return False


@inner
def release_lock(world: World, actor: int, lock: int) -> None:
    """Drop a HostLock, if held, and hand it to those at the head of its queue."""
    run = world.run
    me = world.actors["row"][actor]
    if not me["has_lock"][lock]:
        return
    if me["has_lock"][lock] == WRITE:
        run["lock_owner"][lock] = NONE
    else:
        run["lock_readers"][lock] -= 1
    me["has_lock"][lock] = 0
    while run["lock_first"][lock] != NONE:
        first = run["lock_first"][lock]
        waiter = world.actors["row"][first]
        if not _is_free(run, lock, waiter["queue_write"]):
            return
        run["lock_first"][lock] = waiter["queue_next"]
        _take(run, waiter, first, lock)
        wake_at(world, first, run["now"] + run["costs"][Cost.MMU_HANDOFF])
