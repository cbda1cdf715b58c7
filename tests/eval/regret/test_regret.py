"""Regrets over the grid: from costs, and in words."""

import numpy as np
import pytest

from tdx_agents.protocol import Kind, Policy
from tdx_env.host.discipline import BOUNDED
from tdx_env.state.discipline import Action
from tdx_env.state.features import N_FEATURES, Feature
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.ranks.playing import is_bounded
from tdx_eval.regret.fixed import Rule, after_tries, fixed_rows, looking_rows
from tdx_eval.regret.page import RegretStudy, answer, read_regret, regret_json, regret_page
from tdx_eval.regret.playing import PlayedCell, play_grid
from tdx_eval.regret.regrets import reckon_regrets


def named(name: str, is_fixed: bool = True) -> Rule:
    """Return a rule of which nothing but the name is looked at."""
    policy = Policy(
        name, "", name, "test", Kind.COMPILED, BOUNDED, decide=lambda features: Action.RETRY
    )
    return Rule(policy, is_fixed)


RULES = [named("one"), named("two")]
LOST = np.nan


def cell(name: str, one: list[float], two: list[float]) -> PlayedCell:
    """Return a cell in which the same seeds choose and measure."""
    costs = np.array([one, two], float)
    return PlayedCell(name, costs, costs)


def test_regret_is_over_the_best_rule_of_each_cell():
    played = [cell("w-a", [100, 100], [150, 150]), cell("w-b", [300, 300], [200, 200])]
    bests, found = reckon_regrets(played, RULES)
    assert [one.best for one in bests] == ["one", "two"]
    assert [(one.worst, one.worst_cell) for one in found] == [(50, "w-b"), (50, "w-a")]
    assert [(one.low, one.high) for one in found] == [(50, 50), (50, 50)]  # no spread by seed
    assert [one.n_best for one in found] == [1, 1]


def test_rule_that_loses_the_td_is_no_best_and_its_losses_are_counted():
    played = [cell("w-a", [10, LOST], [200, 200])]
    bests, found = reckon_regrets(played, RULES)
    assert bests[0].best == "two"
    assert (found[0].n_lost, found[0].lost_cells) == (1, 1)


def test_cell_that_costs_next_to_nothing_is_left_out():
    played = [cell("w-a", [1, 1], [9, 9]), cell("w-b", [100, 100], [110, 110])]
    bests, found = reckon_regrets(played, RULES)
    assert [one.is_counted for one in bests] == [False, True]
    assert found[1].worst == 10


def test_interval_holds_the_spread_over_seeds():
    played = [cell("w-a", [100, 100, 100], [100, 110, 180])]
    _, found = reckon_regrets(played, RULES)
    assert found[1].low < found[1].worst == 30 < found[1].high


def test_tries_come_before_the_answer_and_a_mask_is_obeyed():
    rule = after_tries(8, Action.KICK)
    features = np.zeros(N_FEATURES, np.int64)
    features[Feature.MASK] = 0b011
    given = []
    for issues in (1, 7, 8, 9):
        features[Feature.ISSUES] = issues
        given.append(rule(features))
    assert given == [Action.RETRY, Action.RETRY, Action.KICK, Action.KICK]
    features[Feature.MASK] = 0b001
    assert rule(features) == Action.RETRY


def test_rules_are_bounded_and_differ_in_name():
    rows = [*fixed_rows(), *looking_rows()]
    assert len({row.name for row in rows}) == len(rows)
    assert all(is_bounded(row.discipline) for row in rows)


def test_grid_is_played_with_the_same_seeds_for_each_rule():
    some = [Rule(load_policy(name), True) for name in ("always-retry", "always-kick")]
    (found,) = play_grid(["w-guest-200us-today-1"], some, "cpu", 3, 2)
    assert (found.costs_us.shape, found.chosen_us.shape) == ((2, 3), (2, 2))
    assert (found.costs_us > 0).all()


def study(worst: float) -> RegretStudy:
    """Return a study in which the second rule is so far off at worst."""
    played = [
        cell("w-both-a", [100, 100], [100 + worst] * 2),
        cell("w-both-b", [400, 400], [50, 50]),
    ]
    return RegretStudy("tdx-eval regret", "cpu", 2, 2, *reckon_regrets(played, RULES))


@pytest.mark.parametrize(
    ("worst", "said"),
    [(20, "stay below 30 % everywhere and lose no TD: `two` (20 %)"), (90, "is off by 90 %")],
)
def test_page_names_the_fixed_rule_that_is_never_far_off_or_the_nearest(worst, said):
    assert said in answer(study(worst))
    assert said in regret_page(study(worst))


def test_study_is_read_back(tmp_path):
    path = tmp_path / "what-if.json"
    path.write_text(regret_json(study(20)))
    assert read_regret(path) == study(20)
