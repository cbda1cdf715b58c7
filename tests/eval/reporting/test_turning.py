"""Which measurement would turn the answer, in words."""

from dataclasses import replace

import pytest

from tdx_env.state.costs import Cost
from tdx_eval.comparing.summary import Turn, Weighed
from tdx_eval.reporting.html import report_page
from tdx_eval.reporting.probes import PROBES, measuring_line, where_measured
from tdx_eval.reporting.turning import best_cost, turning_text

from .conftest import difference

TURNS = Turn("track", "derived", 3_000, 6_000, -0.2, 0.1, 5_000)
MOVES = Turn("bare", "guessed", 1_000, 3_000, -0.4, -0.1, None)


def with_turns(summary, *turns, n_pairs=40):
    """Return the summary with a kick that beats RETRY everywhere and hangs on some costs."""
    weighed = [Weighed("always-kick", "always-retry", n_pairs, list(turns))]
    some = [
        replace(one, answers={"always-kick": difference(-0.3, -0.25, -0.2)}, weighed=weighed)
        for one in summary.scenarios
    ]
    return replace(summary, scenarios=some)


def test_first_screen_names_the_cost_and_the_value(compared):
    summary = with_turns(compared.summary, MOVES, TURNS)
    assert best_cost(summary) == "track"
    text = turning_text(summary)
    assert "Measure first <code>track</code> (derived, 3,000 to 6,000 cycles)" in text
    assert "above 5,000 cycles always-kick becomes dearer than always-retry in" in text


def test_cost_that_only_moves_turns_nothing(compared):
    text = turning_text(with_turns(compared.summary, MOVES))
    assert "No cost turns any of the 2 verdicts at any value in its range" in text
    assert "most moves <code>bare</code>" in text


def test_cost_that_ends_within_the_band_turns_nothing(compared):
    barely = replace(TURNS, at_high=0.01)
    assert "No cost turns any" in turning_text(with_turns(compared.summary, barely))


def test_few_seeds_say_that_it_cannot_be_said(compared):
    assert "can't be said" in turning_text(with_turns(compared.summary, TURNS, n_pairs=12))
    assert "can't be said" in turning_text(compared.summary)


def test_page_has_a_line_that_measures_it(compared):
    text = report_page(with_turns(compared.summary, TURNS))
    assert "kprobe:tdh_mem_track { @at[tid] = nsecs; }" in text.replace("&#39;", "'")
    assert "--costs my-costs.toml" in text


def test_probes_are_of_costs_that_exist():
    names = {cost.name.lower() for cost in Cost}
    assert PROBES.keys() <= names
    assert {less for probe in PROBES.values() for less in probe.less} <= names


@pytest.mark.parametrize("cost", PROBES)
def test_line_is_one_script_that_prints_the_cost(cost):
    line = measuring_line(cost)
    script = line.split("'")[1]
    assert script.count("{") == script.count("}")
    assert f'printf("{cost} = %d\\n"' in script
    assert line.endswith("> my-costs.toml")


def test_cost_inside_the_module_has_no_line():
    assert measuring_line("epoch_hold") == ""
    assert where_measured("epoch_hold").startswith("no probe sees it")
