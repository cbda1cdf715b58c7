"""Small random worlds, and a hypothesis strategy round them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tdx_env.state.discipline import DISCIPLINE
from tdx_env.state.setup import SETUP
from tests.random_discipline import random_discipline
from tests.random_setup import Theme, add_computing, random_setup

__all__ = [
    "batch_world",
    "computing_world",
    "random_discipline",
    "random_setup",
    "random_world",
    "worlds",
]


def random_world(seed: int) -> tuple[NDArray[np.void], NDArray[np.void], int]:
    """Return setup and discipline, each an array of one, and the seed of an episode."""
    rng = np.random.default_rng(seed)
    setup = np.array([random_setup(rng)], SETUP)
    discipline = np.array([random_discipline(rng)], DISCIPLINE)
    return setup, discipline, int(rng.integers(1 << 40))


def batch_world(seed: int) -> tuple[NDArray[np.void], NDArray[np.void], int]:
    """Return a world, as `random_world`, in which long chunks are taken away in batches."""
    rng = np.random.default_rng(seed)
    setup = np.array([random_setup(rng, Theme.BATCH)], SETUP)
    discipline = np.array([random_discipline(rng, is_batching=True)], DISCIPLINE)
    return setup, discipline, int(rng.integers(1 << 40))


def computing_world(seed: int) -> tuple[NDArray[np.void], NDArray[np.void], int]:
    """Return a world, as `random_world`, with up to twenty vCPUs more that only compute.

    In most of them every thread has a CPU of its own, and there is one socket.
    """
    rng = np.random.default_rng(seed)
    setup = np.array([random_setup(rng)], SETUP)
    discipline = np.array([random_discipline(rng, is_batching=rng.random() < 0.3)], DISCIPLINE)
    row, more = setup[0], np.random.default_rng((seed, 1))
    if more.random() < 0.9:
        row["n_sockets"], row["n_pcpus_low"], row["n_pcpus_high"] = 1, 0, 0
    add_computing(more, row)
    return setup, discipline, int(rng.integers(1 << 40))


def worlds(max_seed: int = (1 << 32) - 1) -> st.SearchStrategy[Any]:
    """Return a strategy of random worlds; the seed is what shrinks."""
    return st.integers(0, max_seed).map(random_world)
