"""What came of a study of the costs, and what it says about each of them."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Effect:
    """What one cost does to the ranking in one scenario.

    Attributes:
        cost: Its name.
        tau: Rank correlation of the mean costs at its low and at its high end; None if all
            policies tie at one of them.
        best_low: Best mergeable policy with the cost at its low end.
        best_high: The same at its high end.
        dearer_low: What the best of the high end costs more at the low end, as a share.
        dearer_high: What the best of the low end costs more at the high end, as a share.
        is_change: Whether both are beyond a tie and beyond doubt.
    """

    cost: str
    tau: float | None
    best_low: str
    best_high: str
    dearer_low: float
    dearer_high: float
    is_change: bool


@dataclass(frozen=True)
class ScenarioStudy:
    """One scenario.

    Attributes:
        name: As `load` takes it.
        digest: Of what the simulator reads of it.
        n_seeds: Episodes of each policy at each end.
        n_events: Mean events of an episode, all policies together.
        policies: Those that differ here, each with those that did the same in every episode.
        best: Best mergeable policy with all costs drawn as usual.
        floor: Rank correlations of disjoint sets of seeds at the same costs, one for each pair.
        effects: One for each cost that matters here.
    """

    name: str
    digest: str
    n_seeds: int
    n_events: int
    policies: dict[str, list[str]]
    best: str
    floor: list[float]
    effects: list[Effect]

    @property
    def lowest_floor(self) -> float:
        """The lowest correlation of two sets of seeds: what chance alone can do."""
        return min(self.floor, default=1.0)

    @property
    def slug(self) -> str:
        """The name without its split."""
        return self.name.rpartition("/")[0] or self.name

    def drop(self, effect: Effect) -> float:
        """Return how far a cost's correlation is below what chance can do; negative: above it."""
        return 0.0 if effect.tau is None else self.lowest_floor - effect.tau


@dataclass(frozen=True)
class Study:
    """All scenarios.

    Attributes:
        scenarios: Those that were played.
        left_out: Mean events of an episode of those that are too large.
        controls: Scenarios without contention; not played.
        n_policies: Policies that took part.
        max_seeds: Most episodes of a policy at an end.
        max_events: Most events of a policy at an end; large scenarios have fewer episodes.
        first_seed: Of the first set; the sets follow each other.
        n_sets: Disjoint sets of seeds behind the noise floor.
        tie_share: Means that differ by no more are a tie.
        ranges: Low and high end of every cost [cycles].
        ranges_digest: A hash of them.
        versions: What it was computed with.
    """

    scenarios: list[ScenarioStudy]
    left_out: dict[str, int]
    controls: list[str]
    n_policies: int
    max_seeds: int
    max_events: int
    first_seed: int
    n_sets: int
    tie_share: float
    ranges: dict[str, tuple[int, int]]
    ranges_digest: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class CostVerdict:
    """What all scenarios say about one cost.

    Attributes:
        cost: Its name.
        found: Scenarios where it matters, with what it does there, lowest correlation first.
    """

    cost: str
    found: list[tuple[ScenarioStudy, Effect]]

    @property
    def is_used(self) -> bool:
        """Whether it matters anywhere."""
        return bool(self.found)

    @property
    def lowest(self) -> tuple[ScenarioStudy, Effect]:
        """The scenario with the lowest correlation, and what the cost does there."""
        return self.found[0]

    @property
    def median(self) -> float:
        """The median correlation over the scenarios where it matters."""
        return statistics.median(_tau(effect) for _, effect in self.found)

    @property
    def below(self) -> list[tuple[ScenarioStudy, Effect]]:
        """Scenarios where the correlation is below what chance can do, largest drop first."""
        some = [(where, effect) for where, effect in self.found if where.drop(effect) > 0]
        return sorted(some, key=lambda one: -one[0].drop(one[1]))

    @property
    def largest_drop(self) -> float:
        """How far it gets below what chance can do, at most; negative: nowhere below."""
        return max((where.drop(effect) for where, effect in self.found), default=-1.0)

    @property
    def changes(self) -> list[tuple[ScenarioStudy, Effect]]:
        """Scenarios where the best mergeable policy changes."""
        return [(where, effect) for where, effect in self.found if effect.is_change]


def _tau(effect: Effect) -> float:
    """Return a correlation; one that is not defined counts as no change."""
    return 1.0 if effect.tau is None else effect.tau


def verdicts(study: Study, costs: list[str]) -> list[CostVerdict]:
    """Return what the study says about each cost, those that the ranking depends on most first."""
    found: dict[str, list[tuple[ScenarioStudy, Effect]]] = {cost: [] for cost in costs}
    for scenario in study.scenarios:
        for effect in scenario.effects:
            found[effect.cost].append((scenario, effect))
    some = [
        CostVerdict(cost, sorted(of, key=lambda one: _tau(one[1]))) for cost, of in found.items()
    ]
    return sorted(some, key=lambda one: (-one.largest_drop, -len(one.found)))
