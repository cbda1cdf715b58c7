"""What must fit together about the memory areas: levels, layouts, who works beside whom, sizes."""

from tdx_env.scenarios.groups import Parked, Touch
from tdx_env.scenarios.schema import Scenario
from tdx_env.scenarios.sizes import (
    AreaUser,
    area_regions,
    area_users,
    comes_down,
    needed_regions,
    page_shift,
)
from tdx_env.scenarios.tables import MAPPED_2M
from tdx_env.scenarios.tasks import Build, Export, OtherTds, Zap
from tdx_env.scenarios.wording import mistake

_MAX_4K_ENTRIES = 1 << 20  # a world of some 40 MB


def check_layouts(scenario: Scenario) -> None:
    """Check that levels, layouts and chunks fit the programs."""
    for key, _, level, table in area_users(scenario):
        if isinstance(table, Touch) and level == 1:
            raise mistake(f"{key}.level", 1, "must be 0: a touch is of a 4K page")
        if table.layout == "regions" and level == 1:
            raise mistake(f"{key}.layout", "regions", "must be another at level 1")
        if table.layout == "interleaved" and table.item_pages > 1:
            raise mistake(f"{key}.layout", "interleaved", "must be another with chunk above 1")


def check_areas(scenario: Scenario) -> None:
    """Check that each area's pages are of a level that they can be used at."""
    empty_levels: dict[str, int] = {}
    for key, area, level, table in area_users(scenario):
        initial = scenario.areas[area].initial
        if initial not in table.initials:
            must = f"must be one of {', '.join(table.initials)}: {key} works there at level {level}"
            raise mistake(f"areas.{area}.initial", initial, must)
        if initial == "empty" and empty_levels.setdefault(area, level) != level:
            raise mistake(f"{key}.level", level, f"must be as others have it in areas.{area}")


def _splits(user: AreaUser) -> bool:
    """Say whether a group or task splits the 2M pages it works on, or may come to that."""
    return user.table.splits and (user.level == 0 or comes_down(user.table))


def check_splits(scenario: Scenario) -> None:
    """Check that nobody removes 2M pages where somebody else splits them."""
    splitters = {
        user.area: user.key
        for user in area_users(scenario)
        if _splits(user) and scenario.areas[user.area].initial in MAPPED_2M
    }
    for key, area, level, table in area_users(scenario):
        if table.unmaps and level == 1 and area in splitters:
            must = f"must be 0: {splitters[area]} splits the 2M pages of areas.{area}"
            raise mistake(f"{key}.level", level, must)


def check_dynamic_pamt(scenario: Scenario) -> None:
    """Check that all pages are of 4K where PAMT comes and goes: 7.4's queue maps no others."""
    if scenario.host.dynamic_pamt == "static":
        return
    for name, area in scenario.areas.items():
        if area.initial in MAPPED_2M:
            must = f'must be of 4K pages: host.dynamic_pamt is "{scenario.host.dynamic_pamt}"'
            raise mistake(f"areas.{name}.initial", area.initial, must)
    for key, _, level, _ in area_users(scenario):
        if level == 1:
            must = f'must be 0: host.dynamic_pamt is "{scenario.host.dynamic_pamt}"'
            raise mistake(f"{key}.level", level, must)


def check_exports(scenario: Scenario) -> None:
    """Check that pages that are exported stay where they are."""
    users = list(area_users(scenario))
    exporters = {user.area: user.key for user in users if isinstance(user.table, Export)}
    for key, area, _, table in users:
        if table.unmaps and area in exporters:
            must = f"must work in another area: {exporters[area]} exports these pages"
            raise mistake(f"{key}.area", area, must)


def check_building(scenario: Scenario) -> None:
    """Check that no vCPU runs, and nothing else that needs a finalised TD, while it is built."""
    builders = [name for name, task in scenario.tasks.items() if task.builds]
    if not builders:
        return
    why = f"tasks.{builders[0]} builds the TD"
    for name, group in scenario.groups.items():
        if not isinstance(group, Parked):
            must = f'must be "parked": {why}, no vCPU can run yet'
            raise mistake(f"groups.{name}.program", group.program, must)
    populating = [name for name in builders if isinstance(scenario.tasks[name], Build)]
    for name, task in scenario.tasks.items():
        if not task.builds and not isinstance(task, Zap | OtherTds):
            must = f"must be one of build, init_vcpu, other_tds, zap: {why}"
            raise mistake(f"tasks.{name}.kind", task.kind, must)
        if isinstance(task, Zap) and populating:
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
