"""Other futures of a world: what was drawn stays, what is drawn later has a new key.

Costs, sizes and all that actors have begun are in a world's records: they are kept. Drawn anew at
each look, and therefore part of the future, are two things: the lottery of a batch of blocked
pages, and the sections in which a CPU has its interrupts off.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.memory import pick
from tdx_env.host.lazy import recall_all
from tdx_env.jit import inner, kernel
from tdx_env.state.draws import draw
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

_draw: Any = getattr(draw, "py_func", draw)  # plain numpy, so that it takes whole arrays


def future_keys(
    seeds: NDArray[np.uint64], decisions: NDArray[np.integer], n_futures: int
) -> NDArray[np.uint64]:
    """Return the keys of some futures, each of which serves all answers to a decision.

    Args:
        seeds: Seed of each episode, shape (n,).
        decisions: Number of the decision in it, shape (n,).
        n_futures: Futures of each decision.

    Returns:
        Shape (n, n_futures).
    """
    items = np.asarray(decisions, np.int64)[:, None]
    with np.errstate(over="ignore"):
        keys: NDArray[np.uint64] = _draw(
            seeds.astype(np.uint64)[:, None], Draw.FUTURE, 0, items, np.arange(n_futures)
        )
    return keys


@inner
def rekey(world: World, key: np.uint64) -> None:
    """Key everything that is drawn from now on anew.

    What vCPUs off the agenda have done so far was played when the decision was asked for. When they
    are back in the guest was foreseen by a draw: they go back on the agenda.
    """
    recall_all(world)
    world.run["seed"] = key


@kernel
def rekey_some(worlds: Any, keys: NDArray[np.uint64]) -> None:
    """Key all that the first worlds draw from now on anew.

    Args:
        worlds: All worlds.
        keys: One for each of the first ones, shape (n,).
    """
    for index in range(len(keys)):
        rekey(pick(worlds, index), keys[index])
