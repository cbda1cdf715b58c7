"""Playing episodes of one scenario with costs as usual, fixed, or at an end of their range."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import tdx_agents
from tdx_agents.protocol import Policy
from tdx_env.engine.batch import Batch
from tdx_eval.comparing.seeds import CHUNK
from tdx_eval.comparing.yardsticks import RANDOM

Outcomes = NDArray[np.int64]  # (..., len(FIELDS)): what an episode came to
Setups = NDArray[np.void]  # dtype SETUP
FIELDS = ("n_events", "now", "waste", "preempt_penalty", "tail_cost")
_COST_PARTS = [FIELDS.index(name) for name in ("waste", "preempt_penalty", "tail_cost")]


def distinct_policies() -> list[Policy]:
    """Return the catalogue without the random policy and without rows that behave as another."""
    return [one for one in tdx_agents.catalogue() if not one.behaves_as and one.name != RANDOM]


def setup_digest(setup: Setups) -> str:
    """Return a hash of what the simulator reads of a scenario; its texts are no part of it."""
    return hashlib.sha256(setup.tobytes()).hexdigest()[:16]


def play(
    policy: Policy, setups: Setups, which: NDArray[np.int64], seeds: NDArray[np.int64]
) -> Outcomes:
    """Play one episode for each seed.

    Args:
        policy: A compiled one.
        setups: Scenarios that differ in their costs at most.
        which: The row of setups of each episode, shape (n,).
        seeds: Shape (n,).

    Returns:
        Shape (n, len(FIELDS)).
    """
    outcomes = np.empty((len(seeds), len(FIELDS)), np.int64)
    record = policy.discipline.record()
    for first in range(0, len(seeds), CHUNK):
        part = slice(first, first + CHUNK)
        rows, local = np.unique(which[part], return_inverse=True)
        batch = Batch(setups[rows], record, len(local))
        batch.reset(seeds[part], local)
        batch.advance(policy.decide)
        for column, name in enumerate(FIELDS):
            outcomes[part, column] = batch.run[name]
    return outcomes


def play_all(some: Sequence[Policy], setups: Setups, seeds: NDArray[np.int64]) -> Outcomes:
    """Play every setup with every seed under every policy.

    Returns:
        Shape (policies, setups, seeds, len(FIELDS)).
    """
    shape = (len(some), len(setups), len(seeds), len(FIELDS))
    which = np.repeat(np.arange(len(setups)), len(seeds))
    every = np.tile(seeds, len(setups))
    return np.stack([play(one, setups, which, every) for one in some]).reshape(shape)


def play_pinned(some: Sequence[Policy], setups: Setups, seeds: NDArray[np.int64]) -> Outcomes:
    """Play one setup for each seed under every policy; shape (policies, seeds, len(FIELDS))."""
    which = np.arange(len(seeds))
    return np.stack([play(one, setups, which, seeds) for one in some])


def total_cost(outcomes: Outcomes) -> NDArray[np.float64]:
    """Return each episode's total cost, one axis less [cycles]."""
    return outcomes[..., _COST_PARTS].sum(axis=-1).astype(np.float64)


def at_ends(setup: Setups, cost: int, sides: Sequence[str]) -> Setups:
    """Return the scenario with one cost fixed at ends of its range.

    Args:
        setup: Shape (1,).
        cost: A Cost.
        sides: "low" and "high", or one of them.

    Returns:
        One setup for each side, shape (len(sides),).
    """
    fixed = np.repeat(setup, len(sides))
    for row, side in zip(fixed, sides, strict=True):
        row["cost_low"][cost] = row["cost_high"][cost] = setup[0][f"cost_{side}"][cost]
    return fixed


def pinned(setup: Setups, seeds: NDArray[np.int64]) -> Setups:
    """Return one scenario for each seed, with all costs fixed at what that seed draws; shape (n,).

    Args:
        setup: Shape (1,).
        seeds: Shape (n,).
    """
    any_discipline = tdx_agents.load(tdx_agents.names()[0]).discipline.record()
    batch = Batch(setup, any_discipline, len(seeds))
    batch.reset(seeds)
    fixed = np.repeat(setup, len(seeds))
    for end in ("cost_low", "cost_high"):
        fixed[end] = batch.run["costs"]
    return fixed
