"""The busy matrix and the regret: sums that hold exactly."""

from dataclasses import replace

import pytest

from tdx_eval.reporting.matrix import busy_matrix, matrix_title, regret_rows


def test_matrix_has_every_cycle_that_was_lost(compared):
    summary = compared.summary
    for name in summary.policies:
        matrix = busy_matrix(summary, name)
        wanted = sum(
            one.us(conflict.cycles_lost)
            for one in summary.contested
            for conflict in one.results[name].conflicts
        )
        assert (matrix.total if matrix else 0) == pytest.approx(wanted)
        if matrix:
            assert matrix_title(matrix).startswith(name)


def test_policy_that_meets_nobody_has_no_matrix(compared):
    summary = compared.summary
    some = [
        replace(one, results={k: replace(r, conflicts=[]) for k, r in one.results.items()})
        for one in summary.scenarios
    ]
    assert busy_matrix(replace(summary, scenarios=some), summary.best) is None


def test_regret_sums_exactly_in_every_scenario(compared):
    for one in compared.summary.scenarios:
        names = list(one.results)
        rows = regret_rows(one, names) or [("in all", [0.0] * len(names))]
        for place, name in enumerate(names):
            parts = [values[place] for _, values in rows[:-1]]
            assert rows[-1][1][place] == pytest.approx(sum(parts))
            cost = one.results[name].cost.value - one.results[one.hindsight].cost.value
            assert rows[-1][1][place] == pytest.approx(cost, abs=1e-6)


def test_cheapest_in_hindsight_has_no_regret(compared):
    one = compared.summary.contested[0]
    rows = regret_rows(one, [one.hindsight, "random"])
    assert all(values[0] == 0 for _, values in rows)
