"""The worst guest: legal guests, and what is found beside what is derived."""

from types import SimpleNamespace

import numpy as np
import pytest

from tdx_agents.tree import tree_of
from tdx_eval.worst.hostile import (
    MEASURES,
    HostileGuest,
    attacked,
    changed_guest,
    drawn_guest,
)
from tdx_eval.worst.hunting import worst_guests
from tdx_eval.worst.showing import attacks_table


@pytest.fixture(scope="module")
def attack():
    """Return the removal of two pages from one guest."""
    tree = tree_of("greedy-tree")
    return attacked(tree, tree.policy(), HostileGuest(), n_pages=2, n_seeds=2)


@pytest.mark.parametrize("seed", range(4))
def test_every_guest_that_is_drawn_is_legal(seed):
    generator = np.random.default_rng(seed)
    guest = changed_guest(drawn_guest(generator), generator)
    assert guest.scenario(4).host.n_vcpus.low == guest.n_vcpus


def test_removal_takes_its_calls_and_is_within_the_bound(attack):
    assert attack.seamcalls >= 3 * 2 + 1  # BLOCK, REMOVE, WBINVD of each page, one TRACK
    assert attack.stops >= 1
    assert attack.n_lost == 0
    assert attack.beyond() == []


def test_what_is_beyond_the_bound_is_named(attack):
    other = SimpleNamespace(**dict.fromkeys(MEASURES, 10**18), bound=attack.bound)
    assert type(attack).beyond(other) == list(MEASURES)


def test_table_shows_found_and_derived(attack):
    table = attacks_table(dict.fromkeys(MEASURES, attack))
    assert f"| IPIs | {attack.ipis:,} | {attack.bound.ipis:,} |" in table


def test_search_finds_guests_with_more_of_what_costs():
    def attack(guest):
        return SimpleNamespace(guest=guest, **{name: sum(guest.counts) for name in MEASURES})

    few = worst_guests(attack, 0, seed=1)["ipis"].ipis
    assert worst_guests(attack, 8, seed=1)["ipis"].ipis > few
