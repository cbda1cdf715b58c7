"""What must fit together across the fields of a scenario."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from tdx_env.scenarios.sizes import (
    area_regions,
    is_on_trigger_pages,
    longest_item_cycles,
    needed_regions,
    page_shift,
    uncontended_cycles,
    users_of_areas,
    vcpu_count,
)
from tdx_env.scenarios.values import as_written
from tdx_env.state.costs import Cost
from tdx_env.state.setup import MAX_AREAS, MAX_GROUPS, MAX_TASKS

if TYPE_CHECKING:
    from tdx_env.scenarios.schema import Group, Scenario, Task

COST_NAMES = tuple(cost.name.lower() for cost in Cost)
_MAX_4K_ENTRIES = 1 << 20  # a world of some 40 MB
_CAP_FACTOR = 10  # the time cap is at least so many uncontended lengths

_INTERRUPTS = {"tick_us", "device_us"}
_PAGES = {"items", "think_cycles", "area", "level", "layout"}
_GROUP_ALWAYS = {"program", "count"}
_GROUP_KEYS: dict[str, set[str]] = {
    "parked": set(),
    "compute": _INTERRUPTS,
    "idle": _INTERRUPTS | {"think_cycles"},
    "touch": _INTERRUPTS | _PAGES | {"same_rip"},
    "accept": _INTERRUPTS | _PAGES,
    "convert": _INTERRUPTS | _PAGES | {"chunk", "is_shared_after"},
    "hammer": _INTERRUPTS | {"think_cycles", "leaf"},
}
_GROUP_NEEDS: dict[str, tuple[str, ...]] = {
    "touch": ("items", "area"),
    "accept": ("items", "area"),
    "convert": ("items", "area"),
    "hammer": ("leaf",),
}
_TASK_ALWAYS = {"kind", "count", "items", "think_cycles", "area", "layout"}
_TRIGGER = {"trigger_group", "trigger_period", "trigger_lead"}
_TASK_KEYS: dict[str, set[str]] = {
    "zap": _TRIGGER | {"level", "chunk", "is_shared_after"},
    "block_restore": _TRIGGER | {"level", "hold_us"},
    "build": {"chunk"},
}
_TASK_NEEDS: dict[str, tuple[str, ...]] = {"block_restore": ("hold_us",)}

_WITH_4K = ("empty", "free", "pending_4k", "mapped_4k")
_WITH_2M = ("empty", "pending_2m", "mapped_2m")


def mistake(key: str, given: object, must: str) -> PydanticCustomError:
    """Return the error that names key, value and what is allowed."""
    text = f"{key} = {as_written(given)}, {must}"
    return PydanticCustomError("mistake", "{text}", {"text": text})


def _missing(key: str, why: str) -> PydanticCustomError:
    """Return the error for a key that isn't there."""
    return PydanticCustomError("mistake", "{text}", {"text": f"{key} is missing, {why}"})


def keys_of(table: Group | Task) -> set[str]:
    """Return the keys that a group or task of this kind may have."""
    if hasattr(table, "program"):
        return _GROUP_ALWAYS | _GROUP_KEYS[table.program]
    return _TASK_ALWAYS | _TASK_KEYS[table.kind]


def _known(names: Mapping[str, object]) -> str:
    """Return the list of known names for an error message."""
    return f"must be one of: {', '.join(names) or '(there is none)'}"


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
        raise _missing("groups", "must hold at least one group of vCPUs")


def _check_costs(scenario: Scenario) -> None:
    """Check that every cost is there and no other."""
    for name in COST_NAMES:
        if name not in scenario.costs:
            raise _missing(f"costs.{name}", "must be a table with low, high, source and by")
    for name, given in scenario.costs.items():
        if name not in COST_NAMES:
            key = f"costs.{name}"
            raise mistake(key, given.low, f"unknown key, must be one of: {', '.join(COST_NAMES)}")


def _check_keys(key: str, table: Group | Task, kind: str, needs: tuple[str, ...]) -> None:
    """Check that a group or task has the keys of its kind and no others."""
    allowed = keys_of(table)
    for field in sorted(table.model_fields_set - allowed):
        must = f"a {kind} has no such key, must be one of: {', '.join(sorted(allowed))}"
        raise mistake(f"{key}.{field}", getattr(table, field), must)
    for field in needs:
        if getattr(table, field) is None:
            raise _missing(f"{key}.{field}", f"a {kind} needs it")


def _check_kinds(scenario: Scenario) -> None:
    """Check that groups and tasks have the keys that fit what they do."""
    for name, group in scenario.groups.items():
        needs = _GROUP_NEEDS.get(group.program, ())
        _check_keys(f"groups.{name}", group, group.program, needs)
    for name, task in scenario.tasks.items():
        _check_keys(f"tasks.{name}", task, task.kind, _TASK_NEEDS.get(task.kind, ()))


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


def _check_references(scenario: Scenario) -> None:
    """Check that the areas and groups that are named exist and can be used so."""
    for key, area, _, _ in users_of_areas(scenario):
        if area not in scenario.areas:
            raise mistake(f"{key}.area", area, f"unknown area, {_known(scenario.areas)}")
    for name, task in scenario.tasks.items():
        if task.trigger_group is not None:
            _check_trigger(scenario, f"tasks.{name}", task, task.trigger_group)
        elif {"trigger_period", "trigger_lead"} & task.model_fields_set:
            raise _missing(f"tasks.{name}.trigger_group", "trigger_period and trigger_lead need it")


def _check_trigger(scenario: Scenario, key: str, task: Task, trigger_group: str) -> None:
    """Check the group that a task waits for."""
    with_items = {name: g for name, g in scenario.groups.items() if g.items is not None}
    if trigger_group not in scenario.groups:
        raise mistake(f"{key}.trigger_group", trigger_group, f"unknown group, {_known(with_items)}")
    group = scenario.groups[trigger_group]
    if group.items is None:
        must = f"its vCPUs have no work items, {_known(with_items)}"
        raise mistake(f"{key}.trigger_group", trigger_group, must)
    if not is_on_trigger_pages(scenario, task):
        return
    if group.layout == "interleaved":
        must = "its layout is interleaved, must be own, regions or shared for a task to follow it"
        raise mistake(f"{key}.trigger_group", trigger_group, must)
    if "layout" in task.model_fields_set:
        raise mistake(f"{key}.layout", task.layout, "must be left out: it follows its group")


def _check_layouts(scenario: Scenario) -> None:
    """Check that levels, layouts and chunks fit the programs."""
    for name, group in scenario.groups.items():
        key = f"groups.{name}"
        if group.program == "touch" and group.level == 1:
            raise mistake(f"{key}.level", 1, "must be 0: a touch is of a 4K page")
        if group.layout == "regions" and group.level == 1:
            raise mistake(f"{key}.layout", "regions", "must be another at level 1")
        if group.layout == "interleaved" and group.chunk > 1:
            raise mistake(f"{key}.layout", "interleaved", "must be another with chunk above 1")
    for name, task in scenario.tasks.items():
        if task.layout == "regions" and task.level == 1:
            raise mistake(f"tasks.{name}.layout", "regions", "must be another at level 1")


def _allowed_initial(what: str, level: int) -> tuple[str, ...]:
    """Return what an area may begin as for a program or kind of task."""
    if what == "build":
        return ("free",)
    if what == "touch":
        return tuple(dict.fromkeys((*_WITH_4K, *_WITH_2M)))
    return _WITH_2M if level == 1 else _WITH_4K


def _check_areas(scenario: Scenario) -> None:
    """Check that each area's pages are of the level that they are used at."""
    whats: dict[str, str] = {
        f"groups.{name}": group.program for name, group in scenario.groups.items()
    }
    whats |= {f"tasks.{name}": task.kind for name, task in scenario.tasks.items()}
    empty_levels: dict[str, int] = {}
    for key, area, level, _ in users_of_areas(scenario):
        initial = scenario.areas[area].initial
        allowed = _allowed_initial(whats[key], level)
        if initial not in allowed:
            must = f"must be one of {', '.join(allowed)}: {key} works there at level {level}"
            raise mistake(f"areas.{area}.initial", initial, must)
        if initial == "empty" and empty_levels.setdefault(area, level) != level:
            raise mistake(f"{key}.level", level, f"must be as others have it in areas.{area}")


def _check_memory(scenario: Scenario) -> None:
    """Check that every area is as large as what is done in it."""
    for name, area in scenario.areas.items():
        key = f"areas.{name}"
        needed = needed_regions(scenario, name)
        if needed == 0:
            raise mistake(key, area.initial, "no group or task works there, must be used")
        if isinstance(area.n_regions, int) and area.n_regions != needed:
            must = f'must be {needed} or "auto": groups and tasks need so many 2M regions'
            raise mistake(f"{key}.n_regions", area.n_regions, must)
    n_regions = sum(area_regions(scenario, name) for name in scenario.areas)
    if n_regions << page_shift(scenario) > _MAX_4K_ENTRIES:
        most = _MAX_4K_ENTRIES >> page_shift(scenario)
        raise mistake("areas", list(scenario.areas), f"must have at most {most} 2M regions in all")


def _check_build(scenario: Scenario) -> None:
    """Check that no vCPU runs while the TD is being built."""
    for name, task in scenario.tasks.items():
        for other, group in scenario.groups.items():
            if task.kind == "build" and group.program != "parked":
                must = f'must be "parked": tasks.{name} builds the TD, no vCPU can run yet'
                raise mistake(f"groups.{other}.program", group.program, must)


def _check_work(scenario: Scenario) -> None:
    """Check that there is something to finish."""
    if not scenario.tasks and all(group.items is None for group in scenario.groups.values()):
        raise _missing(
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
    _check_build,
    _check_vcpus,
    _check_references,
    _check_layouts,
    _check_areas,
    _check_memory,
    _check_limits,
)


def check(scenario: Scenario) -> None:
    """Check that a scenario's fields fit together.

    Raises:
        PydanticCustomError: They don't; its text names key, value and what is allowed.
    """
    for one in _CHECKS:
        one(scenario)
