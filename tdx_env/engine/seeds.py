"""Seeds of episodes: later ones derive from the first; scenario and module from the seed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.module.versions import MODULE_VERSIONS
from tdx_env.state.draws import draw
from tdx_env.state.streams import Draw

_PLACES = np.arange(len(MODULE_VERSIONS))
_draw: Any = getattr(draw, "py_func", draw)  # plain numpy, so that it takes whole arrays


def later_seeds(first: NDArray[np.int64], episode: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the seeds of the given episodes (0 is the first itself).

    Args:
        first: Seed of each environment's first episode, shape (n,).
        episode: Number of the episode, shape (n,).
    """
    with np.errstate(over="ignore"):
        bits = _draw(first.astype(np.uint64), Draw.SEED, 0, episode, 0)
    return np.where(episode == 0, first, (bits >> np.uint64(1)).astype(np.int64))


def scenario_rows(seeds: NDArray[np.int64], n_scenarios: int) -> NDArray[np.int64]:
    """Return which of n scenarios each episode plays, shape (n,)."""
    with np.errstate(over="ignore"):
        bits = _draw(seeds.astype(np.uint64), Draw.SCENARIO, 0, 0, 0)
    return ((bits >> np.uint64(33)) % np.uint64(n_scenarios)).astype(np.int64)


def versions_drawn(seeds: NDArray[np.uint64], sets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which version of the module each episode meets, shape (n,).

    Args:
        seeds: Seed of each episode, shape (n,).
        sets: The versions that each is drawn from, a bit set, shape (n,).

    Returns:
        Places in `module.versions.MODULE_VERSIONS`; all of a set are as likely.
    """
    with np.errstate(over="ignore"):
        bits = _draw(seeds, Draw.MODULE, 0, 0, 0)
    up_to = (sets[:, None] >> _PLACES & 1).cumsum(axis=1)
    n_before = (bits >> np.uint64(32)).astype(np.int64) * up_to[:, -1] >> 32
    return (up_to > n_before[:, None]).argmax(axis=1)
