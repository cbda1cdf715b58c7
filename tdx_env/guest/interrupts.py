"""Timer and device interrupts of an actor's CPU: when the next comes, passing over old ones."""

import numpy as np

from tdx_env.jit import inner
from tdx_env.state.draws import draw, uniform
from tdx_env.state.streams import Draw
from tdx_env.state.world import World


@inner
def next_interrupt(me: np.void) -> int:
    """Return the time of the next tick or device interrupt [cycles], or NEVER."""
    return min(me["tick_at"], me["device_at"])


@inner
def next_event(me: np.void) -> int:
    """Return the time at which the vCPU is next disturbed in the guest: interrupt or IPI."""
    return min(min(me["tick_at"], me["device_at"]), me["ipi_at"])


@inner
def device_gap(world: World, actor: int, number: int) -> int:
    """Return the cycles before device interrupt ``number``."""
    gap = world.actors["row"][actor]["device_gap"]
    return uniform(1, 2 * gap - 1, draw(world.run["seed"], Draw.DEVICE, actor, number, 0))


@inner
def pass_interrupts(world: World, actor: int) -> None:
    """Pass over every tick and device interrupt that is due; some of these bring a signal."""
    run = world.run
    me = world.actors["row"][actor]
    while me["tick_at"] <= run["now"]:
        me["tick_at"] += me["tick_period"]
    while me["device_at"] <= run["now"]:
        me["device"] += 1
        if me["signal_every"] and me["device"] % me["signal_every"] == 0:
            me["signal"] = 1
        me["device_at"] += device_gap(world, actor, int(me["device"]))
