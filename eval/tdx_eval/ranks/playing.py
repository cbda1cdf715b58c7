"""Every policy in every scenario, on two versions of the module."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import Batch
from tdx_env.errors import ScenarioError
from tdx_env.host.discipline import Discipline
from tdx_env.scenarios import Scenario, load
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import UNLIMITED, Exhaustion
from tdx_env.state.world import End
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.machine import Choice
from tdx_eval.ranks.order import kendall
from tdx_eval.ranks.reasons import Reason, reasons_of

REFERENCE = "always-retry"  # whose busy replies are shown where ranks change
FEWEST = 4  # episodes of each policy, however long they are
_ZAP = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE)
_ENDLESS = (Exhaustion.GATED_KICK, Exhaustion.LOCAL_RETRY)


def is_bounded(discipline: Discipline) -> bool:
    """Say whether a zap's calls have a last try, after which the host gives up."""
    return all(
        discipline.limit(leaf) != UNLIMITED and discipline.exhaustion(leaf) not in _ENDLESS
        for leaf in _ZAP
    )


@dataclass(frozen=True)
class PlayedPolicy:
    """What a policy came to in a scenario on one version of the module.

    Attributes:
        cost: Mean of overhead and penalties [cycles].
        n_lost: Episodes that did not finish.
    """

    cost: float
    n_lost: int


@dataclass(frozen=True)
class Ranking:
    """All policies in one scenario on two versions.

    Attributes:
        scenario: Its name.
        n_episodes: Of each policy on each version, the same seeds.
        before: What each policy came to on the first one, by name.
        after: On the second one.
        reasons: Conflicts that came or went.
        refused: Why it can't be played on one of them; all else is empty then.
    """

    scenario: str
    n_episodes: int
    before: Mapping[str, PlayedPolicy]
    after: Mapping[str, PlayedPolicy]
    reasons: Sequence[Reason] = ()
    refused: str = ""

    @property
    def costs(self) -> tuple[dict[str, float], dict[str, float]]:
        """Costs by policy, before and after."""
        first, second = (
            {name: one.cost for name, one in played.items()} for played in (self.before, self.after)
        )
        return first, second

    @property
    def tau(self) -> float | None:
        """Kendall's tau; None if all policies cost the same on one of them."""
        first, second = (np.array(list(costs.values())) for costs in self.costs)
        return kendall(first, second)


def _cost(batches: Sequence[Batch]) -> PlayedPolicy:
    """Return what some episodes came to."""
    runs = np.concatenate([batch.run for batch in batches])
    cycles = runs["overhead"] + runs["preempt_penalty"] + runs["tail_cost"]
    return PlayedPolicy(float(cycles.mean()), int((runs["end"] != End.FINISHED).sum()))


def _n_more(batch: Batch, seeds: range, most_events: int) -> int:
    """Return how many episodes more may be played, by the length of the first ones."""
    each = max(1, int(batch.run["n_events"].mean()))
    return max(0, min(len(seeds), most_events // each) - FEWEST)


def _ranking(
    policies: Mapping[str, Policy], both: Sequence[Scenario], seeds: range, most_events: int
) -> Ranking:
    """Play all policies on both versions, each the same episodes.

    Args:
        policies: By name; REFERENCE is among them.
        both: The scenario on either version.
        seeds: Consecutive seeds; the first few are always played.
        most_events: Further ones are played as long as the reference has no more events.
    """
    reference = [run_batch(policies[REFERENCE], one, seeds[:FEWEST]) for one in both]
    n_episodes = FEWEST + min(_n_more(batch, seeds, most_events) for batch in reference)
    found: list[dict[str, PlayedPolicy]] = []
    for scenario in both:
        played = {
            name: _cost([run_batch(policy, scenario, seeds[:n_episodes])])
            for name, policy in policies.items()
        }
        found.append(played)
    reasons = reasons_of(reference[0], reference[1])
    return Ranking(both[0].name, n_episodes, found[0], found[1], reasons)


def compare_modules(
    policies: Mapping[str, Policy],
    scenarios: Sequence[str],
    modules: tuple[str, str],
    seeds: range,
    most_events: int,
) -> Iterator[Ranking]:
    """Yield the ranking of policies in each scenario on two versions of the module.

    Args:
        policies: By name; REFERENCE is among them.
        scenarios: Names or files.
        modules: Version before and after.
        seeds: Consecutive seeds.
        most_events: Of one policy in one scenario, about.
    """
    for name in scenarios:
        try:
            both = [load(name, Choice(module).overrides) for module in modules]
        except ScenarioError as error:
            yield Ranking(name, 0, {}, {}, refused=str(error))
            continue
        yield _ranking(policies, both, seeds, most_events)
