"""The shape of the S-EPT: which entry belongs to which, and where a walk ends."""

import numpy as np

from tdx_env.jit import inner
from tdx_env.state.calls import EntryState
from tdx_env.state.setup import REGIONS_PER_TABLE
from tdx_env.state.world import World

_REGIONS_SHIFT = REGIONS_PER_TABLE.bit_length() - 1


@inner
def level_of(run: np.void, entry: int) -> int:
    """Return the level of an entry: 0 for 4K, 1 for 2M, 2 and 3 above."""
    if entry < run["first_pd"]:
        return 0
    if entry < run["first_l2"]:
        return 1
    if entry < run["first_l3"]:
        return 2
    return 3


@inner
def ancestor(run: np.void, entry: int, level: int) -> int:
    """Return the entry of the given level on the way to this one (itself at its own level)."""
    if level == 3:
        return run["first_l3"]
    pd = entry
    if entry < run["first_pd"]:
        if level == 0:
            return entry
        pd = run["first_pd"] + (entry >> run["page_shift"])
    if level == 1:
        return pd
    return run["first_l2"] + ((pd - run["first_pd"]) >> _REGIONS_SHIFT)


@inner
def is_leaf_state(state: int) -> bool:
    """Say whether an entry above level 0 maps a page itself."""
    return bool(
        state != EntryState.FREE
        and state != EntryState.NL_MAPPED
        and state != EntryState.NL_BLOCKED
    )


@inner
def walk_end(world: World, entry: int) -> int:
    """Return where a walk to an entry ends: at the first one on the way that is not NL_MAPPED."""
    run = world.run
    for level in range(3, level_of(run, entry), -1):
        upper = ancestor(run, entry, level)
        if world.entries["row"][upper]["state"] != EntryState.NL_MAPPED:
            return upper
    return entry
