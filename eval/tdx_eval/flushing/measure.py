"""Flush rules beside each other in a scenario, and how often somebody waits there: λK."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import tdx_agents
from tdx_env.arguments import has_zaps
from tdx_env.engine.batch import Batch
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
class Line:
    """What a rule came to in a scenario, means of an episode.

    Attributes:
        rule: Name of the policy.
        n_ipis: IPIs.
        n_flushes: TRACKs' kicks.
        cost_ms: Overhead and penalties, a time of all CPUs together [ms].
        stopped_ms: Of it, what vCPUs lost to TRACKs' kicks and flushes [ms].
        waited_ms: Of it, waiting for mmu_lock [ms].
        longest_us: Longest non-preemptible stretch of all episodes [µs].
        n_lost: Episodes that did not finish.
    """

    rule: str
    n_ipis: float
    n_flushes: float
    cost_ms: float
    stopped_ms: float
    waited_ms: float
    longest_us: float
    n_lost: int


def played(scenario: Scenario, rule: str, seeds: range, n_threads: int = 2) -> Batch:
    """Return the ended episodes of a policy, one for each seed."""
    policy = tdx_agents.load(rule)
    record = policy.discipline.record()
    batch = Batch(setup_of(scenario), record, len(seeds), n_threads=n_threads)
    batch.reset(np.arange(seeds.start, seeds.stop))
    with policy.blamed():
        batch.advance(policy.decide)
    return batch


def booked(batch: Batch, category: Category, is_vcpus: bool = False) -> NDArray[np.int64]:
    """Return the cycles of a category in each episode, of all actors or of the vCPUs alone."""
    n = batch.run["n_vcpus" if is_vcpus else "n_actors"]
    cycles = batch.actors["row"]["booked"][:, :, category]
    return np.array([row[:count].sum() for row, count in zip(cycles, n, strict=True)], np.int64)


def rate_of(batch: Batch, clock_khz: int) -> Rate:
    """Return how often somebody waited in some episodes, and what a flush cost."""
    run = batch.run
    price = booked(batch, Category.TRACK_KICK).sum() / max(1, run["n_flushes"].sum())
    waiters, held = int(run["n_behind_writers"].sum()), int(run["write_held"].sum())
    return Rate(waiters, held, float(price), clock_khz)


def line_of(rule: str, batch: Batch, clock_khz: int) -> Line:
    """Return what a rule came to."""
    run = batch.run

    def ms(cycles: NDArray[np.integer]) -> float:
        return float(cycles.mean()) / clock_khz

    return Line(
        rule=rule,
        n_ipis=float(run["n_ipis"].mean()),
        n_flushes=float(run["n_flushes"].mean()),
        cost_ms=ms(run["overhead"] + run["preempt_penalty"] + run["tail_cost"]),
        stopped_ms=ms(booked(batch, Category.TRACK_KICK, is_vcpus=True)),
        waited_ms=ms(booked(batch, Category.MMU_LOCK_WAIT)),
        longest_us=1000 * float(run["longest_stretch"].max()) / clock_khz,
        n_lost=int((run["end"] != End.FINISHED).sum()),
    )


def compared(
    name: str, overrides: Mapping[str, object], rules: Sequence[str], seeds: range
) -> tuple[Rate, list[Line]]:
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
    lines = [line_of(rule, played(scenario, rule, seeds), clock) for rule in rules]
    return rate_of(played(scenario, PROMPT, seeds), clock), lines


def table(name: str, rate: Rate, lines: Sequence[Line]) -> str:
    """Return a scenario's comparison as Markdown; the best cost is 1.00."""
    best = min(line.cost_ms for line in lines)
    rows = [
        f"**{name}**: λ = {rate.per_ms:.2f} waiters a ms of mmu_lock held for write, "
        f"K = {rate.price_us:.0f} µs, λK = {rate.product:.2f}",
        "",
        "| rule | IPIs | flushes | overhead and penalties, ms | ÷ best | vCPUs stopped, ms "
        "| waited for mmu_lock, ms | longest stretch, µs | lost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {line.rule} | {line.n_ipis:,.0f} | {line.n_flushes:,.0f} | {line.cost_ms:,.2f} | "
        f"{line.cost_ms / best:.2f} | {line.stopped_ms:,.2f} | {line.waited_ms:,.2f} | "
        f"{line.longest_us:,.0f} | {line.n_lost or ''} |"
        for line in lines
    ]
    return "\n".join(rows)
