"""Counter-based random streams: a draw depends on its key alone, never on what came before."""

import numpy as np

from tdx_env.jit import kernel
from tdx_env.state.world import World

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xD1342543DE82EF95)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_ACTOR_SHIFT = 48
_ITEM_SHIFT = 20
_JITTER_SHIFT = 4


@kernel
def mix(x: np.uint64) -> np.uint64:
    """Return the splitmix64 finaliser of a uint64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel
def draw(seed: np.uint64, purpose: int, actor: int, item: int, attempt: int) -> np.uint64:
    """Return the 64 random bits (uint64) of one key."""
    key = np.uint64((actor << _ACTOR_SHIFT) ^ (item << _ITEM_SHIFT) ^ attempt)
    return mix(mix(seed + _GOLDEN * np.uint64(purpose + 1)) + _SPREAD * key)


@kernel
def uniform(low: int, high: int, bits: np.uint64) -> int:
    """Return the integer from low to high (both included) that 64 random bits stand for."""
    share = np.int64(bits >> np.uint64(32))
    return low + ((share * (high - low + 1)) >> 32)  # type: ignore[return-value]


@kernel
def jitter(cycles: int, bits: np.uint64) -> int:
    """Return a duration within 6.25 % of the given one.

    # MODEL: constant durations would lock two loops in phase.
    """
    width = cycles >> (_JITTER_SHIFT - 1)
    return uniform(0, width, bits) + cycles - (cycles >> _JITTER_SHIFT)


@kernel
def own(world: World, actor: int, purpose: int) -> np.uint64:
    """Draw with the actor's own key (item, attempt) and count the attempt."""
    me = world.actors["row"][actor]
    attempt = int(me["attempt"])
    me["attempt"] += 1
    return draw(world.run["seed"], purpose, actor, int(me["item"]), attempt)
