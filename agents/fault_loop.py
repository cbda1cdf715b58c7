"""Rows that let the fault loop do the retries, and what was merged."""

from dataclasses import replace

from agents.protocol import Features, if_allowed
from agents.row import SERIES_OF_2024, ZAP, Row, each
from tdx_env.host.discipline import DEFAULT
from tdx_env.state.actors import Path
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature


def resume_or_retry(features: Features) -> int:
    """Give up a fault's pass, repeat every other call.

    Source:
        Rick Edgecombe, 10 Sep 2024 (655170f6a09ad892200cd033efe5498a26504fec).
    """
    if features[Feature.PATH] == Path.FAULT:
        return if_allowed(features, Action.YIELD)
    return Action.RETRY


def kick_zap_else_yield(features: Features) -> int:
    """Kick in a zap; give up a fault's pass, VP.ENTER's fast path, or a build ioctl.

    Source:
        Linux 6.16, tdx.c: tdx_sept_zap_private_spte, tdx_track, tdx_sept_drop_private_spte,
        tdx_handle_ept_violation, tdx_vcpu_run.
    """
    if features[Feature.PATH] == Path.ZAP:
        return if_allowed(features, Action.KICK)
    return if_allowed(features, Action.YIELD)


def fault_loop(retries: int = 16) -> Row:
    """P9: a busy fault unwinds and re-enters the guest, which faults again; a zap loops a little.

    For chains that can't return busy he would keep a loop, "more limited"; here it has P1's 16
    retries for each of BLOCK, TRACK and REMOVE, then KVM_BUG_ON: a guess. VP.ENTER and the build
    are those of its time.

    Args:
        retries: Repeats of a zap's call after its first try.

    Source:
        Rick Edgecombe, 10 Sep 2024 (655170f6a09ad892200cd033efe5498a26504fec).
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(ZAP, retries + 1))
    title = f"fault: re-enter the guest; zap: again up to {retries} times, then KVM_BUG_ON"
    source = "Rick Edgecombe, 10 Sep 2024 (655170f6a09a)"
    return Row(f"p9-fault-loop-{retries}", "P9", title, source, resume_or_retry, discipline)


def merged_6_16() -> Row:
    """P18: what Linux 6.16 does.

    Fault: unwind, retry inside KVM until done or an event is pending. Zap: one more try of each
    call behind a kick and a gate, then KVM_BUG_ON. VP.ENTER: leave the fast path. PAGE.ADD: -EBUSY
    to user space. WBINVD and MR.EXTEND are not repeated: their failure ends the TD. UNBLOCK and
    DEMOTE, which 6.16 doesn't issue, are treated as the zap's calls.

    Source:
        Yan Zhao, "Retry locally in TDX EPT violation handler on RET_PF_RETRY" and "Kick off vCPUs
        when SEAMCALL is busy during TD page removal", v2, 27 Feb 2025; merged in Linux 6.16.
    """
    limits = each(ZAP, 2) | each(("PHYMEM_PAGE_WBINVD", "MR_EXTEND"), 1)
    discipline = DEFAULT.with_(
        max_issues={"default": "unlimited"} | limits,
        on_exhaustion={"default": "kill"},
        leaves_dying_slot=False,
        build_guard=False,
    )
    title = "fault: retry locally; zap: kick and gate, one more try, then KVM_BUG_ON"
    source = "Linux 6.16; Yan Zhao, Sean Christopherson, Feb 2025"
    return Row("p18-merged-6.16", "P18", title, source, kick_zap_else_yield, discipline)


def merged_6_19() -> Row:
    """P20: what Linux 6.19 does; behaves as P18 in all that is simulated.

    `tdh_do_no_vcpus` is P18's sequence as one macro. The memslot check of 6.18 (P19) and
    `tdx_vm_state_guard`, which keeps build and state ioctls apart, are not modelled.

    Source:
        Sean Christopherson, "TDX post-populate cleanups", v1 27 Aug 2025 to v4 30 Oct 2025;
        merged in Linux 6.19.
    """
    return replace(
        merged_6_16(),
        name="p20-merged-6.19",
        number="P20",
        title="as P18, the kick, gate and second try as one macro",
        source="Linux 6.19; Sean Christopherson, Aug to Oct 2025",
        behaves_as="P18",
    )
