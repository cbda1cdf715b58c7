"""The report: one HTML file with nothing outside of it, made from the summary alone."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType, ModuleType

import jinja2
from markupsafe import Markup

from tdx_eval.comparing.summary import Conflict, PolicyResult, ScenarioResult, Summary
from tdx_eval.comparing.yardsticks import KICK, RETRY, YIELD
from tdx_eval.reporting import answer, sentences, verdicts, wins, wording
from tdx_eval.reporting.charts import Chart, as_json, library
from tdx_eval.reporting.expected import all_judged, expected_title, judged
from tdx_eval.reporting.forest import forest_chart
from tdx_eval.reporting.matrix import busy_matrix, matrix_title, regret_rows
from tdx_eval.reporting.probes import measuring_line, where_measured
from tdx_eval.reporting.shares import charted_policies, shares_chart, track_cycles
from tdx_eval.reporting.turning import best_cost, moved_text, places, range_text, turning_text
from tdx_eval.reporting.verdicts import Verdict, tally

NOTHING_MORE = Markup("")
NO_PICTURES: Mapping[str, Markup] = MappingProxyType({})
MOST_SHOWN = 8  # policies that tables show by default
_SHOWN_CONFLICTS = 8  # rows of a scenario's table of conflicts
_DECADES = 3.0  # a cost ratio of so many decades has the full colour
_STRONGEST = 45  # of it [percent]
_LEAST_RATIO = 1e-6
_LEAST_US = 0.01  # where a logarithmic line begins at the earliest


def key_policies(summary: Summary, scenario: ScenarioResult) -> list[str]:
    """Return the policies that a scenario's side-by-side tables show."""
    named = [summary.reference, summary.best, scenario.hindsight, *summary.contenders]
    shown: list[str] = []
    for name in named:
        visible = scenario.results[name].same_as
        if name not in shown and (name in summary.contenders or visible not in shown):
            shown.append(name)
    return shown


def rows_of(scenario: ScenarioResult) -> list[PolicyResult]:
    """Return the results of a scenario that are shown, cheapest first."""
    shown = [one for one in scenario.results.values() if not one.same_as]
    return sorted(shown, key=lambda one: one.cost.value)


def label(summary: Summary, scenario: ScenarioResult, name: str) -> str:
    """Return the names of all policies that behave alike: number, or name without one."""
    twins = [short_policy(summary, one) for one in scenario.same(name)]
    return " = ".join([name, *twins])


def with_twins(summary: Summary, name: str) -> str:
    """Return the names of all policies that behave alike in every scenario."""
    twins = [one for one, other in summary.twins.items() if other == name]
    return " = ".join([name, *(short_policy(summary, one) for one in twins)])


def short_policy(summary: Summary, name: str) -> str:
    """Return a policy's number, or its name if it has none."""
    return summary.policies[name].number or name


def conflict_rows(
    scenario: ScenarioResult, names: list[str]
) -> list[tuple[str, dict[str, Conflict]]]:
    """Return the conflicts that cost the named policies most, and what each of them lost."""
    cells: dict[str, dict[str, Conflict]] = {}
    for name in names:
        for conflict in scenario.results[name].conflicts:
            cells.setdefault(wording.met(conflict), {})[name] = conflict
    ranked = sorted(cells.items(), key=lambda it: -max(c.cycles_lost for c in it[1].values()))
    return ranked[:_SHOWN_CONFLICTS]


def part_rows(scenario: ScenarioResult, names: list[str]) -> list[tuple[str, list[float]]]:
    """Return the parts of the cost of the named policies, largest first [cycles]."""
    parts = {
        part: [scenario.results[name].parts[part] for name in names]
        for part in scenario.results[names[0]].parts
    }
    ranked = sorted(parts.items(), key=lambda item: -max(item[1]))
    return [(wording.part_name(part), values) for part, values in ranked if max(values) > 0]


def tint(result: PolicyResult) -> int:
    """Return how strong the colour of a policy's factor to the reference is, 0 to 45."""
    relative = result.to_reference.relative
    if relative is None:
        return 0
    decades = abs(math.log10(max(1 + relative.value, _LEAST_RATIO)))
    return round(_STRONGEST * min(decades / _DECADES, 1))


@dataclass(frozen=True)
class Line:
    """Where costs stand on a scenario's logarithmic line.

    Attributes:
        low: Where the line begins [us].
        high: Where it ends [us].
    """

    scenario: ScenarioResult
    low: float
    high: float

    def _place(self, cycles: float) -> float:
        """Return the place of a cost, from 3 to 97 [percent]."""
        us = max(self.scenario.us(cycles), self.low)
        return 3 + 94 * math.log(us / self.low) / math.log(self.high / self.low)

    def style(self, result: PolicyResult) -> str:
        """Return where interval and mean stand, for the style sheet."""
        ends = (result.cost.low, result.cost.high, result.cost.value)
        low, high, mean = (round(self._place(one)) for one in ends)
        return f"--l:{low};--w:{high - low};--m:{mean}"


def line_of(scenario: ScenarioResult) -> Line:
    """Return where the costs of a scenario's policies stand."""
    costs = [one.cost for one in scenario.results.values()]
    low = max(scenario.us(min(one.low for one in costs)), _LEAST_US)
    high = max(scenario.us(max(one.high for one in costs)), _LEAST_US)
    return Line(scenario, low, max(high, low * 1.1))


@dataclass(frozen=True)
class PolicyRow:
    """A policy in all scenarios with contention.

    Attributes:
        median: Median cost against the reference, in words.
        counts: Scenarios by verdict, in the order of the table's heads.
        n_lost: TDs lost in all of them, of `n_played`.
    """

    name: str
    median: str
    counts: list[int]
    n_lost: int
    n_played: int


_COLUMNS = (Verdict.BETTER, Verdict.NO_DIFFERENCE, Verdict.WORSE, Verdict.NOT_TOLD_APART)


def policy_rows(summary: Summary) -> list[PolicyRow]:
    """Return the policies that behave differently, cheapest first."""
    rows = []
    for name in summary.overall:
        if name in summary.twins:
            continue
        found = [one.results[name] for one in summary.contested]
        shares = [one.to_reference.relative.value for one in found if one.to_reference.relative]
        counts = tally(answer.verdicts_to_reference(summary, name))
        rows.append(
            PolicyRow(
                name,
                wording.factor(median(shares)) if shares else wording.NOTHING,
                [counts.get(one, 0) for one in _COLUMNS],
                sum(one.n_lost for one in found),
                sum(one.n_episodes for one in found),
            )
        )
    return rows


def shown_policies(summary: Summary) -> list[str]:
    """Return the policies that tables show by default; a switch shows the others."""
    hindsight = Counter(one.hindsight for one in summary.contested)
    named = [
        *summary.contenders,
        summary.best,
        summary.reference,
        *(name for name in (RETRY, KICK, YIELD) if name in summary.policies),
        *(name for name, _ in hindsight.most_common()),
        *summary.overall,
    ]
    shown = dict.fromkeys(summary.twins.get(name, name) for name in named)
    return [*shown][:MOST_SHOWN]


def policies_title(summary: Summary) -> str:
    """Return the finding of the table of policies."""
    rows = [row for row in policy_rows(summary) if row.name != summary.reference]
    better = [row for row in rows if row.counts[0] > row.counts[2]]
    lost = verdicts.lost_by(summary)
    safe = sum(not lost[row.name] for row in rows)
    kept = "none loses" if safe == len(rows) else f"{safe} of {len(rows)} never lose"
    return (
        f"{len(better)} of {len(rows)} are better than {summary.reference} in more scenarios than "
        f"worse, {kept} a TD that another keeps"
    )


def lost_rows(summary: Summary) -> list[tuple[str, str, str]]:
    """Return scenario, how many TDs were lost of how many, and by which policies."""
    rows = []
    for one in summary.scenarios:
        groups: dict[int, list[str]] = {}
        for name, result in one.results.items():
            if result.n_lost:
                groups.setdefault(result.n_lost, []).append(name)
        rows += [
            (one.short_name, f"{n:,} of {one.n_episodes:,}", ", ".join(groups[n]))
            for n in sorted(groups, reverse=True)
        ]
    return rows


def charts_of(summary: Summary) -> dict[str, Chart | None]:
    """Return the charts of a report; None where there is nothing to show."""
    if answer.too_few(summary) or not summary.contested:
        return {"forest": None, "shares": None}
    return {"forest": forest_chart(summary), "shares": shares_chart(summary)}


def svg_of(chart: Chart, kind: str) -> Markup:
    """Return a chart drawn for a kind of screen: wide or narrow."""
    return chart.svg_wide if kind == "wide" else chart.svg_narrow


def digests(summary: Summary) -> list[tuple[str, str, int]]:
    """Return name, digest and number of seeds of every scenario that was played."""
    manifest = summary.manifest
    played = (("test", "scenarios"), ("validation", "validation_scenarios"))
    return [
        (name, digest, manifest["seeds"][split]["count"][name])
        for split, key in played
        for name, digest in sorted(manifest[key].items())
    ]


_CALLED: tuple[Callable[..., object], ...] = (  # by the template
    key_policies,
    rows_of,
    label,
    with_twins,
    conflict_rows,
    part_rows,
    tint,
    digests,
    line_of,
    policy_rows,
    policies_title,
    lost_rows,
    svg_of,
    track_cycles,
    charted_policies,
    busy_matrix,
    matrix_title,
    regret_rows,
    library,
    short_policy,
    judged,
    all_judged,
    expected_title,
    best_cost,
    turning_text,
    places,
    range_text,
    moved_text,
    measuring_line,
    where_measured,
)


def environment(*packages: str) -> jinja2.Environment:
    """Return this package's templates, and those of others, with the words that all of them use.

    Args:
        packages: Others with a folder `templates`.
    """
    loaders = [jinja2.PackageLoader(name) for name in (*packages, __package__)]
    templates = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.globals["w"] = wording
    return templates


def report_page(
    summary: Summary,
    appendix: Markup = NOTHING_MORE,
    pictures: Mapping[str, Markup] = NO_PICTURES,
) -> str:
    """Return the report as one self-contained page.

    Args:
        summary: What came of the comparison.
        appendix: A section of somebody else's, before that on how the report was made.
        pictures: Of scenarios, by name: what somebody else drew of them.
    """
    templates = environment()
    modules: dict[str, ModuleType] = {"f": sentences, "wins": wins, "a": answer, "v": verdicts}
    templates.globals.update(modules)
    templates.globals.update({function.__name__: function for function in _CALLED})
    templates.globals["json_of"] = as_json
    return templates.get_template("report.html").render(
        summary=summary,
        charts=charts_of(summary),
        shown_policies=shown_policies(summary),
        appendix=appendix,
        pictures=pictures,
    )
