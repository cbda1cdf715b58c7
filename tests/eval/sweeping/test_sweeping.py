"""Rows for the values of a number, and their chart."""

from dataclasses import replace

import pytest

from tdx_env.errors import PolicyError
from tdx_eval.comparing.plan import hand_written
from tdx_eval.comparing.summary import Summary
from tdx_eval.sweeping.chart import Point, swept
from tdx_eval.sweeping.page import sweep_section
from tdx_eval.sweeping.specs import with_sweeps


@pytest.fixture(scope="module")
def summary(compared) -> Summary:
    """A comparison in which two rows pass for values of a number."""
    given = compared.summary
    names = [name for name in given.policies if name not in given.contenders][:2]
    named = dict(zip(names, ("P1@max_issues=4", "P1@max_issues=1"), strict=True))
    policies = given.policies | {
        new: replace(given.policies[old], name=new) for old, new in named.items()
    }
    scenarios = [
        replace(one, results=one.results | {new: one.results[old] for old, new in named.items()})
        for one in given.scenarios
    ]
    return replace(given, policies=policies, scenarios=scenarios)


def test_each_value_is_a_row_of_each_policy():
    assert with_sweeps("P8, P20", ["max_issues=1,2"]) == (
        "P8,P20,P8@max_issues=1,P20@max_issues=1,P8@max_issues=2,P20@max_issues=2"
    )
    assert with_sweeps("all", []) == "all"
    assert "always-retry@flush=8" in with_sweeps("all", ["flush=8"]).split(",")


def test_rows_stand_behind_the_policies_of_the_catalogue():
    names = list(hand_written(with_sweeps("always-retry", ["max_issues=2,1"])))
    assert names[-2:] == ["always-retry@max_issues=2", "always-retry@max_issues=1"]


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("on_frozen=1,2", "--sweep on_frozen=1,2: on_frozen is not a number, must be one of"),
        ("max_issues=1,,2", "must be FIELD=VALUE,VALUE"),
        ("max_issues", "must be FIELD=VALUE,VALUE"),
    ],
)
def test_sweep_of_what_is_no_number_is_refused(sweep, said):
    with pytest.raises(PolicyError, match=said):
        with_sweeps("P8", [sweep])


def test_points_are_in_order_of_their_values(summary):
    points = swept(summary)["max_issues"]
    assert points == [Point("P1", 1, "P1@max_issues=1"), Point("P1", 4, "P1@max_issues=4")]


def test_section_has_cost_and_stretch_of_each_scenario(summary):
    text = str(sweep_section(summary))
    assert 'id="chart-sweep-max_issues"' in text
    for one in summary.scenarios:
        assert f"{one.short_name}: longest stretch [µs]" in text
        assert f"{one.short_name}: cost [µs]" in text
    assert "The max_issues that costs least and loses no TD" in text


def test_report_without_a_sweep_has_no_such_section(compared):
    assert str(sweep_section(compared.summary)) == ""
