"""The record that the kernel reads says what the file says."""

import numpy as np
import pytest

from tdx_env.engine.batch import Batch
from tdx_env.errors import ScenarioError
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load, setup_of
from tdx_env.state.actors import Program, Task
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.setup import REST, SETUP, Initial


def test_the_record_has_one_row_of_the_dtype(write):
    setup = setup_of(load(write()))
    assert (setup.shape, setup.dtype) == ((1,), SETUP)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_vcpus_low", 4),
        ("n_vcpus_high", 6),
        ("n_groups", 2),
        ("n_tasks", 1),
        ("n_areas", 2),
        ("page_shift", 9),
        ("clock_khz", 2_000_000),
        ("sept_ve_disable", 1),
        ("zero_step_threshold", 6),
        ("zero_step_capacity", 32),
        ("hp_timeout", 2_000_000_000),
        ("break_on_contention", 1),
        ("resched", 0),
        ("freezes", 1),
        ("stops_on_timeout", 1),
        ("n_pcpus_low", 0),
        ("n_pcpus_high", 0),
        ("n_sockets", 1),
        ("ipi_cluster", 16),
        ("irq_off_share", 0),
        ("irq_off_window", 2_000_000),
        ("guests_lock_free", 1),
        ("stall_cycles", 40_000_000),
        ("time_cap", 1_000_000_000),
        ("preempt_limit", 2_000_000),
        ("yield_weight", 1),
        ("cost_bands", 0b1111111111),
    ],
)
def test_scalars_agree_with_the_file(field, value, write):
    assert setup_of(load(write()))[0][field] == value


def test_sizes_by_weight_are_written_with_their_ends(write):
    """In the order of the file, the rest of the places without weight."""
    sizes = {"choices": [4, 16, 248], "weights": [3, 0, 1]}
    row = setup_of(load(write(), {"host.n_vcpus": sizes}))[0]
    assert (row["n_vcpus_low"], row["n_vcpus_high"]) == (4, 248)
    assert row["n_vcpus_choices"][:3].tolist() == [4, 16, 248]
    assert row["n_vcpus_weights"].sum() == 4
    assert row["n_vcpus_weights"][:3].tolist() == [3, 0, 1]


@pytest.mark.parametrize(
    ("key", "given", "field"),
    [("host.freezes_sptes", False, "freezes"), ("host.timeout_exit", "enter", "stops_on_timeout")],
)
def test_what_the_host_leaves_out_is_0(key, given, field, write):
    assert setup_of(load(write(), {key: given}))[0][field] == 0


def test_a_guest_that_falls_back_needs_4k_entries_below_its_2m_pages(write):
    given = {"groups.acceptors.level": 1, "areas.fresh.initial": "pending_2m"}
    given |= {"tasks.zapper.level": 1, "areas.ram.initial": "mapped_2m"}
    given |= {"limits.stall_us": 100_000, "limits.time_cap_us": 50_000_000}
    assert setup_of(load(write(), given))[0]["page_shift"] == 0
    given["groups.acceptors.when_refused"] = "fall_back"
    row = setup_of(load(write(), given))[0]
    assert (row["page_shift"], row["groups"][0]["falls_back"]) == (9, 1)


def test_a_group_with_items_agrees_with_the_file(write):
    row = setup_of(load(write()))[0]["groups"][0]
    assert row["program"] == Program.ACCEPT
    assert (row["count_low"], row["count_high"]) == (1, 2)
    assert (row["items_low"], row["items_high"]) == (10, 300)
    assert (row["think_low"], row["think_high"]) == (5_000, 5_000)
    assert (row["tick_low"], row["tick_high"]) == (2_000_000, 2_000_000)
    assert (row["area"], row["stride"], row["step"]) == (1, 300, 1)
    assert row["leaf"] == NONE


def test_the_group_with_the_rest_has_the_sentinels(write):
    row = setup_of(load(write()))[0]["groups"][1]
    assert row["program"] == Program.COMPUTE
    assert (row["count_low"], row["count_high"], row["area"]) == (REST, REST, NONE)


def test_a_task_agrees_with_the_file(write):
    row = setup_of(load(write()))[0]["tasks"][0]
    assert (row["kind"], row["area"], row["trigger_group"]) == (Task.ZAP, 0, NONE)
    assert (row["items_low"], row["step"], row["chunk"], row["is_shared_after"]) == (5, 4, 4, 0)


def test_areas_lie_one_behind_the_other(write):
    areas = setup_of(load(write()))[0]["areas"]
    assert areas["first_region"].tolist()[:2] == [0, 1]
    assert areas["n_regions"].tolist()[:2] == [1, 2]
    assert areas["initial"].tolist()[:2] == [Initial.MAPPED_4K, Initial.FREE]


def test_costs_and_bands_agree_with_the_scenario(write):
    changed = {"costs.track": {"low": 5, "high": 7}, "cost_bands": [3, 6]}
    setup = setup_of(load(write(), changed))[0]
    assert (setup["cost_low"][Cost.TRACK], setup["cost_high"][Cost.TRACK]) == (5, 7)
    assert setup["cost_bands"] == 0b1001000


def test_old_name_of_a_module_version_warns_and_is_replaced(write):
    with pytest.warns(FutureWarning, match=r"'1\.5' is an old name, now '1\.5\.01'"):
        scenario = load(write(), {"module.version": "1.5"})
    assert scenario.module.version == ("1.5.01",)


@pytest.mark.parametrize(
    ("version", "places"),
    [("1.5.01", [0]), ("1.5.34", [3]), (["1.5.34", "1.5.06"], [1, 3])],
)
def test_versions_of_the_module_are_a_set_of_their_places(version, places, write):
    setup = setup_of(load(write(), {"module.version": version}))[0]
    assert setup["module_versions"] == sum(1 << place for place in places)


def test_2m_areas_alone_have_one_entry_a_region():
    setup = setup_of(load("s08-accept-2m"))[0]
    assert setup["page_shift"] == 0
    assert setup["areas"][0]["n_regions"] == 40


def test_a_hammer_has_its_tdcall():
    assert setup_of(load("s10-hostile"))[0]["groups"][0]["leaf"] == Leaf.ATTR_RD


def test_a_triggered_task_follows_its_group():
    setup = setup_of(load("s09-accept-4k"))[0]
    group, task = setup["groups"][0], setup["tasks"][0]
    assert (task["stride"], task["step"]) == (group["stride"], group["step"])
    assert (task["trigger_group"], task["trigger_period"]) == (0, 2)


def test_pages_of_an_interleaved_group_follow_each_other():
    group = setup_of(load("s01-boot-storm-region"))[0]["groups"][0]
    assert (group["stride"], group["step"]) == (1, 0)


def test_every_vcpu_of_a_spread_group_has_regions_of_its_own():
    setup = setup_of(load("s02-boot-storm-spread"))[0]
    assert setup["groups"][0]["stride"] == 512
    assert setup["areas"][0]["n_regions"] == 16


@pytest.mark.parametrize("field", ["hold_low", "hold_high"])
def test_block_and_restore_holds_in_cycles(field):
    scenario = load("s03-zero-step", {"tasks.invalidator.hold_us": 100})
    assert setup_of(scenario)[0]["tasks"][0][field] == 250_000


@pytest.mark.parametrize(
    ("key", "given", "field", "value"),
    [
        ("host.n_pcpus", {"low": 2, "high": 3}, "n_pcpus_high", 3),
        ("host.n_pcpus", 256, "n_pcpus_low", 256),
        ("host.n_pcpus", "each", "n_pcpus_high", 0),
        ("host.n_sockets", 4, "n_sockets", 4),
        ("host.ipi_cluster", 1, "ipi_cluster", 1),
        ("host.irq_off_share", 1_000, "irq_off_share", 1_000),
        ("host.irq_off_window_us", 250, "irq_off_window", 500_000),
    ],
)
def test_the_machine_agrees_with_what_is_given(key, given, field, value, write):
    assert setup_of(load(write(), {key: given}))[0][field] == value


def test_signals_of_a_group_agree_with_what_is_given(write):
    changed = {"groups.spinners.device_us": 20, "groups.spinners.signal_every": 7}
    groups = setup_of(load(write(), changed))[0]["groups"]
    assert groups["signal_every"].tolist() == [0, 7, 0, 0]


def test_interrupts_of_a_task_are_in_cycles(write):
    changed = {"tasks.zapper.device_us": {"low": 1, "high": 30}}
    row = setup_of(load(write(), changed))[0]["tasks"][0]
    assert (row["device_low"], row["device_high"]) == (2_000, 60_000)


def test_creating_vcpus_takes_no_pages():
    row = setup_of(load("s19-build"))[0]["tasks"][1]
    assert (row["kind"], row["area"], row["stride"], row["step"]) == (Task.INIT_VCPU, NONE, 0, 0)


@pytest.mark.parametrize(
    ("name", "place", "kind"),
    [
        ("s12-slot-deletion", 0, Task.SLOT_DELETE),
        ("s15-export", 0, Task.EXPORT),
        ("s20-prefault", 0, Task.PREFAULT),
    ],
)
def test_a_task_has_its_kind(name, place, kind):
    assert setup_of(load(name))[0]["tasks"][place]["kind"] == kind


def test_a_copy_that_does_not_fit_together_any_more_is_refused(write):
    scenario = load(write())
    groups = {name: group for name, group in scenario.groups.items() if name != "spinners"}
    changed = scenario.model_copy(update={"groups": groups})
    with pytest.raises(ScenarioError, match="tiny: host.n_vcpus = 4..6, must be"):
        setup_of(changed)


def test_sizes_are_drawn_as_often_as_their_weights_say(write):
    """None of weight 0; a size of weight 3 about three times as often as one of weight 1."""
    sizes = {"choices": [4, 6, 9], "weights": [3, 0, 1]}
    batch = Batch(setup_of(load(write(), {"host.n_vcpus": sizes})), DEFAULT.record(), 400)
    batch.reset(np.arange(400))
    drawn, counts = np.unique(batch.run["n_vcpus"], return_counts=True)
    assert drawn.tolist() == [4, 9]
    assert 260 < counts[0] < 340  # 300 expected, standard deviation 9
