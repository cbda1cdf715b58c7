"""What items and episodes take at most, and that limits leave room for it."""

import pytest

from tdx_env.scenarios import Scenario, load, names
from tdx_env.scenarios.lengths import (
    group_item_cycles,
    longest_item_cycles,
    task_item_cycles,
    uncontended_cycles,
)
from tdx_env.scenarios.tasks import Zap


def cost(scenario: Scenario, name: str) -> int:
    """Return a cost at its largest."""
    return scenario.costs[name].high


@pytest.mark.parametrize("name", names())
def test_the_cap_is_ten_times_the_uncontended_length(name):
    scenario = load(name)
    assert scenario.cycles(scenario.limits.time_cap_us) >= 10 * uncontended_cycles(scenario)


@pytest.mark.parametrize("name", names())
def test_the_longest_item_is_no_hang(name):
    scenario = load(name)
    assert scenario.cycles(scenario.limits.stall_us) >= 2 * longest_item_cycles(scenario)


def test_a_vcpu_is_created_by_seven_calls():
    scenario = load("s19-build")
    calls = cost(scenario, "vp_create") + 5 * cost(scenario, "vp_addcx") + cost(scenario, "vp_init")
    assert task_item_cycles(scenario, scenario.tasks["creator"]) == calls


def test_a_page_more_in_the_list_is_blocked_and_exported():
    one, two = (load("s15-export", {"tasks.exporter.chunk": chunk}) for chunk in (1, 2))
    more = task_item_cycles(two, two.tasks["exporter"]) - task_item_cycles(
        one, one.tasks["exporter"]
    )
    entry = cost(one, "export_blockw") + cost(one, "export_mem") + 2 * cost(one, "to_entry")
    assert more == entry


def test_deleting_a_memslot_takes_a_grace_period_more_than_a_zap():
    scenario = load("s12-slot-deletion")
    task = scenario.tasks["deleter"]
    zap = Zap.model_validate(task.model_dump() | {"kind": "zap"})
    longer = task_item_cycles(scenario, task) - task_item_cycles(scenario, zap)
    assert longer == cost(scenario, "srcu")


@pytest.mark.parametrize(("chunk", "n_mappings"), [(1, 1), (2, 2), (512, 2)])
def test_holes_split_every_mapping_that_they_can_lie_in(chunk, n_mappings):
    """A hole of two pages may lie across a boundary."""
    plain, split = (
        load("s13-balloon", {"tasks.balloon.chunk": chunk, "areas.ram.initial": initial})
        for initial in ("mapped_4k", "mapped_2m")
    )
    more = task_item_cycles(split, split.tasks["balloon"]) - task_item_cycles(
        plain, plain.tasks["balloon"]
    )
    assert more // n_mappings > cost(plain, "demote")
    assert more % n_mappings == 0


def test_a_4k_accept_of_a_pending_2m_page_splits_it():
    scenario = load("s14-split-accept")
    group = scenario.groups["acceptors"]
    large = group.model_copy(update={"level": 1})
    work = cost(scenario, "accept_2m") - cost(scenario, "accept_4k")
    split = group_item_cycles(scenario, group) - group_item_cycles(scenario, large) + work
    assert split > cost(scenario, "demote")


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [("host.n_sockets", 2, "kick_remote"), ("host.irq_off_share", 1, "irq_off")],
)
def test_a_kick_takes_longer_on_a_machine_that_is_not_ideal(key, value, name):
    ideal, real = (
        load("s22-clean", {"host.n_vcpus": 8}),
        load("s22-clean", {"host.n_vcpus": 8, key: value}),
    )
    longer = longest_item_cycles(real) - longest_item_cycles(ideal)
    kick = cost(real, name) * (8 if name == "kick_remote" else 1)
    assert longer == 2 * kick  # TRACK's and the flush


def test_a_zap_ends_with_one_flush_however_long():
    one, two = (load("s13-balloon", {"tasks.balloon.chunk": chunk}) for chunk in (1, 2))
    first = task_item_cycles(one, one.tasks["balloon"])
    page = task_item_cycles(two, two.tasks["balloon"]) - first
    flush = first - page
    kick = cost(one, "kick_fixed") + cost(one, "ipi_delivery") + cost(one, "td_exit")
    assert kick < flush < page


def test_threads_that_share_a_cpu_wait_for_each_others_slices():
    changed = {"host.n_vcpus": 8, "limits.time_cap_us": 5_000_000}
    each, shared = load("s22-clean", changed), load("s22-clean", changed | {"host.n_pcpus": 4})
    assert longest_item_cycles(shared) > longest_item_cycles(each)
    assert uncontended_cycles(shared) > uncontended_cycles(each)
