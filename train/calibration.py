"""Reward scales of the training scenarios: how much of the cost a policy can change.

Costs of scenarios differ by orders of magnitude, and most of the cost of some comes whatever is
decided. So each scenario's rewards are divided by one constant: the root mean square of the
difference that blind retry and random decisions make on the same seeds.
"""

import numpy as np
from numpy.typing import NDArray

from agents.protocol import Kind, Policy
from tdx_env.host.discipline import Discipline
from tdx_env.state.discipline import Action
from train.seeds import train_seeds
from train.suite import Suite
from train.validation import episode_costs

_LEAST_SHARE = 0.02  # of the mean cost: a scenario that nobody can change is not blown up
_STREAM = 1 << 20  # number of an environment that no training run has


def _policy(name: str, discipline: Discipline, seed: int | None) -> Policy:
    """Return a policy that always retries, or with a seed decides at random."""
    generator = None if seed is None else np.random.default_rng(seed)

    def act(
        observations: NDArray[np.float32], features: NDArray[np.int64], masks: NDArray[np.int8]
    ) -> NDArray[np.int64]:
        if generator is None:
            return np.full(len(masks), Action.RETRY, np.int64)
        return np.argmax(generator.random(masks.shape) * masks, axis=1).astype(np.int64)

    return Policy(name, "", name, "calibration", Kind.BATCHED, discipline, act=act)


def measured_scales(
    suite: Suite, discipline: Discipline, seed: int, n_episodes: int, n_threads: int
) -> NDArray[np.float64]:
    """Return the reward scale of each scenario, shape (n_scenarios,) [cycles].

    Args:
        suite: Training scenarios.
        discipline: Host discipline of the agent.
        seed: Seed of the run; the episodes are training episodes of their own.
        n_episodes: Episodes of each scenario.
        n_threads: Threads of the simulator.
    """
    episodes = np.arange(n_episodes, dtype=np.int64)
    seeds = train_seeds(seed, np.full(n_episodes, _STREAM), episodes)
    retried = episode_costs(suite, _policy("retry", discipline, None), seeds, n_threads)
    random = episode_costs(suite, _policy("random", discipline, seed), seeds, n_threads)
    changed = np.sqrt(np.square(random - retried).mean(axis=0))
    floor = _LEAST_SHARE * retried.mean(axis=0)
    return np.maximum(np.maximum(changed, floor), 1.0)
