"""Validation: greedy episodes with fixed seeds, against the kernel's policy on the same ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Act, Policy
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.spaces import observation_size, observe
from tdx_env.state.discipline import N_ACTIONS
from tdx_train.seed_ranges import validation_seeds
from tdx_train.suite import Suite

REFERENCE = "P18"  # what Linux 6.16 does


@dataclass(frozen=True)
class Verdict:
    """How a policy did on the validation split.

    Attributes:
        costs: Mean cost of an episode of each scenario, shape (n_scenarios,) [cycles].
        ratios: The same as a share of the reference's, shape (n_scenarios,).
    """

    costs: NDArray[np.float64]
    ratios: NDArray[np.float64]

    @property
    def score(self) -> float:
        """Geometric mean of the ratios: the smaller, the better; the reference has 1."""
        return float(np.exp(np.log(self.ratios).mean()))


class Counted:
    """A batched rule that counts its answers.

    Args:
        act: The rule.

    Attributes:
        answers: How often it took each action, shape (N_ACTIONS,).
    """

    def __init__(self, act: Act) -> None:
        self._act = act
        self.answers = np.zeros(N_ACTIONS, np.int64)

    def __call__(
        self,
        observations: NDArray[np.float32],
        features: NDArray[np.int64],
        masks: NDArray[np.int8],
    ) -> NDArray[np.int64]:
        """Return the rule's actions."""
        actions = self._act(observations, features, masks)
        self.answers += np.bincount(actions, minlength=N_ACTIONS)
        return actions

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each action in the answers, shape (N_ACTIONS,)."""
        return self.answers / max(1, self.answers.sum())


def run_policy(batch: Batch, policy: Policy) -> None:
    """Run every episode of a batch to its end under a policy."""
    if policy.decide is not None:
        with policy.blamed():
            batch.advance(policy.decide)
        return
    assert policy.act is not None
    batch.advance()
    while batch.waiting.any():
        rows = np.flatnonzero(batch.waiting)
        features = batch.features[rows]
        observations = np.empty((len(rows), observation_size(policy.discipline.asks)), np.float32)
        observe(features, observations)
        actions = np.full(batch.n_worlds, SKIP, np.int64)
        actions[rows] = policy.act(observations, features, batch.masks[rows].astype(np.int8))
        batch.advance(actions=actions)


def run_episodes(suite: Suite, policy: Policy, seeds: NDArray[np.int64], n_threads: int) -> Batch:
    """Run episodes of every scenario under a policy and its own discipline.

    Args:
        suite: The scenarios.
        policy: The policy.
        seeds: Seeds of the episodes of each scenario, shape (n_episodes,).
        n_threads: Threads of the simulator.

    Returns:
        The ended episodes; its arrays have the shape (n_episodes, n_scenarios), flattened.
    """
    n_scenarios = len(suite.scenarios)
    rows = np.tile(np.arange(n_scenarios), len(seeds))  # mixed, so that threads get equal shares
    batch = Batch(suite.setups(), policy.discipline.record(), len(rows), n_threads=n_threads)
    batch.reset(np.repeat(seeds, n_scenarios), rows)
    run_policy(batch, policy)
    return batch


def mean_costs(
    suite: Suite, policy: Policy, seeds: NDArray[np.int64], n_threads: int
) -> NDArray[np.float64]:
    """Return the mean cost of an episode of each scenario, shape (n_scenarios,) [cycles]."""
    batch = run_episodes(suite, policy, seeds, n_threads)
    return batch.costs.reshape(len(seeds), -1).mean(axis=0)


class Judge:
    """Measures policies on the validation split; the reference is measured once.

    Args:
        suite: Validation scenarios.
        reference: Policy whose cost counts as 1.
        n_episodes: Episodes of each scenario; their seeds are always the same.
        n_threads: Threads of the simulator.
    """

    def __init__(self, suite: Suite, reference: Policy, n_episodes: int, n_threads: int) -> None:
        self._suite = suite
        self._seeds = validation_seeds(n_episodes)
        self._n_threads = n_threads
        self.reference_costs = self._measure(reference)

    def _measure(self, *policies: Policy) -> NDArray[np.float64]:
        """Return policies' mean costs, at least a cycle, so that ratios exist."""
        parts = zip(self._suite.split(len(policies)), policies, strict=True)
        costs = [mean_costs(part, one, self._seeds, self._n_threads) for part, one in parts]
        return np.maximum(np.concatenate(costs), 1.0)

    def verdict(self, *policies: Policy) -> Verdict:
        """Measure a policy, or one for each objective, each on the scenarios of its own."""
        costs = self._measure(*policies)
        return Verdict(costs, costs / self.reference_costs)
