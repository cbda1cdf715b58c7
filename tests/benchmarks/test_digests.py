"""Digests of runs: equal for equal results, different for others."""

import pytest

import tdx_agents
from benchmarks.digests import Counted, differing, run_digest
from tdx_env.scenarios import load
from tdx_env.state.features import Feature

ALL = Counted([feature.name for feature in Feature], None)


@pytest.mark.slow
def test_digest_of_a_run_is_the_same_again_and_another_under_another_policy():
    scenario = load("s09-accept-4k/test")
    retry, merged = tdx_agents.load("P8"), tdx_agents.load("P20")
    first = run_digest(scenario, retry, ALL)
    assert run_digest(scenario, retry, ALL) == first
    assert run_digest(scenario, merged, ALL)[0] != first[0]


@pytest.mark.slow
def test_metrics_that_do_not_count_leave_the_digest_alone():
    """So that sources with more of them can be compared with older ones."""
    scenario, retry = load("s22-clean/test"), tdx_agents.load("P8")
    digest, _, metrics = run_digest(scenario, retry, ALL)
    fewer = Counted(ALL.features, sorted(metrics - {"n_pages"}))
    assert run_digest(scenario, retry, Counted(ALL.features, sorted(metrics)))[0] == digest
    assert run_digest(scenario, retry, fewer)[0] != digest


def test_only_runs_of_both_files_are_compared():
    before = {"runs": {"a": ["1", 5], "b": ["2", 5], "gone": ["3", 1]}}
    after = {"runs": {"a": ["1", 6], "b": ["x", 5], "new": ["4", 1]}}
    assert differing(before, after) == ["b"]
