"""From a scenario to the record of integers that the kernel reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tdx_env.module.host_priority import timeout_cycles
from tdx_env.module.seamcalls import MODULE_VERSIONS
from tdx_env.scenarios.sizes import area_regions, group_placement, page_shift, task_placement
from tdx_env.scenarios.values import Range
from tdx_env.state.actors import Program, Task
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.setup import REST, SETUP, Initial

if TYPE_CHECKING:
    from tdx_env.scenarios.schema import Group, Scenario
    from tdx_env.scenarios.schema import Task as TaskTable

_NO_RANGE = Range(low=0, high=0)


def _put_range(row: np.void, field: str, value: Range | None) -> None:
    """Write a range to the two fields of a row that hold it."""
    ends = value or _NO_RANGE
    row[f"{field}_low"] = ends.low
    row[f"{field}_high"] = ends.high


def _in_cycles(scenario: Scenario, value: Range | None) -> Range | None:
    """Return a range of microseconds as one of cycles."""
    if value is None:
        return None
    return Range(low=scenario.cycles(value.low), high=scenario.cycles(value.high))


def _index(names: dict, name: str | None) -> int:
    """Return the place of a name in a table, or NONE."""
    return NONE if name is None else list(names).index(name)


def _fill_group(row: np.void, scenario: Scenario, name: str, group: Group) -> None:
    """Write a guest group."""
    place = group_placement(scenario, name)
    row["program"] = Program[group.program.upper()]
    if isinstance(group.count, str):
        row["count_low"] = row["count_high"] = REST
    else:
        _put_range(row, "count", group.count)
    _put_range(row, "items", group.items)
    _put_range(row, "think", group.think_cycles)
    _put_range(row, "tick", _in_cycles(scenario, group.tick_us))
    _put_range(row, "device", _in_cycles(scenario, group.device_us))
    row["area"] = _index(scenario.areas, group.area)
    row["stride"] = place.stride
    row["step"] = place.step
    row["level"] = group.level
    row["chunk"] = group.chunk
    row["same_rip"] = group.same_rip
    row["leaf"] = NONE if group.leaf is None else Leaf[group.leaf.upper()]
    row["is_shared_after"] = group.program == "convert" and group.is_shared_after
    row["signal_every"] = group.signal_every


def _fill_task(row: np.void, scenario: Scenario, name: str, task: TaskTable) -> None:
    """Write a host task."""
    place = task_placement(scenario, name)
    row["kind"] = Task[task.kind.upper()]
    _put_range(row, "count", task.count)
    _put_range(row, "items", task.items)
    _put_range(row, "think", task.think_cycles)
    _put_range(row, "hold", _in_cycles(scenario, task.hold_us))
    row["area"] = _index(scenario.areas, task.area)
    row["stride"] = place.stride
    row["step"] = place.step
    row["level"] = task.level
    row["chunk"] = task.chunk
    row["trigger_group"] = _index(scenario.groups, task.trigger_group)
    row["trigger_period"] = task.trigger_period
    row["trigger_lead"] = task.trigger_lead
    row["is_shared_after"] = task.is_shared_after
    _put_range(row, "device", _in_cycles(scenario, task.device_us))


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
    version = MODULE_VERSIONS[module.version]
    row["sept_ve_disable"] = scenario.guest.sept_ve_disable
    row["zero_step_threshold"] = module.zero_step_threshold
    row["zero_step_capacity"] = module.zero_step_capacity
    row["hp_timeout"] = timeout_cycles(module.hp_timeout_us, scenario.clock_khz // 1000)
    row["module_version"] = list(MODULE_VERSIONS).index(module.version)
    row["guests_lock_free"] = module.guests_lock_free and version.guests_lock_free_entries


def _fill_host(row: np.void, scenario: Scenario) -> None:
    """Write KVM's machine: CPUs, sockets, irq-off sections."""
    host = scenario.host
    row["break_on_contention"] = host.break_on_contention
    _put_range(row, "n_pcpus", None if isinstance(host.n_pcpus, str) else host.n_pcpus)
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
    row["reward_scale"] = limits.reward_scale


def _fill_costs(row: np.void, scenario: Scenario) -> None:
    """Write the range of every cost, and the bands that are drawn from."""
    row["cost_bands"] = sum(1 << band for band in scenario.cost_bands)
    for cost in Cost:
        given = scenario.costs[cost.name.lower()]
        row["cost_low"][cost] = given.low
        row["cost_high"][cost] = given.high


def setup_record(scenario: Scenario) -> NDArray[np.void]:
    """Return the scenario as the kernel reads it: dtype SETUP, shape (1,)."""
    setup = np.zeros(1, SETUP)
    row = setup[0]
    _put_range(row, "n_vcpus", scenario.host.n_vcpus)
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
