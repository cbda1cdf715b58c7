"""Policies with one number of their discipline changed."""

import pytest

import tdx_agents
from tdx_env.errors import PolicyError
from tdx_env.state.calls import Leaf
from tdx_eval.comparing.yardsticks import load_policy


def test_number_is_changed_and_nothing_else():
    policy, plain = tdx_agents.load("P8@max_issues=4"), tdx_agents.load("P8")
    assert policy.name == f"{plain.name}@max_issues=4"
    assert {policy.discipline.limit(leaf) for leaf in (Leaf.MEM_TRACK, Leaf.MEM_PAGE_AUG)} == {4}
    rest = policy.discipline.with_(max_issues=plain.discipline.max_issues)
    assert rest == plain.discipline
    assert policy.decide is plain.decide


def test_it_goes_with_yardsticks_and_with_anothers_discipline():
    assert load_policy("always-retry@flush=16").discipline.flush == 16
    assert tdx_agents.load("retry@P18@decision_cycles=7").decision_cycles == 7


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("P8@on_frozen=1", "on_frozen is not a number, must be one of max_issues, flush"),
        ("P8@colour=1", "colour is no field of a discipline, must be one of"),
        ("P8@max_issues=many", "max_issues = 'many', must be a whole number"),
        ("P8@flush=600", "flush = 600: "),
        ("P8@max_issues=0", "max_issues = 0: "),
    ],
)
def test_what_is_no_number_or_out_of_bounds_is_refused_in_one_line(spec, said):
    with pytest.raises(PolicyError, match=said) as caught:
        tdx_agents.load(spec)
    assert "\n" not in str(caught.value)
