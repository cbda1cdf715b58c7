"""Searches: what they spend, and that they find a rule that is there to be found."""

import numpy as np
import pytest

from tdx_agents.tree import Split
from tdx_agents.tree_inputs import BY_NAME, FLUSH_ONLY
from tdx_env.state.discipline import Action
from tdx_env.state.objectives import N_WEIGHED
from tdx_eval.searching.arena import TreeCost
from tdx_eval.searching.breeding import n_lines_of
from tdx_eval.searching.methods import METHODS, Purse

WEIGHTS = np.eye(N_WEIGHED)[0]
EACH = 100  # decisions of a play
PLAYS = 300


class Worth:
    """Stands for an arena: a tree is the better the more batch inputs it kicks for."""

    def play(self, root, block=0):
        n_good = 0
        node = root
        while isinstance(node, Split):
            n_good += node.input in FLUSH_ONLY and node.then == Action.KICK
            node = node.otherwise
        return TreeCost(np.full((1, N_WEIGHED, 1), 1.0 / (1 + n_good)), EACH, np.zeros(1, int))

    def ratios(self, played, weights, block=0):
        return played.costs(weights)


@pytest.mark.parametrize("name", METHODS)
def test_search_spends_its_budget_and_finds_better_than_one_test(name):
    found = METHODS[name](Purse(Worth(), WEIGHTS, EACH * PLAYS), seed=1)
    assert EACH * PLAYS <= found.n_decisions <= EACH * (PLAYS + 50)
    assert found.n_trees * EACH == found.n_decisions
    assert found.score < 1 / 2
    assert n_lines_of(found.finalists[0]) <= 12


@pytest.mark.parametrize("name", METHODS)
def test_search_is_the_same_for_one_seed(name):
    runs = [METHODS[name](Purse(Worth(), WEIGHTS, EACH * 40), seed=2) for _ in range(2)]
    assert runs[0] == runs[1]
    assert all(one in BY_NAME for one in FLUSH_ONLY)
