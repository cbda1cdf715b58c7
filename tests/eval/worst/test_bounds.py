"""Bounds of trees: what one call and one operation can come to at most."""

import pytest

from tdx_agents.tree import Split, Tree, tree_of
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import BOUNDED, DEFAULT
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tdx_eval.worst.bounds import (
    bound_of,
    call_bound,
    fewest_blocked,
    most_kicks,
    on_path,
    specialised,
)

RETRY, KICK = Action.RETRY, Action.KICK
BLOCK = Leaf.MEM_RANGE_BLOCK
GREEDY = Split("wait_beyond_price", 0, KICK, RETRY)


def simulated_kicks(answer, limit):
    """Return the kicks of a call that stays busy, if each decision is to kick when it may."""
    kicks = 0
    for issues in range(1, 2 * limit):
        kicks += issues == limit or answer(issues, kicks)
    return kicks


@pytest.mark.parametrize(
    ("root", "answer"),
    [
        (RETRY, lambda issues, kicks: False),
        (KICK, lambda issues, kicks: True),
        (Split("kicks", 2, RETRY, KICK), lambda issues, kicks: kicks <= 2),
        (Split("issues", 5, KICK, RETRY), lambda issues, kicks: issues > 5),
        (Split("busy_cycles", 10**6, KICK, RETRY), lambda issues, kicks: True),
        (GREEDY, lambda issues, kicks: False),
        (
            Split("issues", 3, Split("kicks", 0, RETRY, KICK), RETRY),
            lambda issues, kicks: issues > 3 and kicks == 0,
        ),
    ],
)
def test_kicks_of_a_call_are_those_of_the_worst_guest(root, answer):
    assert most_kicks(root, 20, is_twice=True) == simulated_kicks(answer, 20)


def test_call_ends_after_twice_the_limit():
    assert call_bound(GREEDY, BOUNDED, BLOCK).issues == 2048
    assert call_bound(GREEDY, BOUNDED.with_(on_exhaustion="kill"), BLOCK).issues == 1024


def test_endless_discipline_has_no_bound():
    with pytest.raises(PolicyError, match=r"MEM_RANGE_BLOCK has no bound.*gated_kick;"):
        call_bound(RETRY, DEFAULT, BLOCK)


@pytest.mark.parametrize(
    ("root", "pages"),
    [
        (RETRY, 512),
        (GREEDY, 1),
        (Split("blocked", 15, KICK, RETRY), 16),
        (Split("blocked", 7, GREEDY, RETRY), 8),
        (Split("is_zap", 0, KICK, RETRY), 512),
    ],
)
def test_fewest_blocked_pages_of_a_batch(root, pages):
    assert fewest_blocked(root) == pages


def test_operation_sums_its_calls():
    tree = tree_of("greedy-tree")
    found = bound_of(tree, n_pages=16, n_vcpus=8)
    assert found.seamcalls == 4 * 16 * 2048  # a flush for each page: BLOCK, REMOVE, WBINVD, TRACK
    assert found.stops == 4 * 16 + 2 * 16 + 1
    assert found.ipis == 8 * found.stops


def test_larger_batches_need_fewer_stops():
    discipline = tree_of("greedy-tree").discipline
    tree = Tree("t", "t", "t", discipline, Split("blocked", 15, KICK, RETRY))
    assert bound_of(tree, n_pages=64).flushes == 4


def test_pruned_tree_has_no_test_whose_outcome_is_known():
    root = Split("is_flush", 0, GREEDY, Split("issues", 3, KICK, RETRY))
    assert specialised(root, on_path("is_flush")) == GREEDY
    assert specialised(root, on_path("is_zap")) == Split("issues", 3, KICK, RETRY)
    assert specialised(GREEDY, on_path("is_zap")) == RETRY
