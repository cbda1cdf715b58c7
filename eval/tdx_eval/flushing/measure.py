"""Flush rules beside each other in a scenario, and how often somebody waits there: λK."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import tdx_agents
from tdx_env.arguments import has_zaps
from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import episode_metrics, percentile
from tdx_env.errors import ScenarioError
from tdx_env.scenarios import Scenario, load, setup_of
from tdx_env.state.accounting import Category
from tdx_env.state.world import End

RULES = (
    "retry-batch-1",
    "retry-batch-8",
    "retry-batch-16",
    "retry-batch-64",
    "retry-batch-512",
    "until-waits",
    "greedy",
    "greedy-50",
    "greedy-200",
    "greedy-count",
    "greedy-random",
    "root",
    "root-count",
    "pages-250-or-100us",
    "needbreak-voluntary",
)
"""Policies that are compared; the first one stops the vCPUs for each page, as KVM does."""
PER_PAGE = "retry-batch-1"
PROMPT = "until-waits"
"""Rule under which λ is measured: nobody waits for long, so that all who would come do."""


@dataclass(frozen=True)
class Rate:
    """How often somebody waits in a scenario, and what a flush costs.

    Attributes:
        n_waiters: Threads that came to wait while mmu_lock was held for write.
        held: Time for which it was [cycles].
        price: What a flush costs all CPUs, the shared EPT's flush included [cycles].
        clock_khz: Of the scenario.
    """

    n_waiters: int
    held: int
    price: float
    clock_khz: int

    @property
    def per_ms(self) -> float:
        """Waiters in a millisecond of holding mmu_lock for write: λ."""
        return self.n_waiters * self.clock_khz / max(1, self.held)

    @property
    def price_us(self) -> float:
        """K [µs]."""
        return 1000 * self.price / self.clock_khz

    @property
    def product(self) -> float:
        """Waiters that come while as much is waited as a flush costs: λK."""
        return self.n_waiters * self.price / max(1, self.held)


@dataclass(frozen=True)
class RuleCost:
    """What a rule came to in a scenario, means of an episode.

    Attributes:
        rule: Name of the policy.
        n_ipis: IPIs.
        n_flushes: TRACKs' kicks.
        cost_ms: Overhead and penalties, a time of all CPUs together [ms].
        stolen_ms: Of it, what was taken from the guest [ms].
        stopped_ms: Of that, by TRACKs' kicks and flushes [ms].
        waited_ms: Waiting for mmu_lock, of all threads [ms].
        hold_p99_us: What 99 % of the times for which mmu_lock was held for write don't exceed [µs].
        hold_max_us: The longest of all episodes [µs].
        n_lost: Episodes that did not finish.
    """

    rule: str
    n_ipis: float
    n_flushes: float
    cost_ms: float
    stolen_ms: float
    stopped_ms: float
    waited_ms: float
    hold_p99_us: float
    hold_max_us: float
    n_lost: int


def run_rule(scenario: Scenario, rule: str, seeds: range, n_threads: int = 2) -> Batch:
    """Return the ended episodes of a policy, one for each seed."""
    policy = tdx_agents.load(rule)
    record = policy.discipline.record()
    batch = Batch(setup_of(scenario), record, len(seeds), n_threads=n_threads)
    batch.reset(np.arange(seeds.start, seeds.stop))
    with policy.blamed():
        batch.advance(policy.decide)
    return batch


def cycles_booked(batch: Batch, category: Category) -> NDArray[np.int64]:
    """Return the cycles of a category in each episode, of all actors."""
    n = batch.run["n_actors"]
    cycles = batch.actors["row"]["booked"][:, :, category]
    return np.array([row[:count].sum() for row, count in zip(cycles, n, strict=True)], np.int64)


def rate_of(batch: Batch, clock_khz: int) -> Rate:
    """Return how often somebody waited in some episodes, and what a flush cost."""
    run = batch.run
    price = cycles_booked(batch, Category.TRACK_KICK).sum() / max(1, run["n_flushes"].sum())
    waiters, held = int(run["n_behind_writers"].sum()), int(run["write_held"].sum())
    return Rate(waiters, held, float(price), clock_khz)


def rule_cost(rule: str, batch: Batch, clock_khz: int) -> RuleCost:
    """Return what a rule came to."""
    run = batch.run
    hold_max = int(run["hold_max"].max())
    hold_p99 = percentile(run["holds"].sum(axis=0), 0.99, hold_max)
    metrics = [episode_metrics(batch, index) for index in range(batch.n_worlds)]

    def ms(cycles: NDArray[np.integer]) -> float:
        return float(cycles.mean()) / clock_khz

    def mean_ms(name: str) -> float:
        return ms(np.array([one[name] for one in metrics]))

    return RuleCost(
        rule=rule,
        n_ipis=float(run["n_ipis"].mean()),
        n_flushes=float(run["n_flushes"].mean()),
        cost_ms=ms(run["overhead"] + run["preempt_penalty"] + run["tail_cost"]),
        stolen_ms=mean_ms("stolen_cycles"),
        stopped_ms=mean_ms("stolen_track_cycles"),
        waited_ms=ms(cycles_booked(batch, Category.MMU_LOCK_WAIT)),
        hold_p99_us=1000 * hold_p99 / clock_khz,
        hold_max_us=1000 * hold_max / clock_khz,
        n_lost=int((run["end"] != End.FINISHED).sum()),
    )


def compared(
    name: str, overrides: Mapping[str, object], rules: Sequence[str], seeds: range
) -> tuple[Rate, list[RuleCost]]:
    """Return how often somebody waits in a scenario, and what each rule comes to.

    Args:
        name: The scenario's name or file.
        overrides: Its parameters that are changed, by dotted name.
        rules: Policies.
        seeds: Seeds of the episodes.

    Raises:
        ScenarioError: There is no such scenario, or nothing is zapped in it.
    """
    scenario = load(name, overrides)
    if not has_zaps(scenario):
        raise ScenarioError(
            f"{name}: nothing is zapped, so that there are no flush points; must have a zap, "
            "conversion or memslot deletion"
        )
    clock = scenario.clock_khz
    lines = [rule_cost(rule, run_rule(scenario, rule, seeds), clock) for rule in rules]
    return rate_of(run_rule(scenario, PROMPT, seeds), clock), lines


def table(name: str, rate: Rate, lines: Sequence[RuleCost]) -> str:
    """Return a scenario's comparison as Markdown; the best cost is 1.00."""
    best = min(line.cost_ms for line in lines)
    rows = [
        f"**{name}**: λ = {rate.per_ms:.2f} waiters a ms of mmu_lock held for write, "
        f"K = {rate.price_us:.0f} µs, λK = {rate.product:.2f}",
        "",
        "| rule | IPIs | flushes | overhead and penalties, ms | ÷ best | stolen, ms | of it by "
        "flushes | waited for mmu_lock, ms | hold p99, µs | hold max, µs | lost |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {line.rule} | {line.n_ipis:,.0f} | {line.n_flushes:,.0f} | {line.cost_ms:,.2f} | "
        f"{line.cost_ms / best:.2f} | {line.stolen_ms:,.2f} | {line.stopped_ms:,.2f} | "
        f"{line.waited_ms:,.2f} | {line.hold_p99_us:,.0f} | {line.hold_max_us:,.0f} | "
        f"{line.n_lost or ''} |"
        for line in lines
    ]
    return "\n".join(rows)
