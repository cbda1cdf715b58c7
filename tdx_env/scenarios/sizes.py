"""What a scenario needs at its largest draw: vCPUs, pages, time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tdx_env.scenarios.values import Range
from tdx_env.state.setup import PAGES_PER_2M

if TYPE_CHECKING:
    from tdx_env.scenarios.schema import Group, Scenario, Task

PAGE_SHIFT_4K = PAGES_PER_2M.bit_length() - 1
_TABLE_LEVELS = 3  # S-EPT pages that the first fault below an empty root adds


class Placement(NamedTuple):
    """Where the items of a group or task are, in units of its level from its area's start.

    Attributes:
        stride: From one member's first item to the next one's.
        step: From one item to the next; 0 (interleaved): the group's count.
        n_units: One past the last unit of the largest draw.
    """

    stride: int
    step: int
    n_units: int


def vcpu_count(scenario: Scenario, name: str) -> Range:
    """Return how many vCPUs a group may have."""
    group = scenario.groups[name]
    if not isinstance(group.count, str):
        return group.count
    others = [g.count for other, g in scenario.groups.items() if other != name]
    counts = [count for count in others if not isinstance(count, str)]
    n_vcpus = scenario.host.n_vcpus
    return Range(
        low=max(0, n_vcpus.low - sum(count.high for count in counts)),
        high=max(0, n_vcpus.high - sum(count.low for count in counts)),
    )


def _block(layout: str, n_units: int, chunk: int) -> tuple[int, int]:
    """Return stride and step of members that have n_units each."""
    if layout == "own":
        return n_units, chunk
    if layout == "regions":
        return -(-n_units // PAGES_PER_2M) * PAGES_PER_2M, chunk
    if layout == "interleaved":
        return 1, 0
    return 0, chunk


def group_placement(scenario: Scenario, name: str) -> Placement:
    """Return where a guest group's items are."""
    group = scenario.groups[name]
    if group.items is None:
        return Placement(0, 0, 0)
    count = vcpu_count(scenario, name).high
    stride, step = _block(group.layout, group.items.high * group.chunk, group.chunk)
    last = (count - 1) * stride + (group.items.high - 1) * (step or count)
    return Placement(stride, step, last + group.chunk if count > 0 else 0)


def is_on_trigger_pages(scenario: Scenario, task: Task) -> bool:
    """Say whether a task works on the pages of the group it waits for."""
    group = scenario.groups.get(task.trigger_group or "")
    return group is not None and group.area == task.area and group.level == task.level


def task_placement(scenario: Scenario, name: str) -> Placement:
    """Return where a host task's items are; a triggered task follows its group's layout."""
    task = scenario.tasks[name]
    last = task.items.high - 1
    if task.trigger_group is not None:
        last = last * task.trigger_period + task.trigger_lead
    if task.trigger_group is not None and is_on_trigger_pages(scenario, task):
        stride, step, _ = group_placement(scenario, task.trigger_group)
    else:
        stride, step = _block(task.layout, (last + 1) * task.chunk, task.chunk)
    n_units = (task.count.high - 1) * stride + last * step + task.chunk
    return Placement(stride, step, n_units)


def users_of_areas(scenario: Scenario) -> Iterator[tuple[str, str, int, int]]:
    """Yield what refers to an area: its key, the area, level and units that it needs there."""
    for name, group in scenario.groups.items():
        if group.area is not None:
            units = group_placement(scenario, name).n_units
            yield f"groups.{name}", group.area, group.level, units
    for name, task in scenario.tasks.items():
        units = task_placement(scenario, name).n_units
        yield f"tasks.{name}", task.area, task.level, units


def page_shift(scenario: Scenario) -> int:
    """Return the logarithm of the 4K entries a region has in the model: 0 if none is used."""
    has_4k = any(level == 0 for _, _, level, _ in users_of_areas(scenario))
    return PAGE_SHIFT_4K if has_4k else 0


def needed_regions(scenario: Scenario, area: str) -> int:
    """Return how many 2M regions groups and tasks need in an area."""
    needed = 0
    for _, used, level, units in users_of_areas(scenario):
        if used == area:
            needed = max(needed, -(-units // PAGES_PER_2M) if level == 0 else units)
    return needed


def area_regions(scenario: Scenario, name: str) -> int:
    """Return how many 2M regions an area has."""
    given = scenario.areas[name].n_regions
    return needed_regions(scenario, name) if isinstance(given, str) else given


def _cost(scenario: Scenario, *names: str) -> int:
    """Return the sum of costs, each at its largest [cycles]."""
    return sum(scenario.costs[name].high for name in names)


def _fault_cycles(scenario: Scenario) -> int:
    """Return what a first fault takes at most, nobody else being there [cycles]."""
    way = ("td_exit", "fault_software", "fault_locked", "run_loop", "vp_enter", "invept")
    added = _TABLE_LEVELS * _cost(scenario, "sept_add")
    return _cost(scenario, *way) + added + _cost(scenario, "page_aug", "page_aug_2m")


def _zap_cycles(scenario: Scenario, level: int) -> int:
    """Return what one page's removal takes at most, TRACK's kick included [cycles]."""
    pages = PAGES_PER_2M if level == 1 else 1
    calls = _cost(scenario, "zap_software", "range_block", "track", "page_remove", "mmu_handoff")
    targets = scenario.host.n_vcpus.high * _cost(scenario, "kick_target")
    kick = targets + _cost(scenario, "kick_fixed", "td_exit")
    return calls + kick + pages * _cost(scenario, "wbinvd", "clear")


def group_item_cycles(scenario: Scenario, group: Group) -> int:
    """Return what one item of a guest group takes at most, think time left out [cycles]."""
    if group.program == "convert":
        trip = _cost(scenario, "td_exit", "user_exit", "run_loop", "vp_enter", "invept")
        return trip + group.chunk * _zap_cycles(scenario, group.level)
    work = "touch" if group.program == "touch" else ("accept_4k", "accept_2m")[group.level]
    return _cost(scenario, "tdcall", "tdcall", work, "ve") + _fault_cycles(scenario)


def task_item_cycles(scenario: Scenario, task: Task) -> int:
    """Return what one item of a host task takes at most, think time left out [cycles]."""
    if task.kind == "build":
        return task.chunk * (_cost(scenario, "page_add") + 16 * _cost(scenario, "mr_extend"))
    work = task.chunk * _zap_cycles(scenario, task.level)
    if task.hold_us is not None:
        work += scenario.cycles(task.hold_us.high) + _cost(scenario, "range_unblock")
    return work


def longest_item_cycles(scenario: Scenario) -> int:
    """Return what the longest item takes at most, think time included [cycles]."""
    longest = 0
    for group in scenario.groups.values():
        if group.items is not None:
            own = group_item_cycles(scenario, group)
            longest = max(longest, group.think_cycles.high + own)
    for task in scenario.tasks.values():
        own = task_item_cycles(scenario, task)
        longest = max(longest, task.think_cycles.high + own)
    return longest


def uncontended_cycles(scenario: Scenario) -> int:
    """Return what the episode takes at most if nobody gets into anybody's way [cycles].

    The longest guest group, and after it (it may be waited for) the longest host task.
    """
    guests = [
        group.items.high * (group.think_cycles.high + group_item_cycles(scenario, group))
        for group in scenario.groups.values()
        if group.items is not None
    ]
    hosts = [
        task.items.high * (task.think_cycles.high + task_item_cycles(scenario, task))
        for task in scenario.tasks.values()
    ]
    return max(guests, default=0) + max(hosts, default=0)
