"""Which costs a difference hangs on."""

import numpy as np
import pytest

from tdx_env.scenarios import load
from tdx_env.state.costs import N_COSTS, Cost
from tdx_eval.comparing.turning import FEWEST_PAIRS, weighed

SCENARIO = load("s09-accept-4k/test")
N = 200
NAMES = ("ours", "theirs")


@pytest.fixture(scope="module")
def drawn():
    """Costs drawn evenly from their ranges, shape (N, N_COSTS)."""
    rng = np.random.default_rng(7)
    ranges = [SCENARIO.costs[cost.name.lower()] for cost in Cost]
    return np.array([rng.integers(one.low, one.high + 1, N) for one in ranges], float).T


def played(drawn, per_cycle, at, noise=1e4):
    """Return costs whose difference grows with `kick_target` and is nothing at some value."""
    theirs = np.full(N, 1e6)
    error = np.random.default_rng(8).normal(0, noise, N)
    return theirs + per_cycle * (drawn[:, Cost.KICK_TARGET] - at) + error, theirs


@pytest.mark.parametrize("at", [350, 500, 650])
def test_cost_that_turns_a_difference_is_found_with_its_value(drawn, at):
    found = weighed(SCENARIO, drawn, played(drawn, 500, at), NAMES, np.ones(N, bool))
    (turn,) = found.turns
    assert turn.cost == "kick_target"
    assert turn.turns_at == pytest.approx(at, rel=0.02)
    assert turn.at_low == pytest.approx(500 * (turn.low - at) / 1e6, abs=0.01)


def test_cost_that_turns_nothing_in_its_range_says_so(drawn):
    found = weighed(SCENARIO, drawn, played(drawn, 500, -2_000), NAMES, np.ones(N, bool))
    assert [one.turns_at for one in found.turns] == [None]


def test_chance_moves_no_difference(drawn):
    ours, theirs = played(drawn, 0, 0)
    n_found = [
        len(weighed(SCENARIO, drawn, (np.roll(ours, k), theirs), NAMES, np.ones(N, bool)).turns)
        for k in range(40)
    ]
    assert sum(n > 0 for n in n_found) <= 6  # 5 % of 40, and chance


def test_lost_tds_are_left_out(drawn):
    ours, theirs = played(drawn, 500, 500)
    is_paired = np.arange(N) % 2 == 0
    with_lost = np.where(is_paired, ours, 1e12)
    one = weighed(SCENARIO, drawn, (with_lost, theirs), NAMES, is_paired)
    other = weighed(
        SCENARIO,
        drawn[is_paired],
        (ours[is_paired], theirs[is_paired]),
        NAMES,
        is_paired[is_paired],
    )
    assert one == other


def test_few_seeds_and_fixed_costs_move_nothing(drawn):
    few = np.arange(N) < FEWEST_PAIRS - 1
    assert weighed(SCENARIO, drawn, played(drawn, 500, 500), NAMES, few).turns == []
    fixed = np.ones((N, N_COSTS))
    assert weighed(SCENARIO, fixed, played(drawn, 500, 500), NAMES, few | True).turns == []
