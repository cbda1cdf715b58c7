"""From the rows of a comparison to its summary: paired statistics, the choice of the best."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import Scenario
from tdx_env.scenarios.machine import machine_of
from tdx_eval.comparing.episodes import CELL_KEY
from tdx_eval.comparing.manifest import manifest
from tdx_eval.comparing.multiplicity import corrected
from tdx_eval.comparing.plan import REFERENCE, Plan
from tdx_eval.comparing.reckoning import Reckoning
from tdx_eval.comparing.statistics import (
    Estimate,
    Values,
    interquartile_mean,
    mean,
    paired_difference,
    probability_of_improvement,
    relative_difference,
)
from tdx_eval.comparing.summary import (
    Conflict,
    Contest,
    Difference,
    Footing,
    PolicyInfo,
    PolicyResult,
    Reach,
    ScenarioResult,
    Summary,
    Weighed,
)
from tdx_eval.comparing.turning import costs_drawn, weighed
from tdx_eval.comparing.yardsticks import ANSWERS, KICK, RANDOM, RETRY

if TYPE_CHECKING:
    import pandas as pd

COUNTS = ("n_decisions", "n_seamcalls", "n_busy", "n_kicks", "n_ipis", "n_synthetic", "n_events")
TAILS = ("zap_p99_cycles", "fault_p99_cycles")
WORST = ("zap_max_cycles", "fault_max_cycles", "longest_nonpreemptible_cycles", "hold_max_cycles")
COMPONENTS = (
    "host_cycles", "stolen_cycles", "hostile_cycles", "host_track_cycles", "stolen_track_cycles",
    "latency_cycles", "preempt_1ms_cycles", "preempt_50us_cycles", "tail_cost_cycles",
    "chunk_cycles", "n_pages", "n_vcpus", "hold_p99_cycles",
)  # fmt: skip
LOST = ["killed", "hung", "capped"]
_SMALLEST = 1.0  # costs below count as one cycle where ratios are averaged [cycles]

Runs = Mapping[str, "pd.DataFrame"]  # each policy's episodes of one scenario, in order of seeds
Cells = Mapping[tuple[str, str], "pd.DataFrame"]  # busy cells by scenario and policy


@dataclass(frozen=True)
class Entrants:
    """Who takes part.

    Attributes:
        policies: By name.
        contenders: Names of agents and users' policies.
    """

    policies: Mapping[str, Policy]
    contenders: Sequence[str] = field(default_factory=list)

    @property
    def candidates(self) -> list[str]:
        """Hand-written policies that KVM could merge today: the best is one of them."""
        return [
            name
            for name, policy in self.policies.items()
            if policy.is_mergeable and name not in self.contenders and name != RANDOM
        ]


def has_default_discipline(policy: Policy) -> bool:
    """Say whether a policy's discipline is the default one, its decision's cost aside."""
    same = policy.discipline.with_(decision_cycles=DEFAULT.decision_cycles)
    return bool(same == DEFAULT)


def runs_of(episodes: "pd.DataFrame", scenario: str) -> dict[str, "pd.DataFrame"]:
    """Return each policy's episodes of a scenario, in the order of the seeds."""
    some = episodes[episodes["scenario"] == scenario].sort_values("seed", kind="stable")
    runs = {
        str(name): rows.reset_index(drop=True) for name, rows in some.groupby("policy", sort=False)
    }
    first = next(iter(runs.values()))["seed"]
    assert all(rows["seed"].equals(first) for rows in runs.values()), "not paired"
    return runs


def _costs(rows: "pd.DataFrame") -> Values:
    """Return the total cost of each episode, shape (n,) [cycles]."""
    return rows["total_cost"].to_numpy(np.float64)


def _is_finished(rows: "pd.DataFrame") -> NDArray[np.bool_]:
    """Return which episodes finished their work, shape (n,)."""
    lost = [rows[column].to_numpy(bool) for column in LOST]
    return ~np.logical_or.reduce(lost)


def against(runs: Runs, name: str, other: str, reckoning: Reckoning) -> Difference:
    """Return one policy's paired difference to another."""
    ours, theirs = _costs(runs[name]), _costs(runs[other])
    both = _is_finished(runs[name]) & _is_finished(runs[other])
    mine, parts = reckoning.parts(runs[name]), reckoning.parts(runs[other])
    cycles = paired_difference(ours, theirs)
    cycles_finished = None
    if both.any():
        all_finished = bool(both.all())
        cycles_finished = cycles if all_finished else paired_difference(ours[both], theirs[both])
    return Difference(
        other=other,
        cycles=cycles,
        relative=relative_difference(ours, theirs),
        with_track=relative_difference(
            reckoning.with_track(runs[name]), reckoning.with_track(runs[other])
        ),
        cheaper=probability_of_improvement(ours, theirs),
        n_finished=int(both.sum()),
        cycles_finished=cycles_finished,
        cycles_undecided=paired_difference(
            ours - reckoning.deciding(runs[name]), theirs - reckoning.deciding(runs[other])
        ),
        parts={part: mine[part] - cycles for part, cycles in parts.items()},
    )


def fold(runs: Runs, order: Sequence[str]) -> dict[str, str]:
    """Return, for each policy whose every result equals an earlier one's, that one's name.

    Args:
        runs: Episodes by policy.
        order: Policies; the first of those that are alike stands for the others.
    """
    same: dict[str, str] = {}
    plain = {name: runs[name].drop(columns="policy") for name in order}
    for place, name in enumerate(order):
        shown = (one for one in order[:place] if one not in same)
        twin = next((one for one in shown if plain[one].equals(plain[name])), None)
        if twin is not None:
            same[name] = twin
    return same


def conflicts_by_run(cells: "pd.DataFrame") -> dict[tuple[str, str], "pd.DataFrame"]:
    """Return the busy cells of each scenario and policy, most cycles lost first."""
    ranked = cells.sort_values("cycles_lost", ascending=False, kind="stable")
    groups = ranked.groupby(["scenario", "policy"], sort=False)
    return {(str(scenario), str(policy)): rows for (scenario, policy), rows in groups}


def _conflicts(cells: "pd.DataFrame | None", n: int) -> list[Conflict]:
    """Return a busy matrix, in the order of its rows; means of n episodes."""
    if cells is None:
        return []
    columns = [cells[name].tolist() for name in (*CELL_KEY, "n_busy", "cycles_lost")]
    return [
        Conflict(call, holder, lock, n_busy / n, lost / n)
        for call, holder, lock, n_busy, lost in zip(*columns, strict=True)
    ]


def _result(
    runs: Runs, name: str, scenario: Scenario, same_as: str, conflicts: list[Conflict]
) -> PolicyResult:
    """Return the statistics of one policy in one scenario."""
    rows = runs[name]
    finished = rows[_is_finished(rows)]
    reckoning = Reckoning.of(scenario)
    off_cpu = reckoning.off_cpu(rows)
    return PolicyResult(
        policy=name,
        n_episodes=len(rows),
        cost=mean(_costs(rows)),
        cost_finished=float(finished["total_cost"].mean()) if len(finished) else None,
        cost_yield_free=None if off_cpu is None else float(rows["total_cost"].mean()) - off_cpu,
        wasted=float(rows["wasted_cycles"].mean()),
        overhead=float(rows["overhead_cycles"].mean()),
        killed=int(rows["killed"].sum()),
        hung=int(rows["hung"].sum()),
        capped=int(rows["capped"].sum()),
        killed_by=rows.loc[rows["killed"], "killed_by"].value_counts().sort_index().to_dict(),
        means={column: float(rows[column].mean()) for column in TAILS + COUNTS + COMPONENTS},
        worst={column: int(rows[column].max()) for column in WORST},
        parts=reckoning.parts(rows),
        conflicts=conflicts,
        same_as=same_as,
        to_reference=against(runs, name, REFERENCE, reckoning),
    )


def _reach(results: Mapping[str, PolicyResult], entrants: Entrants) -> Reach | None:
    """Return which share of the cost decisions change, among rules under one discipline."""
    rules = [name for name in results if has_default_discipline(entrants.policies[name])]
    costs = {name: results[name].cost.value for name in rules}
    if len(costs) < 2:
        return None
    cheapest, dearest = min(rules, key=costs.__getitem__), max(rules, key=costs.__getitem__)
    share = 1 - costs[cheapest] / costs[dearest] if costs[dearest] else 0.0
    return Reach(cheapest, dearest, share, len(rules))


def validation_scores(episodes: "pd.DataFrame", candidates: Sequence[str]) -> dict[str, float]:
    """Return each candidate's score on the validation split, best first.

    The score is the geometric mean over scenarios of its mean cost as a share of the reference's.
    """
    logs: dict[str, list[float]] = {name: [] for name in candidates}
    for scenario in episodes["scenario"].unique():
        runs = runs_of(episodes, scenario)
        costs = {name: max(float(_costs(runs[name]).mean()), _SMALLEST) for name in runs}
        for name in candidates:
            logs[name].append(float(np.log(costs[name] / costs[REFERENCE])))
    scores = {name: float(np.exp(np.mean(values))) for name, values in logs.items()}
    return dict(sorted(scores.items(), key=lambda item: item[1]))


def _order(entrants: Entrants, best: str) -> list[str]:
    """Return all policies; of several that are alike, the first stands for the others."""
    return list(dict.fromkeys([*entrants.contenders, REFERENCE, best, *entrants.policies]))


def answers(runs: Runs, reckoning: Reckoning) -> dict[str, Difference]:
    """Return the difference of every other answer that was played to RETRY."""
    if RETRY not in runs:
        return {}
    return {one: against(runs, one, RETRY, reckoning) for one in ANSWERS if one in runs}


def weighings(
    scenario: Scenario, runs: Runs, contenders: Sequence[str], best: str
) -> list[Weighed]:
    """Return which costs the differences of the first screen hang on."""
    pairs = [(best, REFERENCE), *((name, best) for name in contenders), (KICK, RETRY)]
    played = [(a, b) for a, b in pairs if a != b and a in runs and b in runs]
    if not played or scenario.is_control:
        return []
    drawn = costs_drawn(scenario, runs[REFERENCE]["seed"].tolist())
    return [
        weighed(
            scenario,
            drawn,
            (_costs(runs[name]), _costs(runs[other])),
            (name, other),
            _is_finished(runs[name]) & _is_finished(runs[other]),
        )
        for name, other in played
    ]


def _scenario_result(
    scenario: Scenario, runs: Runs, cells: Cells, entrants: Entrants, best: str, name: str
) -> ScenarioResult:
    """Return the results of all policies in one scenario."""
    same = fold(runs, _order(entrants, best))
    results = {
        one: _result(
            runs, one, scenario, same.get(one, ""), _conflicts(cells.get((name, one)), len(rows))
        )
        for one, rows in runs.items()
    }
    ties = [one for one in (best, REFERENCE, *entrants.policies) if one in entrants.candidates]
    hindsight = min(ties, key=lambda one: results[one].cost.value)  # the first of equal ones
    reckoning = Reckoning.of(scenario)
    return ScenarioResult(
        name=name,
        title=scenario.title,
        description=" ".join(scenario.description.split()),
        is_control=scenario.is_control,
        clock_khz=scenario.clock_khz,
        results=corrected(results),
        hindsight=hindsight,
        reach=_reach(results, entrants),
        contests={
            one: Contest(
                to_best=against(runs, one, best, reckoning),
                to_hindsight=against(runs, one, hindsight, reckoning),
            )
            for one in entrants.contenders
        },
        answers=answers(runs, reckoning),
        expectation=scenario.expectation or "",
        weighed=weighings(scenario, runs, entrants.contenders, best),
    )


def _overall(episodes: "pd.DataFrame", scenarios: Sequence[ScenarioResult]) -> dict[str, Estimate]:
    """Return each policy's interquartile mean of log10(cost / mean cost of the reference).

    Scenarios weigh alike: of each, as many seeds count as the one with the fewest has.
    """
    fewest = min(one.n_episodes for one in scenarios)
    strata: dict[str, list[Values]] = {}
    for scenario in scenarios:
        runs = runs_of(episodes, scenario.name)
        base = max(float(_costs(runs[REFERENCE]).mean()), _SMALLEST)
        for name, rows in runs.items():
            logs = np.log10(np.maximum(_costs(rows)[:fewest], _SMALLEST) / base)
            strata.setdefault(name, []).append(logs)
    values = {name: interquartile_mean(some) for name, some in strata.items()}
    return dict(sorted(values.items(), key=lambda item: item[1].value))


def _twins(scenarios: Sequence[ScenarioResult], order: Sequence[str]) -> dict[str, str]:
    """Return the policies that behave in every scenario as an earlier one, and that one."""
    first: dict[tuple[str, ...], str] = {}
    twins: dict[str, str] = {}
    for name in order:
        behaviour = tuple(one.results[name].same_as or name for one in scenarios)
        if first.setdefault(behaviour, name) != name:
            twins[name] = first[behaviour]
    return twins


def _info(policy: Policy) -> PolicyInfo:
    """Return what a report says about a policy."""
    return PolicyInfo(
        name=policy.name,
        number=policy.number,
        title=policy.title,
        source=policy.source,
        is_mergeable=policy.is_mergeable,
        has_default_discipline=has_default_discipline(policy),
        decision_cycles=policy.decision_cycles,
        behaves_as=policy.behaves_as,
    )


def footing_of(plan: Plan) -> Footing:
    """Return what the results of a plan stand on."""
    flags: dict[str, str] = {}
    for scenario in plan.scenarios.values():
        for name, cost in scenario.costs.items():
            flags.setdefault(name, cost.source)
    counts = Counter(flags.values())
    machines = Counter(str(machine_of(one)) for one in plan.scenarios.values())
    return Footing(dict(machines.most_common()), dict(counts.most_common()))


def _for_choice(validation: "pd.DataFrame", plan: Plan) -> "pd.DataFrame":
    """Return the validation episodes of scenarios with contention; all, if there is none."""
    contested = [name for name, one in plan.validation.items() if not one.is_control]
    some = validation[validation["scenario"].isin(contested)]
    return some if len(some) else validation


def summarise(
    plan: Plan, episodes: "pd.DataFrame", cells: "pd.DataFrame", validation: "pd.DataFrame"
) -> Summary:
    """Return all that the report shows.

    Args:
        plan: What was compared.
        episodes: Split episodes, one a row.
        cells: Their busy cells, summed over the episodes.
        validation: Validation episodes of the policies that aren't contenders.
    """
    entrants = Entrants(plan.by_name, plan.contender_names)
    scores = validation_scores(_for_choice(validation, plan), entrants.candidates)
    best = next(iter(scores))
    by_run = conflicts_by_run(cells)
    scenarios = [
        _scenario_result(scenario, runs_of(episodes, name), by_run, entrants, best, name)
        for name, scenario in plan.scenarios.items()
    ]
    contested = [one for one in scenarios if not one.is_control]
    return Summary(
        manifest=manifest(plan),
        reference=REFERENCE,
        best=best,
        validation=scores,
        contenders=list(entrants.contenders),
        policies={name: _info(policy) for name, policy in entrants.policies.items()},
        twins=_twins(scenarios, _order(entrants, best)),
        scenarios=scenarios,
        overall=_overall(episodes, contested or scenarios),
        footing=footing_of(plan),
    )
