"""Splitting a 2M mapping: BLOCK, TRACK with its kick, DEMOTE, all under mmu_lock.

Source: Yan Zhao, TDX huge page series v3, January 2026, tdx_sept_split_private_spte; fact: no
UNBLOCK follows, DEMOTE makes the small pages accessible again.
"""

from tdx_env.guest.walk import ancestor, is_leaf_state, level_of
from tdx_env.host.kick import release_gate
from tdx_env.host.lazy import set_target
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Spte, State
from tdx_env.state.booking import begin_operation, end_operation
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.world import Operation, World


@inner
def is_split_needed(world: World, entry: int) -> bool:
    """Say whether a 4K entry lies in a page that is mapped as 2M."""
    run = world.run
    if level_of(run, entry) != 0:
        return False
    pd = world.entries["row"][ancestor(run, entry, 1)]
    return bool(pd["spte"] == Spte.PRESENT and is_leaf_state(pd["state"]))


@inner
def is_frozen(world: World, entry: int) -> bool:
    """Say whether somebody is inside a SEAMCALL on an entry, or on the PD entry of a 4K one."""
    run = world.run
    if world.entries["row"][entry]["spte"] == Spte.FROZEN:
        return True
    if level_of(run, entry) != 0:
        return False
    return bool(world.entries["row"][ancestor(run, entry, 1)]["spte"] == Spte.FROZEN)


@inner
def begin_split(world: World, actor: int, entry: int) -> None:
    """Freeze the mapping that a 4K entry lies in; BLOCK follows as in a zap."""
    run = world.run
    me = world.actors["row"][actor]
    pd = ancestor(run, entry, 1)
    begin_operation(world, actor)
    world.entries["row"][pd]["spte"] = Spte.FROZEN
    me["entry"] = pd
    set_target(world, pd)
    me["is_splitting"] = 1
    me["blocked"] = 0
    me["state"] = State.ZAP_SOFTWARE
    me["category"] = Category.HOST_WORK
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.ZAP_SOFTWARE]


@inner
def end_split(world: World, actor: int) -> None:
    """DEMOTE has succeeded: the table is in place of the mapping."""
    run = world.run
    me = world.actors["row"][actor]
    world.entries["row"][me["entry"]]["spte"] = Spte.PRESENT
    me["is_splitting"] = 0
    release_gate(world, actor)
    end_operation(world, actor, Operation.ZAP)
    run["last_progress"] = run["now"]
    if run["target"] == me["entry"]:
        run["target"] = NONE
