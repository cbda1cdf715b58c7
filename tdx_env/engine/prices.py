"""The costs of an episode: drawn from their ranges, and cut into the delays of every call."""

import numpy as np

from tdx_env.host.leaves import COST, IS_LIST
from tdx_env.jit import inner
from tdx_env.state.calls import MAX_STEPS, N_LEAVES, NONE, Delay, Op
from tdx_env.state.costs import Cost
from tdx_env.state.draws import draw, uniform
from tdx_env.state.setup import N_BANDS
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

_FINE_BITS = 20


@inner
def draw_cost(world: World, cost: int) -> int:
    """Draw one cost from the allowed bands of its range [cycles]."""
    setup = world.setup
    bits = draw(world.run["seed"], Draw.COST, 0, cost, 0)
    bands = setup["cost_bands"]
    n_allowed = 0
    for band in range(N_BANDS):
        n_allowed += (bands >> band) & 1
    wanted = uniform(0, n_allowed - 1, bits)
    chosen = 0
    for band in range(N_BANDS):
        if (bands >> band) & 1:
            if wanted == 0:
                chosen = band
            wanted -= 1
    low = setup["cost_low"][cost]
    span = setup["cost_high"][cost] - low
    fine = (chosen << _FINE_BITS) | np.int64(bits & np.uint64((1 << _FINE_BITS) - 1))
    return low + span * fine // (N_BANDS << _FINE_BITS)


@inner
def set_delays(world: World) -> None:
    """Work out the delays between the steps of every call from the drawn costs."""
    run = world.run
    costs = run["costs"]
    for leaf in range(N_LEAVES):
        delays = run["delays"][leaf]
        delays[Delay.NONE] = 0
        delays[Delay.TO_TDR] = costs[Cost.BARE] // 2 + costs[Cost.TO_TDR]
        delays[Delay.TO_TREE] = costs[Cost.TO_TREE]
        delays[Delay.TO_ENTRY] = costs[Cost.TO_ENTRY]
        delays[Delay.TO_EPOCH] = costs[Cost.TO_EPOCH]
        delays[Delay.EPOCH_HOLD] = costs[Cost.EPOCH_HOLD]
        delays[Delay.ARMED_WALK] = costs[Cost.ARMED_WALK]
        delays[Delay.LEAVE] = costs[Cost.BARE] - costs[Cost.BARE] // 2
        delays[Delay.BODY] = 0
        total = COST[leaf]
        if total == NONE:
            continue
        if IS_LIST[leaf]:  # for each entry of the list
            delays[Delay.BODY] = costs[total]
            continue
        others = 0
        for step in range(MAX_STEPS):
            row = world.program["steps"][leaf, step]
            if row["delay"] != Delay.BODY and row["delay"] != Delay.ARMED_WALK:
                others += delays[row["delay"]]
            if row["op"] == Op.RETURN:
                break
        delays[Delay.BODY] = max(0, costs[total] - others)
