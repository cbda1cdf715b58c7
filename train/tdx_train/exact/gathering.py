"""Decisions of episodes, and what each answer to them costs from there to the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Decide, Features
from tdx_env.engine.batch import COST_PARTS, SKIP, Batch
from tdx_env.host.discipline import Discipline
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.features import Feature
from tdx_env.state.objectives import N_WEIGHED
from tdx_train.seed_ranges import train_seeds
from tdx_train.suite import Suite

_PARTS = slice(COST_PARTS.start, COST_PARTS.start + N_WEIGHED)
_N_COPIES = 384  # worlds that are played on at a time
_EXPLORING = 0.05  # share of a walker's answers that are drawn
N_KINDS = 2  # busy reply, flush point


@dataclass(frozen=True, eq=False)
class Decided:
    """Decisions, one row each.

    Attributes:
        features: Shape (n, N_FEATURES).
        masks: 1 for each allowed action, shape (n, N_ACTIONS).
        parts: Parts of the cost of each answer in each future, nan where it is masked, shape (n,
            N_ACTIONS, n_futures, N_WEIGHED) [cycles].
        base: What the base policy answers, shape (n,).
        scenario: Place in the suite, shape (n,).
        stands_for: How many decisions of an episode each stands for, shape (n,).
    """

    features: NDArray[np.int64]
    masks: NDArray[np.int8]
    parts: NDArray[np.float32]
    base: NDArray[np.int64]
    scenario: NDArray[np.int64]
    stands_for: NDArray[np.float64]

    @property
    def kind(self) -> NDArray[np.int64]:
        """1 at flush points, 0 at busy replies, shape (n,)."""
        return kind_of(self.features)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def together(cls, some: "Sequence[Decided]") -> Self:
        """Return all rows of several tables."""
        return cls(
            **{
                one.name: np.concatenate([getattr(each, one.name) for each in some])
                for one in fields(cls)
            }
        )


@dataclass(frozen=True, eq=False)
class Walk:
    """How decisions are gathered.

    Attributes:
        base: Compiled; takes every decision behind an answer.
        walkers: Compiled; each leads some of the episodes up to the decisions that are looked at.
        discipline: What the host does round the decisions.
        seed: Of the run; each gathering has its own.
        n_episodes: Episodes of each scenario.
        n_decisions: Decisions of each scenario and kind that are looked at, about.
        n_futures: Futures of each.
    """

    base: Decide
    walkers: Sequence[Decide]
    discipline: Discipline
    seed: int
    n_episodes: int
    n_decisions: int
    n_futures: int


def kind_of(features: Features) -> NDArray[np.int64]:
    """Return 1 for flush points and 0 for busy replies, shape (n,)."""
    return (features[:, Feature.PATH] == CallPath.FLUSH).astype(np.int64)


class _Episodes:
    """Episodes of every scenario, led by the walkers, that stop at each decision."""

    def __init__(self, suite: Suite, walk: Walk, n_threads: int) -> None:
        n_scenarios = len(suite.scenarios)
        self._walk, n_worlds = walk, n_scenarios * walk.n_episodes
        self.scenario = np.tile(np.arange(n_scenarios), walk.n_episodes)
        self._walker = np.arange(n_worlds) // n_scenarios % len(walk.walkers)
        self.batch = Batch(suite.setups(), walk.discipline.record(), n_worlds, n_threads=n_threads)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Yield the worlds that wait, until all episodes have ended; the same ones every time."""
        batch, walk = self.batch, self._walk
        numbers = np.arange(batch.n_worlds)
        episode = numbers // (len(numbers) // walk.n_episodes)
        drawn = np.random.default_rng(walk.seed)
        batch.reset(train_seeds(walk.seed, np.zeros_like(numbers), episode), self.scenario)
        batch.advance()
        while len(rows := np.flatnonzero(batch.waiting)):
            yield rows
            actions = np.full(batch.n_worlds, SKIP, np.int64)
            actions[rows] = self._answers(rows, drawn)
            batch.advance(actions=actions)

    def _answers(self, rows: NDArray[np.int64], drawn: np.random.Generator) -> NDArray[np.int64]:
        """Return what the walkers answer; the first one explores nothing."""
        features, masks = self.batch.features, self.batch.masks
        walkers = self._walk.walkers
        answers = np.array([walkers[self._walker[row]](features[row]) for row in rows], np.int64)
        explores = (drawn.random(len(rows)) < _EXPLORING) & (self._walker[rows] > 0)
        for place in np.flatnonzero(explores):
            answers[place] = drawn.choice(np.flatnonzero(masks[rows[place]]))
        return answers


def _chances(episodes: _Episodes, walk: Walk, n_scenarios: int) -> NDArray[np.float64]:
    """Return how likely a decision is looked at, shape (n_scenarios, N_KINDS)."""
    counts = np.zeros((n_scenarios, N_KINDS))
    for rows in episodes:
        kinds = kind_of(episodes.batch.features[rows])
        open_ones = episodes.batch.masks[rows].sum(axis=1) > 1
        np.add.at(counts, (episodes.scenario[rows], kinds), open_ones)
    return np.minimum(1.0, walk.n_decisions / np.maximum(counts, 1))


class _Copies:
    """Worlds in which answers are played on."""

    def __init__(self, source: Batch, walk: Walk, n_threads: int) -> None:
        self._source, self._walk = source, walk
        discipline = walk.discipline.record()
        self._batch = Batch(source.setups, discipline, _N_COPIES, n_threads=n_threads)
        self.at_a_time = _N_COPIES // (N_ACTIONS * walk.n_futures)

    def costs(self, rows: NDArray[np.int64], drawn: np.random.Generator) -> NDArray[np.float32]:
        """Return the parts of the cost of all answers, as `Decided.parts` has them."""
        n_futures, batch = self._walk.n_futures, self._batch
        places, answers = np.nonzero(self._source.masks[rows])
        places, answers = np.repeat(places, n_futures), np.repeat(answers, n_futures)
        futures = np.arange(len(places)) % n_futures
        keys = drawn.integers(1, 1 << 62, (len(rows), n_futures)).astype(np.uint64)
        batch.adopt(self._source, rows[places])
        batch.rekey(keys[places, futures])
        given = np.full(batch.n_worlds, SKIP, np.int64)
        given[: len(places)] = answers
        before = batch.numbers[_PARTS, : len(places)].copy()
        batch.advance(self._walk.base, given)
        found = np.full((len(rows), N_ACTIONS, n_futures, N_WEIGHED), np.nan, np.float32)
        found[places, answers, futures] = (batch.numbers[_PARTS, : len(places)] - before).T
        return found


def gather(suite: Suite, walk: Walk, n_threads: int) -> Decided:
    """Return decisions of episodes, and what each allowed answer costs from there on.

    Every answer is followed by the base policy to the episode's end, in futures that are the same
    for all answers: what was drawn before stays, what is drawn later has a new key. As far as there
    are enough, each scenario has as many decisions at busy replies as at flush points.

    Args:
        suite: The scenarios.
        walk: What plays, and how much.
        n_threads: Threads of the simulator.
    """
    episodes = _Episodes(suite, walk, n_threads)
    chances = _chances(episodes, walk, len(suite.scenarios))
    copies = _Copies(episodes.batch, walk, n_threads)
    drawn = np.random.default_rng([walk.seed, 1])
    found = []
    for rows in episodes:
        kinds = kind_of(episodes.batch.features[rows])
        chance = chances[episodes.scenario[rows], kinds]
        is_open = episodes.batch.masks[rows].sum(axis=1) > 1
        chosen = np.flatnonzero((drawn.random(len(rows)) < chance) & is_open)
        for first in range(0, len(chosen), copies.at_a_time):
            some = chosen[first : first + copies.at_a_time]
            features = episodes.batch.features[rows[some]]
            found.append(
                Decided(
                    features,
                    episodes.batch.masks[rows[some]],
                    copies.costs(rows[some], drawn),
                    np.array([walk.base(row) for row in features], np.int64),
                    episodes.scenario[rows[some]],
                    1 / (chance[some] * walk.n_episodes),
                )
            )
    return Decided.together(found)
