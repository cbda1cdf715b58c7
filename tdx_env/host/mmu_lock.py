"""mmu_lock: a fair, queued reader-writer lock.

Source: Linux kernel/locking/qrwlock.c: readers queue behind a waiting writer. KVM takes mmu_lock
for read in the fault path and for write in the zap path; both keep preemption off.

# MODEL: it is off from when the lock is had; Linux has it off while it spins for the lock too.
"""

from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.booking import begin_stretch, end_stretch, end_write_hold
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.world import World

READ = 1
WRITE = 2


@inner
def _is_free(world: World, write: int) -> bool:
    """Say whether the lock can be had in this mode, the queue aside."""
    run = world.run
    if run["mmu_writer"] != NONE:
        return False
    return not write or run["mmu_readers"] == 0


@inner
def mmu_waited(world: World) -> int:
    """Return what all threads together have waited for mmu_lock so far [cycles]."""
    run = world.run
    since = run["now"] - run["mmu_counted"]
    return run["mmu_waited"] + run["mmu_queued"] * since


@inner
def _count_waiters(world: World, change: int) -> None:
    """Let the queue be longer or shorter from now on."""
    run = world.run
    run["mmu_waited"] = mmu_waited(world)
    run["mmu_counted"] = run["now"]
    run["mmu_queued"] += change


@inner
def _take(world: World, actor: int, write: int) -> None:
    """Make the actor a holder of mmu_lock."""
    run = world.run
    me = world.actors["row"][actor]
    if write:
        run["mmu_writer"] = actor
        run["n_write_locks"] += 1
        run["write_taken"] = run["now"]
        me["has_mmu_lock"] = WRITE
    else:
        run["mmu_readers"] += 1
        me["has_mmu_lock"] = READ
    begin_stretch(world, actor)


@inner
def request_mmu(world: World, actor: int, write: int, purpose: int) -> bool:
    """Ask for mmu_lock; say whether it was free. If not, the actor waits in the queue."""
    run = world.run
    me = world.actors["row"][actor]
    me["purpose"] = purpose
    if run["mmu_first"] == NONE and _is_free(world, write):
        _take(world, actor, write)
        return True
    _count_waiters(world, 1)
    if run["mmu_writer"] != NONE:
        run["n_behind_writers"] += 1
    me["queue_write"] = write
    me["queue_next"] = NONE
    if run["mmu_first"] == NONE:
        run["mmu_first"] = actor
    else:
        world.actors["row"][run["mmu_last"]]["queue_next"] = actor
    run["mmu_last"] = actor
    me["state"] = State.MMU_WAIT
    me["category"] = Category.MMU_LOCK_WAIT
    world.actors["due"][actor] = NEVER
    return False


@inner
def release_mmu(world: World, actor: int) -> None:
    """Drop mmu_lock, if held, and hand it to those at the head of the queue."""
    run = world.run
    me = world.actors["row"][actor]
    if not me["has_mmu_lock"]:
        return
    if me["has_mmu_lock"] == WRITE:
        run["mmu_writer"] = NONE
        end_write_hold(world)
    else:
        run["mmu_readers"] -= 1
    me["has_mmu_lock"] = 0
    end_stretch(world, actor)
    while run["mmu_first"] != NONE:
        first = run["mmu_first"]
        waiter = world.actors["row"][first]
        if not _is_free(world, waiter["queue_write"]):
            return
        run["mmu_first"] = waiter["queue_next"]
        _count_waiters(world, -1)
        _take(world, first, waiter["queue_write"])
        waiter["state"] = State.MMU_GRANTED
        wake_at(world, first, run["now"] + run["costs"][Cost.MMU_HANDOFF])
