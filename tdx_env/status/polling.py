"""Polling points: where a call looks for a pending interrupt, and what it returns if there is one.

No call of the module is preempted. A long one looks at a register of pending events now and then
and gives up by itself; the interrupt is then served outside. From 1.5.34 on the calls that work
through a list give way as well to a host call that was refused the S-EPT tree, if its mark still
stands when they look; the status doesn't tell which it was, but that of MEM.SCAN.RANGE does.

MODEL: INTR alone is simulated as pending. The polls for L2 VMs (PROMOTE and DEMOTE once for each,
SEPT.ADD version 1 between their pages) are named here and have no step in the table of calls.

Source: TDX module 1.5, src/common/helpers/helpers.h, is_interrupt_pending_host_side and
is_interrupt_pending_guest_side; the callers are named with each point.
"""

from dataclasses import dataclass, replace

from tdx_env.module.names import short_name
from tdx_env.module.seamcalls import DEFAULT_VERSION, calls, module_version, row_of
from tdx_env.state.calls import Leaf
from tdx_env.status.codes import Status

_API = "src/vmm_dispatcher/api_calls/"


@dataclass(frozen=True)
class PollingPoint:
    """A place where a call looks for a pending interrupt.

    Attributes:
        call: Its short name, with the version or the page's size if only that one polls.
        leaf: Its row of the table of calls, or None if it has none.
        place: When it looks.
        status: What it returns then; the locks that it holds are released. None: the guest gets
            no status, and executes its TDCALL again after the interrupt.
        source: File of the module.
        yields: What it returns at the same place if a refused host's mark stands on the S-EPT tree;
            None: it doesn't look at that.
    """

    call: str
    leaf: Leaf | None
    place: str
    status: Status | None
    source: str
    yields: Status | None = None


def _point(leaf: Leaf, place: str, status: Status | None) -> PollingPoint:
    """Return a polling point of a call that is in the table."""
    return PollingPoint(short_name(leaf), leaf, place, status, row_of(leaf).source)


_RESTART, _RESUME = Status.INTERRUPTED_RESTARTABLE, Status.INTERRUPTED_RESUMABLE
_AFTER_ENTRY = "after each entry of its list but the last, with the tree lock held"
_AFTER_PAGE = "after each page of its list but the last, with every lock held"

POLLING_POINTS: tuple[PollingPoint, ...] = (
    _point(
        Leaf.MEM_PAGE_PROMOTE,
        "after the scan of the child entries, before it takes the large page's PAMT entry",
        _RESTART,
    ),
    _point(
        Leaf.MEM_PAGE_DEMOTE,
        "after it has built the new S-EPT page, before it takes the large page's PAMT entry",
        _RESTART,
    ),
    PollingPoint(
        "SEPT.ADD version 1",
        Leaf.MEM_SEPT_ADD,
        "before each S-EPT page of an L2 VM but the first page that it adds",
        _RESUME,
        _API + "tdh_mem_sept_add.c",
    ),
    _point(Leaf.EXPORT_BLOCKW, _AFTER_ENTRY, _RESUME),
    _point(Leaf.EXPORT_MEM, _AFTER_ENTRY, _RESUME),
    _point(Leaf.EXPORT_RESTORE, _AFTER_ENTRY, _RESUME),
    _point(Leaf.IMPORT_MEM, _AFTER_ENTRY, _RESUME),
    _point(Leaf.EXPORT_STATE_IMMUTABLE, _AFTER_PAGE, _RESUME),
    _point(Leaf.EXPORT_STATE_TD, _AFTER_PAGE, _RESUME),
    _point(Leaf.EXPORT_STATE_VP, _AFTER_PAGE, _RESUME),
    _point(Leaf.IMPORT_STATE_IMMUTABLE, _AFTER_PAGE, _RESUME),
    _point(Leaf.IMPORT_STATE_TD, _AFTER_PAGE, _RESUME),
    _point(Leaf.IMPORT_STATE_VP, _AFTER_PAGE, _RESUME),
    PollingPoint(
        "PHYMEM.CACHE.WB",
        None,
        "after each part of the cache but the last",
        _RESUME,
        _API + "tdh_phymem_cache_wb.c",
    ),
    PollingPoint(
        "PAGE.ACCEPT of 2M",
        Leaf.ACCEPT,
        "after each 4K page but the last; the entry keeps the count and is unlocked",
        None,
        "src/td_dispatcher/vm_exits/tdg_mem_page_accept.c",
    ),
    _point(Leaf.MR_REPORT, "after it has hashed the measurements and released the RTMR", None),
    PollingPoint(
        "VP.INVVPID",
        Leaf.VP_INVEPT,
        "after each entry of its list",
        None,
        "src/td_dispatcher/vm_exits/tdg_vp_invvpid.c",
    ),
)


SCAN_POINTS = (
    replace(
        _point(
            Leaf.MEM_SCAN_RANGE,
            "on its way through the tables, if more than 20 µs have passed since it last looked",
            _RESUME,
        ),
        yields=Status.INTERRUPTED_BUSY,
    ),
    _point(
        Leaf.MEM_SCAN_COMP, "on its way through the tables; it gives way to no other call", _RESUME
    ),
)


def polling_points(version: str = DEFAULT_VERSION) -> tuple[PollingPoint, ...]:
    """Return the polling points of a version of the module.

    Raises:
        ScenarioError: There is no such version.

    Source:
        TDX module 1.5.34, helpers.c, check_host_interrupt_and_hp_bit; tdh_mem_scan_range.c.
    """
    module, rows = module_version(version), calls(version)
    points = [*POLLING_POINTS, *(SCAN_POINTS if module.has_mem_scan else ())]
    if not module.demote_is_interruptible:
        points = [point for point in points if point.leaf != Leaf.MEM_PAGE_DEMOTE]
    return tuple(
        replace(point, yields=_RESUME)
        if point.place == _AFTER_ENTRY and point.leaf in rows and module.lists_yield_to_writers
        else point
        for point in points
    )


def is_pending_for_host(intr: bool, other: bool, interrupts_enabled: bool) -> bool:
    """Say whether a SEAMCALL's poll finds something.

    Args:
        intr: An external interrupt is pending (INTR).
        other: An NMI, SMI or another event is pending.
        interrupts_enabled: The host's RFLAGS.IF at the SEAMCALL. With interrupts disabled INTR
            doesn't count.

    Source:
        TDX module 1.5, helpers.h, is_interrupt_pending_host_side.
    """
    return other or (intr and interrupts_enabled)


def is_pending_for_guest(intr: bool, other: bool) -> bool:
    """Say whether a TDCALL's poll finds something; the guest's RFLAGS.IF doesn't matter.

    Source:
        TDX module 1.5, helpers.h, is_interrupt_pending_guest_side.
    """
    return intr or other
