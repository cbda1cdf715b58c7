"""Timer and device interrupts of a vCPU: when the next one comes, and passing over old ones."""

import numpy as np

from tdx_env.jit import inner
from tdx_env.state.draws import draw, uniform
from tdx_env.state.streams import Draw
from tdx_env.state.world import World


@inner
def next_interrupt(me: np.void) -> int:
    """Return the time of the vCPU's next tick or device interrupt [cycles], or NEVER."""
    return min(me["tick_at"], me["device_at"])


@inner
def next_event(me: np.void) -> int:
    """Return the time at which the vCPU is next disturbed in the guest: interrupt or IPI."""
    return min(min(me["tick_at"], me["device_at"]), me["ipi_at"])


@inner
def device_gap(world: World, actor: int, number: int) -> int:
    """Return the cycles before device interrupt ``number``."""
    run = world.run
    gap = run["group_drawn"][world.actors["row"][actor]["group"]][3]
    return uniform(1, 2 * gap - 1, draw(run["seed"], Draw.DEVICE, actor, number, 0))


@inner
def pass_interrupts(world: World, actor: int) -> None:
    """Pass over every tick and device interrupt that is due."""
    run = world.run
    me = world.actors["row"][actor]
    while me["tick_at"] <= run["now"]:
        me["tick_at"] += run["group_drawn"][me["group"]][2]
    while me["device_at"] <= run["now"]:
        me["device"] += 1
        me["device_at"] += device_gap(world, actor, int(me["device"]))
