"""What items of work and a whole episode take at most if nobody gets into anybody's way."""

from tdx_env.scenarios.groups import AnyGroup, Convert, Touch, Working
from tdx_env.scenarios.schema import Scenario
from tdx_env.scenarios.tables import MAPPED_2M
from tdx_env.scenarios.tasks import (
    BlockRestore,
    Build,
    Export,
    Finite,
    InitVcpu,
    Placed,
    Prefault,
    SlotDelete,
)
from tdx_env.state.setup import PAGES_PER_2M

_TABLE_LEVELS = 3  # S-EPT pages that the first fault below an empty root adds
_EXTENDS = 16  # MR.EXTEND calls for a page
_ADDCX_CALLS = 5  # VP.ADDCX calls for a vCPU


def _cost(scenario: Scenario, *names: str) -> int:
    """Return the sum of costs, each at its largest [cycles]."""
    return sum(scenario.costs[name].high for name in names)


def _kick_cycles(scenario: Scenario) -> int:
    """Return what a kick of all vCPUs takes at most [cycles]."""
    host = scenario.host
    target = _cost(scenario, "kick_target", "kick_icr", "kick_ack")
    if host.n_sockets > 1:
        target += _cost(scenario, "kick_remote")
    late = _cost(scenario, "irq_off") if host.irq_off_share > 0 else 0
    once = _cost(scenario, "kick_fixed", "ipi_delivery", "td_exit", "kick_handler")
    return host.n_vcpus.high * target + late + once


def _flush_cycles(scenario: Scenario) -> int:
    """Return what flushing the shared EPT of all vCPUs takes at most [cycles]."""
    requests = scenario.host.n_vcpus.high * _cost(scenario, "kick_scan")
    return requests + _kick_cycles(scenario)


def _unmap_cycles(scenario: Scenario) -> int:
    """Return what BLOCK, TRACK and its kick take at most, mmu_lock included [cycles]."""
    calls = _cost(scenario, "zap_software", "range_block", "track", "mmu_handoff")
    return calls + _kick_cycles(scenario)


def _split_cycles(scenario: Scenario, table: Working | Placed) -> int:
    """Return what splitting the 2M mappings in an item's way takes at most [cycles]."""
    is_2m = scenario.areas[table.area].initial in MAPPED_2M
    if table.page_level == 1 or not is_2m or not table.splits:
        return 0
    n_mappings = 1 + (table.item_pages + PAGES_PER_2M - 2) // PAGES_PER_2M
    return n_mappings * (_unmap_cycles(scenario) + _cost(scenario, "demote"))


def _zap_cycles(scenario: Scenario, level: int) -> int:
    """Return what one page's removal takes at most, TRACK's kick included [cycles]."""
    pages = PAGES_PER_2M if level == 1 else 1
    work = _unmap_cycles(scenario) + _cost(scenario, "page_remove")
    return work + pages * _cost(scenario, "wbinvd", "clear") + _put_cycles(scenario)


def _get_cycles(scenario: Scenario) -> int:
    """Return what tdx_pamt_get takes at most, waiting for its lock left out [cycles]."""
    if scenario.host.dynamic_pamt == "static":
        return 0
    return _cost(scenario, "pamt_pages", "pamt_count", "pamt_add")


def _put_cycles(scenario: Scenario) -> int:
    """Return what tdx_pamt_put takes at most, waiting for its lock left out [cycles]."""
    if scenario.host.dynamic_pamt == "static":
        return 0
    return _cost(scenario, "pamt_count", "pamt_remove")


def _add_cycles(scenario: Scenario) -> int:
    """Return what KVM takes at most to add a missing page [cycles]."""
    tables = _TABLE_LEVELS * _cost(scenario, "sept_add")
    software = _cost(scenario, "fault_software", "fault_locked")
    calls = tables + _cost(scenario, "page_aug", "page_aug_2m")
    return software + calls + (_TABLE_LEVELS + 1) * _get_cycles(scenario)


def _export_cycles(scenario: Scenario, n_pages: int) -> int:
    """Return what exporting a list of pages takes at most [cycles]."""
    entries = 2 * _cost(scenario, "to_entry") + _cost(scenario, "export_blockw", "export_mem")
    calls = 2 * _cost(scenario, "bare", "to_tdr", "to_tree") + _cost(scenario, "track")
    return calls + n_pages * entries + _kick_cycles(scenario)


def _init_cycles(scenario: Scenario) -> int:
    """Return what creating a vCPU takes at most [cycles]."""
    return _cost(scenario, "vp_create", "vp_init") + _ADDCX_CALLS * _cost(scenario, "vp_addcx")


def group_item_cycles(scenario: Scenario, group: Working) -> int:
    """Return what one item of a guest group takes at most, think time left out [cycles]."""
    trip = _cost(scenario, "td_exit", "run_loop", "vp_enter", "invept")
    split = _split_cycles(scenario, group)
    if isinstance(group, Convert):
        pages = group.chunk * _zap_cycles(scenario, group.level)
        flush = _flush_cycles(scenario) + _cost(scenario, "invept")
        return trip + _cost(scenario, "user_exit") + split + pages + flush
    work = "touch" if isinstance(group, Touch) else ("accept_4k", "accept_2m")[group.level]
    guest = _cost(scenario, "tdcall", "tdcall", work, "ve")
    return trip + guest + split + _add_cycles(scenario)


def _removal_cycles(scenario: Scenario, task: Placed) -> int:
    """Return what taking away an item's pages takes at most, for good or for a while [cycles]."""
    work = _split_cycles(scenario, task)
    work += task.item_pages * _zap_cycles(scenario, task.page_level)
    if not isinstance(task, BlockRestore):
        work += _flush_cycles(scenario)
    if isinstance(task, SlotDelete):
        work += _cost(scenario, "srcu")
    if isinstance(task, BlockRestore):
        work += scenario.cycles(task.hold_us.high) + _cost(scenario, "range_unblock")
    return work


def task_item_cycles(scenario: Scenario, task: Finite) -> int:
    """Return what one item of a host task takes at most, think time left out [cycles]."""
    if isinstance(task, Build):
        calls = _cost(scenario, "page_add") + _EXTENDS * _cost(scenario, "mr_extend")
        return task.chunk * (calls + _get_cycles(scenario))
    if isinstance(task, InitVcpu):
        return _init_cycles(scenario)
    if isinstance(task, Export):
        return _export_cycles(scenario, task.chunk)
    if isinstance(task, Prefault):
        return task.chunk * _add_cycles(scenario)
    assert isinstance(task, Placed)
    return _removal_cycles(scenario, task)


def _threads_per_cpu(scenario: Scenario) -> int:
    """Return how many vCPU threads share a CPU at most."""
    n_pcpus = scenario.host.n_pcpus
    return 1 if isinstance(n_pcpus, str) else -(-scenario.host.n_vcpus.high // n_pcpus.low)


def _group_length(scenario: Scenario, group: AnyGroup) -> int:
    """Return what all items of a group's vCPU take at most, others on its CPU included [cycles]."""
    if not isinstance(group, Working):
        return 0
    each = group.think_cycles.high + group_item_cycles(scenario, group)
    return group.items.high * each * _threads_per_cpu(scenario)


def longest_item_cycles(scenario: Scenario) -> int:
    """Return what the longest item takes at most, think time included [cycles].

    A vCPU thread that shares a CPU may have to wait for a slice of each of the others.
    """
    others = _threads_per_cpu(scenario) - 1
    wait = others * _cost(scenario, "slice", "switch")
    longest = 0
    for group in scenario.groups.values():
        if isinstance(group, Working):
            own = group_item_cycles(scenario, group)
            longest = max(longest, group.think_cycles.high + own + wait)
    for task in scenario.tasks.values():
        if not isinstance(task, Finite):
            continue
        own = task_item_cycles(scenario, task)
        longest = max(longest, task.think_cycles.high + own)
    return longest


def uncontended_cycles(scenario: Scenario) -> int:
    """Return what the episode takes at most if nobody gets into anybody's way [cycles].

    The longest guest group, and after it (it may be waited for) the longest host task.
    """
    guests = [_group_length(scenario, group) for group in scenario.groups.values()]
    hosts = [
        task.items.high * (task.think_cycles.high + task_item_cycles(scenario, task))
        for task in scenario.tasks.values()
        if isinstance(task, Finite)
    ]
    return max(guests, default=0) + max(hosts, default=0)
