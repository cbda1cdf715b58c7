"""Digests of runs: equal for equal results, different for others."""

import pytest

import tdx_agents
from benchmarks.digests import differing, run_digest
from tdx_env.scenarios import load
from tdx_env.state.features import Feature

FEATURES = [feature.name for feature in Feature]


@pytest.mark.slow
def test_digest_of_a_run_is_the_same_again_and_another_under_another_policy():
    scenario = load("s09-accept-4k/test")
    retry, merged = tdx_agents.load("P8"), tdx_agents.load("P20")
    first = run_digest(scenario, retry, FEATURES)
    assert run_digest(scenario, retry, FEATURES) == first
    assert run_digest(scenario, merged, FEATURES)[0] != first[0]


def test_only_runs_of_both_files_are_compared():
    before = {"runs": {"a": ["1", 5], "b": ["2", 5], "gone": ["3", 1]}}
    after = {"runs": {"a": ["1", 6], "b": ["x", 5], "new": ["4", 1]}}
    assert differing(before, after) == ["b"]
