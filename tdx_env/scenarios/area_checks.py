"""What must fit together about the memory areas: levels, layouts, who works beside whom, sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tdx_env.scenarios.kinds import BUILDING, MAPPED_2M, REMOVING, SPLITTING, allowed_initial
from tdx_env.scenarios.sizes import area_regions, needed_regions, page_shift
from tdx_env.scenarios.values import mistake

if TYPE_CHECKING:
    from tdx_env.scenarios.schema import Scenario

_MAX_4K_ENTRIES = 1 << 20  # a world of some 40 MB


class _User(NamedTuple):
    """A group or task that works in an area: its key, the key and value of what it does."""

    key: str
    kind: str
    what: str
    area: str
    level: int


def _users(scenario: Scenario) -> Iterator[_User]:
    """Yield who works in an area."""
    for name, group in scenario.groups.items():
        if group.area is not None:
            yield _User(f"groups.{name}", "program", group.program, group.area, group.level)
    for name, task in scenario.tasks.items():
        if task.area is not None:
            yield _User(f"tasks.{name}", "kind", task.kind, task.area, task.level)


def check_layouts(scenario: Scenario) -> None:
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


def check_areas(scenario: Scenario) -> None:
    """Check that each area's pages are of a level that they can be used at."""
    empty_levels: dict[str, int] = {}
    for user in _users(scenario):
        initial = scenario.areas[user.area].initial
        allowed = allowed_initial(user.what, user.level)
        if initial not in allowed:
            must = f"must be one of {', '.join(allowed)}: {user.key} works there at level"
            raise mistake(f"areas.{user.area}.initial", initial, f"{must} {user.level}")
        if initial == "empty" and empty_levels.setdefault(user.area, user.level) != user.level:
            must = f"must be as others have it in areas.{user.area}"
            raise mistake(f"{user.key}.level", user.level, must)


def check_splits(scenario: Scenario) -> None:
    """Check that nobody removes 2M pages where somebody else splits them."""
    splitters = {
        user.area: user.key
        for user in _users(scenario)
        if user.what in SPLITTING
        and user.level == 0
        and scenario.areas[user.area].initial in MAPPED_2M
    }
    for user in _users(scenario):
        removes = user.what in (*REMOVING, "block_restore") and user.level == 1
        if removes and user.area in splitters:
            must = f"must be 0: {splitters[user.area]} splits the 2M pages of areas.{user.area}"
            raise mistake(f"{user.key}.level", user.level, must)


def check_exports(scenario: Scenario) -> None:
    """Check that pages that are exported stay where they are."""
    exporters = {user.area: user.key for user in _users(scenario) if user.what == "export"}
    for user in _users(scenario):
        if user.what in (*REMOVING, "block_restore") and user.area in exporters:
            must = f"must work in another area: {exporters[user.area]} exports these pages"
            raise mistake(f"{user.key}.area", user.area, must)


def check_building(scenario: Scenario) -> None:
    """Check that no vCPU runs, and nothing else that needs a finalised TD, while it is built."""
    builders = [name for name, task in scenario.tasks.items() if task.kind in BUILDING]
    if not builders:
        return
    why = f"tasks.{builders[0]} builds the TD"
    for name, group in scenario.groups.items():
        if group.program != "parked":
            must = f'must be "parked": {why}, no vCPU can run yet'
            raise mistake(f"groups.{name}.program", group.program, must)
    for name, task in scenario.tasks.items():
        if task.kind not in (*BUILDING, "zap"):
            must = f"must be one of build, init_vcpu, zap: {why}"
            raise mistake(f"tasks.{name}.kind", task.kind, must)
        populating = [other for other in builders if scenario.tasks[other].kind == "build"]
        if task.kind == "zap" and populating:
            # Source: Linux 6.16, virt/kvm/guest_memfd.c, kvm_gmem_populate, kvm_gmem_punch_hole.
            must = f"must be build or init_vcpu: tasks.{populating[0]} holds the invalidate lock"
            raise mistake(f"tasks.{name}.kind", task.kind, must)


def check_memory(scenario: Scenario) -> None:
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
