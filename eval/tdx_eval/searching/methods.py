"""The searches: random trees, and evolution; each spends so many decisions on train seeds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.tree import Node
from tdx_eval.searching.arena import Arena
from tdx_eval.searching.breeding import crossed, drawn_tree, mutated, simplified
from tdx_eval.searching.entrants import by_hand

_N_PARENTS = 4
_N_CHILDREN = 12
_CROSSED_SHARE = 0.25
_KEPT = 5  # finalists of a run
_AGAIN = 3  # blocks of seeds on which the best of random search are played once more


@dataclass
class Candidate:
    """A tree and how it has done so far.

    Attributes:
        root: The tree.
        scores: Mean ratio to the reference, for each block of seeds it was played on.
    """

    root: Node
    scores: list[float]

    @property
    def score(self) -> float:
        """Mean over the blocks."""
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class Found:
    """What one run of a search came to.

    Attributes:
        method: Its name.
        seed: Of its draws.
        finalists: The best trees, the best first.
        score: Of the best one, on train seeds.
        n_decisions: Spent.
        n_trees: TreeCost.
    """

    method: str
    seed: int
    finalists: tuple[Node, ...]
    score: float
    n_decisions: int
    n_trees: int


class Purse:
    """Plays trees for one objective, and counts the decisions that it takes."""

    def __init__(self, arena: Arena, weights: NDArray[np.float64], budget: int) -> None:
        self._arena, self._weights, self._budget = arena, weights, budget
        self.spent = 0
        self.n_trees = 0

    @property
    def is_empty(self) -> bool:
        """Whether the budget is used up."""
        return self.spent >= self._budget

    def score(self, root: Node, block: int) -> float:
        """Return the mean ratio of a tree's cost to the reference's in a block of seeds."""
        played = self._arena.play(root, block)
        self.spent += played.n_decisions
        self.n_trees += 1
        return float(self._arena.ratios(played, self._weights, block).mean())


def _found(method: str, seed: int, purse: Purse, candidates: list[Candidate]) -> Found:
    """Return a run's result: those that were played on most blocks, the best of them first."""
    order = sorted(candidates, key=lambda one: (one.score, -len(one.scores)))
    unique = list(dict.fromkeys(one.root for one in order))[:_KEPT]
    return Found(method, seed, tuple(unique), order[0].score, purse.spent, purse.n_trees)


def random_search(purse: Purse, seed: int) -> Found:
    """Return the best of trees drawn at random; the best few are played on more seeds."""
    generator = np.random.default_rng([seed, 1])
    candidates: list[Candidate] = []
    while not purse.is_empty:
        root = drawn_tree(generator)
        candidates.append(Candidate(root, [purse.score(root, 0)]))
    best = sorted(candidates, key=lambda one: one.score)[: 2 * _KEPT]
    for one in best:
        one.scores += [purse.score(one.root, block) for block in range(1, 1 + _AGAIN)]
    return _found("random", seed, purse, best)


def _evolved(purse: Purse, seed: int, name: str, people: list[Candidate]) -> Found:
    """Return the best of an evolution: each generation plays on new seeds, its parents too."""
    generator = np.random.default_rng([seed, 2])
    block = 0
    while not purse.is_empty:
        for one in people:
            one.scores.append(purse.score(one.root, block))
        block += 1
        parents = sorted(people, key=lambda one: one.score)[:_N_PARENTS]
        children = [_child(parents, generator) for _ in range(_N_CHILDREN)]
        last, people = people, [*parents, *children]
    return _found(name, seed, purse, last)


def evolution(purse: Purse, seed: int) -> Found:
    """Return the best of an evolution that begins with trees drawn at random."""
    generator = np.random.default_rng([seed, 3])
    people = [Candidate(drawn_tree(generator), []) for _ in range(_N_PARENTS + _N_CHILDREN)]
    return _evolved(purse, seed, "evolution", people)


def refinement(purse: Purse, seed: int) -> Found:
    """Return the best of an evolution that begins with the entrants by hand."""
    people = [Candidate(root, []) for root in by_hand().values()]
    return _evolved(purse, seed, "refinement", people)


def _child(parents: list[Candidate], generator: np.random.Generator) -> Candidate:
    """Return a child of one or two parents."""
    first, second = (parents[int(generator.integers(len(parents)))].root for _ in range(2))
    root = first
    if generator.random() < _CROSSED_SHARE:
        root = crossed(first, second, generator)
    root = mutated(root, generator)
    while generator.random() < 0.3:
        root = mutated(root, generator)
    return Candidate(simplified(root), [])


METHODS: dict[str, Callable[[Purse, int], Found]] = {
    "random": random_search,
    "evolution": evolution,
    "refinement": refinement,
}
