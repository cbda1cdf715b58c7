"""Leaving IN_GUEST_MODE: what a kick waits for.

Source: Linux virt/kvm/kvm_main.c, kvm_make_all_cpus_request with KVM_REQ_OUTSIDE_GUEST_MODE.
"""

from tdx_env.jit import inner
from tdx_env.state.actors import NEVER, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.world import World


@inner
def answers_read(world: World, actor: int) -> int:
    """Return when a sender, all of whose targets have left the guest, has read their answers."""
    run = world.run
    me = world.actors["row"][actor]
    answered = me["answered_at"] + run["costs"][Cost.KICK_HANDLER]
    return max(run["now"], answered) + me["targets"] * run["costs"][Cost.KICK_ACK]


@inner
def awaits(world: World, kicker: int, vcpu: int) -> bool:
    """Say whether the sender of a kick waits for a vCPU to leave the guest."""
    me = world.actors["row"][vcpu]
    is_waiting = world.actors["row"][kicker]["kick_number"] >= me["kick_seq"] > 0
    return bool(is_waiting and kicker != vcpu)


@inner
def answer_kicks(world: World, vcpu: int, on_agenda: int) -> None:
    """Set the vCPU's mode to OUTSIDE_GUEST_MODE and answer the kicks that wait for it.

    The last one to leave is always on the agenda (see `host.lazy`).

    Args:
        world: The world.
        vcpu: Leaves the guest now.
        on_agenda: 0: It is off the agenda: nobody is waiting for this one alone.
    """
    run = world.run
    me = world.actors["row"][vcpu]
    if not me["mode"]:
        return
    me["mode"] = 0
    run["n_in_guest"] -= 1
    if not me["kick_seq"]:
        return
    kicker = run["first_kicker"]
    while kicker != NONE:
        sender = world.actors["row"][kicker]
        if awaits(world, kicker, vcpu):
            sender["waiting"] -= 1
            sender["awaited"] -= on_agenda
            if on_agenda and sender["awaited"] == 0:
                sender["answered_at"] = run["now"]
                if sender["state"] == State.KICK_WAIT:
                    wake_at(world, kicker, answers_read(world, kicker))
        kicker = sender["next_kicker"]
    me["kick_seq"] = 0
    me["ipi_at"] = NEVER


@inner
def leave_guest_mode(world: World, vcpu: int) -> None:
    """Leave IN_GUEST_MODE on the agenda."""
    answer_kicks(world, vcpu, 1)
