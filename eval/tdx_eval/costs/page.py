"""docs/costs.md, made from the costs of the scenario files and the study alone."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tdx_eval.costs.ranges import CostRow
from tdx_eval.costs.study import CostVerdict, Effect, ScenarioStudy, Study, verdicts

N_TOP = 10
_CLEAR = 0.9  # floor: one pair in twenty
_CYCLES_PER_US = 2_500  # of the 2.5 GHz clock that all scenarios share
_DASH = "\N{EN DASH}"
_SHOWN_COSTS = 5  # of a scenario

_HEAD = """# Costs

What every step costs, where the number comes from, and how far the ranking of the policies depends
on it. Made from `tdx_env/scenarios/costs.toml`, `tdx_env/state/costs.py` and `docs/costs.json`: not
to be edited here. After a change of flag, source or use, run `tdx-eval costs --page`; after one of
a range, play again with `tdx-eval costs --write`. `tdx-eval costs --check` and the tests say
whether this page is current."""

_METHOD = """## How the dependence is measured

For each cost and scenario all policies play the same seeds twice: with this cost at the low end of
its range and at the high end, all others drawn as usual. Their mean total costs are two rankings;
**τ** is Kendall's tau-b of the two. It takes ties, which are many here, and has a plain meaning:
the share of the pairs of policies that keep their order less the share that swap. At 1 the cost
changes nothing; at 0.9 one pair in twenty has swapped. Means within {tie} of each other are a tie:
policies that lose the same TD early differ by a few cycles in a hundred million.

**Floor.** {n_sets} disjoint sets of seeds at the same costs, compared two by two: the lowest of
their {n_pairs} τ is what chance alone can do in that scenario. **Drop** is how far a cost's τ is
below it; a τ above the floor says nothing. With so many costs some small drops are chance too.

**Matters** in a scenario: the low end changes the episode of some policy, tried on an eighth of the
seeds. Elsewhere both ends give the same episodes.

**Best** is the policy that KVM could merge today with the lowest mean. It changes with a cost if
the best of each end is dearer at the other by more than {tie}, and the paired 95 % interval of
either difference excludes 0.

{n_policies} policies take part: the catalogue without rows that behave as another and without the
random one. Those that did the same in every episode of a scenario count there as one, under the
name of the first that KVM could merge today. {n_scenarios} scenarios with contention, in their
validation split: nothing is chosen here, and the test split stays untouched. Each policy plays up
to {max_seeds} episodes at each end, but no more than fit into {max_events} events.

Controls, not played: {controls}. Too large, not played: {left_out}."""


def _number(value: float | None) -> str:
    """Return a correlation, or a dash for one that is not defined."""
    return _DASH if value is None else f"{value:.3f}"


def _span(low: object, high: object) -> str:
    """Return a range, or the one value that it has."""
    return f"{low}" if low == high else f"{low} {_DASH} {high}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a Markdown table; heads that end in ">" stand on the right."""
    lines = ["| " + " | ".join(head.rstrip(">") for head in heads) + " |"]
    lines.append("|" + "|".join("---:" if head.endswith(">") else "---" for head in heads) + "|")
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _slug(name: str) -> str:
    """Return a scenario's name without its split."""
    return name.rpartition("/")[0] or name


def _us(cycles: int) -> str:
    """Return a time in microseconds, three digits at most."""
    us = cycles / _CYCLES_PER_US
    return f"{us:,.0f}" if us >= 100 else f"{us:.3g}"


def _cost_row(row: CostRow) -> list[str]:
    """Return what stands in the table about a cost."""
    cycles = _span(f"{row.low:,}", f"{row.high:,}")
    return [f"`{row.name}`", cycles, _span(_us(row.low), _us(row.high)), row.flag, row.use, row.by]


_COST_HEADS = ["cost", "cycles>", "µs at 2.5 GHz>", "flag", "used for", "source"]


def _origins(rows: list[CostRow], others: Mapping[str, list[CostRow]]) -> list[str]:
    """Return the table of all costs, and of those that a scenario overrides."""
    counts = Counter(row.flag for row in rows)
    flags = ", ".join(f"{count} {flag}" for flag, count in counts.most_common())
    lines = [
        "## Every cost",
        "",
        f"{len(rows)} costs: {flags}. Each is drawn once an episode; the splits draw from",
        "different tenths of the range.",
        "",
        *_table(_COST_HEADS, map(_cost_row, rows)),
        "",
    ]
    if not others:
        return [*lines, "No scenario gives a cost another range."]
    overrides = [[name, *_cost_row(row)] for name, some in others.items() for row in some]
    return [*lines, *_table(["scenario", *_COST_HEADS], overrides)]


def _where(found: tuple[ScenarioStudy, Effect]) -> str:
    """Return scenario and floor of a correlation."""
    return f"{found[0].slug} ({_number(found[0].lowest_floor)})"


def _change(found: tuple[ScenarioStudy, Effect]) -> str:
    """Return how the best policy changes in a scenario."""
    where, effect = found
    dearer = f"{effect.dearer_low:.0%} and {effect.dearer_high:.0%}"
    return f"{where.slug}: {effect.best_low} → {effect.best_high} ({dearer})"


def _verdict_row(verdict: CostVerdict, n_scenarios: int) -> list[str]:
    """Return what stands in the table about the dependence on a cost."""
    drops = ", ".join(f"{where.slug} {where.drop(effect):.3f}" for where, effect in verdict.below)
    return [
        f"`{verdict.cost}`",
        f"{len(verdict.found)} of {n_scenarios}",
        _number(verdict.lowest[1].tau),
        _where(verdict.lowest),
        _number(verdict.median),
        drops or _DASH,
        "; ".join(map(_change, verdict.changes)) or "no",
    ]


def _dependence(study: Study, found: list[CostVerdict]) -> list[str]:
    """Return the table of what the ranking depends on."""
    heads = ["cost", "matters in", "lowest τ>", "there (floor)", "median τ>"]
    heads += ["below the floor, by", "best mergeable: low → high end (each dearer at the other's)"]
    rows = [_verdict_row(one, len(study.scenarios)) for one in found if one.is_used]
    return ["## What the ranking depends on", "", *_table(heads, rows)]


def _scenario_row(scenario: ScenarioStudy) -> list[object]:
    """Return what stands in the table about a scenario."""
    ranked = sorted(scenario.effects, key=lambda effect: -scenario.drop(effect))
    below = [effect for effect in ranked if scenario.drop(effect) > 0]
    shown = ", ".join(f"`{one.cost}` {_number(one.tau)}" for one in below[:_SHOWN_COSTS])
    return [
        scenario.slug,
        f"{scenario.n_events:,}",
        scenario.n_seeds,
        len(scenario.policies),
        scenario.best,
        _number(scenario.lowest_floor),
        f"{len(below)} of {len(scenario.effects)}",
        shown or _DASH,
    ]


def _scenarios(study: Study) -> list[str]:
    """Return the table of the scenarios."""
    heads = ["scenario", "events an episode>", "episodes>", "policies that differ>"]
    heads += ["best mergeable", "floor>", "costs below the floor>", "lowest of them"]
    return ["## By scenario", "", *_table(heads, map(_scenario_row, study.scenarios))]


def _method(study: Study) -> str:
    """Return how the study was made."""
    left_out = [f"{_slug(name)} ({n:,} events an episode)" for name, n in study.left_out.items()]
    return _METHOD.format(
        tie=f"{study.tie_share:.0%}".replace("%", " %"),
        n_sets=study.n_sets,
        n_pairs=study.n_sets * (study.n_sets - 1) // 2,
        n_policies=study.n_policies,
        n_scenarios=len(study.scenarios),
        controls=", ".join(map(_slug, study.controls)) or "none",
        max_seeds=study.max_seeds,
        max_events=f"{study.max_events:,}",
        left_out=", ".join(left_out) or "none",
    )


def _names(found: Iterable[CostVerdict]) -> str:
    """Return the names of costs."""
    return ", ".join(f"`{one.cost}`" for one in found) or "none"


def _most(found: Sequence[CostVerdict]) -> str:
    """Return the names of the costs that the ranking depends on most, with their drops."""
    shown = [f"`{one.cost}` ({one.largest_drop:.3f}, {one.below[0][0].slug})" for one in found]
    return ", ".join(shown) or "none"


def _blurred(study: Study) -> str:
    """Return the scenarios with a low floor, lowest first."""
    ranked = sorted(study.scenarios, key=lambda scenario: scenario.lowest_floor)
    some = [one for one in ranked if one.lowest_floor < _CLEAR]
    return ", ".join(f"{one.slug} ({_number(one.lowest_floor)})" for one in some) or "nowhere"


def findings(study: Study, costs: list[str]) -> list[str]:
    """Return what the study comes to, one line each."""
    found = verdicts(study, costs)
    below = [one for one in found if one.below]
    changing = [one for one in found if one.changes]
    rest = [one for one in found if one.is_used and one not in below + changing]
    unused = [one for one in found if not one.is_used]
    floors = sorted(scenario.lowest_floor for scenario in study.scenarios)
    return [
        f"- **Noise floor** of the scenarios: {_number(floors[0])} to {_number(floors[-1])}, "
        f"median {_number(statistics.median(floors))}.",
        f"- **Chance hides all but large effects** where the floor is below {_CLEAR}: "
        f"{_blurred(study)}.",
        f"- **The ranking depends most on** (largest drop below the floor, scenario): "
        f"{_most(below[:N_TOP])}.",
        f"- **The best mergeable policy changes with** {_names(changing)}.",
        f"- **Used, but no ranking is seen to depend on** {_names(rest)}.",
        f"- **Used in none of these scenarios**: {_names(unused)}.",
    ]


def page(study: Study, rows: list[CostRow], others: Mapping[str, list[CostRow]]) -> str:
    """Return the page.

    Args:
        study: What was played.
        rows: All costs.
        others: Costs that scenarios override, by scenario.
    """
    costs = [row.name for row in rows]
    versions = ", ".join(f"{name} {number}" for name, number in study.versions.items())
    parts = [
        [_HEAD],
        ["## In short", "", *findings(study, costs)],
        _dependence(study, verdicts(study, costs)),
        _scenarios(study),
        _origins(rows, others),
        [_method(study)],
        [f"Made with {versions}; seeds from {study.first_seed} on; ranges {study.ranges_digest}."],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"
