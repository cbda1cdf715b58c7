"""The report: one HTML file with nothing outside of it, made from the summary alone."""

import math
from collections.abc import Callable
from types import ModuleType

import jinja2
import numpy as np
from markupsafe import Markup

from tdx_eval.comparing.summary import Conflict, PolicyResult, ScenarioResult, Summary
from tdx_eval.reporting import sentences, wins, wording
from tdx_eval.reporting.plots import costs_svg

NOTHING_MORE = Markup("")
_SHOWN_CONFLICTS = 8  # rows of a scenario's table of conflicts
_SHOWN_REASONS = 4  # conflicts of a policy in words
_DECADES = 3.0  # a cost ratio of so many decades has the full colour
_SMALL_RATIO = 0.01  # below it, one significant digit
_GREEN, _RED = "18, 128, 92", "179, 38, 30"


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
    twins = [summary.policies[one].number or one for one in scenario.same(name)]
    return " = ".join([name, *twins])


def with_twins(summary: Summary, name: str) -> str:
    """Return the names of all policies that behave alike in every scenario."""
    twins = [one for one, other in summary.twins.items() if other == name]
    return " = ".join([name, *(summary.policies[one].number or one for one in twins)])


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


def ratio(result: PolicyResult, reference: PolicyResult) -> str:
    """Return a policy's mean cost as a multiple of the reference's."""
    if not reference.cost.value:
        return wording.NOTHING
    value = result.cost.value / reference.cost.value
    if value < _SMALL_RATIO:
        return f"×{np.format_float_positional(value, precision=1, fractional=False, trim='-')}"
    return f"×{wording.number(value, 0 if value >= 100 else 2)}"


def tint(result: PolicyResult, reference: PolicyResult) -> str:
    """Return a colour for a cost ratio: green below 1, red above, by its logarithm."""
    if not reference.cost.value:
        return "transparent"
    value = max(result.cost.value, 1) / max(reference.cost.value, 1)
    strength = min(abs(math.log10(value)) / _DECADES, 1)
    return f"rgba({_GREEN if value < 1 else _RED}, {0.55 * strength:.2f})"


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
    ratio,
    tint,
    digests,
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


def report_page(summary: Summary, appendix: Markup = NOTHING_MORE) -> str:
    """Return the report as one self-contained page.

    Args:
        summary: What came of the comparison.
        appendix: A section of somebody else's, before that on how the report was made.
    """
    templates = environment()
    modules: dict[str, ModuleType] = {"f": sentences, "wins": wins}
    templates.globals.update(modules)
    templates.globals.update({function.__name__: function for function in _CALLED})
    templates.globals["n_reasons"] = _SHOWN_REASONS
    template = templates.get_template("report.html")
    return template.render(summary=summary, picture=costs_svg(summary), appendix=appendix)
