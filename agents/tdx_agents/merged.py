"""Rows of what Linux merged, release by release, and the last alternative to it."""

from dataclasses import replace

from tdx_agents.protocol import Features, if_allowed, is_removal
from tdx_agents.row import EXPORT, INSTALL, ONE_TRY, ZAP, Row, each
from tdx_env.host.discipline import DEFAULT
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature


def kick_zap_else_yield(features: Features) -> int:
    """Kick in a zap; give up a fault's pass, VP.ENTER's fast path, or an ioctl.

    TRACK kicks wherever it is called from. An interrupted call is repeated: 6.16 makes none, and
    the posted splits wait for a module that doesn't let DEMOTE be interrupted.

    Source:
        Linux 6.16, tdx.c: tdx_sept_zap_private_spte, tdx_track, tdx_sept_drop_private_spte,
        tdx_handle_ept_violation, tdx_vcpu_run.
    """
    if is_removal(features):
        return if_allowed(features, Action.KICK)
    if features[Feature.PATH] == CallPath.INTERRUPTED:
        return Action.RETRY
    return if_allowed(features, Action.YIELD)


def kick_zap_retry_fault(features: Features) -> int:
    """Kick in a zap, repeat a fault's call; else as what was merged.

    Source:
        Yan Zhao, 13 Dec 2024 (Z1uHbl0AeGsjLf5K).
    """
    if is_removal(features):
        return if_allowed(features, Action.KICK)
    path = features[Feature.PATH]
    if path == CallPath.FAULT or path == CallPath.INTERRUPTED:
        return Action.RETRY
    return if_allowed(features, Action.YIELD)


def install_16(retries: int = 16) -> Row:
    """P17: P1's loop for AUG and SEPT.ADD and no local retry of faults; all else as P18.

    Args:
        retries: Repeats of AUG or SEPT.ADD after the first try, if the tree lock was busy.

    Source:
        Yan Zhao, 13 Dec 2024 (Z1uHbl0AeGsjLf5K).
    """
    discipline = merged_6_16().discipline.with_(
        max_issues=each(INSTALL, retries + 1),
        on_exhaustion=each(INSTALL, "reenter"),
        tree_only=each(INSTALL, True),
        on_foreign=each(INSTALL, "reenter"),
        on_frozen="reenter",
        fault_yield="reenter",
    )
    title = f"fault: tree lock busy: again up to {retries} times, then the guest; zap as P18"
    source = "Yan Zhao, 13 Dec 2024 (Z1uHbl0AeGsjLf5K)"
    return Row(f"p17-install-{retries}", "P17", title, source, kick_zap_retry_fault, discipline)


def merged_6_16() -> Row:
    """P18: what Linux 6.16 does.

    Fault: unwind, retry inside KVM until done or an event is pending, in a dying memslot too. Zap:
    one more try of each call behind a kick and a gate, then KVM_BUG_ON. VP.ENTER: leave the fast
    path. PAGE.ADD: -EBUSY to user space (until 6.18). WBINVD, MR.EXTEND and the calls that create a
    vCPU are not repeated: their failure ends the TD. UNBLOCK and DEMOTE, which 6.16 doesn't issue,
    are treated as the zap's calls.

    Source:
        Yan Zhao, "Retry locally in TDX EPT violation handler on RET_PF_RETRY" and "Kick off vCPUs
        when SEAMCALL is busy during TD page removal", v2, 27 Feb 2025; merged in Linux 6.16.
    """
    limits = each(ZAP, 2) | each(("PHYMEM_PAGE_WBINVD", *ONE_TRY), 1)
    discipline = DEFAULT.with_(
        max_issues={"default": "unlimited"} | limits,
        on_exhaustion={"default": "kill"} | each(EXPORT, "user_error"),
        kernel="6.16",
    )
    title = "fault: retry locally; zap: kick and gate, one more try, then KVM_BUG_ON"
    source = "Linux 6.16; Yan Zhao, Sean Christopherson, Feb 2025"
    return Row("p18-merged-6.16", "P18", title, source, kick_zap_else_yield, discipline)


def merged_6_18() -> Row:
    """P19: what Linux 6.18 does: as 6.16, but a fault in a dying memslot leaves KVM.

    A vCPU re-enters the guest, KVM_PRE_FAULT_MEMORY returns -EAGAIN. In 6.16 the retry holds SRCU,
    for which the deletion waits: a deadlock.

    Source:
        Sean Christopherson, Yan Zhao, 22 Aug 2025, reported by Reinette Chatre; commits
        2bc2694fe20b and 3ccbf6f47098, merged in Linux 6.18.
    """
    earlier = merged_6_16()
    return replace(
        earlier,
        name="p19-merged-6.18",
        number="P19",
        title="as P18, but a fault in a dying memslot leaves KVM",
        source="Linux 6.18; Sean Christopherson, Yan Zhao, Aug 2025",
        discipline=earlier.discipline.with_(kernel="6.18"),
    )


def merged_6_19() -> Row:
    """P20: what Linux 6.19 to 7.3 do: as 6.18, but a TD is built under locks.

    The ioctls that build a TD exclude each other. VP.INIT is issued under mmu_lock held for write,
    so that it can't meet a zap (bug B6). A busy PAGE.ADD is retried in the kernel, without limit:
    it returns to user space for a signal alone. `tdh_do_no_vcpus` is P18's sequence as one macro.

    Source:
        Sean Christopherson, "TDX post-populate cleanups", v1 27 Aug 2025 to v4 30 Oct 2025, with
        tdx_vm_state_guard; Rick Edgecombe, 28 Oct 2025 (20251028002824.1470939-1, applied as
        9a89894f30d5); merged in Linux 6.19.
    """
    earlier = merged_6_18()
    return replace(
        earlier,
        name="p20-merged-6.19",
        number="P20",
        title="as P19, but a TD is built under locks, and PAGE.ADD retried in the kernel",
        source="Linux 6.19; Sean Christopherson, Rick Edgecombe, Aug to Oct 2025",
        discipline=earlier.discipline.with_(kernel="6.19"),
    )
