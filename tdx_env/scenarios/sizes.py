"""What a scenario needs at its largest draw: vCPUs and pages; `lengths` has its time."""

from collections.abc import Iterator
from typing import NamedTuple

from tdx_env.scenarios.groups import Accept, Working
from tdx_env.scenarios.schema import Scenario
from tdx_env.scenarios.tasks import Following, Placed
from tdx_env.scenarios.values import Range
from tdx_env.state.setup import PAGES_PER_2M

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


_NOWHERE = Placement(0, 0, 0)


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
    if not isinstance(group, Working):
        return _NOWHERE
    count = vcpu_count(scenario, name).high
    chunk = group.item_pages
    stride, step = _block(group.layout, group.items.high * chunk, chunk)
    last = (count - 1) * stride + (group.items.high - 1) * (step or count)
    return Placement(stride, step, last + chunk if count > 0 else 0)


def group_followed(scenario: Scenario, task: Following) -> str | None:
    """Return the group whose pages a task works on: the one it waits for, if they are there."""
    group = scenario.groups.get(task.trigger_group or "")
    if not isinstance(group, Working):
        return None
    is_there = group.area == task.area and group.level == task.page_level
    return task.trigger_group if is_there else None


def task_placement(scenario: Scenario, name: str) -> Placement:
    """Return where a host task's items are; a triggered task follows its group's layout."""
    task = scenario.tasks[name]
    if not isinstance(task, Placed):
        return _NOWHERE
    last = task.items.high - 1
    followed = None
    if isinstance(task, Following) and task.trigger_group is not None:
        last = last * task.trigger_period + task.trigger_lead
        followed = group_followed(scenario, task)
    chunk = task.item_pages
    if followed is not None:
        stride, step, _ = group_placement(scenario, followed)
    else:
        stride, step = _block(task.layout, (last + 1) * chunk, chunk)
    n_units = (task.count.high - 1) * stride + last * step + chunk
    return Placement(stride, step, n_units)


class AreaUser(NamedTuple):
    """A group or task that works in an area.

    Attributes:
        key: Its key in the file.
        area: The area's name.
        level: The size of its pages: 0 for 4K, 1 for 2M.
        table: The group or task.
    """

    key: str
    area: str
    level: int
    table: Working | Placed


def area_users(scenario: Scenario) -> Iterator[AreaUser]:
    """Yield who works in an area, groups first."""
    for name, group in scenario.groups.items():
        if isinstance(group, Working):
            yield AreaUser(f"groups.{name}", group.area, group.page_level, group)
    for name, task in scenario.tasks.items():
        if isinstance(task, Placed):
            yield AreaUser(f"tasks.{name}", task.area, task.page_level, task)


def _units(scenario: Scenario, user: AreaUser) -> int:
    """Return how many pages of its level a group or task needs in its area."""
    table, _, name = user.key.partition(".")
    placement = group_placement if table == "groups" else task_placement
    return placement(scenario, name).n_units


def page_shift(scenario: Scenario) -> int:
    """Return the logarithm of the 4K entries a region has in the model: 0 if none is used."""
    has_4k = any(user.level == 0 or comes_down(user.table) for user in area_users(scenario))
    return PAGE_SHIFT_4K if has_4k else 0


def comes_down(table: Working | Placed) -> bool:
    """Say whether a guest that is refused 2M pages goes on with 4K pages."""
    return isinstance(table, Accept) and table.when_refused == "fall_back"


def needed_regions(scenario: Scenario, area: str) -> int:
    """Return how many 2M regions groups and tasks need in an area."""
    needed = 0
    for user in area_users(scenario):
        if user.area == area:
            units = _units(scenario, user)
            needed = max(needed, -(-units // PAGES_PER_2M) if user.level == 0 else units)
    return needed


def area_regions(scenario: Scenario, name: str) -> int:
    """Return how many 2M regions an area has."""
    given = scenario.areas[name].n_regions
    return needed_regions(scenario, name) if isinstance(given, str) else given
