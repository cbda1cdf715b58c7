"""What must fit together across the fields of a scenario; memory areas have a module of their own.

A mistake inside one table is found by the table's model; the loader asks for both.
"""

import re
from collections.abc import Callable

from tdx_env.errors import ScenarioError, printable
from tdx_env.module.seamcalls import module_version
from tdx_env.scenarios.area_checks import (
    check_areas,
    check_building,
    check_dynamic_pamt,
    check_exports,
    check_layouts,
    check_memory,
    check_splits,
)
from tdx_env.scenarios.groups import Convert, Running, Working
from tdx_env.scenarios.lengths import longest_item_cycles, uncontended_cycles
from tdx_env.scenarios.schema import Scenario
from tdx_env.scenarios.sizes import area_users, group_followed, vcpu_count
from tdx_env.scenarios.tables import COST_NAMES
from tdx_env.scenarios.tasks import Finite, Following, InitVcpu, OtherTds, Zap
from tdx_env.scenarios.wording import known, missing, mistake
from tdx_env.state.kernels import KERNELS
from tdx_env.state.setup import MAX_AREAS, MAX_GROUPS, MAX_TASKS

_NOT_CORE = ("history", "what_if", "control")
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
            raise mistake(f"costs.{name}", given.low, f"unknown key, {known(COST_NAMES, name)}")


def _check_signals(scenario: Scenario) -> None:
    """Check that signals have interrupts to come with."""
    for name, group in scenario.groups.items():
        if isinstance(group, Running) and group.signal_every > 0 and group.device_us.high == 0:
            must = "must be 0: signals come with device interrupts, device_us is 0"
            raise mistake(f"groups.{name}.signal_every", group.signal_every, must)


def _check_core(scenario: Scenario) -> None:
    """Check that the core list has no scenario that a mark keeps out; a stress may be in it."""
    apart = [mark for mark in _NOT_CORE if mark in scenario.marks]
    if scenario.is_core and apart:
        raise mistake("is_core", True, f"must be false: marks holds {', '.join(apart)}")


def _check_arming(scenario: Scenario) -> None:
    """Check that a timer that is armed ticks."""
    for name, group in scenario.groups.items():
        if isinstance(group, Running) and group.arm_cycles > 0 and group.tick_us.high == 0:
            must = "must be 0: the timer is armed for ticks, tick_us is 0"
            raise mistake(f"groups.{name}.arm_cycles", group.arm_cycles, must)


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
    has_work = bool(rest) and isinstance(scenario.groups[rest[0]], Working)
    if has_work and vcpu_count(scenario, rest[0]).low == 0:
        must = f"must be at least {high + 1}: groups.{rest[0]} would get no vCPU"
        raise mistake("host.n_vcpus", n_vcpus, must)


def _check_initialised(scenario: Scenario) -> None:
    """Check that no more vCPUs are created than the TD has."""
    tasks = [task for task in scenario.tasks.values() if isinstance(task, InitVcpu)]
    created = sum(task.count.high * task.items.high for task in tasks)
    if created > scenario.host.n_vcpus.low:
        must = f"must be at least {created}: so many are created"
        raise mistake("host.n_vcpus", scenario.host.n_vcpus, must)


def _check_pcpus(scenario: Scenario) -> None:
    """Check that vCPU threads that share CPUs are preempted now and then."""
    n_pcpus = scenario.host.n_pcpus
    if isinstance(n_pcpus, str):
        return
    for name, group in scenario.groups.items():
        if isinstance(group, Running) and group.tick_us.high == 0:
            must = f"must be above 0: host.n_pcpus is {n_pcpus}, only a tick ends a thread's slice"
            raise mistake(f"groups.{name}.tick_us", group.tick_us, must)


def _check_irq_off(scenario: Scenario) -> None:
    """Check that an irq-off section fits into its window."""
    host = scenario.host
    longest = scenario.costs["irq_off"].high
    if host.irq_off_share > 0 and scenario.cycles(host.irq_off_window_us) < longest:
        least = -(-longest * 1_000 // scenario.clock_khz)
        must = f"must be at least {least}: costs.irq_off is up to {longest} cycles"
        raise mistake("host.irq_off_window_us", host.irq_off_window_us, must)


def _check_other_tds(scenario: Scenario) -> None:
    """Check that other TDs have a lock to be load on."""
    for name, task in scenario.tasks.items():
        if isinstance(task, OtherTds) and scenario.host.dynamic_pamt == "static":
            must = 'must be "locked" or "fast": with static PAMT no TD meets another'
            raise mistake("host.dynamic_pamt", "static", f"{must} (tasks.{name})")


def _check_kernel(scenario: Scenario) -> None:
    """Check that kernel and module can do what is asked of them."""
    host = scenario.host
    if host.dynamic_pamt != "static":
        if not KERNELS[host.kernel].can_dynamic_pamt:
            able = _able("dynamic_pamt")
            must = f'must be "static": KVM {host.kernel} has no Dynamic PAMT, {able}'
            raise mistake("host.dynamic_pamt", host.dynamic_pamt, must)
        for version in scenario.module.version:
            if not module_version(version).has_dynamic_pamt:
                must = f'must be "static": module {version} has no Dynamic PAMT'
                raise mistake("host.dynamic_pamt", host.dynamic_pamt, must)
    if KERNELS[host.kernel].can_convert_in_place:
        return
    for table, rows in (("groups", scenario.groups), ("tasks", scenario.tasks)):
        for name, row in rows.items():
            if isinstance(row, Convert | Zap) and row.in_place:
                can = _able("convert_in_place")
                must = f"must be false: KVM {host.kernel} can't convert in place, {can}"
                raise mistake(f"{table}.{name}.in_place", True, must)


def _able(what: str) -> str:
    """Return which kernels can do something."""
    able = [name for name, kernel in KERNELS.items() if getattr(kernel, f"can_{what}")]
    return f"host.kernel must be one of: {', '.join(able)}"


def _check_references(scenario: Scenario) -> None:
    """Check that the areas and groups that are named exist and can be used so."""
    for user in area_users(scenario):
        if user.area not in scenario.areas:
            must = f"unknown area, {known(scenario.areas, user.area)}"
            raise mistake(f"{user.key}.area", user.area, must)
    for name, task in scenario.tasks.items():
        if not isinstance(task, Following):
            continue
        if task.trigger_group is not None:
            _check_trigger(scenario, f"tasks.{name}", task, task.trigger_group)
        elif {"trigger_period", "trigger_lead"} & task.model_fields_set:
            raise missing(f"tasks.{name}.trigger_group", "trigger_period and trigger_lead need it")


def _check_trigger(scenario: Scenario, key: str, task: Following, trigger_group: str) -> None:
    """Check the group that a task waits for."""
    with_items = [name for name, group in scenario.groups.items() if isinstance(group, Working)]
    if trigger_group not in scenario.groups:
        must = f"unknown group, {known(with_items, trigger_group)}"
        raise mistake(f"{key}.trigger_group", trigger_group, must)
    group = scenario.groups[trigger_group]
    if not isinstance(group, Working):
        must = f"its vCPUs have no work items, {known(with_items)}"
        raise mistake(f"{key}.trigger_group", trigger_group, must)
    if group_followed(scenario, task) is None:
        return
    if group.layout == "interleaved":
        must = "its layout is interleaved, must be own, regions or shared for a task to follow it"
        raise mistake(f"{key}.trigger_group", trigger_group, must)
    if "layout" in task.model_fields_set:
        raise mistake(f"{key}.layout", task.layout, "must be left out: it follows its group")


def _check_work(scenario: Scenario) -> None:
    """Check that there is something to finish."""
    has_work = any(isinstance(group, Working) for group in scenario.groups.values())
    has_task = any(isinstance(task, Finite) for task in scenario.tasks.values())
    if not has_task and not has_work:
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
    _check_core,
    _check_signals,
    _check_arming,
    _check_work,
    check_building,
    _check_vcpus,
    _check_initialised,
    _check_pcpus,
    _check_irq_off,
    _check_kernel,
    _check_other_tds,
    _check_references,
    check_layouts,
    check_areas,
    check_splits,
    check_exports,
    check_dynamic_pamt,
    check_memory,
    _check_limits,
)


def check(where: str, scenario: Scenario) -> None:
    """Check that a scenario's fields fit together.

    Args:
        where: File and split, for the message.
        scenario: What is checked.

    Raises:
        ScenarioError: They don't; its text names key, value and what is allowed.
    """
    for one in _CHECKS:
        try:
            one(scenario)
        except ScenarioError as error:
            raise ScenarioError(f"{printable(where)}: {error}") from None
