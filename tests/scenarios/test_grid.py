"""Family W: a cell for each combination, marked, by name, and in no list."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import expand, load, names
from tdx_env.scenarios.grid import HOLDERS, HOLDS_US, KICKS, SIZES, cells
from tdx_env.scenarios.loader import marked
from tdx_env.scenarios.schema import CORE, MARKS


def test_grid_is_the_one_that_was_fixed():
    assert HOLDERS == ("guest", "host", "both")
    assert HOLDS_US == (200, 500, 1_000, 2_000, 4_000)
    assert list(KICKS) == ["today", "tenth"]
    assert SIZES == (1, 8, 64, 248)
    assert len(cells()) == 3 * 5 * 2 * 4


@pytest.mark.parametrize("name", cells())
def test_every_cell_loads_and_is_what_if(name):
    scenario = load(name)
    assert (scenario.name, scenario.family, scenario.marks) == (name, "W", ("what_if",))
    assert not scenario.is_core
    assert scenario.expectation is not None


def test_cells_are_in_no_list_but_their_own():
    assert expand("w-grid") == list(cells())
    assert not set(names()) & set(cells())
    for word in (CORE, *MARKS):
        assert not any(name.startswith("w-") for name in marked(word, "train"))


def test_cell_sets_hold_kick_and_size():
    cell, today = load("w-guest-500us-tenth-64"), load("w-guest-500us-today-64")
    assert (cell.host.n_vcpus.low, cell.host.n_vcpus.high) == (64, 64)
    assert cell.costs["accept_2m"].low == cell.costs["accept_2m"].high == 1_250_000
    assert cell.costs["kick_icr"].high == today.costs["kick_icr"].high // 10
    assert cell.costs["td_exit"] == today.costs["td_exit"]


def test_holder_host_has_no_guest_that_accepts_and_both_has_both():
    assert "acceptor" not in load("w-host-200us-today-8").groups
    both = load("w-both-200us-today-8")
    assert "acceptor" in both.groups
    assert both.costs["export_mem"].low == both.costs["accept_2m"].low == 500_000


@pytest.mark.parametrize("name", ["w-guest-300us-today-8", "w-guest", "w-guest-200us-today-8/test"])
def test_cell_that_is_not_in_the_grid_is_told_the_pattern(name):
    with pytest.raises(ScenarioError, match=r"what if: w-\(guest\|host\|both\)-\(200\|500\|"):
        load(name)
