"""What is to gain above a policy, scenario by scenario and objective by objective."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.arguments import has_zaps
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import Scenario, load, setup_of
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action
from tdx_env.state.objectives import weights_of
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.statistics import relative_difference
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.flushing.measure import PROMPT, rate_of, run_rule
from tdx_eval.room.advantage_table import AdvantageTable
from tdx_eval.room.advantages import advantages
from tdx_eval.room.playing import Depth, PlayedRoom, play_ahead, play_base
from tdx_eval.room.tree import grown, policy_of, told

_CHOICE_SEED, _ROUND_SEEDS = 1 << 20, 1 << 16  # of the train split, beyond those it was grown on
_LONG_EVENTS = 400_000  # of an episode: above, a third of the episodes
_N_PROBED, _MOST_TRACED = 2, 1 << 14
OTHERS = ("decided-greedy", "decided-root", "decided-retry-batch-16")
"""Rules that are asked where the base is, and held against it where there are flush points."""
_POINTS = {"flush": True, "busy": False}


@dataclass(frozen=True)
class Effort:
    """How much is played.

    Attributes:
        seeds: Episodes that each gain is measured on.
        fit_seeds: Episodes whose decisions a tree is grown on.
        fit_decisions: Decisions of each of them.
        ahead_seeds: Episodes with a look ahead; 0: none.
        ahead_decisions: Decisions of each of them that are looked at, about.
        futures: Futures of each such decision.
        rounds: Trees grown one above the other, at most.
        clairvoyant: Whether the look ahead is played with the true future too.
    """

    seeds: int = 32
    fit_seeds: int = 12
    fit_decisions: int = 32
    ahead_seeds: int = 6
    ahead_decisions: int = 12
    futures: int = 6
    rounds: int = 1
    clairvoyant: bool = False

    def third(self) -> "Effort":
        """Return what is played where episodes are long."""
        return Effort(
            max(4, self.seeds // 3),
            max(4, self.fit_seeds // 3),
            self.fit_decisions,
            min(self.ahead_seeds, max(4, self.ahead_seeds // 3)),
            self.ahead_decisions,
            self.futures,
            self.rounds,
            self.clairvoyant,
        )


@dataclass(frozen=True)
class Gain:
    """What is saved of the base's cost, paired by seed, with its 95 % interval [%]."""

    percent: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0


@dataclass(frozen=True)
class RoomCell:
    """One scenario under one objective.

    Attributes:
        objective: Its name.
        base_ms: Mean cost of the base [ms of all CPUs, weighed].
        learned: What a tree saves, None if none was better on the seeds it was chosen on.
        rule: The last tree's answers in words.
        n_rounds: Trees that were each better than the one before.
        ahead: What the look ahead saves, None if it was not played.
        n_looked: Decisions that it looked at in each episode.
        looked_share: Which part of all decisions that is.
        clairvoyant: What it saves with the true future, None if it was not played.
        losses_us: What another answer than the base's costs more, each followed by its standard
            error, by "flush KICK" and the like [µs].
        rules: What other rules of the catalogue save, by name; none without flush points.
    """

    objective: str
    base_ms: float
    learned: Gain | None
    rule: str
    n_rounds: int
    ahead: Gain | None
    n_looked: float
    looked_share: float
    clairvoyant: Gain | None
    losses_us: dict[str, tuple[float, float]]
    rules: dict[str, Gain] = field(default_factory=dict)

    @property
    def best(self) -> float:
        """The largest gain of those that are sure, 0 if none is [%]."""
        every = (self.learned, self.ahead, *self.rules.values())
        return max((one.percent for one in every if one and one.is_sure), default=0.0)

    @property
    def best_rule(self) -> str | None:
        """The other rule that saves most, None if none surely saves anything."""
        sure = {name: one.percent for name, one in self.rules.items() if one.is_sure}
        return max(sure, key=lambda name: sure[name]) if sure else None


@dataclass(frozen=True)
class RoomRow:
    """One scenario.

    Attributes:
        scenario: Its name.
        command: That measured it.
        effort: What was played.
        n_busy: Decisions at busy replies in an episode, by what was looked at.
        n_flush: Flush points in an episode.
        lambda_k: Waiters that come while as much is waited as a flush costs, None without zaps.
        cells: One for each objective.
    """

    scenario: str
    command: str
    effort: Effort
    n_busy: float
    n_flush: float
    lambda_k: float | None
    cells: list[RoomCell]


@dataclass(frozen=True)
class RoomStudy:
    """All that was measured.

    Attributes:
        base: Name of the base policy.
        rows: One for each scenario.
    """

    base: str
    rows: list[RoomRow]

    def with_row(self, row: RoomRow) -> "RoomStudy":
        """Return the study with one scenario measured anew, or in addition, in order of names."""
        kept = [one for one in self.rows if one.scenario != row.scenario]
        return RoomStudy(self.base, sorted([*kept, row], key=lambda one: one.scenario))


def gain_of(costs: NDArray[np.float64], base: NDArray[np.float64]) -> Gain:
    """Return what is saved of the base's costs on the same seeds."""
    found = relative_difference(costs, base)
    if found is None:
        return Gain(0.0, 0.0, 0.0)
    return Gain(*(round(-100 * one, 2) + 0.0 for one in (found.value, found.high, found.low)))


def gains_of_others(
    scenario: Scenario, before: PlayedRoom, seeds: range, objectives: Sequence[str]
) -> list[dict[str, Gain]]:
    """Return what other rules of the catalogue save, one table for each objective.

    Args:
        scenario: One with flush points.
        before: The base on the same seeds.
        seeds: Of the episodes.
        objectives: Names.
    """
    found: list[dict[str, Gain]] = [{} for _ in objectives]
    for name in OTHERS:
        played = play_base(scenario, load_policy(name), seeds)
        for table, objective in zip(found, objectives, strict=True):
            weights = weights_of(objective)
            table[name] = gain_of(played.costs(weights), before.costs(weights))
    return found


def losses(table: AdvantageTable, objective: int, khz: int) -> dict[str, tuple[float, float]]:
    """Return what other answers than the base's cost more in the mean, and its standard error [µs].

    Args:
        table: Decisions.
        objective: Place of the objective.
        khz: The scenario's clock.
    """
    gains, found = table.gain()[:, :, objective], {}
    for point, is_flush in _POINTS.items():
        for action in Action:
            which = (table.path == CallPath.FLUSH) == is_flush
            which &= table.mask[:, action] & (table.base_action != action)
            n = int(which.sum())
            if n > 1:
                lost = -1000 * gains[which, action] / khz
                error = float(lost.std(ddof=1)) / n**0.5
                key = f"{point} {action.name}"
                found[key] = (round(float(lost.mean()), 2), round(error, 2))
    return found


class _Scenario:
    """One scenario, measured.

    Args:
        scenario: It.
        base: The base policy.
        objectives: Names.
        effort: What is played.
    """

    def __init__(
        self, scenario: Scenario, base: Policy, objectives: Sequence[str], effort: Effort
    ) -> None:
        self._scenario, self._base, self._objectives = scenario, base, objectives
        self._effort = effort
        first = FIRST_SEED["validation"]
        self._seeds = range(first, first + effort.seeds)
        self._ahead_seeds = range(first, first + effort.ahead_seeds)
        self._before = play_base(scenario, base, self._seeds)

    def _table(self, base: Policy, round_: int, objectives: Sequence[str]) -> AdvantageTable:
        """Return decisions that a tree above some base is grown on."""
        first = round_ * _ROUND_SEEDS
        effort = self._effort
        return advantages(
            [self._scenario.name],
            base,
            seeds=range(first, first + effort.fit_seeds),
            objectives=objectives,
            n_futures=2,
            max_decisions=effort.fit_decisions,
        )

    def _is_better(self, tree: Policy, base: Policy, weights: NDArray[np.float64]) -> bool:
        """Say whether a tree is better on seeds that it was neither grown nor is measured on."""
        seeds = range(_CHOICE_SEED, _CHOICE_SEED + self._effort.seeds)
        costs = [play_base(self._scenario, policy, seeds).costs(weights) for policy in (tree, base)]
        return gain_of(costs[0], costs[1]).is_sure

    def _improved(
        self, table: AdvantageTable, place: int, objective: str
    ) -> tuple[Policy | None, str, int]:
        """Return the last tree that is better than the one before, its rule, and how many are."""
        weights = weights_of(objective)
        best, rule, base = None, "", self._base
        for round_ in range(self._effort.rounds):
            if round_ > 0:
                table, place = self._table(base, round_, [objective]), 0
            nodes = grown(table.features, table.gain()[:, :, place])
            if not told(nodes):
                return best, rule, round_
            tree = policy_of(nodes, base, f"{self._base.name}-{objective}-{round_ + 1}")
            if not self._is_better(tree, base, weights):
                return best, rule, round_
            best, base, rule = tree, tree, told(nodes)
        return best, rule, self._effort.rounds

    def _ahead(
        self, weights: NDArray[np.float64], is_clairvoyant: bool = False
    ) -> tuple[Gain, float, float]:
        """Return what a look ahead saves, the decisions looked at, and their share."""
        n = len(self._ahead_seeds)
        before = PlayedRoom(self._before.parts[:n], self._before.n_decisions[:n])
        depth = Depth(self._effort.futures, self._effort.ahead_decisions, is_clairvoyant)
        seeds = self._ahead_seeds
        found = play_ahead(self._scenario, self._base, weights, before, seeds, depth)
        share = found.n_looked / max(1, int(found.played.n_decisions.sum()))
        gain = gain_of(found.played.costs(weights), before.costs(weights))
        return gain, round(found.n_looked / n, 1), round(share, 3)

    def _cell(self, table: AdvantageTable, place: int, objective: str) -> RoomCell:
        """Return what is to gain under one objective."""
        weights, effort = weights_of(objective), self._effort
        own = self._before.costs(weights)
        tree, rule, n_rounds = self._improved(table, place, objective)
        learned = None
        if tree is not None:
            learned = gain_of(play_base(self._scenario, tree, self._seeds).costs(weights), own)
        ahead, looked, share, clairvoyant = None, 0.0, 0.0, None
        if effort.ahead_seeds > 1:
            ahead, looked, share = self._ahead(weights)
            if effort.clairvoyant:
                clairvoyant = self._ahead(weights, is_clairvoyant=True)[0]
        khz = self._scenario.clock_khz
        return RoomCell(
            objective,
            round(float(own.mean()) / khz, 3),
            learned,
            rule,
            n_rounds,
            ahead,
            looked,
            share,
            clairvoyant,
            losses(table, place, khz),
        )

    def row(self, command: str, flush_share: float) -> RoomRow:
        """Return what is to gain in the scenario.

        Args:
            command: That measures it.
            flush_share: Which part of the decisions are flush points.
        """
        table = self._table(self._base, 0, self._objectives)
        cells = [self._cell(table, place, one) for place, one in enumerate(self._objectives)]
        if flush_share > 0:
            others = gains_of_others(self._scenario, self._before, self._seeds, self._objectives)
            pairs = zip(cells, others, strict=True)
            cells = [replace(cell, rules=rules) for cell, rules in pairs]
        rate = None
        if has_zaps(self._scenario):
            waiting = run_rule(self._scenario, PROMPT, self._seeds)
            rate = round(rate_of(waiting, self._scenario.clock_khz).product, 2)
        n_decisions = float(self._before.n_decisions.mean())
        return RoomRow(
            self._scenario.name,
            command,
            self._effort,
            round(n_decisions * (1 - flush_share), 1),
            round(n_decisions * flush_share, 1),
            rate,
            cells,
        )


def _probed(scenario: Scenario, base: Policy) -> tuple[float, float]:
    """Return the events of an episode, and which part of the decisions are flush points."""
    record = base.discipline.record()
    batch = Batch(setup_of(scenario), record, _N_PROBED, n_decisions_traced=_MOST_TRACED)
    batch.reset(np.arange(_N_PROBED))
    batch.advance(base.decide)
    kept = zip(range(_N_PROBED), batch.run["n_decisions_traced"], strict=True)
    paths = [batch.world(at).decisions["decision"][:n]["path"] for at, n in kept]
    is_flush = np.concatenate(paths) == CallPath.FLUSH
    share = float(is_flush.mean()) if len(is_flush) else 0.0
    return float(batch.run["n_events"].mean()), share


def measured_room(
    scenarios: Sequence[str],
    base: Policy,
    objectives: Sequence[str],
    effort: Effort,
    command: str,
) -> Iterator[RoomRow]:
    """Yield what is to gain above a policy in each scenario.

    Args:
        scenarios: Names or files.
        base: Compiled policy.
        objectives: Names.
        effort: What is played; a third of it where episodes are long.
        command: That measures it.
    """
    for name in scenarios:
        scenario = load(name)
        n_events, flush_share = _probed(scenario, base)
        some = effort.third() if n_events > _LONG_EVENTS else effort
        yield _Scenario(scenario, base, objectives, some).row(command, flush_share)
