"""Ranges of seeds: episodes to train on, to select on and to test on never share one.

Training episodes have seeds below 2³¹, validation those from there to 2³² - 1, test those above.
"""

import numpy as np
from numpy.typing import NDArray

from tdx_env.state.streams import Draw

TRAIN_LIMIT = 1 << 31
VALIDATION_FIRST = 1 << 31
TEST_FIRST = 1 << 32
_TO_TRAIN_RANGE = np.uint64(33)  # of 64 bits, 31 stay
_TO_SHARE = np.uint64(11)  # of 64 bits, 53 stay: what a double holds
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(keys: NDArray[np.uint64], purpose: int) -> NDArray[np.uint64]:
    """Return 64 random bits for each key: the splitmix64 finaliser, as the simulator's draws."""
    bits = keys + np.full(1, purpose + 1, np.uint64) * _GOLDEN  # an array: scalars warn of wrapping
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))


def train_seeds(
    seed: int, envs: NDArray[np.int64], episodes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the seeds of training episodes.

    Args:
        seed: Seed of the training run.
        envs: Number of each environment, shape (n,).
        episodes: Number of its episode, shape (n,).
    """
    run = np.full(len(envs), seed, np.uint64)
    each = _mix(_mix(run, Draw.SEED) + envs.astype(np.uint64), Draw.SEED)
    bits = _mix(each + episodes.astype(np.uint64), Draw.SEED)
    return (bits >> _TO_TRAIN_RANGE).astype(np.int64)


def validation_seeds(n_episodes: int) -> NDArray[np.int64]:
    """Return the seeds of the validation episodes, shape (n_episodes,): always the same."""
    return VALIDATION_FIRST + np.arange(n_episodes, dtype=np.int64)


def drawn_scenarios(seeds: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the scenario that each episode plays, shape (n,).

    Args:
        seeds: Seeds of the episodes, shape (n,).
        shares: Share of the episodes that each scenario gets, shape (n_scenarios,), sum 1.
    """
    bits = _mix(seeds.astype(np.uint64), Draw.SCENARIO)
    points = (bits >> _TO_SHARE) / float(1 << 53)
    rows = np.searchsorted(np.cumsum(shares), points, side="right")
    return np.minimum(rows, len(shares) - 1).astype(np.int64)
