"""Trees grown from advantages: they cost least, whatever they foretell."""

import numpy as np
import pytest

from tdx_agents.tree import Split, answers_of
from tdx_agents.tree_inputs import BY_NAME, INPUTS
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tdx_eval.distilling.choosing import best_of_size, candidates_of
from tdx_eval.distilling.growing import Lessons, grown_tree, lessons_of
from tdx_eval.room.advantage_table import AdvantageTable
from tdx_eval.searching.breeding import n_lines_of
from tdx_eval.searching.contest import Entry
from tests.agents.conftest import features_of

ISSUES = BY_NAME["issues"]


def lessons(values, costs):
    """Return lessons that differ in the number of issues alone."""
    table = np.zeros((len(values), len(INPUTS)), np.int64)
    table[:, ISSUES] = values
    return Lessons(table, np.array(costs, float))


def test_one_dear_decision_outweighs_many_cheap_ones():
    """An accurate tree would answer RETRY everywhere."""
    costs = [[0, 1, 9]] * 9 + [[100, 0, 200]]
    root = grown_tree(lessons([1] * 9 + [50], costs), 2, 0.01)
    assert root == Split("issues", root.above, Action.KICK, Action.RETRY)
    assert 1 <= root.above < 50


def test_leaf_needs_its_share_of_the_decisions():
    costs = [[0, 1, 9]] * 9 + [[100, 0, 200]]
    assert grown_tree(lessons([1] * 9 + [50], costs), 2, 0.2) == Action.KICK


def test_tree_has_at_most_so_many_leaves():
    generator = np.random.default_rng(0)
    some = lessons(generator.integers(0, 100, 300), generator.random((300, 3)))
    for n_leaves in (1, 2, 5):
        assert n_lines_of(grown_tree(some, n_leaves, 0.01)) <= 2 * n_leaves - 1


@pytest.fixture
def table():
    """Return advantages of four decisions in two scenarios, one of them a hundred times dearer."""
    features = np.array(
        [features_of(Leaf.MEM_RANGE_BLOCK, ISSUES=issues) for issues in (1, 9, 1, 9)]
    )
    cost = np.array([[10, 20, np.nan], [20, 10, np.nan]] * 2)[..., None]
    cost[2:] *= 100
    return AdvantageTable(
        observations=np.zeros((4, 1), np.float32),
        features=features,
        path=features[:, 0],
        mask=~np.isnan(cost[..., 0]),
        cost=cost,
        error=np.zeros_like(cost),
        base_action=np.zeros(4, np.int64),
        scenario=np.array([0, 0, 1, 1]),
        seed=np.zeros(4, np.int64),
        number=np.arange(4),
        split=np.array(["train"] * 4),
        scenarios=("a", "b"),
        objectives=("cpu",),
        base="greedy-tree",
        n_futures=4,
    )


def test_scenarios_weigh_alike_and_masked_answers_cost_what_retry_costs(table):
    found = lessons_of(table, "cpu")
    assert np.allclose(found.costs[:2], found.costs[2:])
    assert np.allclose(found.costs[:, Action.YIELD], found.costs[:, Action.RETRY])
    assert found.costs.min() == 0


def test_grown_tree_answers_its_own_table_best(table):
    root = grown_tree(lessons_of(table, "cpu"), 2, 0.01)
    assert answers_of(root, table.features).tolist() == [0, 1, 0, 1]
    assert root in candidates_of(lessons_of(table, "cpu")).values()


def test_best_of_a_size_is_the_first_that_is_small_enough():
    small, large = Action.RETRY, Split("issues", 3, Action.KICK, Action.RETRY)
    entries = [Entry("large", large, 0.9, 1.0, 0), Entry("small", small, 1.0, 1.0, 0)]
    assert best_of_size(entries, 1).name == "small"
    assert best_of_size(entries, 3).name == "large"
    assert best_of_size(entries[:1], 1) is None
