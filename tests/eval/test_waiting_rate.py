"""The estimate of how often somebody waits against what a stop costs."""

import pytest

from tdx_env.scenarios import load
from tdx_eval.waiting_rate import estimated, rates_table

# Expected of each, in all three splits.
LAMBDA_K = {
    "s27-balloon-quiet": 0.1,
    "s27-balloon-faults": 1,
    "s27-conversion-faults": 10,
    "s27-deletion-faults": 30,
    "s27-balloon-storm": 100,
}


@pytest.mark.parametrize("slug", LAMBDA_K)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_scenario_has_the_rate_that_it_says(slug, split):
    scenario = load(f"{slug}/{split}")
    assert estimated(scenario).lambda_k == pytest.approx(LAMBDA_K[slug], rel=0.15)
    assert f"λK of {LAMBDA_K[slug]}" in scenario.description.partition(":")[0]


def test_stop_grows_with_the_vcpus_and_the_rate_with_those_that_fault():
    one = estimated(load("s13-balloon/train", {"host.n_vcpus": 20}))
    more = estimated(load("s13-balloon/train", {"host.n_vcpus": 40, "groups.acceptors.count": 4}))
    assert more.stop == pytest.approx(2 * one.stop)
    assert more.rate == pytest.approx(2 * one.rate)


def test_sizes_by_weight_count_with_their_mean():
    sizes = {"choices": [4, 8], "weights": [3, 1]}
    assert estimated(load("s13-balloon-calm", {"host.n_vcpus": sizes})).n_vcpus == 5


def test_table_begins_with_the_rarest_waiters():
    lines = rates_table(["s27-balloon-storm/train", "s27-balloon-quiet/train"]).splitlines()
    assert [line.split("/")[0] for line in lines[1:]] == ["s27-balloon-quiet", "s27-balloon-storm"]
