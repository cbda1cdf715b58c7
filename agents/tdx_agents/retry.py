"""Rows that only repeat the call: with a limit, a lock, both, or none of them."""

from tdx_agents.protocol import Features, if_allowed
from tdx_agents.row import INSTALL, SERIES_OF_2024, ZAP, Row, each
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature

WRAPPED = (*INSTALL, "MEM_RANGE_BLOCK", "MEM_RANGE_UNBLOCK", "MEM_PAGE_DEMOTE")
"""Calls whose callers had no loop of their own: the wrapper's limit holds."""

_LOOPS = (*WRAPPED, "MEM_PAGE_REMOVE", "MEM_PAGE_ADD")
"""Calls whose status was compared with TDX_ERROR_SEPT_BUSY: tree busy, and no other operand.

Source:
    v19, tdx.c: tdx_sept_page_aug, tdx_mem_page_add, tdx_sept_zap_private_spte,
    tdx_sept_drop_private_spte.
"""

_CALLERS = each(INSTALL, "reenter") | {
    "MEM_RANGE_BLOCK": "swallow",
    "MEM_RANGE_UNBLOCK": "reenter",
}
"""What callers made of -EAGAIN. BLOCK's: a zap KVM_BUG_ON, a split ignored it (bug B1).

Source:
    v19, 26 Feb 2024, tdp_mmu.c: handle_removed_private_spte; of the split: canonical/tdx issues
    100 and 213, kernel 6.8-intel.
"""


def always_retry(features: Features) -> int:
    """Issue the call again, whatever was busy. Source: each row of this module."""
    return Action.RETRY


def retry_behind_barrier(features: Features) -> int:
    """Take mmu_lock for write and drop it when VP.ENTER was busy, else issue the call again.

    Source:
        Paolo Bonzini, 10 Sep 2024 (1bbe3a78-8746-4db9-a96c-9dc5f1190f16).
    """
    if features[Feature.PATH] == CallPath.ENTER:
        return if_allowed(features, Action.YIELD)
    return Action.RETRY


def blind(retries: int = 16) -> Row:
    """P1: issue the same call again at once, up to 16 times, if the tree lock was busy.

    Any other operand goes to the caller at once, who made KVM_BUG_ON of it. When the tries were
    used up, callers of AUG and SEPT.ADD returned -EAGAIN and re-entered the guest; BLOCK's failure
    ended in KVM_BUG_ON in a zap, and was ignored in a split, so that DEMOTE of a page that is not
    blocked ends in it (bug B1); PAGE.REMOVE was repeated without limit. UNBLOCK's -EAGAIN comes
    back, DEMOTE's ends the TD: guesses. Other paths: the series of its time.

    Args:
        retries: Repeats after the first try. Nobody knows where 16 came from.

    Source:
        Yuan Yao, "Retry seamcall when TDX_OPERAND_BUSY with operand SEPT", series v10 to v19 and
        3 Sep 2024 (20240904030751.117579-10); callers in tdx_sept_zap_private_spte,
        tdx_sept_drop_private_spte, tdx_sept_page_aug (v19, 26 Feb 2024).
    """
    discipline = SERIES_OF_2024.with_(
        max_issues=each(WRAPPED, retries + 1),
        on_exhaustion=_CALLERS,
        tree_only=each(_LOOPS, True),
    )
    source = "Yuan Yao, series v10 to 3 Sep 2024 (20240904030751.117579-10)"
    title = f"tree lock busy: again up to {retries} times; any other operand: KVM_BUG_ON"
    return Row(f"p1-blind-{retries}", "P1", title, source, always_retry, discipline)


def blind_any(retries: int = 16) -> Row:
    """P1-any: as P1, but whatever operand was busy. A variant; nobody posted it.

    Args:
        retries: Repeats after the first try.

    Source:
        P1 without the comparison with TDX_ERROR_SEPT_BUSY.
    """
    discipline = blind(retries).discipline.with_(tree_only=False)
    title = f"any lock busy: again up to {retries} times"
    source = "variant of P1"
    return Row(f"p1-any-{retries}", "P1-any", title, source, always_retry, discipline)


def unlimited_loop() -> Row:
    """P2: the callers' own loops alone: PAGE.REMOVE, PAGE.ADD, TRACK, WBINVD while busy.

    PAGE.REMOVE and PAGE.ADD are repeated while the tree lock is busy, TRACK and WBINVD whatever
    is. Without the wrapper BLOCK, AUG or SEPT.ADD that finds the tree busy is -EAGAIN at once, with
    P1's callers. Other operands as P1. Nobody posted it so: a wrapper that repeats (P1, P3) stood
    before these callers in every series. The row shows what their own loops are worth.

    Source:
        Isaku Yamahata, series v19 (26 Feb 2024), the loops in tdx_sept_drop_private_spte,
        tdx_mem_page_add and tdx_track; the wrapper left out by this project.
    """
    discipline = blind(0).discipline
    title = "REMOVE, TRACK, PAGE.ADD, WBINVD again for ever; BLOCK and AUG give up at once"
    source = "variant: callers of Isaku Yamahata's series v19, Feb 2024, without its wrapper"
    return Row("p2-unlimited-loop", "P2", title, source, always_retry, discipline)


def gated_track() -> Row:
    """P2b: TRACK behind a kick and a gate, then again while it is busy; all else as P1.

    Each vCPU that was kicked spun until the counter tdh_mem_track was down again.

    Source:
        Isaku Yamahata, series v19, 26 Feb 2024, tdx_track and tdx_flush_tlb.
    """
    discipline = blind().discipline.with_(track_kick="before")
    title = "TRACK: kick and gate first, then again for ever; else as P1"
    source = "Isaku Yamahata, series v19, 26 Feb 2024"
    return Row("p2b-gated-track", "P2b", title, source, always_retry, discipline)


def seamcall_lock() -> Row:
    """P3: a per-VM spinlock round the S-EPT SEAMCALLs, and the call again while the tree is busy.

    VP.ENTER stays outside of the lock: busy, it is issued again. Other operands as P1.

    Source:
        Isaku Yamahata, series v8, patch 084/103, 7 Aug 2022 (kvm_tdx::seamcall_lock).
    """
    discipline = SERIES_OF_2024.with_(
        seamcall_lock="always",
        on_exhaustion=_CALLERS,
        tree_only=each(_LOOPS, True),
    )
    title = "per-VM spinlock; tree lock busy: again for ever"
    source = "Isaku Yamahata, series v8, patch 084/103, 7 Aug 2022"
    return Row("p3-seamcall-lock", "P3", title, source, always_retry, discipline)


def doubling_cap(cap: int = 1024) -> Row:
    """P4: a per-VM spinlock, and the call again until KVM_BUG_ON at 1,024 tries.

    The warnings at 16, 32 … tries change nothing that is simulated. The cap holds for every S-EPT
    call, TRACK and PAGE.REMOVE included. His answer to a busy VP.ENTER is P12; here it is that of
    the series of its time, so that P12 differs in the enter path alone.

    Args:
        cap: Tries of one call, the first included.

    Source:
        Paolo Bonzini, 10 Sep 2024 (1bbe3a78-8746-4db9-a96c-9dc5f1190f16).
    """
    discipline = SERIES_OF_2024.with_(
        seamcall_lock="always", max_issues=each((*INSTALL, *ZAP), cap)
    )
    title = f"per-VM spinlock; any lock busy: again, KVM_BUG_ON at {cap:,} tries"
    source = "Paolo Bonzini, 10 Sep 2024 (1bbe3a78-8746)"
    return Row(f"p4-doubling-cap-{cap}", "P4", title, source, always_retry, discipline)


def optimistic_lock(cap: int = 1024) -> Row:
    """P5: as P4, but the spinlock is taken only after the first busy reply.

    Args:
        cap: Tries of one call, the first included.

    Source:
        Paolo Bonzini, 10 Sep 2024 (CABgObfayLGyWKERXkU+0gjeUg=Sp3r7GEQU=+13sUMpo36weWg).
    """
    discipline = doubling_cap(cap).discipline.with_(seamcall_lock="after_busy")
    title = f"as P4, the spinlock taken after the first busy reply; cap {cap:,}"
    source = "Paolo Bonzini, 10 Sep 2024 (CABgObfayLGyWKER)"
    return Row(f"p5-optimistic-lock-{cap}", "P5", title, source, always_retry, discipline)


def rely_on_host_priority() -> Row:
    """P8: issue every call again until it succeeds, in trust that guests are refused meanwhile.

    Unlike P2 it loops on every call, MR.EXTEND included, and on every operand, tree and epoch too,
    which have no host priority. Nobody asked for this: Rick Edgecombe quoted the rule to show that
    locks of the host can't end all busy replies, and was wary of loops; Paolo Bonzini thought a
    moderate number of tries better than IPIs.

    Source:
        TDX module specification, host priority, as quoted by Rick Edgecombe, 9 Sep 2024; Paolo
        Bonzini, 10 Sep 2024 (CABgObfayLGyWKERXkU+0gjeUg=Sp3r7GEQU=+13sUMpo36weWg).
    """
    discipline = SERIES_OF_2024.with_(max_issues={"default": "unlimited"}, tree_only=False)
    title = "any call, any lock busy: again for ever"
    source = "TDX module specification, quoted by Rick Edgecombe, 9 Sep 2024"
    return Row("p8-host-priority", "P8", title, source, always_retry, discipline)


def write_barrier(cap: int = 1024) -> Row:
    """P12: a busy VP.ENTER waits for mmu_lock for write, drops it and enters again; else as P4.

    Args:
        cap: Tries of one S-EPT call, the first included.

    Source:
        Paolo Bonzini, 10 Sep 2024 (1bbe3a78-8746-4db9-a96c-9dc5f1190f16).
    """
    discipline = doubling_cap(cap).discipline.with_(enter_yield="barrier")
    title = "VP.ENTER busy: mmu_lock write barrier, then again; else as P4"
    source = "Paolo Bonzini, 10 Sep 2024 (1bbe3a78-8746)"
    return Row(f"p12-write-barrier-{cap}", "P12", title, source, retry_behind_barrier, discipline)


def zero_tolerance() -> Row:
    """P26: whatever is busy, VP.ENTER too, is a bug of KVM: KVM_BUG_ON at the first reply.

    The rule taken at its word. He asked for a KVM that keeps conflicts out, would report spurious
    zero-step to user space, and allowed a few tries that are expected the same day (P10). Faults
    that meet a FROZEN SPTE go back to the guest, as in the series of its time.

    Source:
        Sean Christopherson, 9 Sep 2024 (Zt9nWjPXBC8r0Xw-), with the SGX driver as the precedent.
    """
    discipline = SERIES_OF_2024.with_(max_issues={"default": 1}, on_exhaustion={"default": "kill"})
    title = "any call, any lock busy: KVM_BUG_ON"
    source = "Sean Christopherson, 9 Sep 2024 (Zt9nWjPXBC8r0Xw-)"
    return Row("p26-zero-tolerance", "P26", title, source, always_retry, discipline)
