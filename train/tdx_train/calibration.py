"""How often and at which scale each scenario is trained on, measured before training.

Costs of scenarios differ by orders of magnitude. Each scenario's rewards are divided by one
constant: the mean cost of an episode under the better of two blind policies, always RETRY and
always YIELD (RETRY where it is masked). A return of -1 is then as good as not thinking.

Scenarios differ as much in what a decision takes to simulate. With n decisions of each scenario,
errors of n^-1/2 and a given time, the mean squared error is smallest if n is proportional to
(events per decision)^-1/2; so episodes are drawn in proportion to (decisions * events)^-1/2.

A scenario that is lost in every episode under both blind policies (a hang at the time cap, mostly)
takes the longest to simulate and teaches nothing: its cost is the cap's. It is left out.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tdx_agents.constant import constant
from tdx_agents.protocol import Policy
from tdx_env.errors import ConfigError
from tdx_env.host.discipline import Discipline
from tdx_env.state.discipline import Action
from tdx_env.state.world import End
from tdx_train.seed_ranges import train_seeds
from tdx_train.suite import Suite
from tdx_train.validation import run_episodes

_STREAM = 1 << 20  # number of an environment that no training run has
_LEAST_SHARE = 0.1  # of an equal share


@dataclass(frozen=True)
class _Measured:
    """Means of the episodes of each scenario, each of shape (n_scenarios,)."""

    costs: NDArray[np.float64]  # [cycles]
    finished: NDArray[np.float64]  # share of the episodes
    decisions: NDArray[np.float64]
    events: NDArray[np.float64]


def _measure(suite: Suite, policy: Policy, seeds: NDArray[np.int64], n_threads: int) -> _Measured:
    """Measure the scenarios under a policy."""
    batch = run_episodes(suite, policy, seeds, n_threads)

    def means(values: NDArray[np.generic]) -> NDArray[np.float64]:
        return values.reshape(len(seeds), -1).mean(axis=0)

    return _Measured(
        means(batch.costs),
        means(batch.run["end"] == End.FINISHED),
        means(batch.run["n_decisions"]),
        means(batch.run["n_events"]),
    )


def calibrated(
    suite: Suite, discipline: Discipline, seed: int, n_episodes: int, n_threads: int
) -> Suite:
    """Return the scenarios that can be learned from, with measured scales and shares.

    Args:
        suite: Training scenarios.
        discipline: Host discipline of the agent.
        seed: Seed of the run; the episodes are training episodes of their own.
        n_episodes: Episodes of each scenario.
        n_threads: Threads of the simulator.

    Raises:
        ConfigError: Every scenario is lost whatever is answered.
    """
    episodes = np.arange(n_episodes, dtype=np.int64)
    seeds = train_seeds(seed, np.full(n_episodes, _STREAM), episodes)
    retried, yielded = (
        _measure(suite, replace(constant(action), discipline=discipline), seeds, n_threads)
        for action in (Action.RETRY, Action.YIELD)
    )
    kept = np.flatnonzero(retried.finished + yielded.finished)
    if not len(kept):
        raise ConfigError(
            f"{', '.join(suite.names)}: every episode is lost under RETRY and under YIELD, must be "
            "scenarios in which an answer can matter"
        )
    scales = np.maximum(np.minimum(retried.costs, yielded.costs), 1.0)
    shares = 1 / np.sqrt(np.maximum(retried.decisions, 1.0) * retried.events)
    shares = np.maximum(shares[kept] / shares[kept].sum(), _LEAST_SHARE / len(kept))
    return suite.only(kept).tuned(scales[kept], shares)
