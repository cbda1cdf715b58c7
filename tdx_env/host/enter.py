"""The way back into the guest: KVM's run loop, the gate, VP.ENTER."""

from tdx_env.host.srcu import srcu_quiescent
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, CallPath, State
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.world import World


@inner
def enter_run_loop(world: World, vcpu: int) -> None:
    """Start the way back into the guest."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["leaf"] = NONE
    me["outcome"] = Outcome.SUCCESS
    me["path"] = CallPath.ENTER
    me["state"] = State.RUN_LOOP
    me["category"] = me["trip"]
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.RUN_LOOP]


@inner
def waits_at_gate(world: World, vcpu: int) -> bool:
    """Keep the vCPU waiting if somebody else has closed the gate; say whether that is so."""
    me = world.actors["row"][vcpu]
    if world.run["gate_count"] == 0 or me["has_gate"]:
        return False
    me["state"] = State.GATED
    me["category"] = Category.GATED
    world.actors["due"][vcpu] = NEVER
    return True


@inner
def pass_gate(world: World, vcpu: int) -> bool:
    """Check the gate; past it the vCPU is in IN_GUEST_MODE. A closed gate keeps it waiting."""
    run = world.run
    me = world.actors["row"][vcpu]
    srcu_quiescent(world, vcpu)
    if waits_at_gate(world, vcpu):
        return False
    if not me["mode"]:
        me["mode"] = 1
        run["n_in_guest"] += 1
    me["entry_rip"] = me["rip"]
    me["entry_remaining"] = me["remaining"]
    return True


@inner
def is_repeat(world: World, vcpu: int) -> bool:
    """Say whether the VP.ENTER to come repeats one that was busy."""
    return bool(world.actors["row"][vcpu]["leaf"] == Leaf.VP_ENTER)
