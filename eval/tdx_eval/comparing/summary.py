"""What a comparison found: the one record that report, terminal and `summary.json` show.

Times are in cycles of the scenario's clock, means over episodes unless a name says otherwise.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from tdx_eval.comparing.statistics import Estimate


@dataclass(frozen=True)
class Conflict:
    """One cell of the busy matrix.

    Attributes:
        call: SEAMCALL that came back busy.
        holder: Call that held the lock, or "none known".
        lock: Lock of the module.
        n_busy: Busy replies, mean of an episode.
        cycles_lost: The callers' own, mean of an episode.
    """

    call: str
    holder: str
    lock: str
    n_busy: float
    cycles_lost: float


@dataclass(frozen=True)
class Difference:
    """A policy against another one on the same seeds; negative: the policy is cheaper.

    Attributes:
        other: The other policy's name.
        cycles: Mean paired difference of the total cost.
        relative: The same as a share of the other's mean cost; None if that is 0.
        with_track: `relative` with TRACK's kicks and the shared flush counted as cost on both
            sides; None if the other's mean is 0.
        cheaper: Share of seeds on which the policy is cheaper, ties one half.
        n_finished: Seeds on which both finished their work.
        cycles_finished: `cycles` on these seeds alone.
        cycles_undecided: `cycles` less what both took to work decisions out.
        parts: Mean difference of each part of the cost; they sum to `cycles`.
    """

    other: str
    cycles: Estimate
    relative: Estimate | None
    with_track: Estimate | None
    cheaper: Estimate
    n_finished: int
    cycles_finished: Estimate | None
    cycles_undecided: Estimate
    parts: dict[str, float]


@dataclass(frozen=True)
class PolicyResult:
    """One policy in one scenario.

    Attributes:
        policy: Its name.
        n_episodes: Seeds that were played.
        cost: Total cost: waste plus penalties.
        cost_finished: Mean cost of the episodes that finished; None if none did.
        cost_yield_free: Cost with a `yield_weight` of 0: time off the CPU is free; None under an
            objective that knows owners only.
        wasted, overhead: See `tdx_env.state.accounting`.
        killed, hung, capped: Episodes that ended so.
        killed_by: Episodes by the call and status that killed the TD.
        means: Mean of counts and tail latencies.
        worst: Largest zap, fault and non-preemptible stretch of all episodes.
        parts: Mean of each part of the cost.
        conflicts: The busy matrix, most cycles lost first.
        same_as: Policy with exactly the same results, listed in its place, or "".
        to_reference: Against the reference policy.
    """

    policy: str
    n_episodes: int
    cost: Estimate
    cost_finished: float | None
    cost_yield_free: float | None
    wasted: float
    overhead: float
    killed: int
    hung: int
    capped: int
    killed_by: dict[str, int]
    means: dict[str, float]
    worst: dict[str, int]
    parts: dict[str, float]
    conflicts: list[Conflict]
    same_as: str
    to_reference: Difference

    @property
    def n_lost(self) -> int:
        """Episodes whose work was never finished."""
        return self.killed + self.hung + self.capped


@dataclass(frozen=True)
class Reach:
    """What decisions alone change, under the default discipline.

    Attributes:
        cheapest: Policy whose answers cost least.
        dearest: Policy whose answers cost most.
        share: What the cheapest saves, of the dearest one's cost.
        n_rules: Policies that were held against each other.
    """

    cheapest: str
    dearest: str
    share: float
    n_rules: int


@dataclass(frozen=True)
class Footing:
    """What the results stand on.

    Attributes:
        machines: How many scenarios stand for each module under its kernel, most first.
        costs: How many of the model's costs are measured, derived, stated, guessed or a user's.
    """

    machines: dict[str, int]
    costs: dict[str, int]

    @property
    def n_costs(self) -> int:
        """All costs of the model."""
        return sum(self.costs.values())


@dataclass(frozen=True)
class Contest:
    """A contender (an agent, a user's policy) against hand-written policies.

    Attributes:
        to_best: Against the policy that was cheapest on the validation split.
        to_hindsight: Against the cheapest one of this very scenario.
    """

    to_best: Difference
    to_hindsight: Difference


@dataclass(frozen=True)
class Turn:
    """What one cost does to a difference; see `tdx_eval.comparing.turning`.

    Attributes:
        cost: Its name.
        flag: measured, derived, stated, guessed or user.
        low: Where its assumed range begins [cycles].
        high: Where it ends [cycles].
        at_low: The difference with the cost at its low end, as a share of the other's mean cost.
        at_high: The same at its high end.
        turns_at: Value at which there is no difference, if it is in the range [cycles].
    """

    cost: str
    flag: str
    low: int
    high: int
    at_low: float
    at_high: float
    turns_at: int | None

    @property
    def reach(self) -> float:
        """How far the difference moves from one end to the other."""
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True)
class Weighed:
    """Which costs a policy's difference to another hangs on in a scenario.

    Attributes:
        policy: Its name.
        other: The other one's.
        n_pairs: Seeds on which both finished.
        turns: Costs that move the difference beyond chance, most first; corrected for their number.
    """

    policy: str
    other: str
    n_pairs: int
    turns: list[Turn]


@dataclass(frozen=True)
class ScenarioResult:
    """All policies in one scenario.

    Attributes:
        name: Scenario and split.
        title: A few words.
        description: What it answers, what is expected.
        is_control: Whether it has few decisions by nature.
        clock_khz: TSC frequency [kHz].
        results: Of each policy, by name.
        hindsight: Cheapest mergeable hand-written policy of this very scenario.
        reach: What decisions alone change; None if too few policies were played for it.
        contests: Of each contender, by name.
        answers: What other answers to every busy reply come to against RETRY, all under the default
            discipline; the yardsticks that were played.
        expectation: What the scenario says that it should show, or "".
        weighed: Which costs the first screen's differences hang on.
    """

    name: str
    title: str
    description: str
    is_control: bool
    clock_khz: int
    results: dict[str, PolicyResult]
    hindsight: str
    reach: Reach | None
    contests: dict[str, Contest]
    answers: dict[str, Difference]
    expectation: str = ""
    weighed: list[Weighed] = field(default_factory=list)

    @property
    def n_episodes(self) -> int:
        """Episodes of each policy: the seeds."""
        return next(iter(self.results.values())).n_episodes

    @property
    def short_name(self) -> str:
        """The name without its split."""
        return self.name.rpartition("/")[0] or self.name

    def us(self, cycles: float) -> float:
        """Return cycles of its clock in microseconds."""
        return cycles * 1000 / self.clock_khz

    def same(self, name: str) -> list[str]:
        """Return the policies that are listed under this one."""
        return [other.policy for other in self.results.values() if other.same_as == name]


@dataclass(frozen=True)
class PolicyInfo:
    """What a policy is, for those who read its results.

    Attributes:
        name: As commands take it.
        number: Row of the catalogue as P18, or "".
        title: What it does, in a few words.
        source: Who said so, or where it is merged.
        is_mergeable: Whether KVM could do it today.
        has_default_discipline: Whether it differs from RETRY in its answers alone.
        decision_cycles: What an answer costs the host [cycles].
        behaves_as: Policy that it does the same as, or "".
    """

    name: str
    number: str
    title: str
    source: str
    is_mergeable: bool
    has_default_discipline: bool
    decision_cycles: int
    behaves_as: str

    @property
    def mark(self) -> str:
        """Whether KVM could do it today."""
        return "mergeable today" if self.is_mergeable else "needs a KVM change"


@dataclass(frozen=True)
class Summary:
    """A comparison.

    Attributes:
        manifest: What is needed to run it again.
        reference: Policy that all differences refer to.
        best: Mergeable hand-written policy that was cheapest on the validation split.
        validation: Score of every hand-written policy there, best first: geometric mean over
            scenarios of its mean cost as a share of the reference's.
        contenders: Agents and users' policies.
        policies: All policies by name.
        twins: Policies whose every result, in all scenarios, is that of another one.
        scenarios: In the order of the command line.
        overall: Interquartile mean of log10(cost / mean cost of the reference) over the episodes
            of the scenarios with contention, equally many of each.
        footing: What the results stand on.
    """

    manifest: dict[str, Any]
    reference: str
    best: str
    validation: dict[str, float]
    contenders: list[str]
    policies: dict[str, PolicyInfo]
    twins: dict[str, str]
    scenarios: list[ScenarioResult]
    overall: dict[str, Estimate]
    footing: Footing

    @property
    def n_episodes(self) -> list[int]:
        """The different numbers of seeds that scenarios have, fewest first."""
        return sorted({one.n_episodes for one in self.scenarios})

    @property
    def contested(self) -> list[ScenarioResult]:
        """The scenarios with contention."""
        return [one for one in self.scenarios if not one.is_control]

    @property
    def controls(self) -> list[ScenarioResult]:
        """The scenarios that have few decisions by nature."""
        return [one for one in self.scenarios if one.is_control]

    def as_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return asdict(self)
