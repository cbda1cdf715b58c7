"""Flush rules beside each other in a scenario."""

import pytest

import tdx_agents
from tdx_env.errors import ScenarioError
from tdx_eval.flushing.measure import RULES, Rate, compared, table

SMALL = {
    "host.n_vcpus": 6,
    "tasks.balloon.items": 1,
    "tasks.balloon.chunk": 40,
    "groups.acceptors.items": 8,
    "groups.acceptors.think_cycles": 20_000,
}
CHOSEN = ("retry-batch-1", "retry-batch-512", "until-waits", "greedy")


@pytest.fixture(scope="module")
def found():
    """Return rate and lines of a small balloon."""
    return compared("s13-balloon/train", SMALL, CHOSEN, range(1, 4))


def test_price_and_rate_multiply_to_the_product():
    """2 waiters a ms, a flush of 500 µs of all CPUs: λK = 1."""
    rate = Rate(n_waiters=20, held=25_000_000, price=1_250_000.0, clock_khz=2_500_000)
    assert (rate.per_ms, rate.price_us, rate.product) == (2, 500, 1)


def test_somebody_waits_in_a_balloon_and_a_flush_costs(found):
    rate, _ = found
    assert rate.per_ms > 0
    assert rate.price_us > 5


def test_longer_batches_need_fewer_flushes_and_let_others_wait(found):
    by_rule = {line.rule: line for line in found[1]}
    page, chunk = by_rule["retry-batch-1"], by_rule["retry-batch-512"]
    assert (page.n_flushes, chunk.n_flushes) == (40, 1)
    assert page.n_ipis > chunk.n_ipis
    assert page.stopped_ms > chunk.stopped_ms
    assert page.waited_ms < chunk.waited_ms
    assert all(line.stopped_ms <= line.stolen_ms <= line.cost_ms for line in found[1])


def test_table_has_a_row_for_each_rule_and_the_best_is_one(found):
    rate, lines = found
    rows = [row for row in table("small", rate, lines).splitlines() if row.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[1:]] == [f"| {rule}" for rule in CHOSEN]
    assert any(" | 1.00 | " in row for row in rows)


def test_rules_are_known():
    assert set(RULES) <= set(tdx_agents.names())


def test_scenario_without_a_zap_is_refused():
    with pytest.raises(ScenarioError, match="s03-zero-step/train: nothing is zapped"):
        compared("s03-zero-step/train", {}, CHOSEN, range(1, 2))
