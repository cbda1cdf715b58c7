"""Whole episodes: under a policy, or with a look ahead at some of the decisions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.run import Number
from tdx_env.scenarios import Scenario
from tdx_env.state.objectives import N_WEIGHED
from tdx_eval.room.advantages import N_COPIES, weighed
from tdx_eval.room.lookahead import Lookahead
from tdx_eval.room.stepping import batch_of, steps

_PARTS = slice(int(Number.WASTE), int(Number.WASTE) + N_WEIGHED)
_ERRORS = 2  # an answer is taken if it saves more than so many standard errors


@dataclass(frozen=True, eq=False)
class PlayedRoom:
    """What episodes came to.

    Attributes:
        parts: Of the cost, as `state.objectives.WEIGHED` has them, shape (n, N_WEIGHED) [cycles].
        n_decisions: Of each episode, shape (n,).
    """

    parts: NDArray[np.int64]
    n_decisions: NDArray[np.int64]

    def costs(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cost of each episode by an objective, shape (n,) [cycles]."""
        return self.parts @ weights


@dataclass(frozen=True)
class Depth:
    """How much a look ahead sees.

    Attributes:
        n_futures: Futures of each decision.
        max_decisions: About as many decisions of each episode are looked at.
        is_clairvoyant: Whether the true future is the only one: a bound then, no policy.
    """

    n_futures: int
    max_decisions: int
    is_clairvoyant: bool = False


@dataclass(frozen=True, eq=False)
class Ahead:
    """Episodes in which some decisions were taken by a look ahead.

    Attributes:
        played: What they came to.
        n_looked: Decisions that were looked at, of all episodes.
        n_changed: Of them those at which another answer than the base's was taken.
    """

    played: PlayedRoom
    n_looked: int
    n_changed: int


def _played(batch: Batch) -> PlayedRoom:
    """Return what ended episodes came to."""
    return PlayedRoom(batch.numbers[_PARTS].T.copy(), batch.run["n_decisions"].astype(np.int64))


def play_base(scenario: Scenario, policy: Policy, seeds: range) -> PlayedRoom:
    """Play an episode of each seed with a compiled policy."""
    batch = batch_of(scenario, policy.discipline, len(seeds))
    batch.reset(np.arange(seeds.start, seeds.stop))
    with policy.blamed():
        batch.advance(policy.decide)
    return _played(batch)


def better(
    costs: NDArray[np.float64], answers: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the best answers, where what they save is beyond its error, else the base's.

    Args:
        costs: As `Lookahead.costs` returns them.
        answers: The base's, shape (n,).
        weights: Of the objective, shape (N_WEIGHED,).
    """
    if costs.shape[2] == 1:  # the true future, known without error
        costs = np.repeat(costs, 2, axis=2)
    mean, error = (some[:, :, 0] for some in weighed(costs, answers, weights[None]))
    rows = np.arange(len(answers))
    saved = mean[rows, answers][:, None] - mean
    sure = np.where(saved > _ERRORS * error, saved, 0.0)
    best = sure.argmax(axis=1)
    return np.where(sure[rows, best] > 0, best, answers)


def play_ahead(
    scenario: Scenario,
    base: Policy,
    weights: NDArray[np.float64],
    before: PlayedRoom,
    seeds: range,
    depth: Depth,
) -> Ahead:
    """Play an episode of each seed, and look ahead at decisions that are spread evenly over it.

    Args:
        scenario: The world.
        base: Compiled policy for all other decisions, and for the time after each.
        weights: Of the objective, shape (N_WEIGHED,).
        before: The same seeds under the base: how many decisions to expect.
        seeds: Of the episodes.
        depth: How much is looked at.
    """
    batch = batch_of(scenario, base.discipline, len(seeds))
    copies = batch_of(scenario, base.discipline, N_COPIES)
    look = Lookahead(copies, base, depth.n_futures, depth.is_clairvoyant)
    every = np.maximum(1, -(-before.n_decisions // depth.max_decisions))
    n_looked = n_changed = 0
    for asked in steps(batch, base, seeds):
        which = asked.numbers % every[asked.places] == 0
        some = asked.those(which)
        if len(some.places) == 0:
            continue
        found = better(look.costs(batch, some), some.answers, weights)
        n_looked += len(found)
        n_changed += int((found != some.answers).sum())
        asked.answers[which] = found
    return Ahead(_played(batch), n_looked, n_changed)
