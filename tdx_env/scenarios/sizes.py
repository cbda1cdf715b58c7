"""What a scenario needs at its largest draw: vCPUs and pages; `lengths` has its time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tdx_env.scenarios.values import Range
from tdx_env.state.setup import PAGES_PER_2M

if TYPE_CHECKING:
    from tdx_env.scenarios.schema import Scenario, Task

PAGE_SHIFT_4K = PAGES_PER_2M.bit_length() - 1


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
    if task.area is None:
        return Placement(0, 0, 0)
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
        if task.area is not None:
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
