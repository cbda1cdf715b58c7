"""A comparison: runs, paired statistics, and the summary that the report is made from."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

import agents
from agents.protocol import Policy
from eval.run import CATEGORY
from eval.statistics import (
    Estimate,
    iqm,
    mean,
    paired_difference,
    probability_of_improvement,
    relative_difference,
)
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import digest, load
from tdx_env.state.accounting import CATEGORY_TABLE

REFERENCE = "p18-merged-6.16"
_PACKAGES = ("tdx-env", "numpy", "numba", "gymnasium", "pandas")
_FAILED = ("killed", "hung", "capped")
_WASTE = [CATEGORY + category.name.lower() for category, is_waste, _, _ in CATEGORY_TABLE if is_waste]
_TAILS = (
    "zap_p99_cycles",
    "zap_max_cycles",
    "fault_p99_cycles",
    "fault_max_cycles",
    "longest_nonpreemptible_cycles",
)
_COUNTS = ("n_decisions", "n_seamcalls", "n_busy", "n_ipis", "n_kicks", "n_synthetic", "n_events")
MAX_REASONS = 6  # rows of the busy matrix shown for a policy


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        policies: Specs for `agents.load`; REFERENCE is among them.
        learned: Those that were trained.
        scenarios: Test scenarios.
        validation: Validation scenarios of the same families, for choosing "the best".
        n_seeds, n_validation_seeds: Episodes of each cell.
        overrides: Scenario parameters by dotted name.
    """

    policies: list[str]
    learned: list[str]
    scenarios: list[str]
    validation: list[str]
    n_seeds: int
    n_validation_seeds: int
    overrides: Mapping[str, object] = field(default_factory=dict)


def manifest(plan: Plan) -> dict[str, Any]:
    """Return what is needed to run the comparison again."""
    loaded = [agents.load(spec) for spec in plan.policies]
    return {
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "plan": asdict(plan),
        "policies": {p.name: {"title": p.title, "source": p.source, "mark": p.mark} for p in loaded},
        "scenarios": {
            name: digest(load(name, plan.overrides)) for name in plan.scenarios + plan.validation
        },
    }


def _cost(rows: pd.DataFrame) -> np.ndarray:
    """Return the total cost of each episode [cycles], in the order of the seeds."""
    return rows.sort_values("seed")["total_cost"].to_numpy(np.float64)


def _pairs(rows: pd.DataFrame, other: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the costs of two policies on the seeds that both have played."""
    both = rows.merge(other, on="seed", suffixes=("", "_other")).sort_values("seed")
    ours, theirs = both["total_cost"], both["total_cost_other"]
    return ours.to_numpy(np.float64), theirs.to_numpy(np.float64)


def describe(rows: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Any]:
    """Return the statistics of one policy on one scenario.

    Args:
        rows: Its episodes.
        reference: Those of the reference policy.
    """
    finished = rows[~rows[list(_FAILED)].any(axis=1)]
    ours, theirs = _pairs(rows, reference)
    without_yield = rows["total_cost"] - rows[CATEGORY + "yield"]
    return {
        "n": len(rows),
        "cost": asdict(mean(_cost(rows))),
        "cost_finished": float(finished["total_cost"].mean()) if len(finished) else None,
        "cost_without_yield": float(without_yield.mean()),
        "wasted": float(rows["wasted_cycles"].mean()),
        "overhead": float(rows["overhead_cycles"].mean()),
        "difference": asdict(paired_difference(ours, theirs)),
        "relative": asdict(relative_difference(ours, theirs)),
        "wins": probability_of_improvement(ours, theirs),
        **{name: int(rows[name].sum()) for name in _FAILED},
        "killed_by": rows.loc[rows["killed"], "killed_by"].value_counts().to_dict(),
        **{name: float(rows[name].mean()) for name in _TAILS + _COUNTS},
        "worst_zap_cycles": float(rows["zap_max_cycles"].max()),
        "worst_fault_cycles": float(rows["fault_max_cycles"].max()),
        "waste_by_category": {
            name.removeprefix(CATEGORY): float(rows[name].mean()) for name in _WASTE
        },
    }


def _by_policy(episodes: pd.DataFrame, scenario: str) -> dict[str, pd.DataFrame]:
    """Return each policy's episodes of a scenario."""
    some = episodes[episodes["scenario"] == scenario]
    return {name: rows for name, rows in some.groupby("policy", sort=False)}


def _same_as(rows: pd.DataFrame, others: Mapping[str, pd.DataFrame]) -> str:
    """Return the name of an earlier policy with the same result in every episode, or ""."""
    cost = _cost(rows)
    for name, other in others.items():
        if len(other) == len(rows) and np.array_equal(cost, _cost(other)):
            return name
    return ""


def _reasons(cells: pd.DataFrame, scenario: str, policy: str, n: int) -> list[dict[str, Any]]:
    """Return who found what busy under a policy, most cycles lost first, for one episode."""
    if cells.empty:
        return []
    some = cells[(cells["scenario"] == scenario) & (cells["policy"] == policy)]
    some = some.groupby(["call", "holder", "lock"], as_index=False)[["n_busy", "cycles_lost"]].sum()
    some = some.sort_values("cycles_lost", ascending=False).head(MAX_REASONS)
    return [
        {**row, "n_busy": row["n_busy"] / n, "cycles_lost": row["cycles_lost"] / n}
        for row in some.to_dict("records")
    ]


def _is_default(policy: Policy) -> bool:
    """Say whether a policy's discipline is the default one, its decision's cost aside."""
    same = policy.discipline.with_(decision_cycles=DEFAULT.decision_cycles)
    return bool(same == DEFAULT)


def _reach(described: Mapping[str, Any], loaded: Mapping[str, Policy]) -> dict[str, Any] | None:
    """Return which share of the cost a decision can change under the default discipline."""
    costs = {
        name: one["cost"]["value"] for name, one in described.items() if _is_default(loaded[name])
    }
    if len(costs) < 2:
        return None
    best, worst = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
    share = 1 - costs[best] / costs[worst] if costs[worst] else 0.0
    return {"best": best, "worst": worst, "share": share}


def best_on_validation(
    episodes: pd.DataFrame, loaded: Mapping[str, Policy], learned: Sequence[str]
) -> str:
    """Return the mergeable hand-written policy with the lowest mean relative cost on validation.

    The score of a policy is the mean over scenarios of log(mean cost / the reference's mean cost).
    """
    scores: dict[str, list[float]] = {}
    for scenario in episodes["scenario"].unique():
        rows = _by_policy(episodes, scenario)
        base = _cost(rows[REFERENCE]).mean()
        for name, some in rows.items():
            scores.setdefault(name, []).append(float(np.log((_cost(some).mean() + 1) / (base + 1))))
    allowed = [n for n in scores if loaded[n].is_mergeable and n not in learned]
    return min(allowed, key=lambda name: float(np.mean(scores[name])))


def _against(rows: Mapping[str, pd.DataFrame], name: str, other: str) -> dict[str, Any]:
    """Return one policy's paired difference to another, and the waste that explains it."""
    ours, theirs = _pairs(rows[name], rows[other])
    changes = {
        column.removeprefix(CATEGORY): float(rows[name][column].mean() - rows[other][column].mean())
        for column in _WASTE
    }
    return {
        "other": other,
        "difference": asdict(paired_difference(ours, theirs)),
        "relative": asdict(relative_difference(ours, theirs)),
        "wins": probability_of_improvement(ours, theirs),
        "changes": dict(sorted(changes.items(), key=lambda item: -abs(item[1]))[:3]),
    }


def summarise(
    plan: Plan, episodes: pd.DataFrame, cells: pd.DataFrame, validation: pd.DataFrame
) -> dict[str, Any]:
    """Return all that the report shows, as plain values for JSON."""
    loaded = {policy.name: policy for policy in map(agents.load, plan.policies)}
    learned = [agents.load(spec).name for spec in plan.learned]
    best = best_on_validation(validation, loaded, learned)
    scenarios = {}
    for scenario in dict.fromkeys(episodes["scenario"]):
        rows = _by_policy(episodes, scenario)
        if REFERENCE not in rows:
            continue
        one = load(scenario, plan.overrides)
        described: dict[str, Any] = {}
        for name, some in rows.items():
            described[name] = describe(some, rows[REFERENCE])
            earlier = {other: rows[other] for other in described if other != name}
            described[name]["same_as"] = _same_as(some, earlier)
            described[name]["reasons"] = _reasons(cells, scenario, name, len(some))
        written = [n for n in described if n not in learned and loaded[n].is_mergeable]
        hindsight = min(written, key=lambda name: described[name]["cost"]["value"])
        scenarios[scenario] = {
            "title": one.title,
            "description": one.description,
            "is_control": one.is_control,
            "clock_khz": one.clock_khz,
            "policies": described,
            "hindsight": hindsight,
            "reach": _reach(described, loaded),
            "learned": {
                name: {"best": _against(rows, name, best), "hindsight": _against(rows, name, hindsight)}
                for name in learned
                if name in rows and best in rows
            },
        }
    return {
        "manifest": manifest(plan),
        "reference": REFERENCE,
        "best": best,
        "learned": learned,
        "policies": {
            name: {"number": p.number, "title": p.title, "mark": p.mark, "behaves_as": p.behaves_as}
            for name, p in loaded.items()
        },
        "scenarios": scenarios,
        "overall": _overall(episodes, scenarios),
    }


def _overall(episodes: pd.DataFrame, scenarios: Mapping[str, Any]) -> dict[str, Any]:
    """Return each policy's interquartile mean of log10(cost / mean reference cost), no controls."""
    strata: dict[str, list[np.ndarray]] = {}
    for scenario, one in scenarios.items():
        if one["is_control"]:
            continue
        rows = _by_policy(episodes, scenario)
        base = _cost(rows[REFERENCE]).mean() + 1
        for name, some in rows.items():
            strata.setdefault(name, []).append(np.log10((_cost(some) + 1) / base))
    complete = max((len(some) for some in strata.values()), default=0)
    return {
        name: asdict(iqm(some)) for name, some in strata.items() if len(some) == complete
    }


def estimate(value: Mapping[str, float]) -> Estimate:
    """Return an estimate that was written as plain values."""
    return Estimate(value["value"], value["low"], value["high"])
