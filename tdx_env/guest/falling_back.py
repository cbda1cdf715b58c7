"""A guest whose ACCEPT is refused falls back as Linux' does: from 2M to 4K pages, then it panics.

Source: Linux arch/x86/coco/tdx/tdx-shared.c, tdx_accept_memory, try_accept_one: whatever ACCEPT
answers but success, the next smaller page is tried, and nothing is tried twice;
arch/x86/coco/tdx/tdx.c, arch_accept_memory: panic, "TDX: Failed to accept memory".
"""

import numpy as np

from tdx_env.guest.items import finish_item
from tdx_env.guest.walk import level_of
from tdx_env.jit import inner
from tdx_env.state.actors import Program
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.world import End, World


@inner
def falls_back(world: World, me: np.void) -> bool:
    """Say whether the guest answers the end of its TDCALL by trying less, or not at all.

    # MODEL: a page that is accepted already is done; Linux would fall back there too.
    """
    if me["program"] != Program.ACCEPT or not world.setup["groups"][me["group"]]["falls_back"]:
        return False
    outcome = me["outcome"]
    return bool(
        outcome == Outcome.OPERAND_BUSY
        or outcome == Outcome.OPERAND_BUSY_HOST_PRIORITY
        or outcome == Outcome.PAGE_SIZE_MISMATCH
    )


@inner
def fall_back(world: World, vcpu: int) -> None:
    """Go on with the first 4K page of a 2M page that was refused; of a 4K page, panic."""
    run = world.run
    me = world.actors["row"][vcpu]
    if level_of(run, me["asked"]) == 1:
        me["small"] = 0
        return
    run["end"] = End.KILLED
    run["kill_actor"] = vcpu
    run["kill_leaf"] = Leaf.ACCEPT
    run["kill_outcome"] = me["outcome"]


@inner
def accepted(world: World, vcpu: int) -> None:
    """A page is accepted: it was the item, or one of the 4K pages that it has come down to."""
    me = world.actors["row"][vcpu]
    if me["small"] != NONE:
        me["small"] += 1
        if me["small"] < 1 << world.run["page_shift"]:
            return
    finish_item(world, vcpu)
