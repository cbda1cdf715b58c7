"""From a scenario to the record of integers that the kernel reads."""

import numpy as np
from numpy.typing import NDArray

from tdx_env.module.host_priority import timeout_cycles
from tdx_env.module.versions import MODULE_VERSIONS
from tdx_env.scenarios.checks import check
from tdx_env.scenarios.groups import (
    Accept,
    Convert,
    Group,
    Hammer,
    Running,
    Thinking,
    Touch,
    Working,
)
from tdx_env.scenarios.schema import Scenario
from tdx_env.scenarios.sizes import (
    Placement,
    area_regions,
    group_placement,
    page_shift,
    task_placement,
)
from tdx_env.scenarios.tables import NONE_DRAWN
from tdx_env.scenarios.tasks import (
    BlockRestore,
    Export,
    Finite,
    Following,
    HostTask,
    OtherTds,
    Placed,
    SlotDelete,
    Zap,
)
from tdx_env.scenarios.values import Choice, Range
from tdx_env.state.actors import Program, Task
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.kernels import kernel_number
from tdx_env.state.objectives import THREAD, weights_of
from tdx_env.state.setup import REST, SETUP, Initial, Pamt, Resched


def _put_range(row: np.void, field: str, value: Range) -> None:
    """Write a range to the two fields of a row that hold it."""
    row[f"{field}_low"] = value.low
    row[f"{field}_high"] = value.high


def _put_sizes(row: np.void, value: Range | Choice) -> None:
    """Write the sizes that the TD may have, and how often each is drawn."""
    row["n_vcpus_low"] = value.low
    row["n_vcpus_high"] = value.high
    if isinstance(value, Choice):
        row["n_vcpus_choices"][: len(value.choices)] = value.choices
        row["n_vcpus_weights"][: len(value.weights)] = value.weights


def _in_cycles(scenario: Scenario, value: Range) -> Range:
    """Return a range of microseconds as one of cycles."""
    return Range(low=scenario.cycles(value.low), high=scenario.cycles(value.high))


def _fill_group(row: np.void, scenario: Scenario, name: str, group: Group) -> None:
    """Write a guest group; what its program doesn't have is left at none."""
    row["program"] = Program[group.program.upper()]
    if isinstance(group.count, str):
        row["count_low"] = row["count_high"] = REST
    else:
        _put_range(row, "count", group.count)
    row["area"] = row["leaf"] = NONE
    row["chunk"] = 1
    if isinstance(group, Running):
        _put_range(row, "tick", _in_cycles(scenario, group.tick_us))
        _put_range(row, "host_tick", _in_cycles(scenario, group.host_tick_us))
        row["arm_cycles"] = group.arm_cycles
        _put_range(row, "device", _in_cycles(scenario, group.device_us))
        row["signal_every"] = group.signal_every
        row["is_hostile"] = group.hostile
    if isinstance(group, Thinking):
        _put_range(row, "think", group.think_cycles)
    if isinstance(group, Working):
        _fill_pages(row, scenario, group, group_placement(scenario, name))
    if isinstance(group, Touch):
        row["same_rip"] = group.same_rip
    if isinstance(group, Convert):
        row["is_shared_after"] = group.is_shared_after
        row["in_place"] = group.in_place
    if isinstance(group, Accept):
        row["falls_back"] = group.when_refused == "fall_back"
    if isinstance(group, Hammer):
        row["leaf"] = Leaf[group.leaf.upper()]


def _fill_pages(
    row: np.void, scenario: Scenario, table: Working | Placed, place: Placement
) -> None:
    """Write the items of a group or task, and where their pages are."""
    _put_range(row, "items", table.items)
    row["area"] = list(scenario.areas).index(table.area)
    row["stride"] = place.stride
    row["step"] = place.step
    row["level"] = table.page_level
    row["chunk"] = table.item_pages


def _fill_task(row: np.void, scenario: Scenario, name: str, task: HostTask) -> None:
    """Write a host task; what its kind doesn't have is left at none."""
    row["kind"] = Task[task.kind.upper()]
    _put_range(row, "count", task.count)
    if isinstance(task, Finite):
        _put_range(row, "items", task.items)
    _put_range(row, "think", task.think_cycles)
    row["area"] = row["trigger_group"] = NONE
    row["chunk"] = row["trigger_period"] = 1
    if isinstance(task, OtherTds):
        row["chunk"] = task.block_pages
    if isinstance(task, Placed):
        _fill_pages(row, scenario, task, task_placement(scenario, name))
    if isinstance(task, Following):
        row["trigger_period"] = task.trigger_period
        row["trigger_lead"] = task.trigger_lead
        if task.trigger_group is not None:
            row["trigger_group"] = list(scenario.groups).index(task.trigger_group)
    if isinstance(task, Zap):
        row["is_shared_after"] = task.is_shared_after
        row["in_place"] = task.in_place
    if isinstance(task, Zap | Export | SlotDelete):
        _put_range(row, "device", _in_cycles(scenario, task.device_us))
    if isinstance(task, BlockRestore):
        _put_range(row, "hold", _in_cycles(scenario, task.hold_us))


def _fill_areas(row: np.void, scenario: Scenario) -> None:
    """Write the areas, one after the other."""
    first_region = 0
    for place, (name, area) in enumerate(scenario.areas.items()):
        n_regions = area_regions(scenario, name)
        row["areas"][place] = (first_region, n_regions, Initial[area.initial.upper()])
        first_region += n_regions


def _fill_module(row: np.void, scenario: Scenario) -> None:
    """Write what module and guest do differently from scenario to scenario."""
    module = scenario.module
    row["sept_ve_disable"] = scenario.guest.sept_ve_disable
    row["zero_step_threshold"] = module.zero_step_threshold
    row["zero_step_capacity"] = module.zero_step_capacity
    row["hp_timeout"] = timeout_cycles(module.hp_timeout_us, scenario.clock_khz // 1000)
    row["module_versions"] = sum(1 << list(MODULE_VERSIONS).index(v) for v in module.version)
    row["guests_lock_free"] = module.guests_lock_free


def _fill_host(row: np.void, scenario: Scenario) -> None:
    """Write KVM's machine: CPUs, sockets, irq-off sections."""
    host = scenario.host
    row["kernel"] = kernel_number(host.kernel)
    row["stops_on_timeout"] = host.timeout_exit == "stop"
    row["dynamic_pamt"] = Pamt[host.dynamic_pamt.upper()]
    row["freezes"] = host.freezes_sptes
    row["break_on_contention"] = host.break_on_contention
    row["resched"] = Resched[host.resched.upper()]
    _put_range(row, "n_pcpus", NONE_DRAWN if isinstance(host.n_pcpus, str) else host.n_pcpus)
    row["n_sockets"] = host.n_sockets
    row["ipi_cluster"] = host.ipi_cluster
    row["irq_off_share"] = host.irq_off_share
    row["irq_off_window"] = scenario.cycles(host.irq_off_window_us)


def _fill_limits(row: np.void, scenario: Scenario) -> None:
    """Write the limits of an episode."""
    limits = scenario.limits
    row["stall_cycles"] = scenario.cycles(limits.stall_us)
    row["time_cap"] = scenario.cycles(limits.time_cap_us)
    row["preempt_limit"] = scenario.cycles(limits.preempt_limit_us)
    row["yield_weight"] = limits.yield_weight
    row["weights"] = weights_of(scenario.objective or THREAD)


def _fill_costs(row: np.void, scenario: Scenario) -> None:
    """Write the range of every cost, and the bands that are drawn from."""
    row["cost_bands"] = sum(1 << band for band in scenario.cost_bands)
    for cost in Cost:
        given = scenario.costs[cost.name.lower()]
        row["cost_low"][cost] = given.low
        row["cost_high"][cost] = given.high


def setup_of(scenario: Scenario) -> NDArray[np.void]:
    """Return the scenario as the kernel reads it: dtype SETUP, shape (1,).

    Raises:
        ScenarioError: Its fields don't fit together, as may be if it was not loaded but made or
            copied with changes.
    """
    check(scenario.name, scenario)
    return checked_setup_of(scenario)


def checked_setup_of(scenario: Scenario) -> NDArray[np.void]:
    """Return a scenario whose fields fit together as the kernel reads it, as `setup_of` does."""
    setup = np.zeros(1, SETUP)
    row = setup[0]
    _put_sizes(row, scenario.host.n_vcpus)
    row["n_groups"] = len(scenario.groups)
    row["n_tasks"] = len(scenario.tasks)
    row["n_areas"] = len(scenario.areas)
    row["page_shift"] = page_shift(scenario)
    row["clock_khz"] = scenario.clock_khz
    _fill_module(row, scenario)
    _fill_host(row, scenario)
    _fill_limits(row, scenario)
    _fill_costs(row, scenario)
    for place, (name, group) in enumerate(scenario.groups.items()):
        _fill_group(row["groups"][place], scenario, name, group)
    for place, (name, task) in enumerate(scenario.tasks.items()):
        _fill_task(row["tasks"][place], scenario, name, task)
    _fill_areas(row, scenario)
    return setup
