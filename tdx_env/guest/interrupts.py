"""Interrupts of an actor's CPU, the guest's and the host's, and the guest's arming of its timer."""

import numpy as np

from tdx_env.jit import inner
from tdx_env.state.actors import NEVER
from tdx_env.state.draws import draw, uniform
from tdx_env.state.streams import Draw
from tdx_env.state.world import World


@inner
def next_guest_interrupt(me: np.void) -> int:
    """Return the time of the next tick or device interrupt for the guest [cycles], or NEVER."""
    return min(me["tick_at"], me["device_at"])


@inner
def next_interrupt(me: np.void) -> int:
    """Return the time of the next interrupt of the CPU, the host's tick included, or NEVER."""
    return min(next_guest_interrupt(me), me["host_tick_at"])


@inner
def next_event(me: np.void) -> int:
    """Return the time at which the next interrupt or IPI ends the vCPU's turn in the guest."""
    return min(next_interrupt(me), me["ipi_at"])


@inner
def next_exit(me: np.void) -> int:
    """Return the time of the next TD exit that no instruction of the item makes [cycles]."""
    return min(next_event(me), me["arm_at"])


@inner
def set_arming(world: World, vcpu: int) -> None:
    """At an entry: set when the guest's tick handler arms the next TSC_DEADLINE.

    # MODEL: an exit before that lets the handler begin anew; the vCPU's item waits for nothing.

    Source:
        Linux arch/x86/kvm/vmx/tdx.c, tdx_has_emulated_msr: a write of TSC_DEADLINE is a TDVMCALL.
    """
    me = world.actors["row"][vcpu]
    if me["must_arm"]:
        me["arm_at"] = world.run["now"] + me["arm_cycles"]


@inner
def end_arming(me: np.void) -> None:
    """The timer is armed."""
    me["must_arm"] = 0
    me["arm_at"] = NEVER


@inner
def device_gap(world: World, actor: int, number: int) -> int:
    """Return the cycles before device interrupt ``number``."""
    gap = world.actors["row"][actor]["device_gap"]
    return uniform(1, 2 * gap - 1, draw(world.run["seed"], Draw.DEVICE, actor, number, 0))


@inner
def pass_interrupts(world: World, actor: int) -> None:
    """Pass over every interrupt that is due: a guest's tick has to be armed again.

    Some of the device interrupts bring a signal.
    """
    run = world.run
    me = world.actors["row"][actor]
    while me["tick_at"] <= run["now"]:
        me["tick_at"] += me["tick_period"]
        me["must_arm"] = me["arm_cycles"] > 0
    while me["host_tick_at"] <= run["now"]:
        me["host_tick_at"] += me["host_tick_period"]
    while me["device_at"] <= run["now"]:
        me["device"] += 1
        if me["signal_every"] and me["device"] % me["signal_every"] == 0:
            me["signal"] = 1
        me["device_at"] += device_gap(world, actor, int(me["device"]))
