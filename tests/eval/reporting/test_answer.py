"""The first screen: which answer, when, why and how sure."""

from dataclasses import replace

import pytest

from tdx_eval.reporting import answer
from tdx_eval.reporting.forest import forest_chart, panels
from tdx_eval.reporting.html import charts_of, report_page
from tdx_eval.reporting.shares import KINDS, kinds_of, shares_chart

from .conftest import difference


def with_answers(summary, name, ends):
    """Return the summary with one answer against RETRY as given, in every scenario."""
    some = [
        replace(one, answers={**one.answers, name: difference(*ends)}) for one in summary.scenarios
    ]
    return replace(summary, scenarios=some)


def only(summary, n):
    """Return the summary as of n seeds."""
    return replace(
        summary,
        scenarios=[
            replace(one, results={k: replace(r, n_episodes=n) for k, r in one.results.items()})
            for one in summary.scenarios
        ],
    )


def test_headline_counts_verdicts_against_linux(compared):
    summary = compared.summary
    found = answer.verdicts_to_reference(summary, summary.best)
    better, worse = found.count("better"), found.count("worse")
    text = answer.headline(summary)
    assert f"in {better} of {len(found)} simulated scenarios, more in {worse}" in text
    assert text.startswith(answer.word_of(summary, summary.best).capitalize())


def test_policies_are_called_by_what_they_pay_for(compared):
    assert answer.word_of(compared.summary, "always-retry") == "retry"
    assert answer.word_of(compared.summary, "mine:kick") == "kick"


def test_when_names_the_scenarios_where_a_kick_pays(compared):
    pays = with_answers(compared.summary, "always-kick", (-0.8, -0.75, -0.7))
    text = answer.when_text(pays)
    assert all(f"{one.short_name} (÷4.0)" in text for one in pays.contested)
    never = with_answers(compared.summary, "always-kick", (0.1, 0.2, 0.3))
    assert "pays nowhere (worse in all 2 scenarios)" in answer.when_text(never)


def test_why_names_what_a_kick_pays_for(compared):
    dear = with_answers(compared.summary, "always-kick", (0.1, 0.2, 0.3))
    some = [
        replace(
            one,
            answers={"always-kick": replace(one.answers["always-kick"], parts={"gated": 3.0})},
        )
        for one in dear.scenarios
    ]
    text = answer.why_text(replace(dear, scenarios=some))
    assert "mostly vCPUs kept out by the gate (100\N{NO-BREAK SPACE}%)" in text
    assert "TRACK’s own kick" in text


def test_without_constant_answers_why_is_told_of_what_linux_does(compared):
    summary = compared.summary
    some = []
    for one in summary.scenarios:
        found = replace(difference(-0.8, -0.75, -0.7), parts={"gated": -3.0, "yield": 1.0})
        best = replace(one.results[summary.best], to_reference=found)
        results = {**one.results, summary.best: best}
        some.append(replace(one, answers={}, results=results))
    text = answer.why_text(replace(summary, scenarios=some))
    told = f"What {summary.reference} pays beyond {summary.best} is mostly vCPUs kept out"
    assert text.startswith(told)


def test_how_sure_names_costs_module_and_kernel(compared):
    text, footing = answer.how_sure(compared.summary), compared.summary.footing
    assert f"{footing.costs['measured']} of {footing.n_costs} costs are measured" in text
    machine = next(iter(footing.machines))
    assert machine[1:] in text
    assert sum(footing.machines.values()) == len(compared.summary.scenarios)


def test_names_of_users_are_escaped(compared):
    summary = compared.summary
    info = replace(summary.policies[summary.best], title="<b>bold & new</b>")
    text = answer.which_text(replace(summary, policies={**summary.policies, summary.best: info}))
    assert "&lt;b&gt;bold &amp; new&lt;/b&gt;" in text


@pytest.mark.parametrize(("n", "told"), [(1, "one seed"), (4, "4 seeds")])
def test_few_seeds_make_one_sentence_and_no_chart(compared, n, told):
    few = only(compared.summary, n)
    text = report_page(few)
    assert f"Each policy played {told} in a scenario" in text
    assert "<figure" not in text
    assert 'id="library"' not in text


def test_controls_alone_make_one_sentence_and_no_chart(compared):
    summary = compared.summary
    alone = replace(summary, scenarios=summary.controls)
    text = report_page(alone)
    assert "None of the scenarios has contention" in text
    assert "<figure" not in text


def test_reference_alone_makes_one_sentence_and_no_forest(compared):
    summary = compared.summary
    some = [replace(one, answers={}, contests={}) for one in summary.scenarios]
    alone = replace(summary, best=summary.reference, contenders=[], scenarios=some)
    assert panels(alone) == []
    assert charts_of(alone)["forest"] is None
    assert "There is no other policy to hold" in report_page(alone)


def test_forest_shows_every_scenario_with_contention(compared):
    chart = forest_chart(compared.summary)
    assert chart is not None
    names = sorted(one.short_name for one in compared.summary.contested)
    assert sorted(row[0] for row in chart.rows) == names
    assert "better in" in chart.title


def test_policy_that_loses_every_td_is_told_in_the_forest(compared):
    summary = compared.summary
    some = []
    for one in summary.scenarios:
        lost = replace(one.results[summary.best], hung=one.n_episodes)
        some.append(replace(one, results={**one.results, summary.best: lost}))
    chart = forest_chart(replace(summary, scenarios=some))
    assert chart is not None
    told = f"{summary.best} loses the TD in 12 of 12"
    assert all(told in row for row in chart.rows)


def test_kinds_of_cost_sum_to_the_cost(compared):
    for one in compared.summary.scenarios:
        for result in one.results.values():
            assert sum(kinds_of(result).values()) == pytest.approx(result.cost.value)
            assert set(kinds_of(result)) == set(KINDS)


def test_shares_have_a_table_row_for_each_policy_shown(compared):
    chart = shares_chart(compared.summary)
    assert chart is not None
    assert len(chart.rows) == 3 * len(compared.summary.contested)
    assert all(len(row) == len(chart.heads) for row in chart.rows)


def test_which_says_what_needs_a_change_of_kvm(compared):
    summary = compared.summary
    name = summary.contenders[0]
    for is_mergeable, said in ((False, f"<b>{name}</b>, which needs a KVM change,"), (True, "")):
        info = replace(summary.policies[name], is_mergeable=is_mergeable)
        text = answer.which_text(replace(summary, policies=summary.policies | {name: info}))
        assert said in text
        assert ("which needs a KVM change," in text) is not is_mergeable


def test_which_names_the_cheapest_rule_by_hand_that_needs_a_change(compared):
    summary = compared.summary
    other = next(
        one
        for one in summary.overall
        if one not in (summary.best, summary.reference, *summary.contenders)
    )
    changed = replace(summary.policies[other], is_mergeable=False)
    first = {other: summary.overall[other]} | summary.overall
    text = answer.which_text(
        replace(summary, overall=first, policies=summary.policies | {other: changed})
    )
    assert f"If KVM may be changed, <b>{other}</b>" in text
    last = {one: value for one, value in summary.overall.items() if one != other}
    alone = replace(summary, overall=last, policies=summary.policies | {other: changed})
    assert f"<b>{other}</b>" not in answer.which_text(alone)


def test_when_names_where_the_best_policy_is_worse_and_who_loses_tds(compared):
    summary = compared.summary
    worse = [
        one.short_name
        for one in summary.contested
        if answer.verdict_among(summary, one, summary.best) is answer.Verdict.WORSE
    ]
    lost = [
        (name, one.short_name)
        for one in summary.contested
        for name in {summary.best, summary.reference}
        if one.results[name].n_lost
    ]
    text = answer.when_text(summary)
    assert ("costs more than" in text) is bool(worse)
    assert all(name in text for name in worse[:1])
    assert all(f"{name} loses the TD" in text and where in text for name, where in lost[:1])
