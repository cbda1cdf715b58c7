"""What must fit together across the fields of a scenario; memory areas have a module of their own.

A file's mistakes inside one table are found by the models of `tdx_env.scenarios.schema`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tdx_env.scenarios.area_checks import (
    check_areas,
    check_building,
    check_exports,
    check_layouts,
    check_memory,
    check_splits,
)
from tdx_env.scenarios.kinds import keys_of, needs_of
from tdx_env.scenarios.lengths import longest_item_cycles, uncontended_cycles
from tdx_env.scenarios.sizes import is_on_trigger_pages, users_of_areas, vcpu_count
from tdx_env.scenarios.values import known, missing, mistake
from tdx_env.state.costs import Cost
from tdx_env.state.setup import MAX_AREAS, MAX_GROUPS, MAX_TASKS

if TYPE_CHECKING:
    from tdx_env.scenarios.schema import Group, Scenario, Task

COST_NAMES = tuple(cost.name.lower() for cost in Cost)
_CAP_FACTOR = 10  # the time cap is at least so many uncontended lengths


def _check_names(scenario: Scenario) -> None:
    """Check how many areas, groups and tasks there are, and what they are called."""
    limits = {"areas": MAX_AREAS, "groups": MAX_GROUPS, "tasks": MAX_TASKS}
    for table, most in limits.items():
        names = getattr(scenario, table)
        if len(names) > most:
            raise mistake(table, list(names), f"must be at most {most}")
        for name in names:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise mistake(table, name, "must be lower-case letters, digits and underscores")
    if not scenario.groups:
        raise missing("groups", "must hold at least one group of vCPUs")


def _check_costs(scenario: Scenario) -> None:
    """Check that every cost is there and no other."""
    for name in COST_NAMES:
        if name not in scenario.costs:
            raise missing(f"costs.{name}", "must be a table with low, high, source and by")
    for name, given in scenario.costs.items():
        if name not in COST_NAMES:
            key = f"costs.{name}"
            raise mistake(key, given.low, f"unknown key, must be one of: {', '.join(COST_NAMES)}")


def _check_keys(key: str, table: Group | Task, kind: str) -> None:
    """Check that a group or task has the keys of its kind and no others."""
    allowed = keys_of(table)
    for field in sorted(table.model_fields_set - allowed):
        must = f"{kind} has no such key, must be one of: {', '.join(sorted(allowed))}"
        raise mistake(f"{key}.{field}", getattr(table, field), must)
    for field in needs_of(table):
        if getattr(table, field) is None:
            raise missing(f"{key}.{field}", f"{kind} needs it")


def _check_kinds(scenario: Scenario) -> None:
    """Check that groups and tasks have the keys that fit what they do."""
    for name, group in scenario.groups.items():
        _check_keys(f"groups.{name}", group, group.program)
        if group.signal_every > 0 and group.device_us.high == 0:
            must = "must be 0: signals come with device interrupts, device_us is 0"
            raise mistake(f"groups.{name}.signal_every", group.signal_every, must)
    for name, task in scenario.tasks.items():
        _check_keys(f"tasks.{name}", task, task.kind)


def _check_vcpus(scenario: Scenario) -> None:
    """Check that the groups' counts and the TD's vCPUs agree."""
    n_vcpus = scenario.host.n_vcpus
    rest = [name for name, group in scenario.groups.items() if isinstance(group.count, str)]
    counts = [g.count for g in scenario.groups.values() if not isinstance(g.count, str)]
    low, high = sum(count.low for count in counts), sum(count.high for count in counts)
    if len(rest) > 1:
        must = f'only one group may have the rest, groups.{rest[0]}.count is "rest" too'
        raise mistake(f"groups.{rest[1]}.count", "rest", must)
    if high > n_vcpus.low:
        raise mistake(
            "host.n_vcpus", n_vcpus, f"must be at least {high}: the groups' counts add up to that"
        )
    if not rest and not low == high == n_vcpus.low == n_vcpus.high:
        must = f'must be {low}, or one group\'s count must be "rest": else vCPUs have no program'
        raise mistake("host.n_vcpus", n_vcpus, must)
    has_work = bool(rest) and scenario.groups[rest[0]].items is not None
    if has_work and vcpu_count(scenario, rest[0]).low == 0:
        must = f"must be at least {high + 1}: groups.{rest[0]} would get no vCPU"
        raise mistake("host.n_vcpus", n_vcpus, must)


def _check_initialised(scenario: Scenario) -> None:
    """Check that no more vCPUs are created than the TD has."""
    tasks = [task for task in scenario.tasks.values() if task.kind == "init_vcpu"]
    created = sum(task.count.high * task.items.high for task in tasks)
    if created > scenario.host.n_vcpus.low:
        must = f"must be at least {created}: so many are created"
        raise mistake("host.n_vcpus", scenario.host.n_vcpus, must)


def _check_pcpus(scenario: Scenario) -> None:
    """Check that vCPU threads that share CPUs are preempted now and then."""
    n_pcpus = scenario.host.n_pcpus
    for name, group in scenario.groups.items():
        ticks = group.tick_us
        if not isinstance(n_pcpus, str) and group.program != "parked" and ticks.high == 0:
            must = f"must be above 0: host.n_pcpus is {n_pcpus}, only a tick ends a thread's slice"
            raise mistake(f"groups.{name}.tick_us", ticks, must)


def _check_irq_off(scenario: Scenario) -> None:
    """Check that an irq-off section fits into its window."""
    host = scenario.host
    longest = scenario.costs["irq_off"].high
    if host.irq_off_share > 0 and scenario.cycles(host.irq_off_window_us) < longest:
        least = -(-longest * 1_000 // scenario.clock_khz)
        must = f"must be at least {least}: costs.irq_off is up to {longest} cycles"
        raise mistake("host.irq_off_window_us", host.irq_off_window_us, must)


def _check_references(scenario: Scenario) -> None:
    """Check that the areas and groups that are named exist and can be used so."""
    for key, area, _, _ in users_of_areas(scenario):
        if area not in scenario.areas:
            raise mistake(f"{key}.area", area, f"unknown area, {known(scenario.areas)}")
    for name, task in scenario.tasks.items():
        if task.trigger_group is not None:
            _check_trigger(scenario, f"tasks.{name}", task, task.trigger_group)
        elif {"trigger_period", "trigger_lead"} & task.model_fields_set:
            raise missing(f"tasks.{name}.trigger_group", "trigger_period and trigger_lead need it")


def _check_trigger(scenario: Scenario, key: str, task: Task, trigger_group: str) -> None:
    """Check the group that a task waits for."""
    with_items = {name: g for name, g in scenario.groups.items() if g.items is not None}
    if trigger_group not in scenario.groups:
        raise mistake(f"{key}.trigger_group", trigger_group, f"unknown group, {known(with_items)}")
    group = scenario.groups[trigger_group]
    if group.items is None:
        must = f"its vCPUs have no work items, {known(with_items)}"
        raise mistake(f"{key}.trigger_group", trigger_group, must)
    if not is_on_trigger_pages(scenario, task):
        return
    if group.layout == "interleaved":
        must = "its layout is interleaved, must be own, regions or shared for a task to follow it"
        raise mistake(f"{key}.trigger_group", trigger_group, must)
    if "layout" in task.model_fields_set:
        raise mistake(f"{key}.layout", task.layout, "must be left out: it follows its group")


def _check_work(scenario: Scenario) -> None:
    """Check that there is something to finish."""
    if not scenario.tasks and all(group.items is None for group in scenario.groups.values()):
        raise missing(
            "groups", "must hold a group that touches, accepts or converts, or there must be a task"
        )


def _check_limits(scenario: Scenario) -> None:
    """Check that an episode can end on its own before its limits."""
    limits = scenario.limits
    longest = longest_item_cycles(scenario) // (scenario.clock_khz // 1_000) + 1
    if limits.stall_us < 2 * longest:
        must = f"must be at least {2 * longest}, twice the longest work item"
        raise mistake("limits.stall_us", limits.stall_us, must)
    least = _CAP_FACTOR * uncontended_cycles(scenario) // (scenario.clock_khz // 1_000) + 1
    if limits.time_cap_us < least:
        must = f"must be at least {least}, {_CAP_FACTOR} times the uncontended length"
        raise mistake("limits.time_cap_us", limits.time_cap_us, must)
    if limits.stall_us >= limits.time_cap_us:
        must = f"must be below limits.time_cap_us, {limits.time_cap_us}"
        raise mistake("limits.stall_us", limits.stall_us, must)


_CHECKS: tuple[Callable[[Scenario], None], ...] = (
    _check_names,
    _check_costs,
    _check_kinds,
    _check_work,
    check_building,
    _check_vcpus,
    _check_initialised,
    _check_pcpus,
    _check_irq_off,
    _check_references,
    check_layouts,
    check_areas,
    check_splits,
    check_exports,
    check_memory,
    _check_limits,
)


def check(scenario: Scenario) -> None:
    """Check that a scenario's fields fit together.

    Raises:
        PydanticCustomError: They don't; its text names key, value and what is allowed.
    """
    for one in _CHECKS:
        one(scenario)
