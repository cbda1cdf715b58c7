"""The memory of an episode at its start: S-EPT entries and mirror, area by area."""

from tdx_env.guest.items import is_foreground
from tdx_env.jit import inner
from tdx_env.state.actors import Spte, Task
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, EntryState
from tdx_env.state.costs import Cost
from tdx_env.state.owners import Owner
from tdx_env.state.setup import REGIONS_PER_TABLE, Initial
from tdx_env.state.world import World


@inner
def _set_entry(world: World, entry: int, state: int, spte: int) -> None:
    """Give one S-EPT entry its first state."""
    row = world.entries["row"][entry]
    row["word"] = 0
    row["bepoch"] = 0
    row["holder"] = NONE
    row["holder_leaf"] = NONE
    row["state"] = state
    row["counter"] = 0
    row["spte"] = spte
    row["purge"] = 0
    row["pamt"] = 0


@inner
def _set_region(world: World, region: int, initial: int) -> None:
    """Give a 2M region's entries their first state."""
    run = world.run
    pd_state, page_state = EntryState.NL_MAPPED, EntryState.FREE
    if initial == Initial.EMPTY:
        pd_state = EntryState.FREE
    elif initial == Initial.PENDING_4K:
        page_state = EntryState.PENDING
    elif initial == Initial.MAPPED_4K:
        page_state = EntryState.MAPPED
    elif initial == Initial.PENDING_2M:
        pd_state = EntryState.PENDING
    elif initial == Initial.MAPPED_2M:
        pd_state = EntryState.MAPPED
    elif initial != Initial.FREE:
        break_off(world, NONE, Place.AREA, initial)
    pd_spte = Spte.ABSENT if pd_state == EntryState.FREE else Spte.PRESENT
    page_spte = Spte.ABSENT if page_state == EntryState.FREE else Spte.PRESENT
    _set_entry(world, run["first_pd"] + region, pd_state, pd_spte)
    first = region << run["page_shift"]
    for entry in range(first, first + (1 << run["page_shift"])):
        _set_entry(world, entry, page_state, page_spte)
    if page_spte == Spte.PRESENT:
        world.entries["row"][run["first_pd"] + region]["pamt"] = 1 << run["page_shift"]


@inner
def _charge_populating(world: World, n_regions: int, level: int, lacks_tables: int) -> None:
    """Charge what adding an area's pages has cost before the TD ran."""
    run = world.run
    costs = run["costs"]
    each = costs[Cost.FAULT_SOFTWARE] + costs[Cost.FAULT_LOCKED]
    each += costs[Cost.PAGE_AUG_2M if level == 1 else Cost.PAGE_AUG]
    n_units = n_regions if level == 1 else n_regions << run["page_shift"]
    cycles = n_units * each
    if level == 0 and lacks_tables:
        cycles += n_regions * costs[Cost.SEPT_ADD]
    run["populate_cycles"] += cycles
    run["overhead"] += cycles
    run["owned"][Owner.HOST] += cycles


@inner
def _initial_of(world: World, area: int) -> int:
    """Return what an area begins as, and charge what populating it has cost.

    Source: D. Matlack, January 2023, and the PUCK call of December 2024: populate up front.
    """
    setup = world.setup
    row = world.setup["areas"][area]
    initial = row["initial"]
    is_empty = initial == Initial.EMPTY or initial == Initial.FREE
    if not (world.discipline["prepopulate"] and is_empty):
        return initial
    level = NONE
    for group in range(setup["n_groups"]):
        user = world.setup["groups"][group]
        program = user["program"]
        is_user = is_foreground(program) and user["area"] == area
        level = max(level, user["level"]) if is_user else level
    for task in range(setup["n_tasks"]):
        user = world.setup["tasks"][task]
        is_user = user["kind"] == Task.PREFAULT and user["area"] == area
        level = max(level, user["level"]) if is_user else level
    if level == NONE:
        return initial
    _charge_populating(world, row["n_regions"], level, initial == Initial.EMPTY)
    return Initial.PENDING_2M if level == 1 else Initial.PENDING_4K


@inner
def lay_out_memory(world: World) -> None:
    """Give every S-EPT entry its first state."""
    run = world.run
    setup = world.setup
    n_regions = 0
    has_tables = False
    for area in range(setup["n_areas"]):
        n_regions += world.setup["areas"][area]["n_regions"]
    run["page_shift"] = setup["page_shift"]
    run["first_pd"] = n_regions << setup["page_shift"]
    run["first_l2"] = run["first_pd"] + n_regions
    run["first_l3"] = run["first_l2"] + -(-n_regions // REGIONS_PER_TABLE)
    for area in range(setup["n_areas"]):
        row = world.setup["areas"][area]
        initial = _initial_of(world, area)
        has_tables = has_tables or initial != Initial.EMPTY
        for region in range(row["first_region"], row["first_region"] + row["n_regions"]):
            _set_region(world, region, initial)
    state, spte = EntryState.FREE, Spte.ABSENT
    if has_tables:
        state, spte = EntryState.NL_MAPPED, Spte.PRESENT
    for entry in range(run["first_l2"], run["first_l3"] + 1):
        _set_entry(world, entry, state, spte)
    world.entries["row"][run["first_l3"]]["pamt"] = int(has_tables)
