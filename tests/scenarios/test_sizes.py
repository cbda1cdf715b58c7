"""Areas hold the largest draw, exactly."""

from hypothesis import given
from hypothesis import strategies as st

from tdx_env.scenarios import load
from tdx_env.scenarios.sizes import (
    PAGE_SHIFT_4K,
    area_users,
    group_placement,
    needed_regions,
    page_shift,
    task_placement,
)
from tdx_env.state.setup import PAGES_PER_2M

LAYOUTS = ["own", "regions", "shared", "interleaved"]


def units_of(stride: int, step: int, count: int, items: int, chunk: int) -> set[int]:
    """Return every unit that members work on, counted one by one."""
    return {
        member * stride + item * (step or count) + unit
        for member in range(count)
        for item in range(items)
        for unit in range(chunk)
    }


@given(layout=st.sampled_from(LAYOUTS), items=st.integers(1, 40), count=st.integers(1, 3))
def test_the_last_unit_of_a_group_is_the_last_that_it_works_on(layout, items, count):
    changed = {"layout": layout, "items": items, "count": count}
    scenario = load(
        "s22-clean", {f"groups.acceptor.{key}": value for key, value in changed.items()}
    )
    place = group_placement(scenario, "acceptor")
    assert place.n_units == max(units_of(place.stride, place.step, count, items, 1)) + 1


@given(chunk=st.integers(1, 8), items=st.integers(1, 20), count=st.integers(1, 3))
def test_the_last_unit_of_a_task_is_the_last_that_it_works_on(chunk, items, count):
    changed = {"chunk": chunk, "items": items, "count": count, "think_cycles": 0}
    scenario = load("s22-clean", {f"tasks.zapper.{key}": value for key, value in changed.items()})
    place = task_placement(scenario, "zapper")
    units = units_of(place.stride, place.step, count, items, chunk)
    assert place.n_units == len(units) == max(units) + 1


def test_a_lead_needs_room_behind_the_group():
    scenario = load("s03-zero-step", {"tasks.invalidator.items": 8})
    task = scenario.tasks["invalidator"]
    place = task_placement(scenario, "invalidator")
    assert place.n_units == place.stride + 7 * task.trigger_period + task.trigger_lead + 1


def test_creating_vcpus_needs_no_pages():
    scenario = load("s19-build")
    assert task_placement(scenario, "creator").n_units == 0
    assert {user.key for user in area_users(scenario)} == {"tasks.builder"}


def test_holes_of_a_sparse_task_are_in_a_2m_page_each():
    scenario = load("s14-split-punch-hole")
    task = scenario.tasks["puncher"]
    assert task.trigger_period * task_placement(scenario, "puncher").step == PAGES_PER_2M
    assert needed_regions(scenario, "ram") == task.items.high


def test_4k_work_on_2m_mappings_needs_entries_for_4k_pages():
    assert page_shift(load("s14-split-accept")) == PAGE_SHIFT_4K
    assert page_shift(load("s10-hostile-2m")) == 0
