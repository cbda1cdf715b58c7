"""The report: one HTML file, made from the summary alone."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import jinja2

from eval.compare import estimate
from tdx_env.engine.render import microseconds

_HOLDER_WORDS = {
    "none known": "nobody known",
    "ACCEPT": "the guest's ACCEPT",
    "ATTR_RD": "the guest's ATTR.RD",
    "ATTR_WR": "the guest's ATTR.WR",
}
_LOCK_WORDS = {
    "TREE": "the S-EPT tree",
    "ENTRY": "an S-EPT entry",
    "EPOCH": "the TD epoch",
    "TDR": "the TDR",
    "OP_STATE": "OP_STATE",
}
_TINY = 0.0005


def call_name(leaf: str) -> str:
    """Return a leaf's name as kernel developers write it: MEM_RANGE_BLOCK is RANGE.BLOCK."""
    for prefix in ("MEM_", "PHYMEM_"):
        leaf = leaf.removeprefix(prefix)
    return leaf.replace("_", ".", 1) if "_" in leaf else leaf


def reason_text(reason: Mapping[str, Any], clock_khz: int) -> str:
    """Say one row of the busy matrix in words."""
    holder = _HOLDER_WORDS.get(reason["holder"], call_name(reason["holder"]))
    lost = microseconds(reason["cycles_lost"], clock_khz)
    return (
        f"{call_name(reason['call'])} met {holder} on {_LOCK_WORDS[reason['lock']]}: "
        f"{reason['n_busy']:.1f} times an episode, {lost:,.1f} µs lost"
    )


def percent(value: Mapping[str, float]) -> str:
    """Return a relative difference with its interval."""
    one = estimate(value)
    if one.value != one.value:
        return "n/a"
    if abs(one.low) > 10 or abs(one.high) > 10:
        return f"×{one.value + 1:,.1f} [{one.low + 1:,.1f}, {one.high + 1:,.1f}]"
    return f"{one.value:+.1%} [{one.low:+.1%}, {one.high:+.1%}]"


def verdict(value: Mapping[str, float]) -> str:
    """Say which way an interval points: better, worse or even."""
    one = estimate(value)
    if one.is_negative:
        return "better"
    return "worse" if one.is_positive else "even"


def headline_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the main table: best hand-written policy, agent, and their paired difference."""
    rows = []
    for name, one in summary["scenarios"].items():
        policies = one["policies"]
        row: dict[str, Any] = {"scenario": name, "is_control": one["is_control"]}
        khz = one["clock_khz"]
        row["reference"] = microseconds(policies[summary["reference"]]["cost"]["value"], khz)
        best = policies.get(summary["best"])
        row["best"] = microseconds(best["cost"]["value"], khz) if best else None
        row["hindsight"] = one["hindsight"]
        row["hindsight_cost"] = microseconds(policies[one["hindsight"]]["cost"]["value"], khz)
        row["agents"] = [
            {
                "name": agent,
                "cost": microseconds(policies[agent]["cost"]["value"], khz),
                "failed": sum(policies[agent][kind] for kind in ("killed", "hung", "capped")),
                "to_best": microseconds(against["best"]["difference"]["value"], khz),
                "to_best_low": microseconds(against["best"]["difference"]["low"], khz),
                "to_best_high": microseconds(against["best"]["difference"]["high"], khz),
                "verdict": verdict(against["best"]["difference"]),
                "relative": percent(against["best"]["relative"]),
                "to_reference": percent(policies[agent]["relative"]),
            }
            for agent, against in one["learned"].items()
        ]
        rows.append(row)
    return rows


def _loss_text(agent: str, scenario: str, against: Mapping[str, Any], clock_khz: int) -> str:
    """Say where and why an agent loses to a hand-written policy."""
    one = estimate(against["difference"])
    category, cycles = max(against["changes"].items(), key=lambda item: item[1])
    return (
        f"{scenario}: {agent} costs {microseconds(one.value, clock_khz):,.1f} µs an episode more "
        f"than {against['other']} (95 % interval {microseconds(one.low, clock_khz):,.1f} to "
        f"{microseconds(one.high, clock_khz):,.1f} µs), most of it {category.replace('_', ' ')} "
        f"({microseconds(cycles, clock_khz):+,.1f} µs)."
    )


def losses(summary: Mapping[str, Any]) -> list[str]:
    """Return every scenario in which an agent is significantly worse than a hand-written policy."""
    found = []
    for scenario, one in summary["scenarios"].items():
        for agent, against in one["learned"].items():
            others = {against[kind]["other"]: against[kind] for kind in ("best", "hindsight")}
            found += [
                _loss_text(agent, scenario, other, one["clock_khz"])
                for other in others.values()
                if estimate(other["difference"]).is_positive
            ]
    return found


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return the report's summary, generated from its numbers."""
    played = [one for one in summary["scenarios"].values() if not one["is_control"]]
    lines = [
        f"The best mergeable hand-written policy, chosen on the validation split, is {summary['best']}. "
        f"The reference of all differences is {summary['reference']}."
    ]
    beats = sum(
        1
        for one in played
        if summary["best"] in one["policies"]
        and estimate(one["policies"][summary["best"]]["difference"]).is_negative
    )
    lines.append(f"It is cheaper than the reference in {beats} of {len(played)} scenarios with contention.")
    for agent in summary["learned"]:
        verdicts = [
            verdict(one["learned"][agent]["best"]["difference"])
            for one in played
            if agent in one["learned"]
        ]
        lines.append(
            f"The agent {agent}, against {summary['best']} on the same seeds: better in "
            f"{verdicts.count('better')}, even in {verdicts.count('even')}, worse in "
            f"{verdicts.count('worse')} of {len(verdicts)} scenarios with contention."
        )
    killers = sorted(
        {
            name
            for one in summary["scenarios"].values()
            for name, policy in one["policies"].items()
            if policy["killed"] + policy["hung"] + policy["capped"]
        }
    )
    if killers:
        lines.append("Policies that lost at least one TD, or never finished: " + ", ".join(killers) + ".")
    return lines


def _picture(summary: Mapping[str, Any]) -> str:
    """Return the plot of costs by policy and scenario as a data URI."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(summary["policies"])
    scenarios = list(summary["scenarios"])
    figure, axes = plt.subplots(
        1, len(scenarios), figsize=(2.1 * len(scenarios) + 2.5, 0.27 * len(names) + 1.4), sharey=True
    )
    for column, scenario in enumerate(scenarios):
        axis = axes[column] if len(scenarios) > 1 else axes
        one = summary["scenarios"][scenario]
        for place, name in enumerate(names):
            policy = one["policies"].get(name)
            if policy is None:
                continue
            failed = policy["killed"] + policy["hung"] + policy["capped"]
            costs = [
                max(microseconds(policy["cost"][key], one["clock_khz"]), _TINY)
                for key in ("value", "low", "high")
            ]
            colour = "#b3261e" if failed else "#1b6e5a" if name in summary["learned"] else "#3b5b92"
            axis.plot(costs[1:], [place, place], color=colour, linewidth=2)
            axis.plot(costs[0], place, "o", color=colour, markersize=4)
        axis.set_xscale("log")
        axis.set_title(scenario.split("/")[0], fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(axis="x", color="#dddddd", linewidth=0.6)
        axis.set_xlabel("µs", fontsize=7)
    first = axes[0] if len(scenarios) > 1 else axes
    first.set_yticks(range(len(names)), names, fontsize=7)
    first.invert_yaxis()
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def html(summary: Mapping[str, Any]) -> str:
    """Return the report as one self-contained page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("eval"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        us=microseconds, percent=percent, verdict=verdict, reason_text=reason_text
    )
    template = environment.get_template("report.html")
    return template.render(
        summary=summary,
        sentences=sentences(summary),
        headline=headline_rows(summary),
        losses=losses(summary),
        picture=_picture(summary),
    )
