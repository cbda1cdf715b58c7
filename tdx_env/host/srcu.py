"""SRCU: a memslot's deletion waits for everybody who may still use the old memslots.

Waited for is every reader that began before SRCU turned its index, those too that began after the
memslot was marked: they may be the ones that never end.

Source: Linux virt/kvm/kvm_main.c, kvm_swap_active_memslots, synchronize_srcu_expedited;
kernel/rcu/srcutree.c, srcu_advance_state. A vCPU reads kvm->srcu from TD exit to VP.ENTER, a
prefault ioctl from its start to its end.
"""

from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, State, Task
from tdx_env.state.agenda import call_back, wake_at
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.world import World


@inner
def srcu_quiescent(world: World, actor: int) -> None:
    """Note that the actor has let go of the memslots; the last one waited for ends the wait."""
    run = world.run
    me = world.actors["row"][actor]
    if not me["srcu_waited"]:
        return
    me["srcu_waited"] = 0
    waiter = world.actors["row"][run["srcu_actor"]]
    waiter["waiting"] -= 1
    if waiter["waiting"] == 0:
        wake_at(world, run["srcu_actor"], run["now"])


@inner
def _is_reader(world: World, actor: int) -> bool:
    """Say whether the actor is in a read side critical section of kvm->srcu."""
    me = world.actors["row"][actor]
    state = me["state"]
    if me["kind"] == NONE:
        is_out = state == State.PARKED or state == State.HALTED or state == State.GATED
        return not (me["mode"] or is_out or state == State.USER_EXIT)
    is_out = state == State.THINK or state == State.WAIT_TRIGGER or state == State.FINISHED
    return bool(me["kind"] == Task.PREFAULT) and not (is_out or state == State.USER_EXIT)


@inner
def synchronize_srcu(world: World, actor: int) -> None:
    """Start a grace period; the index is turned after a while."""
    run = world.run
    me = world.actors["row"][actor]
    me["state"] = State.SRCU_WAIT
    me["category"] = Category.IDLE
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.SRCU]


@inner
def turn_index(world: World, actor: int) -> bool:
    """Wait for every reader of this moment; say whether there is any."""
    run = world.run
    me = world.actors["row"][actor]
    run["srcu_actor"] = actor
    me["waiting"] = 0
    for reader in range(run["n_actors"]):
        if _is_reader(world, reader):
            world.actors["row"][reader]["srcu_waited"] = 1
            call_back(world, reader)
            me["waiting"] += 1
    world.actors["due"][actor] = NEVER
    return bool(me["waiting"] > 0)
