"""Making and changing trees: they stay within the template, and can be written."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tdx_agents.tree import Split, Tree, nodes_of, read_tree, tree_text
from tdx_env.state.discipline import Action
from tdx_eval.searching.arena import DECIDED
from tdx_eval.searching.breeding import (
    MOST_LINES,
    crossed,
    drawn_tree,
    mutated,
    n_lines_of,
    simplified,
    with_node,
)

SEEDS = st.integers(0, 1 << 32)


@given(seed=SEEDS)
def test_drawn_and_changed_trees_fit_the_template(seed):
    generator = np.random.default_rng(seed)
    root, other = drawn_tree(generator), drawn_tree(generator)
    for tree in (root, mutated(root, generator), crossed(root, other, generator)):
        assert n_lines_of(tree) <= MOST_LINES


@given(seed=SEEDS)
def test_drawn_tree_is_one_that_a_file_may_have(seed, tmp_path_factory):
    generator = np.random.default_rng(seed)
    root = drawn_tree(generator)
    for _ in range(5):
        root = mutated(root, generator)
    path = tmp_path_factory.getbasetemp() / "drawn.json"
    path.write_text(tree_text(Tree("t", "t", "t", DECIDED, root)))
    assert read_tree(path).root == root
    assert json.loads(path.read_text())["name"] == "t"


@given(seed=SEEDS)
def test_each_place_can_be_replaced(seed):
    root = drawn_tree(np.random.default_rng(seed))
    nodes = list(nodes_of(root))
    for place, node in enumerate(nodes):
        assert with_node(root, place, node) == root
        changed = with_node(root, place, Action.YIELD)
        assert list(nodes_of(changed))[place] == Action.YIELD
        assert n_lines_of(changed) == len(nodes) - n_lines_of(node) + 1


def test_test_that_changes_nothing_is_taken_out():
    inner = Split("issues", 1, Action.KICK, Action.KICK)
    assert simplified(Split("kicks", 0, inner, Action.RETRY)) == Split(
        "kicks", 0, Action.KICK, Action.RETRY
    )
