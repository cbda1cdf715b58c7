"""Episodes side by side that stop at every decision, so that somebody can look."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Kind, Policy
from tdx_env.engine.batch import Batch
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import Discipline
from tdx_env.scenarios import Scenario, setup_of
from tdx_env.state.calls import NONE


@dataclass(frozen=True)
class Asked:
    """The worlds that wait for a decision at one time.

    Attributes:
        places: Their numbers in the batch, shape (n,).
        numbers: Number of the decision in its episode, from 0, shape (n,).
        features: Shape (n, N_FEATURES).
        masks: 1 for each allowed action, shape (n, N_ACTIONS).
        answers: What the base policy answers, shape (n,); who looks may change them in place.
    """

    places: NDArray[np.int64]
    numbers: NDArray[np.int64]
    features: NDArray[np.int64]
    masks: NDArray[np.int8]
    answers: NDArray[np.int64]

    def those(self, which: Sequence[bool]) -> "Asked":
        """Return some of them."""
        rows = np.flatnonzero(which)
        return Asked(
            self.places[rows],
            self.numbers[rows],
            self.features[rows],
            self.masks[rows],
            self.answers[rows],
        )


def check_compiled(policy: Policy) -> None:
    """Fail if a policy's rule can't run inside the simulator.

    Raises:
        PolicyError: It can't.
    """
    if policy.kind != Kind.COMPILED:
        raise PolicyError(
            f"{policy.name}: is a {policy.kind} policy, a base must be a {Kind.COMPILED} one"
        )


def batch_of(
    scenario: Scenario, discipline: Discipline, n_worlds: int, n_threads: int = 2
) -> Batch:
    """Return worlds of a scenario under a discipline."""
    return Batch(setup_of(scenario), discipline.record(), n_worlds, n_threads=n_threads)


def steps(batch: Batch, base: Policy, seeds: range) -> Iterator[Asked]:
    """Play one episode for each seed to its end, stopping wherever somebody is asked.

    Args:
        batch: Its worlds, as many as seeds.
        base: Compiled policy whose answers are taken unless they are changed.
        seeds: Of the episodes.

    Yields:
        Who waits; the answers in it are given when the next is asked for.
    """
    batch.reset(np.arange(seeds.start, seeds.stop))
    batch.advance()
    while len(places := np.flatnonzero(batch.waiting)):
        features, masks = batch.features[places], batch.masks[places]
        numbers = batch.run["n_decisions"][places] - 1
        asked = Asked(places, numbers, features, masks, _answers(base, features, masks))
        yield asked
        actions = np.full(batch.n_worlds, NONE, np.int64)
        actions[places] = asked.answers
        batch.advance(actions=actions)


def _answers(
    base: Policy, features: NDArray[np.int64], masks: NDArray[np.int8]
) -> NDArray[np.int64]:
    """Return what a compiled policy answers, shape (n,)."""
    return base.actions(np.empty((len(features), 0), np.float32), features, masks)
