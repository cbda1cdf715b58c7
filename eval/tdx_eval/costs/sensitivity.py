"""One scenario: how the ranking of the policies changes from one end of a cost to the other.

1. All policies play as usual. Those that did the same in every episode count as one.
2. More sets of seeds with the costs of the first: how far rankings differ by chance alone.
3. Every cost at its low end, on an eighth of the seeds: costs that change nothing don't matter.
4. Those that matter at both ends, on the seeds of the first set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.scenarios import load, setup_of
from tdx_env.state.costs import Cost
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.statistics import Values, paired_difference
from tdx_eval.costs.rank import TIE_SHARE, tau
from tdx_eval.costs.runs import (
    FIELDS,
    Outcomes,
    Setups,
    at_ends,
    pinned,
    play_all,
    play_pinned,
    setup_digest,
    total_cost,
)
from tdx_eval.costs.study import Effect, ScenarioStudy

N_SETS = 8  # of seeds, for the noise floor
MAX_EVENTS = 1_000_000  # of one policy at one end, all its episodes together
FEWEST_SEEDS = 4  # a scenario with room for fewer is left out
_PILOT_SEEDS = 2
_PROBE_SHARE = 8  # one seed for so many
_DIGITS = 4


@dataclass(frozen=True)
class Group:
    """Policies that did the same in every episode.

    Attributes:
        policy: The one that is played: the first one that KVM could merge today, if one is.
        twins: The others' names.
    """

    policy: Policy
    twins: list[str]


@dataclass(frozen=True)
class Played:
    """What a scenario's costs are measured with.

    Attributes:
        setup: The scenario as the kernel reads it, shape (1,).
        groups: Policies that differ.
        seeds: Of the first set, shape (n,).
        usual: What they came to with costs drawn as usual, shape (groups, n, len(FIELDS)).
    """

    setup: Setups
    groups: list[Group]
    seeds: NDArray[np.int64]
    usual: Outcomes

    @property
    def policies(self) -> list[Policy]:
        """One policy of each group."""
        return [group.policy for group in self.groups]


def _seed_set(number: int, n_seeds: int) -> NDArray[np.int64]:
    """Return a set of seeds of the validation split; sets don't overlap."""
    first = FIRST_SEED["validation"] + number * n_seeds
    return np.arange(first, first + n_seeds)


def grouped(policies: Sequence[Policy], outcomes: Outcomes) -> list[tuple[int, Group]]:
    """Return the policies that differ, each with its place, in order.

    Args:
        policies: All of them.
        outcomes: Shape (policies, n, len(FIELDS)).
    """
    alike: dict[bytes, list[int]] = {}
    for place in range(len(policies)):
        alike.setdefault(outcomes[place].tobytes(), []).append(place)
    found = []
    for places in alike.values():
        shown = next((one for one in places if policies[one].is_mergeable), places[0])
        twins = [policies[one].name for one in places if one != shown]
        found.append((shown, Group(policies[shown], twins)))
    return found


def _begin(setup: Setups, policies: Sequence[Policy], n_seeds: int) -> Played:
    """Play all policies as usual."""
    seeds = _seed_set(0, n_seeds)
    usual = play_all(policies, setup, seeds)[:, 0]
    found = grouped(policies, usual)
    places = [place for place, _ in found]
    return Played(setup, [one for _, one in found], seeds, usual[places])


def _floor(played: Played) -> list[float]:
    """Return the rank correlation of each two disjoint sets of seeds at the same costs."""
    setups = pinned(played.setup, played.seeds)
    means = [total_cost(played.usual).mean(axis=1)]
    for number in range(1, N_SETS):
        seeds = _seed_set(number, len(played.seeds))
        means.append(total_cost(play_pinned(played.policies, setups, seeds)).mean(axis=1))
    found = [tau(one, other) for one, other in combinations(means, 2)]
    return [round(one, _DIGITS) for one in found if one is not None]


def _mattering(played: Played) -> list[Cost]:
    """Return the costs whose low end changes anything for any policy."""
    probe = slice(max(1, len(played.seeds) // _PROBE_SHARE))
    lows = np.concatenate([at_ends(played.setup, cost, ["low"]) for cost in Cost])
    outcomes = play_all(played.policies, lows, played.seeds[probe])
    differs = (outcomes != played.usual[:, None, probe]).any(axis=(0, 2, 3))
    return [cost for cost in Cost if differs[cost]]


def _best(policies: Sequence[Policy], costs: Values) -> int:
    """Return the place of the best policy that KVM could merge today.

    Args:
        policies: Those that differ.
        costs: Of each episode, shape (policies, n).
    """
    mergeable = [place for place, policy in enumerate(policies) if policy.is_mergeable]
    return min(mergeable, key=lambda place: float(costs[place].mean()))


def _dearer(costs: Values, other: int, best: int) -> tuple[float, bool]:
    """Return what another policy costs more than the best, as a share, and whether that is sure.

    Args:
        costs: Of each episode at one end, shape (policies, n).
        other: Place of a policy.
        best: Place of the cheapest one.
    """
    base = max(float(costs[best].mean()), 1.0)
    share = float(costs[other].mean() - costs[best].mean()) / base
    is_sure = share > TIE_SHARE and paired_difference(costs[other], costs[best]).is_positive
    return round(share, _DIGITS), is_sure


def _effect(played: Played, cost: Cost) -> Effect:
    """Play a cost at both ends of its range."""
    setups = at_ends(played.setup, cost, ["low", "high"])
    costs = total_cost(play_all(played.policies, setups, played.seeds))
    low, high = costs[:, 0], costs[:, 1]
    likeness = tau(low.mean(axis=1), high.mean(axis=1))
    best_low, best_high = _best(played.policies, low), _best(played.policies, high)
    dearer_low, is_sure_low = _dearer(low, best_high, best_low)
    dearer_high, is_sure_high = _dearer(high, best_low, best_high)
    return Effect(
        cost=cost.name.lower(),
        tau=None if likeness is None else round(likeness, _DIGITS),
        best_low=played.policies[best_low].name,
        best_high=played.policies[best_high].name,
        dearer_low=dearer_low,
        dearer_high=dearer_high,
        is_change=is_sure_low and is_sure_high,
    )


def n_events_of(setup: Setups, policies: Sequence[Policy]) -> int:
    """Return the mean events of an episode, all policies together."""
    outcomes = play_all(policies, setup, _seed_set(0, _PILOT_SEEDS))
    return int(outcomes[..., FIELDS.index("n_events")].mean())


def study_scenario(name: str, policies: Sequence[Policy], max_seeds: int) -> ScenarioStudy | int:
    """Return what every cost does to the ranking in one scenario.

    Args:
        name: As `load` takes it.
        policies: Compiled ones.
        max_seeds: Most episodes of a policy at an end.

    Returns:
        The result; of a scenario that is too large, the mean events of an episode.
    """
    setup = setup_of(load(name))
    n_events = n_events_of(setup, policies)
    n_seeds = min(max_seeds, MAX_EVENTS // n_events)
    if n_seeds < FEWEST_SEEDS:
        return n_events
    played = _begin(setup, policies, n_seeds)
    best = _best(played.policies, total_cost(played.usual))
    return ScenarioStudy(
        name=name,
        digest=setup_digest(setup),
        n_seeds=n_seeds,
        n_events=n_events,
        policies={group.policy.name: group.twins for group in played.groups},
        best=played.policies[best].name,
        floor=_floor(played),
        effects=[_effect(played, cost) for cost in _mattering(played)],
    )
